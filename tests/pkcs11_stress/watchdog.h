// Ends the program when a call into the module does not come back: a hang is a fault, not a test that never ends.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace karta::pkcs11_stress {

/// Watches calls of up to `lanes` threads. A call may last `limit`, counted from its start or, if that is later, from
/// the last event (card out, card in, pcscd back).
class Watchdog {
 public:
  Watchdog(std::size_t lanes, std::chrono::milliseconds limit);
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
  /// The longest call so far, counted as the limit is.
  std::chrono::milliseconds longest() const;

 private:
  struct Lane {
    std::atomic<std::int64_t> since{0};  // 0: not in a call
    std::atomic<const char*> what{""};
  };
  void begin(std::size_t lane, const char* what);
  void end(std::size_t lane);
  std::int64_t lasted(std::int64_t since, std::int64_t now) const;
  void run();

  std::vector<Lane> lanes_;
  std::int64_t limit_;
  std::atomic<std::int64_t> event_{0};
  std::atomic<std::int64_t> longest_{0};
  std::mutex mutex_;
  std::condition_variable woken_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace karta::pkcs11_stress
