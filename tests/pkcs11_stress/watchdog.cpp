#include "tests/pkcs11_stress/watchdog.h"

#include <algorithm>
#include <string>

#include "tests/pkcs11_stress/module.h"

namespace karta::pkcs11_stress {
namespace {

constexpr std::chrono::milliseconds look_every{50};

std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::microseconds(1); }

}  // namespace

Watchdog::Watchdog(std::size_t lanes, std::chrono::milliseconds limit)
    : lanes_(lanes), limit_(limit / std::chrono::microseconds(1)), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

void Watchdog::begin(std::size_t lane, const char* what) {
  lanes_[lane].what = what;
  lanes_[lane].since = now();
}

void Watchdog::end(std::size_t lane) {
  const std::int64_t time = lasted(lanes_[lane].since.exchange(0), now());
  std::int64_t before = longest_;
  while (time > before && !longest_.compare_exchange_weak(before, time)) {
  }
}

void Watchdog::event() { event_ = now(); }

std::chrono::milliseconds Watchdog::longest() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(longest_));
}

std::int64_t Watchdog::lasted(std::int64_t since, std::int64_t time) const {
  return time - std::max(since, event_.load());
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, look_every, [this] { return stop_; })) {
    const std::int64_t time = now();
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      const std::int64_t since = lanes_[lane].since;
      if (since == 0 || lasted(since, time) <= limit_) continue;
      fault("thread " + std::to_string(lane) + " hangs in " + lanes_[lane].what.load() + ": " +
            std::to_string((time - since) / 1000) + " ms");
    }
  }
}

}  // namespace karta::pkcs11_stress
