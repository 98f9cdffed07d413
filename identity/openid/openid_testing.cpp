#include "identity/openid/openid_testing.h"

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "identity/pages/form.h"
#include "service/database_testing.h"

namespace karta::identity {

using crypto::testing::must;
using Json = nlohmann::json;

std::string form_of(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += (out.empty() ? "" : "&") + encode_percent(name) + "=" + encode_percent(value);
  }
  return out;
}

std::string query_value(std::string_view url, std::string_view name) {
  const std::size_t mark = url.find('?');
  if (mark == std::string_view::npos) return {};
  return std::string(must(FormData::parse(url.substr(mark + 1))).value(name));
}

std::string challenge_of(std::string_view verifier) {
  return to_base64url(crypto::digest(crypto::Hash::sha256, as_bytes(verifier)));
}

PartyKey::PartyKey(crypto::KeyType type)
    : signer_(std::make_unique<crypto::SoftwareSigner>(must(crypto::PrivateKey::generate(type)))) {
  kid = thumbprint();
}
std::string PartyKey::jwk() const { return must(crypto::write_jwk(signer_->public_key(), kid)); }
std::string PartyKey::thumbprint() const { return must(crypto::jwk_thumbprint(signer_->public_key())); }
std::string PartyKey::sign(std::string_view claims, const std::string& type, bool with_jwk) const {
  crypto::JwsHeader header;
  header.typ = type;
  if (with_jwk) {
    header.jwk = signer_->public_key();
  } else {
    header.kid = kid;
  }
  return must(crypto::sign_jws(header, claims, *signer_, *crypto::jose_algorithm_of(signer_->public_key())));
}

service::HttpResponse ScriptedLogin::begin(const service::HttpRequest&, const Interaction& given) {
  interaction = given;
  return service::HttpResponse::text(200, "log in");
}
service::HttpResponse ScriptedLogin::problem(const service::HttpRequest&, int status, std::string_view code,
                                             std::string_view words) {
  interaction.reset();
  error = code;
  description = words;
  return service::HttpResponse::text(status, "problem");
}
service::HttpResponse ScriptedLogin::end_session(const service::HttpRequest&, const LogoutRequest& given) {
  logout = given;
  return service::HttpResponse::text(200, "log out");
}

OpenidFixture::OpenidFixture() : clock(*parse_time("2026-11-22T09:00:00Z")), keys(std::make_shared<OpenidKeys>()) {
  config.issuer = kTestIssuer;
  config.mtls_address = kTestMtls;
  must(keys->set_secret(SecretBytes::copy_of(std::string_view("0123456789abcdef0123456789abcdef"))));
  for (const auto& [type, algorithm] : {std::pair(crypto::KeyType::p256, crypto::AlgorithmId::ecdsa_sha256),
                                        std::pair(crypto::KeyType::ed25519, crypto::AlgorithmId::ed25519)}) {
    auto key = must(crypto::PrivateKey::generate(type));
    const auto der = std::make_shared<SecretBytes>(key.expose_secret_der());
    OpenidKeyConfig one;
    one.algorithm = algorithm;
    must(keys->add(one, key.public_key(), [der]() -> Result<std::unique_ptr<crypto::Signer>> {
      return std::make_unique<crypto::SoftwareSigner>(TRY(crypto::PrivateKey::from_der(der->expose_secret())));
    }));
  }
  const std::string path = service::test_database_url(folder / "registry.sqlite");
  registry.emplace(must(Registry::create(path, clock, random)));
  Citizen person;
  person.snils = Snils::from_number(990'000'001);
  person.family = "Образцов";
  person.given = "Пример";
  person.patronymic = "Тестович";
  person.birth_date = *parse_date("1990-05-17");
  person.sex = Sex::male;
  if (!complete(person, *parse_date("2026-11-21")).empty()) std::abort();
  const Cause cause{"test", "because"};
  citizen = must(registry->add_citizen(person, cause));
  CardOrder order;
  order.citizen = citizen;
  order.profile = "test";
  card = must(registry->order_card(order, cause)).id;
  must(registry->produce_card(card, "0102030405060708", clock.now() + std::chrono::days(365), cause));
  must(registry->change_card_state(card, CardState::shipped, cause));
  must(registry->change_card_state(card, CardState::active, cause));
  database.emplace(must(service::Database::open(path)));
  writes = must(service::GroupCommit::open(path));
  ledger.emplace(*database, clock);
  add_client(
      "portal",
      R"(,"scope":"openid profile birthdate offline_access","post_logout_redirect_uris":["https://portal.example/"],)"
      R"("backchannel_logout_uri":"https://portal.example/logged-out")");
  add_client("other", R"(,"scope":"openid profile","sector":"other.example")");
  add_client("plain", R"(,"scope":"openid","profile":"basic","dpop_bound_access_tokens":false)");
  room = must(OpenidRoom::open(config, keys, RoomSurroundings{clock, random, metrics, *registry, *database, *writes}));
  routes = room->routes(&login, false);
  mtls_routes = room->routes(&login, true);
}

void OpenidFixture::add_client(const std::string& id, const std::string& more) {
  const PartyKey& key = party[id];
  const std::string document = "{\"client_id\":\"" + id +
                               "\",\"client_name\":\"Test portal\",\"client_uri\":\"https://portal.example/\","
                               "\"purpose\":\"show an account\",\"redirect_uris\":[\"" +
                               kTestBack + "\"],\"jwks\":{\"keys\":[" + key.jwk() + "]}" + more + "}";
  must(ledger->add(must(parse_client(document)), {"test", "because"}));
}

void OpenidFixture::set_card(CardState state) { must(registry->change_card_state(card, state, {"test", "because"})); }

std::string OpenidFixture::Told::operator[](std::string_view member) const {
  const Json document = Json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains(member)) return {};
  const Json& value = document[std::string(member)];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string OpenidFixture::Told::field(std::string_view name) const {
  const std::size_t at = fields.find(std::string(name) + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 2;
  return fields.substr(begin, fields.find("\r\n", begin) - begin);
}

OpenidFixture::Told OpenidFixture::ask(const Asked& asked) {
  const std::string form = form_of(asked.form);
  std::string wire = asked.method + " " + asked.path + (asked.method != "POST" && !form.empty() ? "?" + form : "") +
                     " HTTP/1.1\r\nHost: id.example\r\n";
  for (const std::string& one : asked.fields) wire += one + "\r\n";
  if (asked.method == "POST" && !form.empty()) {
    wire += "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + std::to_string(form.size()) +
            "\r\n\r\n" + form;
  } else {
    wire += asked.method == "POST" ? "Content-Length: 0\r\n\r\n" : "\r\n";
  }
  Told out;
  must(service::with_parsed_request(as_bytes(wire), [&](const service::HttpRequest& parsed) {
    service::HttpRequest request = parsed;
    request.peer = asked.peer;
    request.shown_certificate = asked.certificate;
    if (asked.verified) request.client_certificate = asked.certificate;
    const service::HttpResponse response = (asked.mtls ? mtls_routes : routes)->answer(request);
    out = {response.status, response.fields, std::string(as_text(response.content())),
           std::string(response.media_type)};
  }));
  return out;
}

std::string OpenidFixture::assertion(const PartyKey& key, const std::string& client, const std::string& more) {
  Json claims{{"iss", client}, {"sub", client},     {"aud", kTestIssuer},
              {"iat", now()},  {"exp", now() + 60}, {"jti", "assertion-" + std::to_string(++counter)}};
  if (!more.empty()) claims.update(Json::parse(more));
  return key.sign(claims.dump());
}

std::string OpenidFixture::dpop(const PartyKey& key, const std::string& method, const std::string& path,
                                const std::string& token, const std::string& nonce) {
  Json claims{{"htm", method},
              {"htu", std::string(kTestIssuer) + path},
              {"iat", now()},
              {"jti", "proof-" + std::to_string(++counter)}};
  if (!token.empty()) claims["ath"] = challenge_of(token);
  if (nonce == "fresh") {
    claims["nonce"] = ask({.method = "POST", .path = "/openid/token", .form = {{"x", "y"}}}).field("DPoP-Nonce");
  } else if (!nonce.empty()) {
    claims["nonce"] = nonce;
  }
  return key.sign(claims.dump(), "dpop+jwt", true);
}

Fields OpenidFixture::credentials(const std::string& client) {
  return {{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
          {"client_assertion", assertion(party.at(client), client)}};
}

namespace {
// The later one of two of a name counts; an empty value takes it away.
Fields overlaid(Fields base, const Fields& more) {
  for (const auto& field : more) {  // no structured binding: clang 14 captures none
    std::erase_if(base, [&](const auto& one) { return one.first == field.first; });
    if (!field.second.empty()) base.push_back(field);
  }
  return base;
}
}  // namespace

Fields OpenidFixture::request_fields(const std::string& client, const Fields& more) {
  return overlaid({{"client_id", client},
                   {"response_type", "code"},
                   {"redirect_uri", kTestBack},
                   {"scope", client == "plain" ? "openid" : "openid profile"},
                   {"state", "state-1"},
                   {"nonce", "nonce-1"},
                   {"code_challenge", challenge_of(verifier)},
                   {"code_challenge_method", "S256"}},
                  more);
}

std::string OpenidFixture::push(const Fields& more, const std::string& client) {
  Fields form = request_fields(client, more);
  for (auto& one : credentials(client)) form.push_back(one);
  const Told told = ask({.path = "/openid/par", .form = form});
  return told.status == 201 ? told["request_uri"] : "";
}

OpenidFixture::Told OpenidFixture::authorize(const std::string& request_uri, const std::string& client) {
  login.interaction.reset();
  return ask(
      {.method = "GET", .path = "/openid/authorize", .form = {{"client_id", client}, {"request_uri", request_uri}}});
}

Authentication OpenidFixture::authentication(const std::string& session) {
  const std::int64_t ends = now() + 12 * 3600;
  must(database->execute(
      "INSERT INTO sessions (citizen_id, session_id, cookie_hash, acr, amr, card_id, issuer, serial, began_at, "
      "auth_at, "
      "used_at, ends_at, over_at, address, browser) VALUES ($1, $2, $3, 'high', 'hwk pin', $4, '', $3, $5, $5, $5, $6, "
      "$6, '', '') ON CONFLICT (citizen_id, session_id) DO UPDATE SET auth_at = $5, used_at = $5, ends_at = $6, "
      "over_at "
      "= $6",
      {static_cast<std::int64_t>(citizen), session, as_bytes(session), static_cast<std::int64_t>(card), now(), ends}));
  return {citizen, session, "high", {"hwk", "pin"}, clock.now(), card, Time(std::chrono::seconds(ends))};
}

void OpenidFixture::end_session(const std::string& session, SessionEnd why) {
  must(writes->write(*database, [&](service::Database& own) -> Status {
    TRY(own.execute("DELETE FROM sessions WHERE session_id = $1", {session}));
    return room->provider().end_session(own, session, why);
  }));
}

void OpenidFixture::end_all() {
  must(writes->write(*database, [&](service::Database& own) -> Status {
    TRY(own.execute("DELETE FROM sessions WHERE citizen_id = $1", {static_cast<std::int64_t>(citizen)}));
    return room->provider().end_all(own, citizen);
  }));
}

std::int64_t OpenidFixture::count(const std::string& table) {
  auto row = must(database->prepare("SELECT count(*) FROM " + table));
  must(row.query());
  return must(row.next()) ? row.integer(0) : -1;
}

std::string OpenidFixture::code(const Fields& more, const std::string& client) {
  authorize(push(more, client), client);
  if (!login.interaction) return {};
  const auto url =
      room->provider().finish(login.interaction->id, authentication(), clock.now() + std::chrono::days(30));
  return url ? query_value(*url, "code") : "";
}

OpenidFixture::Told OpenidFixture::token(const std::string& given, const Fields& more, const std::string& client) {
  Fields form = overlaid(
      {{"grant_type", "authorization_code"}, {"code", given}, {"redirect_uri", kTestBack}, {"code_verifier", verifier}},
      more);
  for (auto& one : credentials(client)) form.push_back(one);
  Asked asked{.path = "/openid/token", .form = form};
  if (client != "plain") asked.fields = {"DPoP: " + dpop(dpop_key, "POST", "/openid/token")};
  return ask(asked);
}

OpenidFixture::Told OpenidFixture::userinfo(const std::string& access, const PartyKey& key) {
  return ask({.method = "GET",
              .path = "/openid/userinfo",
              .fields = {"Authorization: DPoP " + access, "DPoP: " + dpop(key, "GET", "/openid/userinfo", access)}});
}

OpenidFixture::Told OpenidFixture::introspect(const std::string& given, const std::string& client) {
  Fields form = credentials(client);
  form.emplace_back("token", given);
  return ask({.path = "/openid/introspect", .form = form});
}

}  // namespace karta::identity
