// The words that tell running cards what to do: insert, remove, swap, reset, cut-power, status, quit. One command a
// line, one answer a line ("ok" or "error: ..."), from standard input or a Unix socket (docs/karta-sim.md).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "firmware-sim/host/card_device.h"
#include "firmware-sim/link/reader_link.h"

namespace karta::sim {

enum class ControlVerb : std::uint8_t { insert, remove, swap, reset, cut_power, status, quit };

struct ControlCommand {
  ControlVerb verb = ControlVerb::status;
  unsigned card = 1;  ///< from 1
  std::string image;  ///< swap only
  PowerCut cut;       ///< cut_power only
};

/// Reads "VERB [CARD] [IMAGE | command=N write=N]". Fails: `usage`.
Result<ControlCommand> parse_control(std::string_view line);

/// The error to report for a card that is mute.
Error mute_card(unsigned card);

/// Makes the card that `swap` puts in.
using CardLoader = std::function<Result<std::unique_ptr<CardDevice>>(const std::string& image)>;

/// CardFarm: cards in readers, numbered from 1, obeying control commands.
class CardFarm {
 public:
  explicit CardFarm(CardLoader loader) : loader_(std::move(loader)) {}

  void add(std::unique_ptr<ReaderLink> link) { links_.push_back(std::move(link)); }
  std::size_t size() const { return links_.size(); }
  ReaderLink& card(unsigned number) { return *links_[number - 1]; }

  /// Carries out one command. The text to answer with, without the closing "ok": empty but for status. `insert` and
  /// `swap` end when programs find the card (at most `patience`, then `no_reader`), `remove` when the card
  /// is out. `quit` is the caller's to obey.
  Result<std::string> obey(const ControlCommand& command);

  std::chrono::milliseconds patience{10'000};

 private:
  CardLoader loader_;
  std::vector<std::unique_ptr<ReaderLink>> links_;
};

/// ControlDoor takes control commands from a Unix socket at `path`, or from standard input ("-"), on a thread of its
/// own.
class ControlDoor {
 public:
  /// Fails: `io`, `already_exists` (somebody listens there). `on_quit` is called from the door's thread.
  static Result<std::unique_ptr<ControlDoor>> open(const std::string& path, CardFarm& farm,
                                                   std::function<void()> on_quit);
  ~ControlDoor();
  ControlDoor(const ControlDoor&) = delete;
  ControlDoor& operator=(const ControlDoor&) = delete;

 private:
  ControlDoor(std::string path, int listening, CardFarm& farm, std::function<void()> on_quit);
  void run();
  void converse(int in, int out);

  const std::string path_;  // "-": standard input
  const int listening_;     // -1 for standard input
  CardFarm& farm_;
  const std::function<void()> on_quit_;
  const int stop_;  // an eventfd
  std::thread thread_;
};

/// Sends one command line to the door at `path` and returns the answer's lines. Fails: `not_found` (nobody there),
/// `io`, and `usage` with the simulator's words if it answered with an error.
Result<std::string> ask_control(const std::string& path, const std::string& line);

}  // namespace karta::sim
