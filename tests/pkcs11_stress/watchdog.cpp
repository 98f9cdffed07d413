#include "tests/pkcs11_stress/watchdog.h"

#include <algorithm>

#include "tests/pkcs11_stress/module.h"
#include "tests/pkcs11_stress/pcsc_time.h"

namespace karta::pkcs11_stress {
namespace {

constexpr std::chrono::milliseconds look_every{50};

std::int64_t microseconds(std::chrono::milliseconds time) { return time / std::chrono::microseconds(1); }
std::string milliseconds(std::int64_t time) { return std::to_string(time / 1000) + " ms"; }

}  // namespace

Watchdog::Moment Watchdog::Moment::now() {
  const std::int64_t clock = steady_now();
  return {clock, pcscd_time(clock)};
}

Watchdog::Watchdog(std::size_t lanes, Limits limits) : lanes_(lanes), limits_(limits), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

void Watchdog::begin(std::size_t lane, const char* what) {
  const std::lock_guard lock(lanes_mutex_);
  lanes_[lane] = {Moment::now(), what};
}

void Watchdog::end(std::size_t lane) {
  const std::lock_guard lock(lanes_mutex_);
  const Time time = lasted(*lanes_[lane].since, Moment::now());
  lanes_[lane].since.reset();
  longest_ = {std::max(longest_.whole, time.whole), std::max(longest_.own, time.own)};
}

void Watchdog::event() {
  const std::lock_guard lock(lanes_mutex_);
  event_ = Moment::now();
}

std::string Watchdog::longest() const {
  const std::lock_guard lock(lanes_mutex_);
  return "longest call " + milliseconds(longest_.whole) + ", " + milliseconds(longest_.own) + " of it our own";
}

Watchdog::Time Watchdog::lasted(const Moment& since, const Moment& now) const {
  const Moment& start = since.clock < event_.clock ? event_ : since;
  const std::int64_t whole = now.clock - start.clock;
  return {whole, whole - (now.pcscd - start.pcscd)};
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, look_every, [this] { return stop_; })) {
    const std::lock_guard lanes(lanes_mutex_);
    const Moment now = Moment::now();
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (!lanes_[lane].since) continue;
      const Time time = lasted(*lanes_[lane].since, now);
      if (time.own <= microseconds(limits_.own) && time.whole <= microseconds(limits_.whole)) continue;
      fault("thread " + std::to_string(lane) + " hangs in " + lanes_[lane].what + ": " + milliseconds(time.whole) +
            ", " + milliseconds(time.own) + " of it not waiting for pcscd");
    }
  }
}

}  // namespace karta::pkcs11_stress
