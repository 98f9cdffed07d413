// The provider's log-in and the agent were written apart: what one writes the other must read.
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/jose/jws.h"
#include "crypto/testing.h"
#include "daemon/citizen/agent_pages.h"
#include "identity/login/agent_request.h"
#include "identity/openid/scopes.h"

namespace karta::test {
namespace {

using crypto::testing::must;

TEST(BothEnds, TheAgentReadsWhatTheProviderSigns) {
  crypto::testing::TestCentre centre;
  const Time now = crypto::testing::test_time();
  SystemRandom random;
  crypto::PrivateKey key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  crypto::CertificateRequest wanted{.subject = must(crypto::NameBuilder().add("CN", "Sample Log-in Service").build()),
                                    .public_key = key.public_key()};
  wanted.subject_alternative_names = {crypto::GeneralName::dns("id.example")};
  constexpr std::string_view kProfile =
      "schema = \"karta.certificate-profile/1\"\nname = \"request-signing\"\nvalidity_days = 365\n"
      "key_usage = [\"digitalSignature\"]\n";
  const FixedClock clock(now - std::chrono::hours(1));
  const auto certificate = must(crypto::issue_certificate(must(crypto::CertificateProfile::from_toml(kProfile)), wanted,
                                                          centre.ca, centre.ca_signer, clock, random));
  crypto::SoftwareSigner signer(std::move(key), {certificate.der(), centre.ca.der()});

  identity::AgentRequest asked;
  asked.issuer = "https://id.example";
  asked.return_uri = "https://id.example/login/agent/back";
  asked.state = std::string(600, 's');  // what the provider wants back is sealed into it
  asked.nonce = std::string(44, 'n');
  for (const identity::ClaimRow& row : identity::claim_rows()) asked.claims.emplace_back(row.name);
  asked.locale = "ru";
  asked.now = now;
  asked.expires = now + std::chrono::minutes(5);
  for (const char* const verb : {"login", "hello"}) {
    asked.verb = verb;
    const std::string jws =
        must(identity::sign_agent_request(asked, signer, crypto::AlgorithmId::ecdsa_sha256, random));
    const auto read = daemon::read_agent_request(jws, {{asked.issuer, {centre.root}}}, now);
    ASSERT_TRUE(read) << verb << ": " << read.error().why;
    EXPECT_EQ(read->nonce, asked.nonce);
    EXPECT_EQ(read->return_uri, asked.return_uri);
    EXPECT_EQ(read->origin, asked.issuer);
    EXPECT_EQ(read->state, asked.state);
    if (read->verb == daemon::AgentRequest::Verb::login) {
      EXPECT_EQ(read->claims, asked.claims);
    }
  }
}

TEST(BothEnds, TheProviderHasWordsForAllTheAgentSays) {
  using daemon::CardLook;
  const auto known = [](std::string_view error) {
    return std::ranges::any_of(identity::agent_errors(), [&](const auto& row) { return row.error == error; });
  };
  EXPECT_TRUE(known("timed_out"));
  daemon::Scene scene;
  EXPECT_TRUE(known(daemon::error_of(scene)));
  scene.readers.push_back({.reader = "Desk"});
  EXPECT_TRUE(known(daemon::error_of(scene)));
  scene.readers[0].has_card = true;
  using enum CardLook::State;
  for (const auto state : {ready, needs_can, wrong_card, transport_pin, pin_blocked, busy, unreadable}) {
    scene.readers[0].card.state = state;
    EXPECT_TRUE(known(daemon::error_of(scene))) << daemon::error_of(scene);
  }
}

}  // namespace
}  // namespace karta::test
