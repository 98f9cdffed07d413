// Daemon: kartad in one object: everything that a configuration asks for, started, reloaded, stopped. The program is a
// loop of signals around it; tests give it readers, clock and randomness of their own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "daemon/events.h"
#include "daemon/mode.h"
#include "daemon/page_server.h"
#include "daemon/reader_source.h"
#include "daemon/steady_now.h"
#include "daemon/trust_data.h"

namespace karta::identity {
class Authority;
class Journal;
}  // namespace karta::identity

namespace karta::daemon {

/// What the daemon finds around it. References outlive the daemon.
struct Environment {
  const Clock& clock;
  RandomSource& random;
  /// Readers for one reading of the configuration; they tell their state from the beginning.
  std::function<std::unique_ptr<ReaderSource>(const DaemonConfig&)> make_readers;
  std::span<const ModeRow> modes;
  ReadPages read_pages = nullptr;
  RulesOpener open_rules = {};
  /// How the authority of [authority] is reached; empty: over HTTPS, as the first terminal that was enrolled.
  std::function<Result<std::unique_ptr<identity::Authority>>()> connect = {};
  /// What the time of verbs at a card is taken on.
  SteadyNow steady_now = &std::chrono::steady_clock::now;
};

class Daemon {
 public:
  /// Reads, opens, listens. Fails as each of its parts does; nothing is left running then.
  static Result<std::unique_ptr<Daemon>> start(const std::filesystem::path& config, Environment environment);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Where it listens, with the ports it got.
  const std::vector<std::string>& addresses() const;
  /// Reads the configuration again. Addresses, workers, limits, journal and state folder stay as they are until a
  /// restart; a configuration that cannot be used leaves all as it was. Visits kept in memory are forgotten.
  Status reload();
  /// Calls that have arrived are answered, events end, the journal says "stop".
  void stop();

  EventHub& events();
  identity::Journal& journal();
  /// Waits until every refusal so far is in the journal.
  void flush_refusals();

 private:
  struct Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads the configuration and opens what it names (keys, certificates, lists, journal read-only), makes its modes and
/// looks at its pages; serves nothing and leaves nothing behind. What can be served with and is yet amiss (a list that
/// cannot be used, a socket's folder that is not there) comes back as words for people.
Result<std::vector<std::string>> check_daemon(const std::filesystem::path& config, Environment environment);

}  // namespace karta::daemon
