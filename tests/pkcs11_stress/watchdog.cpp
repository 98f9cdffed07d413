#include "tests/pkcs11_stress/watchdog.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/pkcs11_stress/module.h"
#include "tests/pkcs11_stress/pcsc_time.h"

namespace karta::pkcs11_stress {
namespace {

constexpr std::chrono::milliseconds look_every{50};

std::int64_t microseconds(std::chrono::milliseconds time) { return time / std::chrono::microseconds(1); }
std::string milliseconds(std::int64_t time) { return std::to_string(time / 1000) + " ms"; }

}  // namespace

Watchdog::Moment Watchdog::now() const {
  const std::int64_t clock = steady_now();
  return {clock, pcscd_time(clock), in_line_};
}

// The second number of schedstat: how long a thread was ready and had to wait. Calls wait for one another, so that what
// all threads of the process waited counts, though never more than has passed.
void Watchdog::note_waits() {
  std::int64_t nanoseconds = 0;
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::ifstream file(thread.path() / "schedstat");
    std::int64_t ran = 0, waited = 0;
    if (!(file >> ran >> waited)) continue;
    std::int64_t& before = waited_[thread.path().filename()];
    nanoseconds += std::max<std::int64_t>(waited - before, 0);
    before = waited;
  }
  const std::int64_t clock = steady_now();
  in_line_ += std::min(nanoseconds / 1000, clock - looked_);
  looked_ = clock;
}

Watchdog::Watchdog(std::size_t lanes, Limits limits)
    : lanes_(lanes), limits_(limits), looked_(steady_now()), thread_([this] { run(); }) {}

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
  lanes_[lane] = {now(), what};
}

void Watchdog::end(std::size_t lane) {
  const std::lock_guard lock(lanes_mutex_);
  const Time time = lasted(*lanes_[lane].since, now());
  lanes_[lane].since.reset();
  longest_ = {std::max(longest_.whole, time.whole), std::max(longest_.own, time.own)};
}

void Watchdog::event() {
  const std::lock_guard lock(lanes_mutex_);
  event_ = now();
}

std::string Watchdog::longest() const {
  const std::lock_guard lock(lanes_mutex_);
  return "longest call " + milliseconds(longest_.whole) + ", " + milliseconds(longest_.own) + " of it our own";
}

Watchdog::Time Watchdog::lasted(const Moment& since, const Moment& now) const {
  const Moment& start = since.clock < event_.clock ? event_ : since;
  const std::int64_t whole = now.clock - start.clock;
  return {whole, std::max<std::int64_t>(whole - (now.pcscd - start.pcscd) - (now.in_line - start.in_line), 0)};
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, look_every, [this] { return stop_; })) {
    const std::lock_guard lanes(lanes_mutex_);
    note_waits();
    const Moment moment = now();
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (!lanes_[lane].since) continue;
      const Time time = lasted(*lanes_[lane].since, moment);
      if (time.own <= microseconds(limits_.own) && time.whole <= microseconds(limits_.whole)) continue;
      fault("thread " + std::to_string(lane) + " hangs in " + lanes_[lane].what + ": " + milliseconds(time.whole) +
            ", " + milliseconds(time.own) + " of it waiting neither for pcscd nor for a processor");
    }
  }
}

}  // namespace karta::pkcs11_stress
