// ClockGuard: notices a clock that was set back or leapt ahead, across restarts too.
//
// A terminal without a network decides by its clock what is fresh and what has expired. The guard knows the latest time
// this terminal has lived through, and the time that has passed since by a counter nobody sets. What is signed by
// others and bears a date tells more: it is no earlier than that.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace karta::identity {

enum class ClockState : std::uint8_t {
  fine,
  back,   ///< stands before a time that has been: what has expired would look good again
  leapt,  ///< further ahead than the time that can have passed: what is good would look expired
};
std::string_view name_of(ClockState state);

struct ClockPolicy {
  std::chrono::seconds told{60};                          ///< a jump larger than this is told
  std::chrono::seconds back{10 * 60};                     ///< further back than this: `back`
  std::chrono::seconds ahead_running{24 * 3600};          ///< in a running program: `leapt`
  std::chrono::seconds ahead_stopped{180LL * 24 * 3600};  ///< between two runs: `leapt`
};

struct ClockJump {
  Time expected{};  ///< what the clock should have said
  Time now{};       ///< what it said
};

class ClockGuard {
 public:
  /// Time since some fixed moment that goes on in sleep and is never set.
  using Uptime = std::function<std::chrono::seconds()>;

  /// `latest`: the latest time lived through, from the run before; none: whatever the clock says first is believed.
  explicit ClockGuard(std::optional<Time> latest = {}, ClockPolicy policy = {}, Uptime uptime = boot_time);

  struct Look {
    ClockState state = ClockState::fine;
    std::optional<ClockJump> jump;  ///< since the last look
    bool changed = false;           ///< another state than at the last look
  };
  /// Judges `now`. May be called from any thread.
  Look look(Time now);
  /// Something signed by somebody who is trusted was made at `made`: it is no earlier than that. This ends `leapt`
  /// where `made` shows the clock to be right.
  void vouch(Time made);

  /// Somebody who is known says that it is `told`, and the clock said `now` a moment ago. Where they agree, the clock
  /// is right, whatever was lived through: so ends `back` after a clock that ran ahead was set right.
  void confirm(Time now, Time told);

  ClockState state() const;
  /// The latest time lived through; what to keep for the next run. None before the first look.
  std::optional<Time> latest() const;

  static std::chrono::seconds boot_time();

 private:
  mutable std::mutex mutex_;
  ClockPolicy policy_;
  Uptime uptime_;
  std::optional<Time> latest_;
  std::optional<Time> last_look_;          // what the clock said then
  std::chrono::seconds last_uptime_{0};    // at the last look
  std::chrono::seconds latest_uptime_{0};  // when latest_ was lived through; this run only
  bool lived_ = false;                     // latest_ is of this run
  ClockState state_ = ClockState::fine;
};

}  // namespace karta::identity
