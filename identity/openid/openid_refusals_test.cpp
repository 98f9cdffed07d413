// Single refusals of the provider, each with everything else as it should be: what is left out of a proof, what is
// shown twice, what somebody else shows, and cards that end without anybody's doing.
#include "identity/openid/openid_test.h"

namespace karta::identity {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using Told = OpenidFixture::Told;

class OpenidRefusals : public OpenidTest {
 protected:
  /// A code or refresh token exchanged with this proof, and an assertion of its own.
  Told exchange(Fields form, const std::string& proof, const std::string& client = "portal") {
    for (auto& one : credentials(client)) form.push_back(one);
    return ask({.path = "/openid/token", .form = form, .fields = {"DPoP: " + proof}});
  }
  Fields exchange_of(const std::string& given) {
    return {{"grant_type", "authorization_code"},
            {"code", given},
            {"redirect_uri", kTestBack},
            {"code_verifier", verifier}};
  }
  static std::string part(const std::string& jwt, std::size_t number) {
    std::size_t begin = 0;
    for (; number > 0; --number) begin = jwt.find('.', begin) + 1;
    return jwt.substr(begin, jwt.find('.', begin) - begin);
  }
};

// Whoever has stolen a token knows the public key it is bound to, and can write it into a proof.
TEST_F(OpenidRefusals, ADpopProofThatNamesAKeyItIsNotSignedBy) {
  const std::string held = access();
  const std::string own = dpop(dpop_key, "GET", "/openid/userinfo", held),
                    stolen = dpop(thief_key, "GET", "/openid/userinfo", held);
  const auto shown = [&](const std::string& proof) {
    return ask(
        {.method = "GET", .path = "/openid/userinfo", .fields = {"Authorization: DPoP " + held, "DPoP: " + proof}});
  };
  const Told told = shown(part(own, 0) + "." + part(stolen, 1) + "." + part(stolen, 2));
  EXPECT_EQ(told.status, 401);
  EXPECT_EQ(told.error(), "invalid_dpop_proof");
  EXPECT_THAT(told["error_description"], HasSubstr("not signed by its key"));
  EXPECT_EQ(shown(part(own, 0) + "." + part(stolen, 1) + "." + part(own, 2)).error(), "invalid_dpop_proof");
  EXPECT_EQ(shown(own).status, 200);
}

TEST_F(OpenidRefusals, ADpopProofThatWasShownBefore) {
  const std::string proof = dpop(dpop_key, "POST", "/openid/token");
  const std::string second = code();
  ASSERT_EQ(exchange(exchange_of(code()), proof).status, 200);
  const Told again = exchange(exchange_of(second), proof);
  EXPECT_EQ(again.error(), "invalid_dpop_proof");
  EXPECT_THAT(again["error_description"], HasSubstr("before"));
  EXPECT_EQ(exchange(exchange_of(second), dpop(dpop_key, "POST", "/openid/token")).status, 200)
      << "the code was not used up by that";
  // With a pushed request, too.
  const std::string pushed = dpop(dpop_key, "POST", "/openid/par");
  const auto push_with = [&] {
    Fields form = request_fields();
    for (auto& one : credentials()) form.push_back(one);
    return ask({.path = "/openid/par", .form = form, .fields = {"DPoP: " + pushed}});
  };
  EXPECT_EQ(push_with().status, 201);
  EXPECT_THAT(push_with()["error_description"], HasSubstr("before"));
}

TEST_F(OpenidRefusals, AnAssertionWithoutANumber) {
  const auto told = [&](const Json& more) {
    Json claims{{"iss", "portal"}, {"sub", "portal"}, {"aud", kTestIssuer}, {"exp", now() + 60}};
    claims.update(more);
    return ask({.path = "/openid/introspect",
                .form = {{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
                         {"client_assertion", party.at("portal").sign(claims.dump())},
                         {"token", "any"}}});
  };
  EXPECT_EQ(told({{"jti", "a"}}).status, 200);
  EXPECT_EQ(told({{"jti", std::string(257, 'a')}}).error(), "invalid_client");
  const Told without = told(Json::object());
  EXPECT_EQ(without.status, 401);
  EXPECT_THAT(without["error_description"], HasSubstr("no jti"));
}

TEST_F(OpenidRefusals, ASharedSecretBesideAProof) {
  Fields form = credentials();
  form.emplace_back("token", "any");
  EXPECT_EQ(ask({.path = "/openid/introspect", .form = form}).status, 200);
  form = credentials();
  form.emplace_back("token", "any");
  EXPECT_EQ(ask({.path = "/openid/introspect", .form = form, .fields = {"Authorization: Basic cG9ydGFsOng="}}).error(),
            "invalid_client");
  form = credentials();
  form.emplace_back("token", "any");
  form.emplace_back("client_secret", "x");
  EXPECT_EQ(ask({.path = "/openid/introspect", .form = form}).error(), "invalid_client");
}

// Right in every other respect: what is missing is the signature alone.
TEST_F(OpenidRefusals, AnUnsignedRequestOfAClientThatSigns) {
  add_client("signer", R"(,"scope":"openid profile","require_signed_request_object":true)");
  const Told told = push_told({}, "signer");
  EXPECT_EQ(told.error(), "invalid_request");
  EXPECT_THAT(told["error_description"], HasSubstr("signs its requests"));
  EXPECT_EQ(push_told({}).status, 201);
}

// An assertion names its subject, a request does not, and neither need have a type.
TEST_F(OpenidRefusals, ARequestObjectWithASubject) {
  const auto told = [&](const Json& more) {
    Json claims{{"iss", "portal"}, {"aud", kTestIssuer}, {"iat", now()}, {"exp", now() + 60}};
    for (const auto& [name, value] : request_fields()) claims[name] = value;
    claims.update(more);
    return push_told({{"request", party.at("portal").sign(claims.dump(), "")}});
  };
  EXPECT_EQ(told(Json::object()).status, 201);
  EXPECT_EQ(told({{"sub", "portal"}}).error(), "invalid_request_object");
}

// A key registered for something else than signatures signs nothing.
TEST_F(OpenidRefusals, AKeyThatIsNotForSignatures) {
  PartyKey key;
  std::string jwk = key.jwk();
  for (const char* const use : {"sig", "enc"}) {
    std::string named = jwk;
    named.insert(1, R"("use":")" + std::string(use) + "\",");
    const std::string id = std::string("of-") + use;
    add_client(id, R"(,"scope":"openid")");
    Client client = *crypto::testing::must(ledger->find(id));
    client.jwks = "{\"keys\":[" + named + "]}";
    crypto::testing::must(ledger->change(client, {"test", "because"}));
    clock.advance(std::chrono::seconds(2));  // until it is taken up
    const Told told = ask({.path = "/openid/introspect",
                           .form = {{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
                                    {"client_assertion", assertion(key, id)},
                                    {"token", "any"}}});
    EXPECT_EQ(told.status, std::string(use) == "sig" ? 200 : 401) << use << told.body;
  }
}

TEST_F(OpenidRefusals, APushedRequestForAnotherKeyThanItsProofs) {
  const auto pushed = [&](const std::string& named) {
    Fields form = request_fields("portal", {{"dpop_jkt", named}});
    for (auto& one : credentials()) form.push_back(one);
    return ask({.path = "/openid/par", .form = form, .fields = {"DPoP: " + dpop(dpop_key, "POST", "/openid/par")}});
  };
  EXPECT_EQ(pushed(thief_key.thumbprint()).error(), "invalid_dpop_proof");
  EXPECT_EQ(pushed(dpop_key.thumbprint()).status, 201);
}

TEST_F(OpenidRefusals, AHintThatIsAnotherClientsOrNobodys) {
  const std::string own = token(code())["id_token"], others = token(code({}, "other"), {}, "other")["id_token"];
  EXPECT_EQ(push_told({{"id_token_hint", own}}).status, 201);
  EXPECT_EQ(push_told({{"id_token_hint", others}}).error(), "invalid_request");
  const auto end = [&](const std::string& hint, const std::string& client) {
    login.logout.reset();
    return ask({.method = "GET",
                .path = "/openid/end-session",
                .form = {{"id_token_hint", hint}, {"client_id", client}}})
        .status;
  };
  EXPECT_EQ(end(own, "portal"), 200);
  EXPECT_TRUE(login.logout);
  EXPECT_EQ(end(others, "portal"), 400);
  EXPECT_FALSE(login.logout);
  // It names a key of ours, and another has signed it.
  const std::string forged = part(own, 0) + "." + part(own, 1) + "." + part(thief_key.sign("{}"), 2);
  EXPECT_EQ(end(forged, "portal"), 400);
  EXPECT_FALSE(login.logout);
  EXPECT_EQ(push_told({{"id_token_hint", forged}}).error(), "invalid_request");
}

// tls_client_auth_san_dns: the name counts, whoever else has a certificate of the same authority.
TEST_F(OpenidRefusals, ACertificateOfAnotherName) {
  using crypto::testing::must;
  const auto certificate_for = [&](const crypto::GeneralName& name) {
    crypto::SoftwareSigner signer(must(crypto::PrivateKey::generate(crypto::KeyType::p256)));
    // Self-signed for brevity: that it is of an authority is the listener's to say.
    const auto profile = must(crypto::CertificateProfile::from_toml(
        "schema = \"karta.certificate-profile/1\"\nname = \"client\"\nvalidity_days = 30\n"
        "key_usage = [\"digitalSignature\", \"keyCertSign\"]\n[basic_constraints]\nca = true\n"));
    crypto::CertificateRequest request{.subject = must(crypto::name_from_text("CN=portal.example")),
                                       .public_key = signer.public_key()};
    request.subject_alternative_names = {name};
    return must(crypto::self_signed(profile, request, signer, clock, random)).der();
  };
  must(ledger->add(must(parse_client("{\"client_id\":\"named\",\"client_name\":\"Named\",\"client_uri\":"
                                     "\"https://portal.example/\",\"redirect_uris\":[\"" +
                                     std::string(kTestBack) +
                                     "\"],\"token_endpoint_auth_method\":\"tls_client_auth\","
                                     "\"tls_client_auth_san_dns\":\"portal.example\","
                                     "\"tls_client_certificate_bound_access_tokens\":true}")),
                   {"test", "because"}));
  const auto told = [&](const crypto::GeneralName& name) {
    return ask({.path = "/openid/par",
                .form = request_fields("named", {{"scope", "openid"}}),
                .certificate = certificate_for(name),
                .mtls = true})
        .status;
  };
  EXPECT_EQ(told(crypto::GeneralName::dns("portal.example")), 201);
  EXPECT_EQ(told(crypto::GeneralName::dns("evil.example")), 401);
  EXPECT_EQ(told(crypto::GeneralName::email("portal.example")), 401) << "of another kind";
}

// Both clients may be offline, and both use one DPoP key: nothing but the name tells them apart.
TEST_F(OpenidRefusals, ARefreshTokenOfAnotherClient) {
  add_client("neighbour", R"(,"scope":"openid offline_access","sector":"portal.example")");
  const std::string held = token(code({{"scope", "openid offline_access"}}))["refresh_token"];
  const Fields form = {{"grant_type", "refresh_token"}, {"refresh_token", held}};
  const Told told = exchange(form, dpop(dpop_key, "POST", "/openid/token"), "neighbour");
  EXPECT_EQ(told.error(), "invalid_grant");
  EXPECT_THAT(told["error_description"], HasSubstr("another client"));
  EXPECT_EQ(exchange(form, dpop(dpop_key, "POST", "/openid/token")).status, 200);
}

TEST_F(OpenidRefusals, AResourceThatWasNotAskedFor) {
  add_client("reader", R"(,"sector":"api.example","resources":["https://api.example/a","https://api.example/b"])");
  const auto told = [&](const std::string& asked, const std::string& wanted) {
    Fields more = {{"scope", "openid"}};
    if (!asked.empty()) more.emplace_back("resource", asked);
    return token(code(more, "reader"), {{"resource", wanted}}, "reader");
  };
  EXPECT_EQ(told("https://api.example/a", "https://api.example/b").error(), "invalid_target");
  EXPECT_EQ(told("", "https://api.example/b").error(), "invalid_target");
  EXPECT_EQ(told("https://api.example/a", "https://api.example/a").status, 200);
}

// Suspended in the very second of the log-in, the change is no later than the log-in: the state alone tells.
TEST_F(OpenidRefusals, ACardStoppedInTheSecondOfItsLogIn) {
  const std::string early = code(), held = access();
  set_card(CardState::suspended);
  EXPECT_EQ(token(early).error(), "invalid_grant");
  EXPECT_EQ(userinfo(held, dpop_key).error(), "invalid_token");
  EXPECT_EQ(introspect(held)["active"], "false");
}

// Nobody does anything when a card's time is over: the registry still says active.
TEST_F(OpenidRefusals, ACardPastItsEnd) {
  clock.advance(std::chrono::days(365) - std::chrono::seconds(30));
  const std::string early = code(), held = access();
  const std::string refresh = token(code({{"scope", "openid offline_access"}}))["refresh_token"];
  EXPECT_EQ(userinfo(held, dpop_key).status, 200);
  clock.advance(std::chrono::seconds(30));
  EXPECT_EQ(token(early).error(), "invalid_grant");
  const Told told = userinfo(held, dpop_key);
  EXPECT_EQ(told.error(), "invalid_token");
  EXPECT_THAT(told["error_description"], HasSubstr("expired"));
  EXPECT_EQ(introspect(held)["active"], "false");
  EXPECT_EQ(
      exchange({{"grant_type", "refresh_token"}, {"refresh_token", refresh}}, dpop(dpop_key, "POST", "/openid/token"))
          .error(),
      "invalid_grant");
}

}  // namespace
}  // namespace karta::identity
