// The provider in process: a relying party's whole way, from its request to the claims, and everything a hostile one
// tries on it.
#include "identity/openid/openid_test.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using Json = nlohmann::json;
using testing::HasSubstr;
using Told = OpenidFixture::Told;

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
  EXPECT_EQ(told({{"htu", "HTTPS://ID.example:443/openid/userinfo#x"}}).status, 200);
  EXPECT_EQ(told({{"htu", "https://id.example/OPENID/userinfo"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"htu", "https://id.example:8443/openid/userinfo"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"htu", "http://id.example/openid/userinfo"}}).error(), "invalid_dpop_proof");
  EXPECT_EQ(told({{"htu", "https://id.example"}}).error(), "invalid_dpop_proof");
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
  const Json renewed_identity = claims_of_jwt(renewed["id_token"], "JWT");
  EXPECT_EQ(renewed_identity["auth_time"], now() - 20 * 86400);
  EXPECT_FALSE(renewed_identity.contains("nonce")) << "that is the log-in's";
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

TEST_F(OpenidTest, UserInfoIsSignedWhereAskedFor) {
  add_client(
      "sealed",
      R"(,"scope":"openid profile","userinfo_signed_response_alg":"EdDSA","id_token_signed_response_alg":"EdDSA")");
  const Told tokens = token(code({}, "sealed"), {}, "sealed");
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const Told user = userinfo(tokens["access_token"], dpop_key);
  EXPECT_EQ(user.media_type, "application/jwt");
  // The type that libraries take which check it without being told of one.
  const Json claims = claims_of_jwt(user.body, "JWT");
  EXPECT_EQ(claims["aud"], "sealed");
  EXPECT_EQ(claims["given_name"], "Пример");
  EXPECT_EQ(must(crypto::Jws::parse(user.body)).header().alg, "EdDSA");
  // Of the same keys, issuer and type as an ID token, and yet none.
  EXPECT_FALSE(claims.contains("exp"));
  login.logout.reset();
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/end-session", .form = {{"id_token_hint", user.body}}}).status, 400);
  EXPECT_FALSE(login.logout);
  EXPECT_EQ(push_told({{"id_token_hint", user.body}}, "sealed").error(), "invalid_request");
  EXPECT_EQ(push_told({{"id_token_hint", tokens["id_token"]}}, "sealed").status, 201);
}

TEST_F(OpenidTest, ATokenForAnotherResourceGivesNoClaims) {
  add_client("reader", R"(,"scope":"openid profile","sector":"api.example","resources":["https://api.example/a",)"
                       R"("https://id.example/openid/userinfo"])");
  const std::string elsewhere = access({{"resource", "https://api.example/a"}}, "reader");
  const Told refused = userinfo(elsewhere, dpop_key);
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused["error_description"], HasSubstr("another resource"));
  EXPECT_EQ(access_entries(), 0u) << "nothing was read";
  EXPECT_EQ(introspect(elsewhere, "reader")["aud"], "https://api.example/a") << "where it is for it is good";
  const std::string here = access({{"resource", "https://id.example/openid/userinfo"}}, "reader");
  EXPECT_EQ(userinfo(here, dpop_key)["given_name"], "Пример");
}

// RFC 9110 §9.2.1: programs look at addresses by HEAD, before their people go there.
TEST_F(OpenidTest, HeadUsesNothingUp) {
  const auto look = [&](const std::string& path, const Fields& query, const std::vector<std::string>& fields = {}) {
    login.interaction.reset();
    login.logout.reset();
    const Told told = ask({.method = "HEAD", .path = path, .form = query, .fields = fields});
    EXPECT_EQ(told.status, 405) << path;
    EXPECT_EQ(told.field("Allow"), "GET, POST") << path;
    EXPECT_FALSE(login.interaction) << path;
    EXPECT_FALSE(login.logout) << path;
  };
  const std::string uri = push();
  look("/openid/authorize", {{"client_id", "portal"}, {"request_uri", uri}});
  EXPECT_EQ(authorize(uri).status, 200);
  EXPECT_TRUE(login.interaction);
  const std::int64_t requests = count("openid_requests");
  look("/openid/authorize", request_fields("plain"));
  EXPECT_EQ(count("openid_requests"), requests);

  const Told tokens = token(code());
  look("/openid/end-session", {{"id_token_hint", tokens["id_token"]}});
  const std::string access = tokens["access_token"];
  const std::vector<std::string> fields = {"Authorization: DPoP " + access,
                                           "DPoP: " + dpop(dpop_key, "HEAD", "/openid/userinfo", access)};
  const std::int64_t seen = count("openid_seen");
  look("/openid/userinfo", {}, fields);
  EXPECT_EQ(count("openid_seen"), seen) << "the proof is as good as before";
  EXPECT_EQ(access_entries(), 0u);
  for (const char* const path : {"/openid/jwks", "/.well-known/openid-configuration"}) {
    EXPECT_EQ(ask({.method = "HEAD", .path = path}).status, 200) << path;
  }
}

// A browser's post from a portal's page comes without the session's cookie (SameSite=Lax): nothing is judged by it.
TEST_F(OpenidTest, WhatABrowserWasMadeToPostIsAskedAgainByGet) {
  const std::string hint = token(code())["id_token"];
  const Fields logout = {
      {"id_token_hint", hint}, {"post_logout_redirect_uri", "https://portal.example/"}, {"state", "a b&c"}};
  const Told posted = ask({.path = "/openid/end-session", .form = logout});
  EXPECT_EQ(posted.status, 303);
  EXPECT_FALSE(login.logout) << "nobody was logged out, and nobody told so";
  const std::string way = posted.field("Location");
  ASSERT_TRUE(way.starts_with("/openid/end-session?")) << way;
  EXPECT_EQ(query_value(way, "id_token_hint"), hint);
  const std::string query = way.substr(way.find('?') + 1);
  EXPECT_EQ(query.find_first_of(" \r\n"), std::string::npos);
  Fields again;
  for (const char* name : {"id_token_hint", "post_logout_redirect_uri", "state"}) {
    again.emplace_back(name, query_value(way, name));
  }
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/end-session", .form = again}).status, 200);
  ASSERT_TRUE(login.logout);
  EXPECT_EQ(login.logout->return_url, "https://portal.example/?state=a%20b%26c");

  const std::string uri = push();
  const Told asked = ask({.path = "/openid/authorize", .form = {{"client_id", "portal"}, {"request_uri", uri}}});
  EXPECT_EQ(asked.status, 303);
  EXPECT_EQ(query_value(asked.field("Location"), "request_uri"), uri);
  EXPECT_EQ(authorize(uri).status, 200) << "posting has used nothing up";
  ASSERT_TRUE(login.interaction);

  const Told broken = ask({.path = "/openid/end-session"});
  EXPECT_EQ(broken.status, 400);
  const Told long_one = ask({.path = "/openid/authorize", .form = {{"client_id", std::string(9000, 'x')}}});
  EXPECT_EQ(long_one.status, 413);
  EXPECT_EQ(login.error, "invalid_request");
}

}  // namespace
}  // namespace karta::identity
