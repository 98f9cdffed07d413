// The provider in process: a relying party's whole way, and everything a hostile one tries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"
#include "crypto/kdf.h"
#include "crypto/x509/authority.h"
#include "identity/openid/logout.h"
#include "identity/openid/openid_testing.h"
#include "identity/openid/provider.h"
#include "identity/openid/scopes.h"
#include "identity/openid/session_ends.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using Json = nlohmann::json;
using testing::HasSubstr;
using Asked = OpenidFixture::Asked;
using Told = OpenidFixture::Told;

class OpenidTest : public testing::Test, protected OpenidFixture {
 protected:
  /// The claims of a JWT of ours, its signature verified with the key its header names.
  Json claims_of_jwt(const std::string& jwt, const std::string& type) {
    const auto jws = must(crypto::Jws::parse(jwt));
    const auto set = must(crypto::parse_jwk_set(ask({.method = "GET", .path = "/openid/jwks"}).body));
    const crypto::Jwk* const key = set.find(jws.header().kid);
    EXPECT_NE(key, nullptr);
    if (key == nullptr) return Json::object();
    EXPECT_TRUE(jws.verify(key->key));
    EXPECT_EQ(jws.header().typ, type);
    return Json::parse(jws.payload_text());
  }
  std::size_t access_entries() { return must(registry->access_log(citizen)).size(); }
  Told push_told(const Fields& more, const std::string& client = "portal") {
    Fields form = request_fields(client, more);
    for (auto& one : credentials(client)) form.push_back(one);
    return ask({.path = "/openid/par", .form = form});
  }
  std::string access(const Fields& more = {}, const std::string& client = "portal") {
    return token(code(more, client), {}, client)["access_token"];
  }
  std::string sub_for(const std::string& client) {
    return claims_of_jwt(token(code({}, client), {}, client)["id_token"], "JWT")["sub"];
  }
};

TEST_F(OpenidTest, ALogInFromPushedRequestToUserInfo) {
  const std::string uri =
      push({{"scope", "openid profile birthdate"}, {"ui_locales", "ru-RU en"}, {"login_hint", "me"}});
  ASSERT_THAT(uri, testing::StartsWith("urn:ietf:params:oauth:request_uri:"));
  ASSERT_EQ(authorize(uri).status, 200);
  ASSERT_TRUE(login.interaction);
  EXPECT_EQ(login.interaction->client.id, "portal");
  EXPECT_EQ(login.interaction->acr, "low");
  EXPECT_EQ(login.interaction->locale, "ru");
  EXPECT_EQ(login.interaction->login_hint, "me");
  EXPECT_THAT(login.interaction->claims, testing::Contains("birthdate"));
  // The portal knows its request URI, and nothing of the interaction.
  EXPECT_EQ(uri.find(login.interaction->id), std::string::npos);
  // A reload is the same interaction.
  const std::string id = login.interaction->id;
  authorize(uri);
  EXPECT_EQ(login.interaction->id, id);

  const auto url = room->provider().finish(id, authentication(), clock.now() + std::chrono::days(1));
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->substr(0, url->find('?')), kTestBack);
  EXPECT_EQ(query_value(*url, "state"), "state-1");
  EXPECT_EQ(query_value(*url, "iss"), kTestIssuer);
  const std::string given = query_value(*url, "code");

  const Told tokens = token(given);
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  EXPECT_EQ(tokens["token_type"], "DPoP");
  EXPECT_EQ(tokens["expires_in"], "300");
  EXPECT_EQ(tokens["refresh_token"], "");
  EXPECT_EQ(tokens.field("Cache-Control"), "no-store");
  const Json id_token = claims_of_jwt(tokens["id_token"], "JWT");
  EXPECT_EQ(id_token["iss"], kTestIssuer);
  EXPECT_EQ(id_token["aud"], "portal");
  EXPECT_EQ(id_token["nonce"], "nonce-1");
  EXPECT_EQ(id_token["acr"], "high");
  EXPECT_EQ(id_token["amr"], Json({"hwk", "pin"}));
  EXPECT_EQ(id_token["auth_time"], now());
  EXPECT_FALSE(id_token.contains("name"));

  const std::size_t before = access_entries();
  const Told user = userinfo(tokens["access_token"], dpop_key);
  ASSERT_EQ(user.status, 200) << user.body;
  EXPECT_EQ(user["sub"], id_token["sub"]);
  EXPECT_EQ(user["name"], "Образцов Пример Тестович");
  EXPECT_EQ(user["birthdate"], "1990-05-17");
  EXPECT_EQ(user["gender"], "male");
  EXPECT_EQ(user["snils"], "");
  const auto log = must(registry->access_log(citizen));
  ASSERT_EQ(log.size(), before + 1);
  EXPECT_EQ(log.front().purpose.actor, "client:portal");
  EXPECT_EQ(log.front().purpose.purpose, "show an account");
}

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

TEST_F(OpenidTest, ACodeIsGoodOnceAndAReplayEndsWhatItGave) {
  const std::string given = code();
  const Told first = token(given);
  ASSERT_EQ(first.status, 200) << first.body;
  const std::string access_token = first["access_token"];
  EXPECT_EQ(userinfo(access_token, dpop_key).status, 200);
  const Told second = token(given);
  EXPECT_EQ(second.status, 400);
  EXPECT_EQ(second.error(), "invalid_grant");
  EXPECT_EQ(userinfo(access_token, dpop_key).status, 401);
  EXPECT_EQ(introspect(access_token)["active"], "false");
}

TEST_F(OpenidTest, ACodeIsBoundToClientAddressVerifierKeyAndTime) {
  EXPECT_EQ(token(code(), {{"code_verifier", "another-verifier-of-forty-three-characters-0001"}}).error(),
            "invalid_grant");
  EXPECT_EQ(token(code(), {{"code_verifier", ""}}).error(), "invalid_grant");
  EXPECT_EQ(token(code(), {{"redirect_uri", "https://portal.example/back/"}}).error(), "invalid_grant");
  EXPECT_EQ(token(code(), {}, "other").error(), "invalid_grant");
  // The wrong client has spoilt nothing.
  const std::string mine = code();
  EXPECT_EQ(token(mine, {}, "other").error(), "invalid_grant");
  EXPECT_EQ(token(mine).status, 200);
  const std::string bound = code({{"dpop_jkt", thief_key.thumbprint()}});
  EXPECT_EQ(token(bound).error(), "invalid_grant");
  const std::string old = code();
  clock.advance(config.code_life + std::chrono::seconds(1));
  EXPECT_EQ(token(old).error(), "invalid_grant");
  EXPECT_EQ(token("made-up").error(), "invalid_grant");
  EXPECT_EQ(token(code(), {{"grant_type", "password"}}).error(), "unsupported_grant_type");
}

TEST_F(OpenidTest, AStolenTokenIsNothingWithoutItsKey) {
  const std::string token_text = access();
  EXPECT_EQ(userinfo(token_text, dpop_key).status, 200);
  const Told stolen = userinfo(token_text, thief_key);
  EXPECT_EQ(stolen.status, 401);
  EXPECT_THAT(stolen.field("WWW-Authenticate"), HasSubstr("error=\"invalid_token\""));
  EXPECT_EQ(
      ask({.method = "GET", .path = "/openid/userinfo", .fields = {"Authorization: Bearer " + token_text}}).status,
      401);
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/userinfo", .fields = {"Authorization: DPoP " + token_text}}).status,
            401);
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/userinfo"}).status, 401);
  // Nothing was read, nothing logged.
  EXPECT_EQ(access_entries(), 1u);
}

TEST_F(OpenidTest, DpopProofsAreJudgedInEveryPart) {
  const std::string token_text = access();
  const std::string nonce = ask({.path = "/openid/token", .form = {{"x", "y"}}}).field("DPoP-Nonce");
  const Json good{{"htm", "GET"},
                  {"htu", std::string(kTestIssuer) + "/openid/userinfo"},
                  {"iat", now()},
                  {"nonce", nonce},
                  {"ath", challenge_of(token_text)}};
  int number = 0;
  const auto told = [&](Json changed, const std::string& type = "dpop+jwt", bool with_jwk = true) {
    Json claims = good;
    claims["jti"] = "judged-" + std::to_string(++number);
    claims.update(changed);
    return ask(
        {.method = "GET",
         .path = "/openid/userinfo",
         .fields = {"Authorization: DPoP " + token_text, "DPoP: " + dpop_key.sign(claims.dump(), type, with_jwk)}});
  };
  EXPECT_EQ(told(Json::object()).status, 200);
  EXPECT_EQ(told({{"htu", std::string(kTestIssuer) + "/openid/userinfo?x=1"}}).status, 200);
  EXPECT_EQ(told({{"htm", "POST"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"htu", std::string(kTestIssuer) + "/openid/token"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"htu", std::string(kTestMtls) + "/openid/userinfo"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"iat", now() - 120}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"iat", now() + 120}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"iat", nullptr}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"ath", challenge_of("another")}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"ath", nullptr}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told(Json::object(), "JWT").error(), "invalid_dpop_proof");
  EXPECT_EQ(told(Json::object(), "dpop+jwt", false).error(), "invalid_dpop_proof");
  const Told no_nonce = told({{"nonce", "stale"}});
  EXPECT_EQ(no_nonce.error(), "use_dpop_nonce");
  EXPECT_EQ(no_nonce.status, 401);
  EXPECT_EQ(no_nonce.field("DPoP-Nonce"), nonce);
  EXPECT_EQ(told({{"jti", "again"}}).status, 200);
  const Told again = told({{"jti", "again"}});
  EXPECT_EQ(again.error(), "invalid_dpop_proof");
  EXPECT_THAT(again["error_description"], HasSubstr("before"));
  // Two proofs.
  EXPECT_EQ(ask({.method = "GET",
                 .path = "/openid/userinfo",
                 .fields = {"Authorization: DPoP " + token_text,
                            "DPoP: " + dpop(dpop_key, "GET", "/openid/userinfo", token_text),
                            "DPoP: " + dpop(dpop_key, "GET", "/openid/userinfo", token_text)}})
                .error(),
            "invalid_dpop_proof");
  // At the token endpoint: missing, and without a nonce.
  Fields form = {
      {"grant_type", "authorization_code"}, {"code", code()}, {"redirect_uri", kTestBack}, {"code_verifier", verifier}};
  const auto with_credentials = [&] {
    Fields out = form;
    for (auto& one : credentials()) out.push_back(one);
    return out;
  };
  EXPECT_EQ(ask({.path = "/openid/token", .form = with_credentials()}).error(), "invalid_dpop_proof");
  const Told asked_for = ask({.path = "/openid/token",
                              .form = with_credentials(),
                              .fields = {"DPoP: " + dpop(dpop_key, "POST", "/openid/token", "", "")}});
  EXPECT_EQ(asked_for.error(), "use_dpop_nonce");
  EXPECT_EQ(asked_for.status, 400);
  EXPECT_FALSE(asked_for.field("DPoP-Nonce").empty());
  // The code was not used up by that.
  EXPECT_EQ(ask({.path = "/openid/token",
                 .form = with_credentials(),
                 .fields = {"DPoP: " + dpop(dpop_key, "POST", "/openid/token")}})
                .status,
            200);
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

TEST_F(OpenidTest, ARequestIsJudgedInEveryPart) {
  const auto refused = [&](const Fields& more) { return push_told(more).error(); };
  EXPECT_EQ(refused({{"redirect_uri", "https://evil.example/back"}}), "invalid_request");
  EXPECT_EQ(refused({{"redirect_uri", "https://portal.example/back?x=1"}}), "invalid_request");
  EXPECT_EQ(refused({{"redirect_uri", ""}}), "invalid_request");
  EXPECT_EQ(refused({{"code_challenge", ""}}), "invalid_request");
  EXPECT_EQ(refused({{"code_challenge_method", "plain"}}), "invalid_request");
  EXPECT_EQ(refused({{"code_challenge_method", ""}}), "invalid_request");
  EXPECT_EQ(refused({{"code_challenge", "short"}}), "invalid_request");
  EXPECT_EQ(refused({{"response_type", "token"}}), "unsupported_response_type");
  EXPECT_EQ(refused({{"response_mode", "fragment"}}), "invalid_request");
  EXPECT_EQ(refused({{"scope", "openid snils"}}), "invalid_scope");
  EXPECT_EQ(refused({{"scope", "profile"}}), "invalid_scope");
  EXPECT_EQ(refused({{"prompt", "none login"}}), "invalid_request");
  EXPECT_EQ(refused({{"prompt", "maybe"}}), "invalid_request");
  EXPECT_EQ(refused({{"max_age", "-1"}}), "invalid_request");
  EXPECT_EQ(refused({{"max_age", "soon"}}), "invalid_request");
  EXPECT_EQ(refused({{"claims", "[]"}}), "invalid_request");
  EXPECT_EQ(refused({{"request_uri", "urn:ietf:params:oauth:request_uri:x"}}), "invalid_request");
  EXPECT_EQ(refused({{"resource", "https://api.example"}}), "invalid_target");
  EXPECT_EQ(refused({{"state", std::string(2000, 's')}}), "invalid_request");
  EXPECT_EQ(refused({{"id_token_hint", "x.y.z"}}), "invalid_request");
  EXPECT_EQ(refused({{"claims", R"({"id_token":{"acr":{"essential":true,"values":["gold"]}}})"}}),
            "unmet_authentication_requirements");
  // A parameter twice.
  Fields form = request_fields();
  form.emplace_back("state", "another");
  for (auto& one : credentials()) form.push_back(one);
  EXPECT_EQ(ask({.path = "/openid/par", .form = form}).error(), "invalid_request");
}

TEST_F(OpenidTest, WhatARequestAsksForReachesTheLogIn) {
  authorize(push({{"acr_values", "high substantial"}, {"max_age", "60"}, {"prompt", "login consent"}}));
  ASSERT_TRUE(login.interaction);
  EXPECT_EQ(login.interaction->acr, "substantial");
  EXPECT_EQ(login.interaction->max_age, std::chrono::seconds(60));
  EXPECT_TRUE(login.interaction->prompt_login && login.interaction->prompt_consent && !login.interaction->prompt_none);
  // Single claims: those the client may ask for; others are left out as nobody's.
  authorize(
      push({{"scope", "openid"},
            {"claims",
             R"({"userinfo":{"birthdate":{"essential":true},"snils":null},"id_token":{"acr":{"value":"high"}}})"}}));
  ASSERT_TRUE(login.interaction);
  EXPECT_EQ(login.interaction->claims, std::vector<std::string>({"birthdate"}));
  EXPECT_EQ(login.interaction->acr, "high");
}

TEST_F(OpenidTest, ARequestUriIsOfItsClientAndItsTime) {
  const std::string uri = push();
  EXPECT_EQ(authorize(uri, "other").status, 400);
  EXPECT_EQ(login.error, "invalid_request_uri");
  EXPECT_EQ(authorize("urn:ietf:params:oauth:request_uri:made-up").status, 400);
  EXPECT_EQ(authorize("https://evil.example/request").status, 400);
  EXPECT_EQ(authorize(uri).status, 200);
  clock.advance(config.request_life + std::chrono::seconds(1));
  EXPECT_EQ(authorize(uri).status, 400);
  // A FAPI client pushes; the browser brings no parameters of its own.
  login.interaction.reset();
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/authorize", .form = request_fields()}).status, 400);
  EXPECT_FALSE(login.interaction);
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/authorize", .form = {{"client_id", "nobody"}}}).status, 400);
}

TEST_F(OpenidTest, AnInteractionIsFinishedOnce) {
  authorize(push());
  const std::string id = login.interaction->id;
  Provider& provider = room->provider();
  const Time until = clock.now() + std::chrono::days(1);
  ASSERT_TRUE(provider.interaction(id).value().has_value());
  ASSERT_TRUE(provider.finish(id, authentication(), until));
  EXPECT_FALSE(provider.interaction(id).value().has_value());
  const auto again = provider.finish(id, authentication(), until);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::not_found);
  EXPECT_FALSE(provider.refuse(id, AuthorizationError::access_denied));
  // Refused: the portal is told, and nothing comes after.
  authorize(push());
  const auto url = provider.refuse(login.interaction->id, AuthorizationError::access_denied);
  ASSERT_TRUE(url);
  EXPECT_EQ(query_value(*url, "error"), "access_denied");
  EXPECT_EQ(query_value(*url, "iss"), kTestIssuer);
  EXPECT_EQ(query_value(*url, "state"), "state-1");
  EXPECT_FALSE(provider.finish(login.interaction->id, authentication(), until));
  // Too late.
  authorize(push());
  clock.advance(config.interaction_life);
  EXPECT_FALSE(provider.finish(login.interaction->id, authentication(), until));
}

TEST_F(OpenidTest, LevelAgeAndSubjectAreHeldTo) {
  Provider& provider = room->provider();
  const Time until = clock.now() + std::chrono::days(1);
  const auto error_of = [&](const Fields& more, const Authentication& who) {
    authorize(push(more));
    const auto url = provider.finish(login.interaction->id, who, until);
    return url ? query_value(*url, "error") : "failed";
  };
  Authentication low = authentication();
  low.acr = "low";
  EXPECT_EQ(error_of({{"acr_values", "high"}}, low), "unmet_authentication_requirements");
  EXPECT_EQ(error_of({{"acr_values", "low"}}, low), "");
  Authentication old = authentication();
  old.auth_time -= std::chrono::hours(1);
  EXPECT_EQ(error_of({{"max_age", "60"}}, old), "login_required");
  EXPECT_EQ(error_of({{"max_age", "3600"}}, old), "");
  EXPECT_EQ(error_of({{"claims", R"({"id_token":{"sub":{"value":"somebody"}}})"}}, authentication()), "login_required");
  EXPECT_EQ(
      error_of({{"claims", R"({"id_token":{"sub":{"value":")" + sub_for("portal") + R"("}}})"}}, authentication()), "");
}

TEST_F(OpenidTest, AStoppedCardGetsNoCodeAndItsTokensEndAtOnce) {
  const std::string held = access(), unused = code();
  authorize(push());
  const std::string waiting = login.interaction->id;
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  const auto refused = room->provider().finish(waiting, authentication(), clock.now() + std::chrono::days(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(refused.error().message, HasSubstr("suspended"));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(introspect(held)["active"], "false");
  EXPECT_EQ(token(unused).error(), "invalid_grant");
  // Released: the card works again, what was given before does not.
  set_card(CardState::active);
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(introspect(held)["active"], "false");
  EXPECT_EQ(userinfo(access(), dpop_key).status, 200);
  clock.advance(std::chrono::days(366));
  authorize(push());
  const auto expired =
      room->provider().finish(login.interaction->id, authentication(), clock.now() + std::chrono::days(1));
  ASSERT_FALSE(expired);
  EXPECT_THAT(expired.error().message, HasSubstr("expired"));
}

TEST_F(OpenidTest, NothingWithoutConsentAndNothingAfterItWasTakenBack) {
  Provider& provider = room->provider();
  const Client portal = *must(ledger->find("portal"));
  authorize(push());
  const std::vector<std::string> claims = login.interaction->claims;
  EXPECT_EQ(provider.consent(citizen, portal, claims)->missing, claims);
  const auto without = provider.finish(login.interaction->id, authentication(), std::nullopt);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().kind, ErrorKind::not_permitted);
  // The interaction stands: the page can ask.
  const std::string held = token(
      query_value(must(provider.finish(login.interaction->id, authentication(), clock.now() + std::chrono::days(1))),
                  "code"))["access_token"];
  EXPECT_TRUE(provider.consent(citizen, portal, claims)->given);
  EXPECT_EQ(provider.consent(citizen, portal, {"snils"})->missing, std::vector<std::string>({"snils"}));
  const auto grants = must(provider.grants_of(citizen));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].client_id, "portal");
  EXPECT_EQ(grants[0].live_tokens, 1u);
  EXPECT_EQ(grants[0].claims, claims);
  // The next time nobody is asked; more than before is asked for again.
  authorize(push());
  EXPECT_TRUE(provider.finish(login.interaction->id, authentication(), std::nullopt));
  authorize(push({{"scope", "openid profile birthdate"}}));
  EXPECT_FALSE(provider.finish(login.interaction->id, authentication(), std::nullopt));
  must(provider.revoke_grant(citizen, "portal"));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_TRUE(must(provider.grants_of(citizen)).empty());
  EXPECT_FALSE(provider.revoke_grant(citizen, "portal"));
  // A consent has an end.
  must(provider.remember_consent(citizen, portal, claims, clock.now() + std::chrono::hours(1)));
  EXPECT_TRUE(provider.consent(citizen, portal, claims)->given);
  clock.advance(std::chrono::hours(2));
  EXPECT_FALSE(provider.consent(citizen, portal, claims)->given);
}

TEST_F(OpenidTest, SubjectsOfSectorsHaveNothingInCommon) {
  const std::string here = sub_for("portal"), there = sub_for("other");
  EXPECT_NE(here, there);
  EXPECT_EQ(here, sub_for("portal"));
  add_client("sister", R"(,"scope":"openid profile")");
  EXPECT_EQ(here, sub_for("sister"));
}

TEST_F(OpenidTest, RefreshTokensAreBoundAndEndWithConsentOrRevocation) {
  const Told tokens = token(code({{"scope", "openid offline_access"}}));
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const std::string refresh = tokens["refresh_token"];
  ASSERT_FALSE(refresh.empty());
  const Fields renew = {{"grant_type", "refresh_token"}, {"refresh_token", refresh}};
  clock.advance(std::chrono::days(20));
  const Told renewed = token("", renew);
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_EQ(renewed["refresh_token"], "");
  EXPECT_EQ(claims_of_jwt(renewed["id_token"], "JWT")["auth_time"], now() - 20 * 86400);
  EXPECT_EQ(userinfo(renewed["access_token"], dpop_key).status, 200);
  EXPECT_EQ(
      token("", {{"grant_type", "refresh_token"}, {"refresh_token", refresh}, {"scope", "openid birthdate"}}).error(),
      "invalid_scope");
  EXPECT_EQ(token("", renew, "other").error(), "invalid_grant");
  // The session's end leaves it alone; its own end does not.
  end_session("session-1");
  EXPECT_EQ(token("", renew).status, 200);
  Fields form = credentials();
  form.emplace_back("token", refresh);
  EXPECT_EQ(ask({.path = "/openid/revoke", .form = form}).status, 200);
  EXPECT_EQ(token("", renew).error(), "invalid_grant");
  EXPECT_EQ(userinfo(renewed["access_token"], dpop_key).status, 401);
  // Another key.
  const std::string second = token(code({{"scope", "openid offline_access"}}))["refresh_token"];
  Fields stolen = {{"grant_type", "refresh_token"}, {"refresh_token", second}};
  for (auto& one : credentials()) stolen.push_back(one);
  EXPECT_EQ(
      ask({.path = "/openid/token", .form = stolen, .fields = {"DPoP: " + dpop(thief_key, "POST", "/openid/token")}})
          .error(),
      "invalid_grant");
  end_all();
  EXPECT_EQ(token("", {{"grant_type", "refresh_token"}, {"refresh_token", second}}).error(), "invalid_grant");
}

TEST_F(OpenidTest, TokensAreTheirClientsToRevokeAndToAskAbout) {
  const std::string held = access();
  const Told active = introspect(held);
  EXPECT_EQ(active["active"], "true");
  EXPECT_EQ(active["client_id"], "portal");
  EXPECT_EQ(Json::parse(active.body)["cnf"]["jkt"], dpop_key.thumbprint());
  EXPECT_EQ(introspect(held, "other")["active"], "false");
  Fields form = credentials("other");
  form.emplace_back("token", held);
  EXPECT_EQ(ask({.path = "/openid/revoke", .form = form}).error(), "invalid_grant");
  EXPECT_EQ(userinfo(held, dpop_key).status, 200);
  // A resource server, with a signed answer and a name of its own for the citizen.
  add_client("api", R"(,"introspects":true,"sector":"api.example")");
  Fields asked = credentials("api");
  asked.emplace_back("token", held);
  const Told signed_one =
      ask({.path = "/openid/introspect", .form = asked, .fields = {"Accept: application/token-introspection+jwt"}});
  EXPECT_EQ(signed_one.media_type, "application/token-introspection+jwt");
  const Json claims = claims_of_jwt(signed_one.body, "token-introspection+jwt");
  EXPECT_EQ(claims["aud"], "api");
  EXPECT_EQ(claims["token_introspection"]["active"], true);
  EXPECT_NE(claims["token_introspection"]["sub"], sub_for("portal"));
  Fields mine = credentials();
  mine.emplace_back("token", held);
  EXPECT_EQ(ask({.path = "/openid/revoke", .form = mine}).status, 200);
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(ask({.path = "/openid/revoke", .form = credentials()}).error(), "invalid_request");
  EXPECT_EQ(ask({.path = "/openid/introspect", .form = {{"token", held}}}).error(), "invalid_client");
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

TEST_F(OpenidTest, TokensEndWithTheCertificateOfTheLogIn) {
  authentication();
  must(database->execute("UPDATE sessions SET issuer = 'CN=Test', serial = $1", {as_bytes("1")}));
  const std::string held = access();
  EXPECT_EQ(userinfo(held, dpop_key).status, 200);
  must(record_revocation(*database,
                         {.issuer = "CN=Test", .serial = as_bytes("1"), .reason = crypto::CrlReason::key_compromise},
                         clock.now()));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
}

TEST_F(OpenidTest, EachDatumIsConsentedToForAsLongAsWasSaidOfIt) {
  Provider& provider = room->provider();
  const Client portal = *must(ledger->find("portal"));
  const auto days = [&](int count) { return clock.now() + std::chrono::days(count); };
  const auto given = [&](const std::string& claim) { return must(provider.consent(citizen, portal, {claim})).given; };
  must(provider.remember_consent(citizen, portal, {"name"}, days(365)));
  must(provider.remember_consent(citizen, portal, {"birthdate"}, days(1)));
  EXPECT_TRUE(given("name"));
  EXPECT_TRUE(given("birthdate"));
  clock.advance(std::chrono::days(2));
  EXPECT_TRUE(given("name"));
  EXPECT_FALSE(given("birthdate"));
  EXPECT_EQ(must(provider.grants_of(citizen)).at(0).claims, std::vector<std::string>({"name"}));
  // The other way about: what is given for long later makes nothing older last longer.
  must(provider.remember_consent(citizen, portal, {"gender"}, days(1)));
  must(provider.remember_consent(citizen, portal, {"birthdate"}, days(1000)));
  clock.advance(std::chrono::days(2));
  EXPECT_FALSE(given("gender"));
  EXPECT_TRUE(given("birthdate"));
  // The last word counts, a shorter one, too; and a token lives no longer than the datum it is for.
  must(provider.remember_consent(citizen, portal, {"birthdate", "name"}, days(1)));
  EXPECT_EQ(must(provider.consent(citizen, portal, {"name"})).until, days(1));
  must(provider.remember_consent(citizen, portal, claims_of({"profile", "offline_access"}), days(100)));
  authorize(push({{"scope", "openid profile birthdate offline_access"}}));
  const Fields renew = {
      {"grant_type", "refresh_token"},
      {"refresh_token", token(query_value(must(provider.finish(login.interaction->id, authentication(), std::nullopt)),
                                          "code"))["refresh_token"]}};
  EXPECT_EQ(token("", renew).status, 200);
  clock.advance(std::chrono::days(2));
  EXPECT_EQ(token("", renew).error(), "invalid_grant");
  EXPECT_TRUE(given("name"));
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

TEST_F(OpenidTest, APortalThatIsGoneKeepsNoOtherWaiting) {
  add_client("gone", R"(,"scope":"openid","backchannel_logout_uri":"https://gone.example/out")");
  add_client(
      "unsigned",
      R"(,"scope":"openid","id_token_signed_response_alg":"ES384","backchannel_logout_uri":"https://un.example/out")");
  const auto notice = [&](const std::string& client) {
    must(openid_store::insert_notice(
        *database,
        {"notice-" + std::to_string(++counter), client, "somebody", "session", 0, clock.now() + std::chrono::hours(24)},
        clock.now()));
  };
  for (int i = 0; i < 20; ++i) notice("gone");
  for (int i = 0; i < 2; ++i) notice("unsigned");
  clock.advance(std::chrono::seconds(1));
  for (int i = 0; i < 3; ++i) notice("portal");
  std::map<std::string, int> posts;
  LogoutSender sender(config, keys, *database, clock, metrics,
                      [&](const std::string& url, const std::string&) -> Result<int> {
                        ++posts[url];
                        if (url == "https://gone.example/out") return fail(ErrorKind::io, "no answer");
                        return 200;
                      });
  EXPECT_EQ(must(sender.send_due()), 3u);
  EXPECT_EQ(posts["https://gone.example/out"], 1);
  EXPECT_EQ(posts["https://un.example/out"], 0);
  EXPECT_EQ(posts["https://portal.example/logged-out"], 3);
  // A new notice of one that rests is not tried either.
  notice("gone");
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(posts["https://gone.example/out"], 1);
  clock.advance(std::chrono::seconds(10));
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(posts["https://gone.example/out"], 2);
  auto row = must(database->prepare("SELECT count(*) FROM openid_logouts"));
  must(row.query());
  ASSERT_TRUE(must(row.next()));
  EXPECT_EQ(row.integer(0), 23) << "none is lost";
}

TEST_F(OpenidTest, WorkIsNotDoneForWhoHasNothing) {
  // Of a token that is not known the proof is not looked at.
  EXPECT_EQ(ask({.method = "GET",
                 .path = "/openid/userinfo",
                 .fields = {"Authorization: DPoP made-up", "DPoP: no proof at all"}})
                .error(),
            "invalid_token");
  const std::string sub = sub_for("portal");
  const auto claims = [](const std::string& value) { return R"({"id_token":{"sub":{"value":")" + value + R"("}}})"; };
  EXPECT_EQ(push_told({{"claims", claims(sub)}}).status, 201);
  EXPECT_EQ(push_told({{"claims", claims(std::string(64, 'x'))}}).status, 201);
  EXPECT_EQ(push_told({{"claims", claims(std::string(65, 'x'))}}).error(), "invalid_request");
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

TEST_F(OpenidTest, UserInfoIsSignedWhereAskedFor) {
  add_client(
      "sealed",
      R"(,"scope":"openid profile","userinfo_signed_response_alg":"EdDSA","id_token_signed_response_alg":"EdDSA")");
  const Told tokens = token(code({}, "sealed"), {}, "sealed");
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const Told user = userinfo(tokens["access_token"], dpop_key);
  EXPECT_EQ(user.media_type, "application/jwt");
  const Json claims = claims_of_jwt(user.body, "userinfo+jwt");
  EXPECT_EQ(claims["aud"], "sealed");
  EXPECT_EQ(claims["given_name"], "Пример");
  EXPECT_EQ(must(crypto::Jws::parse(user.body)).header().alg, "EdDSA");
}

TEST_F(OpenidTest, ALogOutIsCheckedAndToldToThePortal) {
  const std::string id_token = token(code())["id_token"];
  const auto bring = [&](const Fields& form) {
    login.logout.reset();
    return ask({.method = "GET", .path = "/openid/end-session", .form = form});
  };
  EXPECT_EQ(
      bring({{"id_token_hint", id_token}, {"post_logout_redirect_uri", "https://portal.example/"}, {"state", "s 1"}})
          .status,
      200);
  ASSERT_TRUE(login.logout);
  EXPECT_EQ(login.logout->return_url, "https://portal.example/?state=s%201");
  EXPECT_TRUE(login.logout->is_of("session-1"));
  EXPECT_FALSE(login.logout->is_of("session-2"));
  EXPECT_EQ(bring({{"id_token_hint", id_token}, {"post_logout_redirect_uri", "https://evil.example/"}}).status, 400);
  EXPECT_EQ(bring({{"id_token_hint", id_token}, {"client_id", "other"}}).status, 400);
  EXPECT_EQ(bring({{"post_logout_redirect_uri", "https://portal.example/"}}).status, 400);
  EXPECT_EQ(bring({{"id_token_hint", party.at("portal").sign("{}")}}).status, 400);
  EXPECT_EQ(bring({}).status, 200);

  const std::string held = token(code())["access_token"];
  end_session("session-1");
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  std::vector<std::string> sent;
  int status = 503;
  LogoutSender sender(config, keys, *database, clock, metrics,
                      [&](const std::string& url, const std::string& form) -> Result<int> {
                        EXPECT_EQ(url, "https://portal.example/logged-out");
                        sent.push_back(form.substr(form.find('=') + 1));
                        return status;
                      });
  EXPECT_EQ(must(sender.send_due()), 0u);
  ASSERT_EQ(sent.size(), 1u) << "one notice for the portal, however many log-ins there were";
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(sent.size(), 1u) << "not again before its time";
  clock.advance(std::chrono::minutes(1));
  status = 200;
  EXPECT_EQ(must(sender.send_due()), 1u);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(must(sender.send_due()), 0u);
  ASSERT_EQ(sent.size(), 2u);
  const Json logout = claims_of_jwt(sent[1], "logout+jwt");
  EXPECT_EQ(logout["aud"], "portal");
  EXPECT_EQ(logout["jti"], claims_of_jwt(sent[0], "logout+jwt")["jti"]);
  EXPECT_EQ(logout["sid"], claims_of_jwt(id_token, "JWT")["sid"]);
  EXPECT_TRUE(logout["events"].contains("http://schemas.openid.net/event/backchannel-logout"));
  EXPECT_FALSE(logout.contains("nonce"));
  // A log-out token is no hint.
  EXPECT_EQ(bring({{"id_token_hint", sent[1]}}).status, 400);
}

TEST_F(OpenidTest, WhatIsOverIsDeleted) {
  for (int i = 0; i < 5; ++i) access();
  push();
  code();
  clock.advance(std::chrono::hours(13));
  SessionEnds ends(keys, clock, random);
  EXPECT_EQ(must(ends.sweep(*database, *writes)).ended, 1);
  EXPECT_GT(must(openid_store::purge(*database, *writes, clock.now(), 1000)), 15);
  for (const char* const table : {"openid_seen", "openid_requests", "openid_handles", "openid_grants", "sessions"}) {
    EXPECT_EQ(count(table), 0) << table;
  }
  EXPECT_EQ(count("openid_consents"), 1) << "the consent stands";
}

TEST_F(OpenidTest, ALogOutIsToldHoweverLongAfterTheLogIn) {
  const std::string short_one = access();
  clock.advance(std::chrono::hours(1));
  must(openid_store::purge(*database, *writes, clock.now(), 1000));
  EXPECT_EQ(userinfo(short_one, dpop_key).status, 401) << "the token has its own end";
  end_session("session-1");
  EXPECT_EQ(count("openid_logouts"), 1);
  EXPECT_EQ(count("openid_grants"), 0);
  // Nor does the session's end count that there was at the log-in: a step up makes it live longer.
  access();
  clock.advance(std::chrono::hours(11));
  authentication();
  clock.advance(std::chrono::hours(2));
  must(openid_store::purge(*database, *writes, clock.now(), 1000));
  end_all();
  EXPECT_EQ(count("openid_logouts"), 2);
}

TEST_F(OpenidTest, SessionsThatEndByThemselvesAreToldToo) {
  SessionEnds ends(keys, clock, random);
  const Fields off_line = {{"scope", "openid offline_access"}};
  const auto swept = [&] {
    clock.advance(std::chrono::seconds(1));
    return must(ends.sweep(*database, *writes)).ended;
  };
  // Its time is over: what is for use off line stays.
  token(code(off_line));
  access();
  EXPECT_EQ(swept(), 0) << "it lives";
  EXPECT_EQ(count("openid_logouts"), 0);
  clock.advance(std::chrono::hours(13));
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(swept(), 0);
  EXPECT_EQ(count("openid_logouts"), 1);
  EXPECT_EQ(count("openid_grants"), 1);
  // The card was suspended, by whomever, and even if it is released at once.
  const std::string refresh = token(code(off_line))["refresh_token"];
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  set_card(CardState::active);
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(count("openid_logouts"), 2);
  EXPECT_EQ(token("", {{"grant_type", "refresh_token"}, {"refresh_token", refresh}}).error(), "invalid_grant");
  // Its certificate was put on hold.
  access();
  EXPECT_EQ(swept(), 0);
  must(database->execute("UPDATE sessions SET issuer = 'CN=Test', serial = $1", {as_bytes("1")}));
  must(database->execute(
      "INSERT INTO revocations (issuer, serial, reason, changed_at, changed_after, not_after, is_ca, by_card) VALUES "
      "('CN=Test', $1, 6, $2, 0, $2, 0, 0)",
      {as_bytes("1"), now()}));
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(count("openid_logouts"), 3);
  EXPECT_EQ(count("sessions"), 0);
}

TEST_F(OpenidTest, TheSweepFindsEverySessionAmongMany) {
  for (int i = 0; i < 250; ++i) authentication("session-" + std::to_string(1000 + i));
  SessionEnds ends(keys, clock, random);
  EXPECT_EQ(must(ends.sweep(*database, *writes)).ended, 0);
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  std::int64_t ended = 0;
  bool more = true;
  for (int i = 0; i < 3; ++i) {
    const auto swept = must(ends.sweep(*database, *writes));
    EXPECT_EQ(swept.more, i < 2) << i;
    ended += swept.ended;
    more = swept.more;
  }
  EXPECT_EQ(ended, 250);
  EXPECT_FALSE(more);
}

TEST_F(OpenidTest, AnEndedSessionGivesNoCode) {
  authorize(push());
  const Authentication found = authentication();
  end_all();
  const auto given = room->provider().finish(login.interaction->id, found, clock.now() + std::chrono::days(1));
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(count("openid_grants"), 0);
  EXPECT_EQ(count("openid_consents"), 0) << "nothing of it was written";
  authentication();
  must(database->execute("UPDATE sessions SET over_at = $1", {now()}));
  EXPECT_FALSE(room->provider().finish(login.interaction->id, found, clock.now() + std::chrono::days(1)));
}

TEST_F(OpenidTest, TheEndAndWhatHangsOnItAreOne) {
  access();
  EXPECT_FALSE(writes->write(*database, [&](service::Database& own) -> Status {
    TRY(own.execute("DELETE FROM sessions WHERE session_id = 'session-1'"));
    TRY(room->provider().end_session(own, "session-1", SessionEnd::over));
    return fail(ErrorKind::io, "the disk is full");
  }));
  EXPECT_EQ(count("openid_logouts"), 0);
  EXPECT_EQ(count("openid_grants"), 1);
  EXPECT_EQ(count("sessions"), 1);
}

TEST_F(OpenidTest, AKeyIsPublishedBeforeItSignsAndAfterItHas) {
  const auto kids = [&] {
    std::vector<std::string> out;
    const Json document = Json::parse(ask({.method = "GET", .path = "/openid/jwks"}).body);
    for (const Json& key : document["keys"]) {
      if (key["alg"] == "ES256") out.push_back(key["kid"]);
    }
    return out;
  };
  const auto kid_of = [&](const std::string& jwt) { return must(crypto::Jws::parse(jwt)).header().kid; };
  const std::string first = kids().at(0);
  const std::string old_token = token(code())["id_token"];
  auto fresh = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  const auto der = std::make_shared<SecretBytes>(fresh.expose_secret_der());
  OpenidKeyConfig next;
  next.from = clock.now() + std::chrono::hours(1);
  must(keys->add(next, fresh.public_key(), [der]() -> Result<std::unique_ptr<crypto::Signer>> {
    return std::make_unique<crypto::SoftwareSigner>(TRY(crypto::PrivateKey::from_der(der->expose_secret())));
  }));
  EXPECT_EQ(kids().size(), 2u);
  EXPECT_EQ(kid_of(token(code())["id_token"]), first);
  clock.advance(std::chrono::hours(1));
  EXPECT_NE(kid_of(token(code())["id_token"]), first);
  EXPECT_EQ(kids().size(), 2u) << "what the old key signed can still be verified";
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/end-session", .form = {{"id_token_hint", old_token}}}).status, 200);
  clock.advance(std::chrono::days(2));
  EXPECT_EQ(kids().size(), 1u);
  EXPECT_NE(kids().at(0), first);
}

// ---- clients -------------------------------------------------------------------------------------------------------

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
  // A private key in the set would be everybody's.
  Json leaked = good;
  leaked["jwks"]["keys"][0]["d"] = "AAAA";
  EXPECT_FALSE(parse_client(leaked.dump()));
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
