#include "identity/login/accounts.h"

#include <algorithm>

#include "identity/login/totp.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

constexpr std::size_t kLeastLogin = 3, kMostLogin = 64, kMostMailAddress = 254;  // RFC 5321 §4.5.3.1

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
/// What was done stands among the citizen's events, in the transaction that does it.
Status add_event(Database& database, CitizenId citizen, std::string_view kind, std::string_view detail, Time now,
                 const Cause& cause, std::optional<CardId> shown) {
  std::optional<std::int64_t> card;
  if (shown) card = static_cast<std::int64_t>(*shown);
  Statement next = TRY(database.prepare("SELECT coalesce(max(number), 0) + 1 FROM events WHERE citizen_id = $1"));
  TRY(next.query({raw(citizen)}));
  TRY(next.next());
  const std::int64_t number = next.integer(0);
  TRY(
      database.execute("INSERT INTO events (citizen_id, number, at, actor, kind, card_id, state_before, state_after, "
                       "reason) VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8)",
                       {raw(citizen), number, std::int64_t{now.time_since_epoch().count()}, cause.actor, kind, card,
                        detail, cause.reason}));
  return {};
}

/// What was begun with a code of the account ends with it, at once and everywhere: sessions, and every grant without a
/// card, those for use off line and of sessions long gone, too. Who must be told is not known here (the provider's
/// secret says under which names), so the rows stay, ended: SessionEnds of the provider tells the portals and deletes
/// them.
Status end_sessions(Database& database, CitizenId citizen, Time now) {
  TRY(
      database.execute("DELETE FROM session_by_cookie WHERE cookie_hash IN (SELECT cookie_hash FROM sessions WHERE "
                       "citizen_id = $1 AND acr = 'low')",
                       {raw(citizen)}));
  const std::int64_t over = now.time_since_epoch().count();
  TRY(database.execute("UPDATE sessions SET over_at = $2 WHERE citizen_id = $1 AND acr = 'low' AND over_at > $2",
                       {raw(citizen), over}));
  TRY(database.execute("UPDATE openid_grants SET offline = 0, ends_at = $2 WHERE citizen_id = $1 AND card_id IS NULL",
                       {raw(citizen), over}));
  return {};
}

/// A secret opens for its own account alone.
std::string bound_to(CitizenId citizen) { return "account " + format_id(citizen); }

}  // namespace

std::string_view name_of(AccountKind kind) { return kind == AccountKind::app ? "app" : "mail"; }

Result<AccountKind> parse_account_kind(std::string_view name) {
  for (const AccountKind kind : {AccountKind::app, AccountKind::mail}) {
    if (name_of(kind) == name) return kind;
  }
  return fail(ErrorKind::usage, "codes come by no such way", "\"app\" or \"mail\"");
}

Result<std::string> parse_login(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (out.size() < kLeastLogin || out.size() > kMostLogin ||
      out.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_@") != std::string::npos) {
    return fail(ErrorKind::usage, "this is no login name",
                "3 to 64 Latin letters, digits, dots, hyphens, underscores and @");
  }
  return out;
}

Result<std::string> parse_mail_address(std::string_view text) {
  const auto at = text.find('@');
  const bool plain = std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && static_cast<unsigned char>(c) < 0x7F &&
           std::string_view("<>()[]\\,;:\"").find(c) == std::string_view::npos;
  });
  if (!plain || at == std::string_view::npos || at == 0 || at + 1 == text.size() ||
      text.find('@', at + 1) != std::string_view::npos || text.size() > kMostMailAddress || text.front() == '-') {
    return fail(ErrorKind::usage, "this is no mail address karta can write to");
  }
  return std::string(text);
}

Result<SecretBytes> Accounts::enrol(CitizenId citizen, const std::string& login,
                                    const std::optional<std::string>& mail_address, const Cause& cause,
                                    std::optional<CardId> shown) {
  const AccountKind kind = mail_address ? AccountKind::mail : AccountKind::app;
  SecretBytes secret = mail_address ? SecretBytes::copy_of(*mail_address) : random_.secret(kTotpSecretOctets);
  const Bytes sealed = secret_.seal(secret.expose_secret(), bound_to(citizen), random_);
  const std::int64_t now = clock_.now().time_since_epoch().count();
  TRY(database_.transact([&]() -> Status {
    {
      Statement row = TRY(database_.prepare("SELECT 1 FROM citizens WHERE citizen_id = $1"));
      TRY(row.query({raw(citizen)}));
      if (!TRY(row.next())) return fail(ErrorKind::not_found, "there is no citizen \"" + format_id(citizen) + "\"");
    }
    {
      Statement row = TRY(database_.prepare("SELECT citizen_id FROM login_account_by_name WHERE login = $1"));
      TRY(row.query({login}));
      if (TRY(row.next()) && row.integer(0) != raw(citizen)) {
        return fail(ErrorKind::already_exists, "another citizen has this login name");
      }
    }
    TRY(
        database_.execute("DELETE FROM login_account_by_name WHERE login IN (SELECT login FROM login_accounts WHERE "
                          "citizen_id = $1)",
                          {raw(citizen)}));
    TRY(database_.execute("DELETE FROM login_accounts WHERE citizen_id = $1", {raw(citizen)}));
    TRY(
        database_.execute("INSERT INTO login_accounts (citizen_id, login, kind, secret, last_step, created_at, "
                          "created_by) VALUES ($1, $2, $3, $4, 0, $5, $6)",
                          {raw(citizen), login, static_cast<std::int64_t>(kind), sealed, now, cause.actor}));
    TRY(database_.execute("INSERT INTO login_account_by_name (login, citizen_id) VALUES ($1, $2)",
                          {login, raw(citizen)}));
    TRY(end_sessions(database_, citizen, clock_.now()));
    return add_event(database_, citizen, "account-enrolled", name_of(kind), clock_.now(), cause, shown);
  }));
  if (mail_address) secret = SecretBytes();
  return secret;
}

Result<bool> Accounts::remove(CitizenId citizen, const Cause& cause, std::optional<CardId> shown) {
  bool removed = false;
  TRY(database_.transact([&]() -> Status {
    TRY(
        database_.execute("DELETE FROM login_account_by_name WHERE login IN (SELECT login FROM login_accounts WHERE "
                          "citizen_id = $1)",
                          {raw(citizen)}));
    removed = TRY(database_.execute("DELETE FROM login_accounts WHERE citizen_id = $1", {raw(citizen)})) != 0;
    TRY(end_sessions(database_, citizen, clock_.now()));
    return removed ? add_event(database_, citizen, "account-removed", "", clock_.now(), cause, shown) : Status{};
  }));
  return removed;
}

Result<std::optional<Account>> Accounts::load(Database& database, CitizenId citizen) {
  Statement row = TRY(database.prepare(
      "SELECT login, kind, secret, last_step, created_at, created_by FROM login_accounts WHERE citizen_id = $1"));
  TRY(row.query({raw(citizen)}));
  if (!TRY(row.next())) return std::optional<Account>();
  Account out;
  out.citizen = citizen;
  out.login = row.text(0);
  out.kind = static_cast<AccountKind>(row.integer(1));
  out.secret = TRY(secret_.open(row.octets(2), bound_to(citizen)));
  out.sealed = to_bytes(row.octets(2));
  out.last_step = row.integer(3);
  out.created = Time(std::chrono::seconds(row.integer(4)));
  out.created_by = row.text(5);
  return std::optional<Account>(std::move(out));
}

Status Accounts::hold(Database& database, CitizenId citizen, ByteView sealed) {
  const auto held = TRY(database.execute(
      "UPDATE login_accounts SET last_step = last_step WHERE citizen_id = $1 AND secret = $2", {raw(citizen), sealed}));
  if (held != 1) return fail(ErrorKind::not_permitted, "the account the code was of is there no more", "log in again");
  return {};
}

Result<std::optional<Account>> Accounts::of(CitizenId citizen) { return load(database_, citizen); }

Result<std::optional<CitizenId>> Accounts::citizen_of(std::string_view login) {
  Statement row = TRY(database_.prepare("SELECT citizen_id FROM login_account_by_name WHERE login = $1"));
  TRY(row.query({login}));
  std::optional<CitizenId> out;
  if (TRY(row.next())) out = CitizenId{row.integer(0)};
  return out;
}

Result<std::optional<Account>> Accounts::by_login(std::string_view login) {
  const std::optional<CitizenId> citizen = TRY(citizen_of(login));
  if (!citizen) return std::optional<Account>();
  return load(database_, *citizen);
}

}  // namespace karta::identity
