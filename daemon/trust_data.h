// TrustData: what the daemon knows of the world outside: whom to trust, which cards are dead, a gate's rules. Kept in
// files, fetched where there is an authority, good to use without a network.
//
// A thread of its own looks at files and server now and then. What it finds is checked whole (signature, dates, never
// older than what was seen before, which is remembered through restarts) and takes the place of what was in use in one
// step: whoever holds a snapshot goes on with it undisturbed. What fails its check changes nothing and is told.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "daemon/config.h"
#include "daemon/trust_snapshot.h"
#include "identity/journal/clock_guard.h"

namespace karta::identity {
class Authority;
}

namespace karta::daemon {

/// What a rules file says of itself once its signature has been checked.
struct RulesHead {
  std::uint64_t sequence = 0;
  Time made{};
  Time until{};
};
/// Opens a rules file: the signature must be by one of `signers` or by whom one of them has certified. Who makes the
/// rules says how (daemon/transit). Fails as the check does.
using RulesOpener =
    std::function<Result<RulesHead>(ByteView file, const std::vector<crypto::Certificate>& signers, Time at)>;

/// Something was taken, or refused, or is to be told: for journal (kind "data"), events and health.
struct TrustNews {
  TrustItemKind kind = TrustItemKind::trust_list;
  std::string name, region;
  bool taken = false;
  std::uint64_t epoch = 0;
  std::string words;  ///< why not; empty where taken
};

class TrustData {
 public:
  struct Sources {
    TrustConfig files;
    std::filesystem::path folder;  ///< the daemon's own: what was fetched, and what has been seen
    /// Makes a client; empty: nothing is fetched.
    std::function<Result<std::unique_ptr<identity::Authority>>()> connect = {};
    RulesOpener open_rules = {};  ///< empty: rules are not used here
    bool read_only = false;       ///< for a look at a configuration: `folder` is left as it is
  };

  /// `clock` and `guard` must outlive it.
  TrustData(Sources sources, const Clock& clock, identity::ClockGuard& guard);
  ~TrustData();
  TrustData(const TrustData&) = delete;
  TrustData& operator=(const TrustData&) = delete;

  /// Told on the thread that looks. Set before load().
  void on_news(std::function<void(const TrustNews&)> callback) { on_news_ = std::move(callback); }

  /// Takes what the files hold, without the network. Succeeds also where something is missing or is refused: the items
  /// tell. Fails where the configuration itself cannot be used (a root that is no certificate).
  Status load();
  /// Begins to look by itself, every `files.refresh`, at the server first thing.
  void start();
  void stop();
  /// Looks now, on the caller's thread; `fetch`: at the server too.
  void look(bool fetch);

  std::shared_ptr<const TrustSnapshot> snapshot() const;
  /// The clock as it is judged now.
  identity::ClockState clock_state();

 private:
  struct Work;
  void run();

  Sources sources_;
  const Clock* clock_;
  identity::ClockGuard* guard_;
  std::function<void(const TrustNews&)> on_news_;
  std::unique_ptr<Work> work_;  // what the looking thread keeps to itself
  std::mutex looking_;          // one look at a time

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  std::shared_ptr<const TrustSnapshot> snapshot_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace karta::daemon
