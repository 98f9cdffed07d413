// Services: what every mode of the daemon stands on, made once by the daemon and alive as long as it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "daemon/config.h"
#include "daemon/events.h"
#include "daemon/steady_now.h"

namespace karta::identity {
class Authority;  // identity/authority_client.h
class Journal;    // identity/journal/journal.h
}  // namespace karta::identity
namespace karta::service {
class Metrics;
}
namespace karta::card {
class ReaderList;
}

namespace karta::daemon {

class DeedStore;         // daemon/deed_store.h
class OnLineStatus;      // daemon/on_line_status.h
class TerminalIdentity;  // daemon/terminal_identity.h
class TrustData;         // daemon/trust_data.h

/// References: everything outlives the modes. Usable from several threads, each service by its own rules.
struct Services {
  const DaemonConfig& config;
  const Clock& clock;
  RandomSource& random;
  EventHub& events;
  service::Metrics& metrics;
  identity::Journal& journal;
  DeedStore& deeds;
  TrustData& trust;
  card::ReaderList& readers;  ///< for a security module in a reader of its own
  /// A client of the authority, for one thread at a time; an empty function where none is configured.
  std::function<Result<std::unique_ptr<identity::Authority>>()> connect_authority;
  /// By role.
  std::map<std::string, std::unique_ptr<TerminalIdentity>, std::less<>>& terminals;
  /// Only a look at the configuration: what is named is looked for, nothing is made, nothing served.
  bool looking = false;
  SteadyNow steady_now = &std::chrono::steady_clock::now;
  OnLineStatus* on_line = nullptr;  ///< null where no authority is configured

  /// Fails with `configuration` where the daemon has no terminal of this role.
  Result<TerminalIdentity*> terminal(std::string_view role) const;
};

}  // namespace karta::daemon
