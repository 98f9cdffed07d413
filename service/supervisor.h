// Supervisor: what a long-running program owes the one that started it: signals taken in one place, and word to systemd
// about its state (sd_notify(3): datagrams to $NOTIFY_SOCKET; no library needed).
#pragma once

#include <chrono>
#include <string_view>

#include "base/result.h"

namespace karta::service {

enum class Signal : std::uint8_t { none, stop, reload };

class Supervisor {
 public:
  /// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts later, and ignores SIGPIPE: make it first.
  Supervisor();

  /// The next signal, or none when `wait` is over.
  Signal next(std::chrono::milliseconds wait);
  /// "READY=1", "STOPPING=1", "STATUS=..." lines. No word goes out where nobody listens.
  void notify(std::string_view lines) const;
  /// RELOADING=1 with the time systemd wants beside it.
  void notify_reloading() const;
  /// How often systemd wants to hear WATCHDOG=1; 0: never.
  std::chrono::milliseconds watchdog_interval() const { return watchdog_; }

 private:
  std::chrono::milliseconds watchdog_{0};
};

}  // namespace karta::service
