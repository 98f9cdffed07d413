// Ends the program when a call into the module does not come back: a hang is a fault, not a test that never ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace karta::pkcs11_stress {

/// How long a call may last, counted from its start or, if that is later, from the last event (card out, card in, pcscd
/// back).
struct Limits {
  /// Without the time in which an answer of pcscd was being waited for, or a thread for a processor.
  std::chrono::milliseconds own{2'000};
  std::chrono::milliseconds whole{10'000};  ///< all of it, by the clock on the wall
};

/// Watches calls of up to `lanes` threads.
class Watchdog {
 public:
  Watchdog(std::size_t lanes, Limits limits);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Runs `call` under watch; `what` must outlive it.
  template <class Call>
  auto watch(std::size_t lane, const char* what, Call&& call) {
    begin(lane, what);
    auto result = call();
    end(lane);
    return result;
  }
  /// Something has happened that calls may have to wait for.
  void event();
  /// "longest call 26 ms, 3 ms of it our own"; the two may be of different calls.
  std::string longest() const;

 private:
  // A moment: microseconds of the steady clock, of pcscd's time until then, and of the time threads of this process
  // stood in line for a processor.
  struct Moment {
    std::int64_t clock = 0, pcscd = 0, in_line = 0;
  };
  Moment now() const;
  struct Lane {
    std::optional<Moment> since;  // empty: not in a call
    const char* what = "";
  };
  struct Time {
    std::int64_t whole, own;
  };
  void begin(std::size_t lane, const char* what);
  void end(std::size_t lane);
  Time lasted(const Moment& since, const Moment& now) const;
  void run();
  void note_waits();

  std::vector<Lane> lanes_;
  const Limits limits_;
  Moment event_;
  Time longest_{0, 0};
  std::map<std::string, std::int64_t> waited_;  // nanoseconds in line, by thread, when last looked
  std::int64_t in_line_ = 0, looked_ = 0;
  mutable std::mutex lanes_mutex_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace karta::pkcs11_stress
