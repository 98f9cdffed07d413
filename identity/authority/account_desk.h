// AccountDesk: what the authority does for a citizen at a counter who wants to log in with one-time codes, or no
// longer: the card he shows there says who he is, the counter brings the name and the way, the account is made here.
// One a worker.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "identity/authority/desk_port.h"
#include "identity/authority_client.h"
#include "identity/login/accounts.h"
#include "identity/services/config.h"

namespace karta::identity {

class AccountDesk {
 public:
  /// `secret`, `desk`, `registry` and `clock` must outlive it. Errors: those of Database::open.
  static Result<std::unique_ptr<AccountDesk>> open(const CounterAccountsConfig& config, const std::string& database,
                                                   const LoginSecret& secret, DeskPort& desk, Registry& registry,
                                                   const Clock& clock);

  /// Errors: usage (name, way, address; the citizen's word is missing), configuration (no codes by mail here),
  /// already_exists (another citizen's login name), not_found and not_permitted (DeskPort::shown(): one session, one
  /// order; a card that is not active any more or has expired).
  Result<MadeAccount> make(const DeskCaller& caller, const AccountOrder& order);
  /// False: the citizen has none. Errors: as above.
  Result<bool> remove(const DeskCaller& caller, const AccountRemoval& removal);

 private:
  AccountDesk(const CounterAccountsConfig& config, service::Database database, const LoginSecret& secret,
              DeskPort& desk, Registry& registry, const Clock& clock)
      : config_(config),
        database_(std::move(database)),
        desk_(desk),
        registry_(registry),
        clock_(clock),
        accounts_(database_, secret, clock, random_) {}
  /// The card the citizen showed just now, for this order; he asked for it.
  Result<Card> card_shown(const DeskCaller& caller, const std::string& session, bool agreed, std::string_view order);

  const CounterAccountsConfig config_;
  SystemRandom random_;
  service::Database database_;
  DeskPort& desk_;
  Registry& registry_;
  const Clock& clock_;
  Accounts accounts_;
};

}  // namespace karta::identity
