// ReaderLink holds one card at one virtual reader's slot and speaks vpcd's protocol with it: inserting is connecting,
// removing is closing. It has a thread of its own, and comes back by itself when pcscd was away.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "firmware-sim/host/card_device.h"
#include "firmware-sim/link/apdu_record.h"
#include "firmware-sim/link/reader_address.h"

namespace karta::sim {

enum class LinkState : std::uint8_t {
  mute,       ///< the card did not start, and left: its memory is damaged
  removed,    ///< the card is not in the reader
  waiting,    ///< it should be, but nothing answers at the reader's port
  connected,  ///< in the reader, which has not taken notice of it yet
  usable,     ///< the reader has switched it on, or counts it as present: PC/SC programs find it
};

class ReaderLink {
 public:
  /// Begins at once, with the card inserted. `record` may be null; else it must outlive the link.
  ReaderLink(unsigned number, ReaderAddress address, std::unique_ptr<CardDevice> card, ApduRecord* record);
  /// Removes the card (as a hand would: the card loses power) and ends the thread, once a command under way is done.
  ~ReaderLink();
  ReaderLink(const ReaderLink&) = delete;
  ReaderLink& operator=(const ReaderLink&) = delete;

  /// The card comes back no sooner than a hand could bring it, so that the reader notices that it was away.
  void insert();
  /// A command under way runs to its end on the card, but its answer is not given: the card was pulled.
  void remove();
  /// Removes the card, takes it out for good, and inserts another.
  void swap(std::unique_ptr<CardDevice> card);
  /// The card's state is lost without the reader's knowing, as after a glitch of its power.
  void reset_card();
  /// Power fails as told; the card counts as removed then, until insert().
  void cut_power_at(PowerCut cut);

  /// What of the above was asked has been done, and the link is in `state` (or past it: usable is past connected; a
  /// card that was usable since it came and has lost its power is past it, too: whoever waits must not miss that).
  /// False if that did not come to pass in time.
  bool wait_for(LinkState state, std::chrono::milliseconds at_most);

  LinkState state() const;
  std::uint64_t commands() const;
  const ReaderAddress& address() const { return address_; }

 private:
  void run();
  void serve(int socket);
  bool handle(int socket, ByteView payload);
  bool exchange(int socket, ByteView command);
  bool switch_on();
  int connect_to_reader();
  void take_wishes();
  void wait_for_wish(int milliseconds);
  bool wants_to_leave() const;
  LinkState out_of_reader() const;
  void become(LinkState state);
  void note(std::string_view event);
  template <class Change>
  void ask(Change change);

  const unsigned number_;
  const ReaderAddress address_;
  ApduRecord* const record_;
  const int wake_;  // an eventfd: written after each wish

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  LinkState state_ = LinkState::removed;
  std::uint64_t commands_ = 0;
  bool stop_ = false;
  bool inserted_ = true;
  bool been_usable_ = false;  // since it was inserted, or since the reader came back
  bool pulled_ = false;       // leave the reader even if inserted_ is true again already
  bool mute_ = false;         // the card did not start when it was last switched on
  bool reset_ = false;
  std::optional<PowerCut> cut_;
  std::unique_ptr<CardDevice> replacement_;

  // The thread's own.
  std::unique_ptr<CardDevice> card_;
  Bytes outgoing_;
  bool switched_on_ = false;                          // the card has power
  unsigned presence_polls_ = 0;                       // since it was inserted, without being switched on
  std::chrono::steady_clock::time_point not_before_;  // a card that left stays away so long
  std::chrono::steady_clock::time_point last_answer_;
  std::thread thread_;
};

}  // namespace karta::sim
