// What the log-in's tests share: a registry with citizens and cards, an agent that answers as a card would, a provider
// that remembers what it was told, and a browser that keeps cookies.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64url.h"
#include "base/file.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"
#include "crypto/testing.h"
#include "crypto/web_eid.h"
#include "crypto/x509/authority.h"
#include "identity/citizen_pages/citizen_routes.h"
#include "identity/login/login_routes.h"
#include "identity/pages/form.h"
#include "service/database_testing.h"

namespace karta::identity {

using crypto::testing::must;

/// Remembers; every interaction it knows is in `waiting`.
class FakeProvider final : public Provider {
 public:
  std::map<std::string, Interaction> waiting;
  std::map<std::string, Authentication> finished;
  std::map<std::string, Time> consented;                     ///< until when, by interaction
  std::map<std::string, std::vector<std::string>> declined;  ///< what was left out, by interaction
  std::vector<std::string> declined_before;
  std::vector<std::string> ended_sessions, revoked;
  std::vector<CitizenId> ended_all;
  std::vector<Grant> grants;
  bool consent_given = false;
  bool fails = false;                ///< to end anything
  bool permits = true;               ///< to finish
  std::function<void()> once_asked;  ///< happens when somebody asks for a consent, once

  Result<std::optional<Interaction>> interaction(std::string_view id) override {
    const auto found = waiting.find(std::string(id));
    if (found == waiting.end()) return std::optional<Interaction>();
    return std::optional<Interaction>(found->second);
  }
  Result<std::string> finish(std::string_view id, const Authentication& who,
                             const std::optional<ConsentAnswer>& answer) override {
    const std::string key(id);
    if (!permits) return fail(ErrorKind::not_permitted, "the card is suspended");
    if (waiting.erase(key) == 0) return fail(ErrorKind::not_found, "no such interaction");
    finished[key] = who;
    if (answer) {
      consented.insert_or_assign(key, answer->until);
      declined[key] = answer->declined;
    }
    return "https://portal.example/callback?code=of-" + key;
  }
  Result<std::unique_ptr<Finishing>> finishing(std::string_view id) override {
    struct InTransaction final : Finishing {
      InTransaction(FakeProvider& given, std::string_view of) : provider(given), id(of) {}
      Status run(service::Database&, const Authentication& who, const SessionCertificate&) override {
        address = provider.finish(id, who, {});
        return {};
      }
      Result<std::string> outcome() override { return address; }
      FakeProvider& provider;
      const std::string id;
      Result<std::string> address;
    };
    return std::make_unique<InTransaction>(*this, id);
  }
  Result<std::string> refuse(std::string_view id, AuthorizationError error) override {
    if (waiting.erase(std::string(id)) == 0) return fail(ErrorKind::not_found, "no such interaction");
    return "https://portal.example/callback?error=" + std::string(error_name(error));
  }
  Result<ConsentState> consent(CitizenId, const Client&, const std::vector<std::string>& claims,
                               const std::vector<std::string>&) override {
    if (const auto happens = std::exchange(once_asked, {})) happens();
    ConsentState out;
    out.given = consent_given;
    out.declined = declined_before;
    if (!consent_given) out.missing = claims;
    return out;
  }
  Status remember_consent(CitizenId, const Client&, const std::vector<std::string>&, Time) override { return {}; }
  Status end_session(service::Database&, std::string_view id, SessionEnd) override {
    if (fails) return fail(ErrorKind::io, "the disk is full");
    ended_sessions.emplace_back(id);
    return {};
  }
  Status end_all(service::Database&, CitizenId citizen) override {
    if (fails) return fail(ErrorKind::io, "the disk is full");
    ended_all.push_back(citizen);
    return {};
  }
  Result<std::vector<Grant>> grants_of(CitizenId) override { return grants; }
  Status revoke_grant(CitizenId, std::string_view client) override {
    revoked.emplace_back(client);
    return {};
  }

 private:
  static std::string_view error_name(AuthorizationError error) {
    switch (error) {
      case AuthorizationError::access_denied:
        return "access_denied";
      case AuthorizationError::login_required:
        return "login_required";
      case AuthorizationError::consent_required:
        return "consent_required";
      default:
        return "other";
    }
  }
};

/// Takes every message.
class FakeMessenger final : public Messenger {
 public:
  mutable std::vector<CodeMessage> sent;
  bool send(CodeMessage message) override {
    sent.push_back(std::move(message));
    return true;
  }
  std::string problem() const override { return {}; }
};

/// The `number`-th made-up citizen.
inline Citizen sample_citizen(std::uint32_t number) {
  Citizen citizen;
  citizen.snils = Snils::from_number(990'000'000 + number);
  citizen.family = "Образцов";
  citizen.given = "Пример";
  citizen.birth_date = must(parse_date("1990-05-17"));
  if (!complete(citizen, must(parse_date("2026-11-21"))).empty()) std::abort();
  return citizen;
}

/// A card and its key for logging in.
struct TestCard {
  Card card;
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};

struct LoginWorld {
  static constexpr const char* kOrigin = "https://id.example:8443";
  static constexpr const char* kCertificateOrigin = "https://id.example:8444";

  crypto::testing::TemporaryFolder folder;
  FixedClock clock{*parse_time("2026-11-22T10:00:00Z")};
  SystemRandom random;
  service::Metrics metrics;
  std::string url = service::test_database_url(folder / "registry.db");
  Registry registry = must(Registry::create(url, clock, random));
  service::Database database = must(service::Database::open(url));
  std::shared_ptr<service::GroupCommit> writes = must(service::GroupCommit::open(url));
  RoomSurroundings around{clock, random, metrics, registry, database, *writes};
  FakeProvider provider;
  const FakeMessenger* messenger = nullptr;
  crypto::SoftwareSigner ca_signer{must(crypto::PrivateKey::generate(crypto::KeyType::p256))};
  crypto::Certificate ca = make_ca(ca_signer);
  LoginConfig config;
  std::shared_ptr<const LoginKeys> keys;
  std::unique_ptr<LoginRoutes> pages, certificate_pages;
  std::unique_ptr<RoomRoutes> own_pages;
  CitizenId citizen = must(registry.add_citizen(sample_citizen(1), {"test", "because"}));
  TestCard card = make_card(citizen);

  LoginWorld() {
    config.address = kOrigin;
    config.certificate_address = kCertificateOrigin;
    config.codes = true;
    config.agent.emplace();
    write("ca.pem", ca.to_pem());
    write("secret", "0123456789abcdef0123456789abcdef\n");
    write("passphrase", "a passphrase\n");
    auto agent_key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    auto request = request_for("CN=id.example", agent_key.public_key());
    request.subject_alternative_names = {crypto::GeneralName::dns("id.example")};
    const auto agent = must(crypto::issue_certificate(profile("tls-server"), request, ca, ca_signer, clock, random));
    constexpr std::uint32_t kFewIterations = 1000;
    write("agent.key", must(agent_key.to_encrypted_pem(SecretBytes::copy_of("a passphrase"), kFewIterations)));
    write("agent.pem", agent.to_pem() + ca.to_pem());
    config.secret_file = folder / "secret";
    config.card_roots = {folder / "ca.pem"};
    config.agent->key = {(folder / "agent.key").string(), folder / "agent.pem", folder / "passphrase"};
    auto opened = std::const_pointer_cast<LoginKeys>(must(open_login_keys(config)));
    auto fake = std::make_unique<FakeMessenger>();
    messenger = fake.get();
    opened->messenger = std::move(fake);
    keys = std::move(opened);
    pages = must(LoginRoutes::open(config, keys, around, provider, {}));
    certificate_pages = must(LoginRoutes::open(config, keys, around, provider, {.asks_certificates = true}));
    own_pages = open_citizen_routes(config, around, provider);
  }

  void write(const std::string& name, std::string_view text) const {
    must(write_new_file(folder / name, as_bytes(text), 0600));
  }
  static crypto::CertificateProfile profile(std::string_view name) {
    for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
      if (one.name == name) return must(crypto::CertificateProfile::from_toml(one.text, std::string(name) + ".toml"));
    }
    std::abort();
  }
  static crypto::CertificateRequest request_for(const std::string& name, const crypto::PublicKey& key) {
    return {must(crypto::name_from_text(name)), key, {}, {}, {}, {}, {}};
  }
  crypto::Certificate make_ca(crypto::SoftwareSigner& signer, const std::string& name = "CN=Test CA,O=Test,C=XX") {
    return must(crypto::self_signed(profile("root-ca"), request_for(name, signer.public_key()), signer, clock, random));
  }

  /// A card in the citizen's hands. `issuer_key`: who signs its certificate, for cards of strangers.
  TestCard make_card(CitizenId whose, CertificateKind kind = CertificateKind::aut) {
    const Cause cause{"test", "because"};
    Card made = must(registry.order_card({.citizen = whose, .profile = "citizen"}, cause));
    made =
        must(registry.produce_card(made.id, to_hex(random.bytes(8)), clock.now() + std::chrono::days(365 * 4), cause));
    made = must(registry.change_card_state(made.id, CardState::active, cause));
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    auto certificate =
        must(crypto::issue_certificate(profile(kind == CertificateKind::aut ? "authentication" : "everyday"),
                                       request_for("CN=Card holder", key.public_key()), ca, ca_signer, clock, random));
    must(registry.add_certificate(made.id,
                                  {kind, certificate.issuer().to_text(), certificate.serial(), certificate.der(),
                                   certificate.not_before(), certificate.not_after()},
                                  cause));
    return {std::move(made), std::move(key), std::move(certificate)};
  }

  Interaction& ask(const std::string& id, const std::string& acr = "low") {
    Interaction& out = provider.waiting[id];
    out.id = id;
    out.client.id = "portal";
    out.client.name = {"The portal", "Портал"};
    out.client.uri = "https://portal.example/";
    out.client.purpose = {"a visit", "визит"};
    out.client.redirect_uris = {"https://portal.example/callback"};
    out.scopes = {"openid", "birthdate"};
    out.claims = {"birthdate"};
    out.acr = acr;
    out.expires = clock.now() + std::chrono::minutes(10);
    return out;
  }
};

/// What the agent does with a signed request: signs for its origin and nonce, and where it sends the browser.
struct AgentAnswer {
  crypto::JwtClaims claims;
  std::string origin, return_uri, state, nonce;
};
inline AgentAnswer read_agent_request(std::string_view location) {
  const auto at = location.find("?request=");
  if (at == std::string_view::npos) std::abort();
  const auto jws = must(crypto::Jws::parse(location.substr(at + 9)));
  const auto leaf = must(crypto::Certificate::from_der(jws.header().x5c.at(0)));
  must(jws.verify(must(leaf.public_key())));
  AgentAnswer out;
  out.claims = must(crypto::parse_claims(jws.payload_text()));
  out.origin = out.claims.text("origin").value_or("");
  out.return_uri = out.claims.text("return_uri").value_or("");
  out.state = out.claims.text("state").value_or("");
  out.nonce = out.claims.nonce;
  return out;
}
inline std::string token_of(const TestCard& card, std::string_view origin, std::string_view nonce) {
  const auto algorithm = crypto::AlgorithmId::ecdsa_sha256;
  const Bytes digest = crypto::web_eid_hash(algorithm, origin, nonce);
  const Bytes signature = must(card.key.sign_digest(algorithm, digest));
  return must(crypto::write_web_eid_token(card.certificate.der(), card.key.public_key(), algorithm, signature));
}

/// A browser: keeps __Host- cookies, sends Origin with forms.
class TestBrowser {
 public:
  explicit TestBrowser(LoginWorld& world) : world_(world) {}

  std::map<std::string, std::string> cookies;
  std::string address = "192.0.2.1";
  std::string origin = LoginWorld::kOrigin;
  std::string language = "en";
  Bytes client_certificate;

  service::HttpResponse get(const std::string& path) { return send(service::HttpMethod::get, path, {}); }
  service::HttpResponse head(const std::string& path) { return send(service::HttpMethod::head, path, {}); }
  service::HttpResponse post(const std::string& path, const std::map<std::string, std::string>& form) {
    std::string body;
    for (const auto& [name, value] : form) {
      body += (body.empty() ? "" : "&") + encode_percent(name) + "=" + encode_percent(value);
    }
    return send(service::HttpMethod::post, path, body);
  }
  /// As /openid/authorize does.
  service::HttpResponse begin(const Interaction& interaction) {
    service::HttpRequest request;
    request.method = service::HttpMethod::get;
    request.path = "/openid/authorize";
    return with_fields(request, [&] { return world_.pages->begin(request, interaction); });
  }
  template <class Use>
  service::HttpResponse with_fields(service::HttpRequest& request, const Use& use) {
    std::string jar;
    for (const auto& [name, value] : cookies) jar += (jar.empty() ? "" : "; ") + name + "=" + value;
    request.peer = address;
    if (!jar.empty()) request.fields.push_back({"Cookie", jar});
    request.fields.push_back({"Accept-Language", language});
    request.fields.push_back({"User-Agent", "a browser"});
    request.shown_certificate = client_certificate;  // the listener's own verdict counts for nothing
    if (request.method == service::HttpMethod::post) {
      request.fields.push_back({"Content-Type", "application/x-www-form-urlencoded"});
      if (!origin.empty()) request.fields.push_back({"Origin", origin});
    }
    service::HttpResponse out = use();
    keep_cookies(out.fields);
    return out;
  }

 private:
  service::HttpResponse send(service::HttpMethod method, const std::string& whole, const std::string& body) {
    std::string path = whole;
    RoomRoutes* room = world_.pages.get();
    const std::string certificates = LoginWorld::kCertificateOrigin, own = LoginWorld::kOrigin;
    if (path.starts_with(certificates)) {
      path = path.substr(certificates.size());
      room = world_.certificate_pages.get();
    } else if (path.starts_with(own)) {
      path = path.substr(own.size());
    }
    if (path.starts_with("/me")) room = world_.own_pages.get();
    const auto question = path.find('?');
    service::HttpRequest request;
    request.method = method;
    request.path = std::string_view(path).substr(0, question);
    if (question != std::string::npos) request.query = std::string_view(path).substr(question + 1);
    request.body = as_bytes(body);
    return with_fields(request, [&] { return room->answer(request); });
  }
  void keep_cookies(std::string_view fields) {
    constexpr std::string_view kField = "Set-Cookie: ";
    for (std::size_t at = 0; (at = fields.find(kField, at)) != std::string_view::npos;) {
      at += kField.size();
      const std::string_view line = fields.substr(at, fields.find("\r\n", at) - at);
      const auto equals = line.find('='), end = line.find(';');
      const std::string name(line.substr(0, equals)), value(line.substr(equals + 1, end - equals - 1));
      if (value.empty()) {
        cookies.erase(name);
      } else {
        cookies[name] = value;
      }
    }
  }

  LoginWorld& world_;
};

inline std::string text_of(const service::HttpResponse& response) { return std::string(as_text(response.content())); }
inline std::string location_of(const service::HttpResponse& response) {
  constexpr std::string_view kField = "Location: ";
  const auto at = response.fields.find(kField);
  if (at == std::string::npos) return {};
  const auto begin = at + kField.size();
  return response.fields.substr(begin, response.fields.find("\r\n", begin) - begin);
}
/// The value of the first attribute `name="..."` after `mark`, entities undone as far as our pages write them.
inline std::string attribute_after(const std::string& page, std::string_view mark, std::string_view name) {
  const auto from = page.find(mark);
  if (from == std::string::npos) return {};
  const std::string key = " " + std::string(name) + "=\"";
  const auto at = page.find(key, from);
  if (at == std::string::npos) return {};
  std::string out = page.substr(at + key.size(), page.find('"', at + key.size()) - at - key.size());
  for (std::size_t amp = 0; (amp = out.find("&amp;", amp)) != std::string::npos; ++amp) out.replace(amp, 5, "&");
  return out;
}
inline std::string hidden_value(const std::string& page, const std::string& name) {
  return attribute_after(page, "name=\"" + name + "\"", "value");
}

}  // namespace karta::identity
