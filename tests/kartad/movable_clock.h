// MovableClock: time that a test moves while a daemon's threads read it; FixedClock is for one thread.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace karta::test {

class MovableClock final : public Clock {
 public:
  explicit MovableClock(Time at) : seconds_(at.time_since_epoch().count()) {}
  Time now() const override { return Time(std::chrono::seconds(seconds_)); }
  void advance(std::chrono::seconds by) { seconds_ += by.count(); }

 private:
  std::atomic<std::int64_t> seconds_;
};

}  // namespace karta::test
