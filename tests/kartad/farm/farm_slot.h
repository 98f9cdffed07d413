// FarmSlot: the field of one reader behind pcscd: cards are laid into it and taken out, and answer there on a thread
// of its own. pcscd may go and come back: a card that lies there is without power until it does.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "firmware-sim/host/soft_card.h"
#include "tests/kartad/farm/farm_wire.h"

namespace karta::test {

class FarmSlot {
 public:
  /// What becomes of a command: the card's answer; nothing: the card is out of the field from now on.
  using Exchange = std::function<std::optional<Bytes>(ByteView command)>;

  /// `reader`: from 0, in the order of tools/private-pcscd.
  explicit FarmSlot(unsigned reader);
  ~FarmSlot();
  FarmSlot(const FarmSlot&) = delete;
  FarmSlot& operator=(const FarmSlot&) = delete;

  /// `chip` must stay until remove(). `exchange` is called on the slot's thread.
  void insert(sim::SoftCard& chip, Exchange exchange);
  /// Returns when no command is under way any more; the card is without power. Nothing where none is in.
  void remove();

 private:
  void run();
  void serve();
  void answer(const FarmMessage& message);
  void take_out();

  int news_listener_ = -1, commands_listener_ = -1, wake_ = -1;
  std::mutex mutex_;  // of all below
  int news_ = -1, commands_ = -1;
  sim::SoftCard* chip_ = nullptr;
  Exchange exchange_;
  std::thread thread_;
};

}  // namespace karta::test
