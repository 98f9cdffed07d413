// Accounts: login names of citizens who were enrolled at a counter for the way in by a one-time code: of an app (TOTP),
// or sent by mail. Secrets and mail addresses stand in the database encrypted. Made at the centre (`karta account`), or
// by the authority for a counter the citizen's card was shown at (identity/authority/account_desk.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "identity/login/login_secret.h"
#include "identity/registry.h"
#include "service/database.h"

namespace karta::identity {

/// Never renumber: the database has them.
enum class AccountKind : std::uint8_t { app = 1, mail = 2 };
std::string_view name_of(AccountKind kind);  ///< "app", "mail"
/// Fails with usage, naming those there are.
Result<AccountKind> parse_account_kind(std::string_view name);

struct Account {
  CitizenId citizen{};
  std::string login;
  AccountKind kind = AccountKind::app;
  SecretBytes secret;          ///< app: TOTP's; mail: the address
  Bytes sealed;                ///< `secret` as the database has it: no other account has the same
  std::int64_t last_step = 0;  ///< app: of the code used last
  Time created{};
  std::string created_by;
};

/// Small letters, digits, dots, hyphens, underscores and @, 3 to 64 characters. Capitals are made small. Fails with
/// usage.
Result<std::string> parse_login(std::string_view text);
/// local@domain, without blanks, quotes, controls or anything a mail's head could be ended with. Fails with usage.
Result<std::string> parse_mail_address(std::string_view text);

/// Used by one thread at a time. All must outlive it.
class Accounts {
 public:
  Accounts(service::Database& database, const LoginSecret& secret, const Clock& clock, RandomSource& random)
      : database_(database), secret_(secret), clock_(clock), random_(random) {}

  /// A citizen has one account: a new one takes the place of the old one, whose codes are worth nothing from then on,
  /// and whose sessions end. `login` and `mail_address` as the parsers return them. `shown`: the card by which the
  /// citizen was known, for the event. For an app the new secret is returned, else an empty one.
  /// Errors: not_found (no such citizen), already_exists (somebody else's login).
  Result<SecretBytes> enrol(CitizenId citizen, const std::string& login, const std::optional<std::string>& mail_address,
                            const Cause& cause, std::optional<CardId> shown = {});
  /// Its sessions and all tokens they gave end with it, those for use off line too. False if there is none.
  Result<bool> remove(CitizenId citizen, const Cause& cause, std::optional<CardId> shown = {});
  Result<std::optional<Account>> of(CitizenId citizen);
  Result<std::optional<Account>> by_login(std::string_view login);
  /// Changes nothing of the citizen's account but holds its row for a session by a code of it, in the transaction that
  /// begins that: whoever ends or replaces the account meanwhile collides with the caller. Errors: not_permitted (it
  /// is gone, or `sealed` is of one before it).
  static Status hold(service::Database& database, CitizenId citizen, ByteView sealed);

 private:
  Result<std::optional<CitizenId>> citizen_of(std::string_view login);
  Result<std::optional<Account>> load(service::Database& database, CitizenId citizen);
  friend class CodeLogin;

  service::Database& database_;
  const LoginSecret& secret_;
  const Clock& clock_;
  RandomSource& random_;
};

}  // namespace karta::identity
