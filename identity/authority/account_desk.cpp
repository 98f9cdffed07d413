#include "identity/authority/account_desk.h"

#include "crypto/digest.h"
#include "identity/authority/documents.h"
#include "identity/login/totp.h"

namespace karta::identity {
namespace {

/// The terminal is known by its certificate; who sits there, by its word alone.
Cause cause_of(const DeskCaller& caller, const std::string& person, const std::string& reason) {
  return {"counter:" + caller.terminal + (person.empty() ? "" : "/" + person),
          reason.empty() ? "asked for at " + caller.name : reason};
}

/// What a session at the desk is bound to; the address is kept as little as may be.
std::string hash_of(std::string_view order) { return to_hex(crypto::digest(crypto::Hash::sha256, as_bytes(order))); }
/// What is done, and for which name, way and address; not who types it, and why.
std::string essence_of(const std::string& login, const AccountOrder& order) {
  AccountOrder same{"", login, order.way};
  same.mail = order.mail;
  return hash_of(account_order_document(same));
}

}  // namespace

Result<std::unique_ptr<AccountDesk>> AccountDesk::open(const CounterAccountsConfig& config, const std::string& database,
                                                       const LoginSecret& secret, DeskPort& desk, Registry& registry,
                                                       const Clock& clock) {
  auto own = TRY(service::Database::open(database, service::kServingDatabase));
  return std::unique_ptr<AccountDesk>(new AccountDesk(config, std::move(own), secret, desk, registry, clock));
}

Result<Card> AccountDesk::card_shown(const DeskCaller& caller, const std::string& session, bool agreed,
                                     std::string_view order) {
  if (!agreed) {
    return fail(ErrorKind::usage, "the citizen's word is missing", "ask the citizen, and say \"agreed\": true");
  }
  const std::string number = TRY(desk_.shown(caller, session, order));
  const CardId id = TRY(parse_card_id(number));
  Card card = TRY(registry_.card(id));
  // It may have been stopped since it was shown.
  if (card.state != CardState::active) {
    return fail(ErrorKind::not_permitted, "the card is " + std::string(row_of(card.state).name),
                "only an active card speaks for its holder");
  }
  // The registry says active until somebody marks the end.
  if (card.valid_until && clock_.now() >= *card.valid_until) {
    return fail(ErrorKind::not_permitted, "the card has expired", "only an active card speaks for its holder");
  }
  return card;
}

Result<MadeAccount> AccountDesk::make(const DeskCaller& caller, const AccountOrder& order) {
  MadeAccount out;
  out.login = TRY(parse_login(order.login));
  const AccountKind kind = TRY(parse_account_kind(order.way));
  out.way = name_of(kind);
  if ((kind == AccountKind::mail) == order.mail.empty()) {
    return fail(ErrorKind::usage, "an address goes with the way \"mail\", and with no other");
  }
  std::optional<std::string> mail;
  if (kind == AccountKind::mail) {
    if (!config_.mail) {
      return fail(ErrorKind::configuration, "no codes are sent here", "an app on the citizen's telephone makes them");
    }
    mail = TRY(parse_mail_address(order.mail));
  }
  const Card card = TRY(card_shown(caller, order.session, order.agreed, essence_of(out.login, order)));
  const SecretBytes secret =
      TRY(accounts_.enrol(card.citizen, out.login, mail, cause_of(caller, order.person, order.reason), card.id));
  if (!mail) out.otpauth = totp_uri(secret, config_.issuer, out.login);
  return out;
}

Result<bool> AccountDesk::remove(const DeskCaller& caller, const AccountRemoval& removal) {
  const Card card = TRY(card_shown(caller, removal.session, removal.agreed, hash_of(account_removal_document({}))));
  return accounts_.remove(card.citizen, cause_of(caller, removal.person, removal.reason), card.id);
}

}  // namespace karta::identity
