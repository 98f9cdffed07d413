#include "identity/journal/clock_guard.h"

#include <ctime>

namespace karta::identity {

std::string_view name_of(ClockState state) {
  switch (state) {
    case ClockState::fine:
      return "fine";
    case ClockState::back:
      return "back";
    case ClockState::leapt:
      return "leapt";
  }
  return "";
}

std::chrono::seconds ClockGuard::boot_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec);
}

ClockGuard::ClockGuard(std::optional<Time> latest, ClockPolicy policy, Uptime uptime)
    : policy_(policy), uptime_(std::move(uptime)), latest_(latest) {}

ClockGuard::Look ClockGuard::look(Time now) {
  const std::scoped_lock lock(mutex_);
  const std::chrono::seconds uptime = uptime_();
  Look look;

  // A jump is told once: against what the clock said at the last look, or, first thing in a run, in the run before.
  std::optional<Time> expected;
  if (last_look_) {
    expected = *last_look_ + (uptime - last_uptime_);
    if (now > *expected + policy_.told) look.jump = ClockJump{*expected, now};
  } else if (latest_) {
    expected = *latest_;
    if (now > *latest_ + policy_.ahead_stopped) look.jump = ClockJump{*latest_, now};
  }
  if (expected && now < *expected - policy_.told) look.jump = ClockJump{*expected, now};
  last_look_ = now;
  last_uptime_ = uptime;

  ClockState state = ClockState::fine;
  if (latest_) {
    const Time likely = lived_ ? *latest_ + (uptime - latest_uptime_) : *latest_;
    if (now < likely - policy_.back) {
      state = ClockState::back;
    } else if (now > likely + (lived_ ? policy_.ahead_running : policy_.ahead_stopped)) {
      state = ClockState::leapt;
    }
  }
  // Small steps back keep the latest time; a leap is not lived through until somebody vouches for it.
  if (state == ClockState::fine && (!latest_ || now >= *latest_)) {
    latest_ = now;
    latest_uptime_ = uptime;
    lived_ = true;
  }
  look.changed = state != state_;
  state_ = state;
  look.state = state;
  return look;
}

void ClockGuard::vouch(Time made) {
  const std::scoped_lock lock(mutex_);
  if (latest_ && made <= *latest_) return;
  latest_ = made;
  // How long ago it was made is not known: as after a stop.
  lived_ = false;
}

void ClockGuard::confirm(Time now, Time told) {
  const std::scoped_lock lock(mutex_);
  if (std::chrono::abs(now - told) > policy_.back) return;
  latest_ = now;
  latest_uptime_ = uptime_();
  lived_ = true;
}

ClockState ClockGuard::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

std::optional<Time> ClockGuard::latest() const {
  const std::scoped_lock lock(mutex_);
  return latest_;
}

}  // namespace karta::identity
