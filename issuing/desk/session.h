// DeskSession: one deed on one card at a counter. The deed runs on a thread of its own and speaks with the card as if
// it were here; its commands become numbered steps, which the counter asks for and answers in its own time.
//
// Whatever the counter does — vanishes, repeats itself, answers out of turn, sends rubbish — the deed ends, in bounded
// time and with bounded commands, and the session tells its outcome to whoever asks once more.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "identity/authority/desk_port.h"
#include "issuing/desk/remote_connection.h"

namespace karta::issuing {

struct DeskLimits {
  std::chrono::milliseconds reply_time{30'000};    ///< for the counter to bring the answers of a step
  std::chrono::milliseconds total_time{300'000};   ///< for a deed in all
  std::chrono::milliseconds linger_time{300'000};  ///< an ended session still tells its outcome
  std::chrono::milliseconds shown_time{60'000};    ///< a card that was shown counts as shown just now
  std::chrono::milliseconds hold_time{5'000};      ///< for another session to let go of the same card
  std::size_t commands = 2'000;                    ///< in one session
  std::size_t lingering = 32;                      ///< ended sessions of one caller that do
  std::size_t sessions = 64;                       ///< under way at once
  std::size_t sessions_of_caller = 16;
};

class DeskSession final : public ApduCarrier {
 public:
  using SteadyClock = std::chrono::steady_clock;
  /// What is done: its result is a JSON object.
  using Deed = std::function<Result<std::string>(ApduCarrier& carrier)>;

  DeskSession(std::string id, const DeskLimits& limits);
  /// Ends the deed and waits for it.
  ~DeskSession() override;
  DeskSession(const DeskSession&) = delete;
  DeskSession& operator=(const DeskSession&) = delete;

  /// Once. `answer` gets the first step.
  void start(Deed deed, identity::DeskAnswer answer);
  /// The counter's next request. Replies to the step before are answered with the present step again; to any other:
  /// usage.
  void next(identity::DeskReplies replies, identity::DeskAnswer answer);
  /// The deed's next exchange fails so.
  void end(Error why);

  const std::string& id() const { return id_; }
  /// When the deed ended; empty while it runs.
  std::optional<SteadyClock::time_point> ended() const;
  /// What the deed came to; empty while it runs, and where it failed.
  std::optional<std::string> result() const;

  /// The deed's side.
  Result<std::vector<Bytes>> exchange(std::vector<Bytes> commands) override;

 private:
  void run(const Deed& deed);
  void finish(Result<std::string> outcome);

  const std::string id_;
  const DeskLimits limits_;
  const SteadyClock::time_point deadline_;
  std::thread thread_;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable arrived_;
  identity::DeskStep step_;                  // the present one
  std::optional<std::vector<Bytes>> inbox_;  // answers to it
  bool answered_ = false;                    // they have come
  identity::DeskAnswer waiting_;             // the counter's request that waits for the next step
  std::optional<Error> broken_;              // no exchange succeeds any more
  std::optional<Result<std::string>> outcome_;
  std::optional<SteadyClock::time_point> ended_;
  std::size_t commands_ = 0;
};

}  // namespace karta::issuing
