// FarmDaemon: the farm's kartad, a process of its own that is killed; FarmPcscd: the pcscd its readers are behind.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace karta::test {

/// Nothing in the farm takes as long.
constexpr std::chrono::seconds kFarmPatience{60};

class FarmDaemon {
 public:
  /// `readers`: the gates' names in PC/SC, in their order.
  FarmDaemon(const std::filesystem::path& config, std::vector<std::string> readers);
  ~FarmDaemon();
  FarmDaemon(const FarmDaemon&) = delete;
  FarmDaemon& operator=(const FarmDaemon&) = delete;

  /// What it has said of a gate.
  struct Gate {
    int threads = 0, at_work = 0;  ///< that serve its reader, that have a card now
    bool card = false;
    unsigned taps = 0;  ///< judged since forget_taps()
    std::string decision = {};
    bool settled = false;
    bool quiet() const { return threads == 1 && at_work == 0 && !card; }
  };

  bool await_up();
  /// Waits until `what` is so at the gate, or the process has ended; false: neither came to pass.
  bool await(unsigned gate, const std::function<bool(const Gate&)>& what);
  Gate gate(unsigned which) const;
  void forget_taps(unsigned gate);
  /// Makes await() look again at what it waits for.
  void poke();
  /// SIGKILL. True: by this call.
  bool kill();
  bool killed() const { return killed_; }
  void unplug(unsigned gate) { tell('X', gate); }
  void plug_in(unsigned gate) { tell('B', gate); }

 private:
  void listen();
  void take(char letter, const std::string& words);
  void tell(char letter, unsigned gate);

  const std::vector<std::string> readers_;
  int control_ = -1;
  pid_t child_ = 0;
  std::atomic<bool> killed_{false};
  std::mutex telling_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false, ended_ = false;
  std::vector<Gate> gates_;
  std::thread listener_;
};

class FarmPcscd {
 public:
  /// It goes away, at once and without a word (`crash`) or in order, and comes again beside whoever called.
  void restart(bool crash);
  /// Returns when it is there again.
  void await_back();

 private:
  pid_t restarting_ = 0;
};

}  // namespace karta::test
