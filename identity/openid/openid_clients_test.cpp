// Clients: their documents, how each kind proves who it is, what each may ask for.
#include "base/base64url.h"
#include "crypto/digest.h"
#include "crypto/kdf.h"
#include "crypto/x509/authority.h"
#include "identity/openid/client_keys.h"
#include "identity/openid/clients.h"
#include "identity/openid/endpoints.h"
#include "identity/openid/openid_test.h"
#include "identity/openid/proofs.h"
#include "identity/openid/scopes.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using Json = nlohmann::json;
using testing::HasSubstr;
using Told = OpenidFixture::Told;

TEST_F(OpenidTest, MetadataNamesWhatIsThere) {
  for (const char* const path : {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}) {
    const Told told = ask({.method = "GET", .path = path});
    ASSERT_EQ(told.status, 200);
    const Json document = Json::parse(told.body);
    EXPECT_EQ(document["issuer"], kTestIssuer);
    EXPECT_EQ(document["token_endpoint"], std::string(kTestIssuer) + "/openid/token");
    EXPECT_EQ(document["mtls_endpoint_aliases"]["token_endpoint"], std::string(kTestMtls) + "/openid/token");
    EXPECT_EQ(document["code_challenge_methods_supported"], Json({"S256"}));
    EXPECT_EQ(document["id_token_signing_alg_values_supported"], Json({"ES256", "EdDSA"}));
    EXPECT_THAT(document["scopes_supported"].dump(), HasSubstr("concessions"));
  }
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/token"}).status, 405);
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/elsewhere"}).status, 404);
}

TEST_F(OpenidTest, AnAssertionIsJudgedInEveryPart) {
  const PartyKey& key = party.at("portal");
  const auto told = [&](const std::string& assertion_text, const Fields& more = {}) {
    Fields form = request_fields("portal", more);
    form.emplace_back("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.emplace_back("client_assertion", assertion_text);
    return ask({.path = "/openid/par", .form = form});
  };
  EXPECT_EQ(told(assertion(key, "portal")).status, 201);
  const auto refused = [&](const std::string& more) { return told(assertion(key, "portal", more)).error(); };
  EXPECT_EQ(refused(R"({"aud":"https://elsewhere.example"})"), "invalid_client");
  EXPECT_EQ(refused(R"({"aud":["https://id.example"]})"), "invalid_client");
  EXPECT_EQ(refused(R"({"aud":"https://id.example/openid/token"})"), "invalid_client");
  EXPECT_EQ(refused(R"({"iss":"other"})"), "invalid_client");
  EXPECT_EQ(refused(R"({"sub":"other"})"), "invalid_client");
  EXPECT_EQ(refused(R"({"jti":null})"), "invalid_client");
  EXPECT_EQ(refused(R"({"exp":null})"), "invalid_client");
  EXPECT_EQ(refused("{\"exp\":" + std::to_string(now() - 60) + "}"), "invalid_client");
  EXPECT_EQ(refused("{\"exp\":" + std::to_string(now() + 86400) + "}"), "invalid_client");
  EXPECT_EQ(refused("{\"iat\":" + std::to_string(now() - 3600) + "}"), "invalid_client");
  EXPECT_EQ(refused("{\"iat\":" + std::to_string(now() + 3600) + "}"), "invalid_client");
  // Shown twice.
  const std::string once = assertion(key, "portal");
  EXPECT_EQ(told(once).status, 201);
  const Told twice = told(once);
  EXPECT_EQ(twice.error(), "invalid_client");
  EXPECT_THAT(twice["error_description"], HasSubstr("before"));
  // Another's key, another client's name.
  EXPECT_EQ(told(assertion(thief_key, "portal")).error(), "invalid_client");
  EXPECT_EQ(told(assertion(party.at("other"), "other")).error(), "invalid_client");
  // No signature; a MAC keyed with the public key, as old libraries took it; a signature cut off.
  const auto forged = [&](const std::string& header, ByteView signature) {
    const std::string claims =
        "{\"iss\":\"portal\",\"sub\":\"portal\",\"aud\":\"https://id.example\",\"jti\":\"f\",\"iat\":" +
        std::to_string(now()) + ",\"exp\":" + std::to_string(now() + 60) + "}";
    const std::string input = to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(claims));
    return input + "." + to_base64url(signature);
  };
  EXPECT_EQ(told(forged(R"({"alg":"none"})", {})).error(), "invalid_client");
  const std::string hs = forged(R"({"alg":"HS256"})", {});
  const SecretBytes mac =
      crypto::hmac(crypto::Hash::sha256, as_bytes(key.jwk()), {as_bytes(hs.substr(0, hs.size() - 1))});
  EXPECT_EQ(told(hs + to_base64url(mac.expose_secret())).error(), "invalid_client");
  const std::string whole = assertion(key, "portal");
  EXPECT_EQ(told(whole.substr(0, whole.rfind('.') + 1)).error(), "invalid_client");
  // Shared secrets, and nobody.
  EXPECT_EQ(ask({.path = "/openid/par", .form = request_fields("portal", {{"client_secret", "x"}})}).error(),
            "invalid_client");
  EXPECT_EQ(
      ask({.path = "/openid/par", .form = request_fields("portal"), .fields = {"Authorization: Basic cG9ydGFsOng="}})
          .error(),
      "invalid_client");
  EXPECT_EQ(ask({.path = "/openid/par", .form = request_fields("portal")}).error(), "invalid_client");
  EXPECT_EQ(told(assertion(key, "portal"), {{"client_id", "other"}}).error(), "invalid_client");
}

TEST_F(OpenidTest, SubjectsOfSectorsHaveNothingInCommon) {
  const std::string here = sub_for("portal"), there = sub_for("other");
  EXPECT_NE(here, there);
  EXPECT_EQ(here, sub_for("portal"));
  add_client("sister", R"(,"scope":"openid profile")");
  EXPECT_EQ(here, sub_for("sister"));
}

TEST_F(OpenidTest, SignedRequestsCountAndForgedOnesDoNot) {
  add_client("signer", R"(,"scope":"openid profile","require_signed_request_object":true)");
  const PartyKey& key = party.at("signer");
  const auto object = [&](const Json& changed, const PartyKey& by, const std::string& type = "oauth-authz-req+jwt") {
    Json claims{{"iss", "signer"}, {"aud", kTestIssuer}, {"iat", now()}, {"nbf", now()}, {"exp", now() + 60}};
    for (const auto& [name, value] : request_fields("signer")) claims[name] = value;
    claims["max_age"] = 60;
    claims.update(changed);
    return by.sign(claims.dump(), type);
  };
  const auto told = [&](const std::string& request) {
    Fields form = credentials("signer");
    form.emplace_back("client_id", "signer");
    // What stands beside the object does not count.
    form.emplace_back("redirect_uri", "https://evil.example/");
    if (!request.empty()) form.emplace_back("request", request);
    return ask({.path = "/openid/par", .form = form});
  };
  const Told good = told(object(Json::object(), key));
  ASSERT_EQ(good.status, 201) << good.body;
  authorize(good["request_uri"], "signer");
  EXPECT_EQ(login.interaction->max_age, std::chrono::seconds(60));
  EXPECT_EQ(told("").error(), "invalid_request");
  EXPECT_EQ(told(object({{"exp", now() - 60}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"exp", nullptr}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"aud", "https://elsewhere.example"}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"iss", "portal"}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"client_id", "portal"}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"request_uri", "urn:x"}}, key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object(Json::object(), thief_key)).error(), "invalid_request_object");
  EXPECT_EQ(told(object(Json::object(), key, "dpop+jwt")).error(), "invalid_request_object");
  EXPECT_EQ(told(object({{"redirect_uri", "https://evil.example/"}}, key)).error(), "invalid_request");
  std::string altered = object(Json::object(), key);
  const std::size_t middle = altered.find('.') + 20;
  altered[middle] = altered[middle] == 'A' ? 'B' : 'A';
  EXPECT_EQ(told(altered).error(), "invalid_request_object");
  const std::string none = to_base64url(as_bytes(R"({"alg":"none"})")) + altered.substr(altered.find('.'));
  EXPECT_EQ(told(none.substr(0, none.rfind('.') + 1)).error(), "invalid_request_object");
}

TEST_F(OpenidTest, ABasicClientMayComeWithoutPushButNeverWithoutPkce) {
  const auto bring = [&](const Fields& more) {
    login.interaction.reset();
    return ask({.method = "GET", .path = "/openid/authorize", .form = request_fields("plain", more)});
  };
  ASSERT_EQ(bring({}).status, 200);
  ASSERT_TRUE(login.interaction);
  const std::string given =
      query_value(must(room->provider().finish(login.interaction->id, authentication(), std::nullopt)), "code");
  const Told tokens = token(given, {}, "plain");
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  EXPECT_EQ(tokens["token_type"], "Bearer");
  const Told user =
      ask({.method = "GET", .path = "/openid/userinfo", .fields = {"Authorization: Bearer " + tokens["access_token"]}});
  EXPECT_EQ(user.status, 200);
  EXPECT_EQ(Json::parse(user.body).size(), 1u);
  // A fault goes back to the portal, unless the address is not its own.
  const Told no_challenge = bring({{"code_challenge", ""}});
  EXPECT_EQ(no_challenge.status, 303);
  EXPECT_EQ(query_value(no_challenge.field("Location"), "error"), "invalid_request");
  EXPECT_EQ(query_value(no_challenge.field("Location"), "state"), "state-1");
  const Told foreign = bring({{"redirect_uri", "https://evil.example/"}});
  EXPECT_EQ(foreign.status, 400);
  EXPECT_EQ(foreign.field("Location"), "");
}

TEST_F(OpenidTest, ACertificateIsAClientsNameAndItsTokensKey) {
  const auto make = [&](const std::string& name) {
    crypto::SoftwareSigner signer(must(crypto::PrivateKey::generate(crypto::KeyType::p256)));
    for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
      if (one.name != "root-ca") continue;
      const auto profile = must(crypto::CertificateProfile::from_toml(one.text, "root-ca.toml"));
      SystemClock system;
      return must(crypto::self_signed(profile,
                                      {must(crypto::name_from_text(name)), signer.public_key(), {}, {}, {}, {}, {}},
                                      signer, system, random))
          .der();
    }
    return Bytes();
  };
  const Bytes mine = make("CN=portal,O=Ministry,C=XX"), another = make("CN=portal,O=Somebody,C=XX"),
              renewed = make("CN=portal,O=Ministry,C=XX");
  const std::string document =
      "{\"client_id\":\"ministry\",\"client_name\":\"Ministry\",\"client_uri\":\"https://portal.example/\","
      "\"redirect_uris\":[\"" +
      std::string(kTestBack) +
      "\"],\"token_endpoint_auth_method\":\"tls_client_auth\","
      "\"tls_client_auth_subject_dn\":\"CN=portal,O=Ministry,C=XX\","
      "\"tls_client_certificate_bound_access_tokens\":true}";
  must(ledger->add(must(parse_client(document)), {"test", ""}));
  const Fields wanted = request_fields("ministry", {{"scope", "openid"}});
  const auto par = [&](const Bytes& certificate, bool mtls) {
    return ask({.path = "/openid/par", .form = wanted, .certificate = certificate, .mtls = mtls});
  };
  EXPECT_EQ(par(another, true).error(), "invalid_client");
  EXPECT_EQ(par({}, true).error(), "invalid_client");
  // A certificate shown at the other listener is somebody else's business.
  EXPECT_EQ(par(mine, false).error(), "invalid_client");
  const Told pushed = par(mine, true);
  ASSERT_EQ(pushed.status, 201) << pushed.body;
  authorize(pushed["request_uri"], "ministry");
  const std::string given =
      query_value(must(room->provider().finish(login.interaction->id, authentication(), std::nullopt)), "code");
  const Told tokens = ask({.path = "/openid/token",
                           .form = {{"grant_type", "authorization_code"},
                                    {"client_id", "ministry"},
                                    {"code", given},
                                    {"redirect_uri", kTestBack},
                                    {"code_verifier", verifier}},
                           .certificate = mine,
                           .mtls = true});
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  EXPECT_EQ(tokens["token_type"], "Bearer");
  const auto user = [&](const Bytes& certificate, bool mtls) {
    return ask({.method = "GET",
                .path = "/openid/userinfo",
                .fields = {"Authorization: Bearer " + tokens["access_token"]},
                .certificate = certificate,
                .mtls = mtls})
        .status;
  };
  EXPECT_EQ(user(mine, true), 200);
  EXPECT_EQ(user(renewed, true), 401);
  EXPECT_EQ(user({}, true), 401);
  EXPECT_EQ(user(mine, false), 401);
  // A certificate the registry knows as on hold is nobody's name and no token's key until it is released.
  const auto step = [&](crypto::CrlReason reason) {
    const auto certificate = must(crypto::Certificate::from_der(mine));
    must(record_revocation(*database,
                           {.issuer = certificate.issuer().to_text(), .serial = certificate.serial(), .reason = reason},
                           clock.now()));
  };
  step(crypto::CrlReason::certificate_hold);
  EXPECT_EQ(par(mine, true).error(), "invalid_client");
  EXPECT_EQ(user(mine, true), 401);
  EXPECT_EQ(par(renewed, true).status, 201);
  step(crypto::CrlReason::remove_from_crl);
  EXPECT_EQ(par(mine, true).status, 201);
  EXPECT_EQ(user(mine, true), 200);
}

TEST_F(OpenidTest, RequestsThatNobodyPushedDoNotFillTheDatabase) {
  const auto bring = [&](const std::string& peer) {
    return ask({.method = "GET", .path = "/openid/authorize", .form = request_fields("plain"), .peer = peer});
  };
  const auto flood = [&](const std::string& peer, int count) {
    int kept = 0;
    for (int i = 0; i < count; ++i) kept += bring(peer).status == 200 ? 1 : 0;
    return kept;
  };
  const std::int64_t before = count("openid_requests");
  EXPECT_EQ(flood("192.0.2.1", 1000), kPlainRequestsOfNetwork.burst);
  EXPECT_EQ(count("openid_requests") - before, kPlainRequestsOfNetwork.burst);
  const Told refused = bring("192.0.2.1");
  EXPECT_EQ(refused.status, 303) << "the portal is told, and tells its visitor";
  EXPECT_EQ(query_value(refused.field("Location"), "error"), "temporarily_unavailable");
  EXPECT_EQ(query_value(refused.field("Location"), "state"), "state-1");
  EXPECT_EQ(bring("192.0.2.2").status, 200) << "others go on";
  // Of IPv6 a /64 is one network, however many addresses it has.
  int kept = 0;
  for (int i = 0; i < 1000; ++i) kept += bring("2001:db8::" + std::to_string(i)).status == 200 ? 1 : 0;
  EXPECT_EQ(kept, kPlainRequestsOfNetwork.burst);
  // What is pushed is a portal's that has proved itself, and not counted here.
  EXPECT_EQ(authorize(push()).status, 200);
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(flood("192.0.2.1", 100), std::chrono::seconds(1) / kPlainRequestsOfNetwork.interval);
}

TEST_F(OpenidTest, AFloodFromSomeNetworksShutsNoOtherOut) {
  const auto bring = [&](const std::string& peer) {
    return ask({.method = "GET", .path = "/openid/authorize", .form = request_fields("plain"), .peer = peer}).status;
  };
  const auto flood = [&](const std::string& peer, int count) {
    int kept = 0;
    for (int i = 0; i < count; ++i) kept += bring(peer) == 200 ? 1 : 0;
    return kept;
  };
  const std::int64_t before = count("openid_requests");
  const auto flooders = [&](int each) {
    int kept = 0;
    for (int i = 0; i < 10; ++i) kept += flood("198.51.100." + std::to_string(i), each);
    return kept;
  };
  const std::int64_t first = kFirstPlainRequests.burst;
  const int at_once = flooders(300);
  EXPECT_GE(at_once, kPlainRequests.burst);
  EXPECT_LE(at_once, kPlainRequests.burst + 10 * first) << "what is bounded for all is bounded still";
  // They go on, and take each turn there is in all as soon as it is there.
  const std::int64_t a_second = std::chrono::seconds(1) / kPlainRequests.interval;
  int later = 0;
  for (int second = 1; second <= 4; ++second) {
    clock.advance(std::chrono::seconds(1));
    later += flooders(20);
    EXPECT_EQ(flooders(1), 0) << "nothing is left for them";
    EXPECT_EQ(bring("192.0.2.1"), 200) << "one who comes now and then gets in, second " << second;
  }
  EXPECT_LE(later, 4 * a_second + 10 * first);
  // A row more costs the flood one network more for each few, and of IPv6 one /48.
  EXPECT_EQ(flood("203.0.113.1", 50), first);
  int of_one_site = 0;
  for (int i = 0; i < 200; ++i) of_one_site += bring("2001:db8:1:" + std::to_string(i) + "::1") == 200 ? 1 : 0;
  EXPECT_EQ(of_one_site, first);
  EXPECT_EQ(bring("2001:db8:2::1"), 200) << "another site";
  EXPECT_LE(count("openid_requests") - before, kPlainRequests.burst + 4 * a_second + 13 * first + 5);
}

TEST_F(OpenidTest, ASiteWithManyNetworksTakesNotAllThereIs) {
  int kept = 0;
  for (int network = 0; network < 10; ++network) {
    for (int i = 0; i < 100; ++i) {
      const std::string peer = "2001:db8:1:" + std::to_string(network) + "::" + std::to_string(i);
      kept +=
          ask({.method = "GET", .path = "/openid/authorize", .form = request_fields("plain"), .peer = peer}).status ==
                  200
              ? 1
              : 0;
    }
  }
  EXPECT_EQ(kept, kPlainRequestsOfSite.burst);
}

/// A portal that shows certificates it has made itself.
class SelfSignedTest : public OpenidTest {
 protected:
  using Signer = crypto::SoftwareSigner;

  SelfSignedTest() { register_with({mine}); }

  crypto::Certificate make(Signer& signer, const std::string& name = "CN=portal,O=Ministry,C=XX") {
    for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
      if (one.name != "root-ca") continue;
      const auto profile = must(crypto::CertificateProfile::from_toml(one.text, "root-ca.toml"));
      crypto::CertificateRequest request{must(crypto::name_from_text(name)), signer.public_key()};
      request.not_after = clock.now() + std::chrono::days(30);
      return must(crypto::self_signed(profile, request, signer, clock, random));
    }
    std::abort();
  }
  static std::string document(const std::string& jwks, const std::string& more = "") {
    return "{\"client_id\":\"ministry\",\"client_name\":\"Ministry\",\"client_uri\":\"https://portal.example/\","
           "\"redirect_uris\":[\"" +
           std::string(kTestBack) +
           "\"],\"token_endpoint_auth_method\":\"self_signed_tls_client_auth\","
           "\"tls_client_certificate_bound_access_tokens\":true,\"jwks\":" +
           jwks + more + "}";
  }
  void register_with(const std::vector<crypto::Certificate>& certificates) {
    const Client client = must(parse_client(document(must(jwks_of_certificates(certificates)))));
    const Cause cause{"test", "because"};
    if (must(ledger->find("ministry"))) {
      must(ledger->change(client, cause));
    } else {
      must(ledger->add(client, cause));
    }
    clock.advance(std::chrono::seconds(1));  // servers read clients anew
  }
  Told par(const crypto::Certificate& shown, bool mtls = true, const std::string& client = "ministry") {
    return ask({.path = "/openid/par",
                .form = request_fields(client, {{"scope", "openid"}}),
                .certificate = shown.der(),
                .mtls = mtls,
                .verified = false});
  }
  /// Tokens for a log-in, bound to `shown`.
  Told tokens_with(const crypto::Certificate& shown) {
    authorize(par(shown)["request_uri"], "ministry");
    const std::string given =
        query_value(must(room->provider().finish(login.interaction->id, authentication(), std::nullopt)), "code");
    return ask({.path = "/openid/token",
                .form = {{"grant_type", "authorization_code"},
                         {"client_id", "ministry"},
                         {"code", given},
                         {"redirect_uri", kTestBack},
                         {"code_verifier", verifier}},
                .certificate = shown.der(),
                .mtls = true,
                .verified = false});
  }

  Signer key{must(crypto::PrivateKey::generate(crypto::KeyType::p256))};
  Signer other_key{must(crypto::PrivateKey::generate(crypto::KeyType::p256))};
  crypto::Certificate mine = make(key);
};

TEST_F(SelfSignedTest, TheVeryCertificateIsTheClientAndNoOther) {
  EXPECT_EQ(par(mine).status, 201);
  const crypto::Certificate next = make(key);
  ASSERT_NE(next, mine);
  const std::pair<const char*, crypto::Certificate> others[] = {
      {"another with the same names", make(other_key)},
      {"another with the same key and names", next},
      {"another with the same key", make(key, "CN=portal,O=Somebody,C=XX")}};
  for (const auto& [what, one] : others) {
    const Told told = par(one);
    EXPECT_EQ(told.status, 401) << what;
    EXPECT_EQ(told.error(), "invalid_client") << what;
  }
  EXPECT_EQ(
      ask({.path = "/openid/par", .form = request_fields("ministry", {{"scope", "openid"}}), .mtls = true}).status, 401)
      << "none";
  EXPECT_EQ(par(mine, false).status, 401) << "at the other listener";
  EXPECT_EQ(par(mine, true, "portal").status, 401) << "as another client, that signs assertions";
  // Old and new together while the portal changes over, then the new one alone.
  register_with({mine, next});
  EXPECT_EQ(par(mine).status, 201);
  EXPECT_EQ(par(next).status, 201);
  register_with({next});
  EXPECT_EQ(par(mine).status, 401);
  EXPECT_EQ(par(next).status, 201);
  clock.advance(std::chrono::days(30));
  const Told late = par(next);
  EXPECT_EQ(late.status, 401);
  EXPECT_THAT(late["error_description"], HasSubstr("expired"));
}

TEST_F(SelfSignedTest, ACertificateThatNobodyVerifiedIsNoOtherClientsName) {
  // As it is registered for the one, it has the name the other is known by.
  must(ledger->add(must(parse_client("{\"client_id\":\"known-by-name\",\"client_name\":\"Ministry\",\"client_uri\":"
                                     "\"https://portal.example/\",\"redirect_uris\":[\"" +
                                     std::string(kTestBack) +
                                     "\"],\"token_endpoint_auth_method\":\"tls_client_auth\","
                                     "\"tls_client_auth_subject_dn\":\"CN=portal,O=Ministry,C=XX\","
                                     "\"tls_client_certificate_bound_access_tokens\":true}")),
                   {"test", "because"}));
  EXPECT_EQ(par(mine, true, "known-by-name").status, 401);
  const Fields wanted = request_fields("known-by-name", {{"scope", "openid"}});
  EXPECT_EQ(ask({.path = "/openid/par", .form = wanted, .certificate = mine.der(), .mtls = true}).status, 201)
      << "where the listener has verified it";
  // Nor is it what a token of a client that signs is bound to.
  add_client("bound", R"(,"tls_client_certificate_bound_access_tokens":true,"scope":"openid")");
  const auto redeem = [&](bool verified) {
    Fields form = {{"grant_type", "authorization_code"},
                   {"code", code({{"scope", "openid"}}, "bound")},
                   {"redirect_uri", kTestBack},
                   {"code_verifier", verifier}};
    for (auto& one : credentials("bound")) form.push_back(one);
    return ask({.path = "/openid/token", .form = form, .certificate = mine.der(), .mtls = true, .verified = verified});
  };
  EXPECT_EQ(redeem(false).error(), "invalid_request");
  EXPECT_EQ(redeem(true).status, 200);
}

TEST_F(SelfSignedTest, ItsTokensAreBoundToItsCertificate) {
  const crypto::Certificate next = make(other_key);
  register_with({mine, next});
  const Told given = tokens_with(mine);
  ASSERT_EQ(given.status, 200) << given.body;
  const auto user = [&](const crypto::Certificate& shown, bool mtls = true) {
    return ask({.method = "GET",
                .path = "/openid/userinfo",
                .fields = {"Authorization: Bearer " + given["access_token"]},
                .certificate = shown.der(),
                .mtls = mtls,
                .verified = false})
        .status;
  };
  EXPECT_EQ(user(mine), 200);
  EXPECT_EQ(user(next), 401) << "registered, too, but not what the token is bound to";
  EXPECT_EQ(user(mine, false), 401);
  // One that was taken out was lost, perhaps: it shows nothing any more.
  register_with({next});
  EXPECT_EQ(user(mine), 401);
}

TEST_F(SelfSignedTest, ItsDocumentNamesItsCertificates) {
  const std::string set = must(jwks_of_certificates({mine}));
  const Client client = must(parse_client(document(set)));
  EXPECT_EQ(must(parse_client(write_client(client))), client);
  EXPECT_EQ(client.tls_thumbprints, std::vector<std::string>{certificate_thumbprint(mine.der())});
  const auto fault = [](const std::string& text) {
    const auto parsed = parse_client(text);
    return parsed ? std::string() : parsed.error().message;
  };
  Json all = Json::parse(set);
  const auto with = [&](const Json& x5c) {
    Json changed = all;
    changed["keys"][0]["x5c"] = x5c;
    return document(changed.dump());
  };
  Json bare = all;
  bare["keys"][0].erase("x5c");
  EXPECT_THAT(fault(document(bare.dump())), HasSubstr("no certificate"));
  EXPECT_THAT(fault(with(to_base64(mine.der()))), HasSubstr("array"));
  EXPECT_THAT(fault(with(Json::array())), HasSubstr("array"));
  EXPECT_THAT(fault(with({"?"})), HasSubstr("base64"));
  EXPECT_THAT(fault(with({"AAAA"})), HasSubstr("no certificate"));
  EXPECT_THAT(fault(with({to_base64(make(other_key).der())})), HasSubstr("another key"));
  EXPECT_THAT(fault(document(set, ",\"tls_client_auth_san_dns\":\"portal.example\"")), HasSubstr("tls_client_auth"));
}

TEST_F(OpenidTest, WhatIsTakenFromAClientItGetsNoMore) {
  const Fields asked = {{"scope", "openid profile birthdate offline_access"}};
  const Told tokens = token(code(asked));
  authorize(push(asked));
  const std::string waiting = login.interaction->id;
  EXPECT_EQ(userinfo(tokens["access_token"], dpop_key)["birthdate"], "1990-05-17");
  Json document = Json::parse(write_client(*must(ledger->find("portal"))));
  document["scope"] = "openid profile";
  ASSERT_TRUE(must(ledger->change(must(parse_client(document.dump())), {"operator:test", "less"})));
  clock.advance(std::chrono::seconds(1));
  const Told user = userinfo(tokens["access_token"], dpop_key);
  EXPECT_EQ(user.status, 200);
  EXPECT_EQ(user["birthdate"], "");
  EXPECT_NE(user["name"], "");
  EXPECT_EQ(introspect(tokens["access_token"])["scope"], "openid profile");
  EXPECT_EQ(token("", {{"grant_type", "refresh_token"}, {"refresh_token", tokens["refresh_token"]}}).error(),
            "invalid_grant");
  // Nor does it get what it had asked for before.
  EXPECT_THAT(must(room->provider().interaction(waiting))->claims, testing::Not(testing::Contains("birthdate")));
  const auto url = room->provider().finish(waiting, authentication(), clock.now() + std::chrono::days(1));
  const Told later = token(query_value(must(url), "code"));
  EXPECT_EQ(later["scope"], "openid profile");
  EXPECT_EQ(later["refresh_token"], "");
  // Given back, it is there again.
  document["scope"] = "openid profile birthdate";
  must(ledger->change(must(parse_client(document.dump())), {"operator:test", "more"}));
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(userinfo(tokens["access_token"], dpop_key)["birthdate"], "1990-05-17");
  EXPECT_EQ(userinfo(later["access_token"], dpop_key)["birthdate"], "");
}

TEST_F(OpenidTest, ARevokedClientEndsWithinTwoSeconds) {
  const std::string held = access();
  must(ledger->revoke("portal", {"test", "fraud"}));
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(push_told({}).error(), "invalid_client");
  EXPECT_FALSE(ledger->revoke("portal", {"test", ""}));
  const auto events = must(ledger->events_of("portal"));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].kind, "revoked");
  EXPECT_EQ(events[1].reason, "fraud");
}

TEST_F(OpenidTest, ADocumentIsReadBackAndEveryFaultIsNamed) {
  const Client portal = *must(ledger->find("portal"));
  Client again = must(parse_client(write_client(portal)));
  again.created = portal.created;
  again.changed = portal.changed;
  EXPECT_EQ(again, portal);
  EXPECT_EQ(portal.sector, "portal.example");
  EXPECT_EQ(portal.origin(), "https://portal.example");
  const Json good = Json::parse(write_client(portal));
  struct Fault {
    const char* member;
    Json value;
  };
  const Fault faults[] = {{"client_id", "no blanks"},
                          {"client_name", ""},
                          {"client_uri", "ftp://x.example"},
                          {"redirect_uris", {"http://portal.example/back"}},
                          {"redirect_uris", {"https://portal.example/back#x"}},
                          {"redirect_uris", {"https://u@portal.example/"}},
                          {"redirect_uris", Json::array()},
                          {"profile", "loose"},
                          {"token_endpoint_auth_method", "client_secret_basic"},
                          {"scope", "openid everything"},
                          {"scope", "profile"},
                          {"least_acr", "gold"},
                          {"id_token_signed_response_alg", "RS256"},
                          {"jwks", {{"keys", Json::array()}}},
                          {"jwks", "x"},
                          {"dpop_bound_access_tokens", false},
                          {"purpose", nullptr},
                          {"grant_types", {"authorization_code", "implicit"}},
                          {"grant_types", 7},
                          {"response_types", {"code id_token"}},
                          {"subject_type", "public"},
                          {"require_pushed_authorization_requests", "yes"},
                          {"logo_uri", "https://portal.example/x.png"}};
  for (const Fault& fault : faults) {
    Json changed = good;
    if (fault.value.is_null()) {
      changed.erase(fault.member);
    } else {
      changed[fault.member] = fault.value;
    }
    const auto parsed = parse_client(changed.dump());
    ASSERT_FALSE(parsed) << fault.member << " " << fault.value;
    EXPECT_THAT(parsed.error().message, HasSubstr(std::string("\"") + fault.member + "\""));
  }
  // What is so for everybody may be said.
  Json said = good;
  said.update({{"grant_types", {"authorization_code", "refresh_token"}},
               {"response_types", {"code"}},
               {"application_type", "web"},
               {"subject_type", "pairwise"},
               {"require_pushed_authorization_requests", true},
               {"backchannel_logout_session_required", true}});
  EXPECT_EQ(write_client(must(parse_client(said.dump()))), write_client(must(parse_client(good.dump()))));
  said["profile"] = "basic";
  EXPECT_FALSE(parse_client(said.dump())) << "unpushed requests would be taken all the same";
  // A private key in the set would be everybody's.
  Json leaked = good;
  leaked["jwks"]["keys"][0]["d"] = "AAAA";
  EXPECT_FALSE(parse_client(leaked.dump()));
}

// Said here, to the operator, and not to each citizen by his agent.
TEST_F(OpenidTest, WhatNoAgentWouldShowIsNotRegistered) {
  const Json good = Json::parse(write_client(*must(ledger->find("portal"))));
  const auto with = [&](const char* member, const std::string& value) {
    Json changed = good;
    changed[member] = value;
    return must(parse_client(changed.dump()));
  };
  const std::pair<const char*, const char*> hidden[] = {{"client_name", "Bank\u202Eknab"},
                                                        {"client_name#ru", "Портал\u200B"},
                                                        {"purpose", "read\u0085"},
                                                        {"client_uri", "https://my_portal.example/"}};
  for (const auto& [member, value] : hidden) {
    const auto changed = ledger->change(with(member, value), {"test", "because"});
    ASSERT_FALSE(changed) << member;
    EXPECT_THAT(changed.error().message, HasSubstr(std::string("\"") + member + "\""));
    Client another = with(member, value);
    another.id = "another";
    EXPECT_FALSE(ledger->add(another, {"test", "because"})) << member;
  }
}

TEST_F(OpenidTest, KeysAreRotatedAndEveryActIsWrittenDown) {
  const PartyKey old_key = std::move(party.at("portal"));
  Json document = Json::parse(write_client(*must(ledger->find("portal"))));
  PartyKey fresh;
  document["jwks"] = {{"keys", {Json::parse(fresh.jwk())}}};
  EXPECT_TRUE(must(ledger->change(must(parse_client(document.dump())), {"operator:test", "yearly"})));
  EXPECT_FALSE(must(ledger->change(must(parse_client(document.dump())), {"operator:test", "again"})));
  clock.advance(std::chrono::seconds(1));
  const auto pushed_with = [&](const PartyKey& key) {
    Fields form = request_fields();
    form.emplace_back("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.emplace_back("client_assertion", assertion(key, "portal"));
    return ask({.path = "/openid/par", .form = form}).status;
  };
  EXPECT_EQ(pushed_with(old_key), 401);
  EXPECT_EQ(pushed_with(fresh), 201);
  const auto events = must(ledger->events_of("portal"));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].kind, "keys-rotated");
  EXPECT_EQ(events[1].actor, "operator:test");
  EXPECT_FALSE(ledger->add(must(parse_client(document.dump())), {"test", ""}));
  EXPECT_FALSE(ledger->add(must(parse_client(document.dump())), {"", ""}));
}

TEST(OpenidScopes, EveryScopeHasWordsAndItsClaimsAreRows) {
  for (const ScopeRow& scope : scope_rows()) {
    EXPECT_FALSE(scope.english.empty() || scope.russian.empty()) << scope.name;
    for (const std::string_view claim : scope.claims) EXPECT_NE(find_claim(claim), nullptr) << claim;
  }
  for (const ClaimRow& claim : claim_rows()) {
    EXPECT_FALSE(claim.english.empty() || claim.russian.empty()) << claim.name;
    const std::vector<std::string> one = {std::string(claim.name)};
    EXPECT_EQ(claims_of({}, one), one);
  }
  EXPECT_EQ(claims_of({"birthdate", "openid"}, {"snils", "birthdate"}),
            std::vector<std::string>({"birthdate", "snils"}));
}

}  // namespace
}  // namespace karta::identity
