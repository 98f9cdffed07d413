#include "daemon/counter/account_deed.h"

#include "identity/login/qr_code.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kMostLogin = 64, kMostMail = 254;

/// The citizen is there and asks for it: said by the operator each time, assumed never.
Status require_agreed(RequestBody& body) {
  if (TRY(body.boolean_or("agreed", false))) return {};
  return fail(ErrorKind::usage, "\"agreed\" must be true: the citizen is here and asks for it");
}

}  // namespace

Result<identity::AccountOrder> read_account_order(RequestBody& body) {
  identity::AccountOrder out;
  TRY(require_agreed(body));
  out.agreed = true;
  out.login = TRY(body.text("login", kMostLogin));
  out.way = TRY(body.text("way"));
  if (out.way != "app" && out.way != "mail") return fail(ErrorKind::usage, "\"way\" must be app or mail");
  if (out.way == "mail") out.mail = TRY(body.text("mail", kMostMail));
  return out;
}

Result<identity::AccountRemoval> read_account_removal(RequestBody& body) {
  identity::AccountRemoval out;
  TRY(require_agreed(body));
  out.agreed = true;
  return out;
}

Status tell(const identity::MadeAccount& account, Reply& reply) {
  reply.body["login"] = account.login;
  reply.body["way"] = account.way;
  if (account.otpauth.empty()) return {};
  SecretBytes picture = TRY(identity::qr_as_svg(account.otpauth));
  reply.told_once = {{"otpauth", std::make_shared<const SecretBytes>(account.otpauth.clone())},
                     {"qr", std::make_shared<const SecretBytes>(std::move(picture))}};
  return {};
}

}  // namespace karta::daemon
