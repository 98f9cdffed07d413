#include "identity/login/agent_request.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/random.h"
#include "crypto/jose/jws.h"
#include "identity/pages/form.h"

namespace karta::identity {
namespace {

constexpr std::string_view kType = "karta-agent-request+jwt", kAudience = "karta-agent";
constexpr std::size_t kIdOctets = 16;

constexpr auto kErrors = std::to_array<AgentErrorRow>({
    {"cancelled",
     {"You cancelled the log-in", "Вы отменили вход"},
     {"Nothing was signed. You can try again or choose another way.",
      "Ничего не подписано. Можно попробовать снова или выбрать другой способ."}},
    {"no_reader",
     {"There is no card reader", "Считыватель карт не найден"},
     {"Connect the reader to this computer and try again.", "Подключите считыватель к компьютеру и попробуйте снова."}},
    {"no_card",
     {"There is no card in the reader", "В считывателе нет карты"},
     {"Put the card in, chip first, and try again.", "Вставьте карту чипом вперёд и попробуйте снова."}},
    {"wrong_card",
     {"This is not a citizen card", "Это не карта гражданина"},
     {"Put your citizen card in and try again.", "Вставьте карту гражданина и попробуйте снова."}},
    {"pin_blocked",
     {"The card's PIN is blocked", "ПИН-код карты заблокирован"},
     {"A service counter can release it, or you can with the PUK from your letter: karta card unblock.",
      "Его разблокируют в окне обслуживания, или вы сами — кодом PUK из письма: karta card unblock."}},
    {"transport_pin",
     {"The card still has its transport PIN", "На карте ещё транспортный ПИН-код"},
     {"Choose your own PIN first: karta card change-pin, or at a service counter.",
      "Сначала задайте собственный ПИН-код: karta card change-pin или в окне обслуживания."}},
    {"timed_out",
     {"The log-in took too long", "Вход занял слишком много времени"},
     {"Please try again.", "Попробуйте снова."}},
    {"card_error",
     {"The card could not be used", "Карту не удалось использовать"},
     {"Take it out, put it in again, and try again.", "Выньте карту, вставьте снова и повторите."}},
});

}  // namespace

Result<std::string> sign_agent_request(const AgentRequest& request, crypto::Signer& signer,
                                       crypto::AlgorithmId algorithm, RandomSource& random) {
  nlohmann::ordered_json claims{
      {"iss", request.issuer},
      {"aud", kAudience},
      {"jti", to_base64url(random.bytes(kIdOctets))},
      {"iat", request.now.time_since_epoch().count()},
      {"exp", request.expires.time_since_epoch().count()},
      {"nonce", request.nonce},
      {"origin", request.issuer},
      {"return_uri", request.return_uri},
      {"state", request.state},
      {"verb", request.verb},
  };
  if (request.client != nullptr) {
    const Client& client = *request.client;
    claims["client"] = {{"name", client.name.in("en")}, {"name_ru", client.name.in("ru")}, {"origin", client.origin()}};
    claims["purpose"] = {{"en", client.purpose.in("en")}, {"ru", client.purpose.in("ru")}};
  } else {
    claims["client"] = {{"name", "Citizen's page"}, {"name_ru", "Страница гражданина"}, {"origin", request.issuer}};
    claims["purpose"] = {{"en", "your cards, log-ins and who asked for your data"},
                         {"ru", "ваши карты, входы и кто запрашивал ваши данные"}};
  }
  claims["claims"] = request.claims;
  claims["acr"] = request.acr;
  claims["locale"] = request.locale;
  crypto::JwsHeader header;
  header.typ = kType;
  header.x5c = signer.certificate_chain();
  std::string payload;
  try {
    payload = claims.dump();
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorKind::malformed, "a portal's name or purpose is no UTF-8");
  }
  return crypto::sign_jws(header, payload, signer, algorithm);
}

std::span<const AgentErrorRow> agent_errors() { return kErrors; }
const AgentErrorRow& agent_error(std::string_view error) {
  const auto row = std::ranges::find(kErrors, error, &AgentErrorRow::error);
  return row != kErrors.end() ? *row : kErrors.back();
}

}  // namespace karta::identity
