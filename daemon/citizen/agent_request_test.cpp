#include "daemon/citizen/agent_request.h"

#include <gtest/gtest.h>

#include "crypto/jose/jws.h"
#include "crypto/testing.h"
#include "daemon/citizen/request_book.h"

namespace karta::daemon {
namespace {

using namespace std::chrono_literals;
using crypto::testing::must;

constexpr std::string_view kSigningProfile = R"(
schema = "karta.certificate-profile/1"
name = "request-signing"
validity_days = 365
key_usage = ["digitalSignature"]
)";

class AgentRequests : public ::testing::Test {
 protected:
  static crypto::testing::TestCentre& centre() {
    static crypto::testing::TestCentre one;
    return one;
  }
  /// A request-signing key of `host` below the centre's issuing CA.
  crypto::SoftwareSigner signer_for(std::string_view host, crypto::KeyType type = crypto::KeyType::p256,
                                    std::string_view profile_text = kSigningProfile) {
    auto profile = crypto::CertificateProfile::from_toml(profile_text, "test");
    crypto::NameBuilder name;
    name.add("CN", "Sample Log-in Service");
    crypto::PrivateKey key = crypto::testing::copy_of(crypto::testing::test_key(type));
    crypto::CertificateRequest request{.subject = must(name.build()), .public_key = key.public_key()};
    request.subject_alternative_names = {crypto::GeneralName::dns(host)};
    const FixedClock clock(now - 24h);
    SystemRandom random;
    // The issuing CA certifies no further ones: those are the root's.
    const auto issued = must(std::move(profile));
    const bool authority = issued.basic_constraints && issued.basic_constraints->ca;
    const auto certificate =
        authority ? must(crypto::issue_certificate(issued, request, centre().root, centre().root_signer, clock, random))
                  : must(crypto::issue_certificate(issued, request, centre().ca, centre().ca_signer, clock, random));
    return crypto::SoftwareSigner(std::move(key), {certificate.der(), centre().ca.der()});
  }
  std::string claims(const std::string& change_from = "", const std::string& change_to = "") const {
    const auto at = [&](std::int64_t offset) { return std::to_string(now.time_since_epoch().count() + offset); };
    std::string out =
        R"({"iss":"https://id.example","aud":"karta-agent","jti":"j1","iat":)" + at(0) + R"(,"exp":)" + at(300) +
        R"(,"nonce":"0123456789012345678901234567890123456789012345","origin":"https://id.example",)"
        R"("return_uri":"https://id.example/login/agent?x=1","state":"s/1","verb":"login",)"
        R"("client":{"name":"Sample Portal","name_ru":"Образец","origin":"https://portal.example"},)"
        R"("purpose":{"en":"An appointment","ru":"Запись"},"claims":["name","birthdate"],"acr":"high","locale":"ru"})";
    if (!change_from.empty()) {
      const std::size_t place = out.find(change_from);
      EXPECT_NE(place, std::string::npos) << change_from;
      out.replace(place, change_from.size(), change_to);
    }
    return out;
  }
  std::string sign(const std::string& payload, crypto::SoftwareSigner& signer,
                   std::string typ = std::string(AgentRequest::kType)) const {
    crypto::JwsHeader header;
    header.typ = std::move(typ);
    header.x5c = signer.certificate_chain();
    return must(crypto::sign_jws(header, payload, signer, *crypto::jose_algorithm_of(signer.public_key())));
  }
  RequestFault fault_of(const std::string& jws, std::vector<AgentProvider> known = {}) {
    if (known.empty()) known = providers;
    const auto read = read_agent_request(jws, known, now);
    EXPECT_FALSE(read) << jws;
    return read ? RequestFault::too_many : read.error().fault;
  }

  Time now = crypto::testing::test_time();
  std::vector<AgentProvider> providers{{"https://id.example", {centre().root}}};
};

TEST_F(AgentRequests, AreReadWhole) {
  for (const crypto::KeyType type : {crypto::KeyType::p256, crypto::KeyType::rsa_2048, crypto::KeyType::ed25519}) {
    auto signer = signer_for("ID.example", type);
    const auto read = read_agent_request(sign(claims(), signer), providers, now);
    ASSERT_TRUE(read) << read.error().why;
    EXPECT_EQ(read->origin, "https://id.example");
    EXPECT_EQ(read->client_name_ru, "Образец");
    EXPECT_EQ(read->claims, (std::vector<std::string>{"name", "birthdate"}));
    EXPECT_EQ(read->expires, now + 300s);
    EXPECT_EQ(read->way_back("error", "a b"), "https://id.example/login/agent?x=1&state=s%2F1&error=a%20b");
  }
}

TEST_F(AgentRequests, OfAnUnknownOrFalseProviderAreRefused) {
  auto signer = signer_for("id.example");
  EXPECT_EQ(fault_of(sign(claims("https://id.example", "https://evil.example"), signer)),
            RequestFault::unknown_provider);
  // A certificate for another host, though of the right centre.
  auto other = signer_for("portal.example");
  EXPECT_EQ(fault_of(sign(claims(), other)), RequestFault::not_trusted);
  // A root of another centre.
  crypto::testing::TestCentre foreign;
  EXPECT_EQ(fault_of(sign(claims(), signer), {{"https://id.example", {foreign.root}}}), RequestFault::not_trusted);
  // Signed by the issuing CA itself.
  crypto::SoftwareSigner ca(crypto::testing::copy_of(crypto::testing::test_key(crypto::KeyType::p384)),
                            {centre().ca.der()});
  EXPECT_EQ(fault_of(sign(claims(), ca)), RequestFault::not_trusted);
  // No certificate at all.
  crypto::SoftwareSigner bare(crypto::testing::copy_of(crypto::testing::test_key(crypto::KeyType::p256)));
  EXPECT_EQ(fault_of(sign(claims(), bare)), RequestFault::broken);
  // The certificate of the provider, the key of somebody else.
  crypto::SoftwareSigner thief(must(crypto::PrivateKey::generate(crypto::KeyType::p256)), signer.certificate_chain());
  EXPECT_EQ(fault_of(sign(claims(), thief)), RequestFault::altered);
}

// Below the provider's root and naming its host, and yet not for this.
TEST_F(AgentRequests, OfACertificateForSomethingElseAreRefused) {
  constexpr std::string_view kAuthority = R"(
schema = "karta.certificate-profile/1"
name = "authority"
validity_days = 365
key_usage = ["digitalSignature", "keyCertSign", "cRLSign"]
[basic_constraints]
ca = true
path_length = 0
)";
  constexpr std::string_view kAgreement = R"(
schema = "karta.certificate-profile/1"
name = "agreement"
validity_days = 365
key_usage = ["keyAgreement"]
)";
  for (const std::string_view profile : {kAuthority, kAgreement}) {
    auto signer = signer_for("id.example", crypto::KeyType::p256, profile);
    const auto read = read_agent_request(sign(claims(), signer), providers, now);
    ASSERT_FALSE(read) << profile;
    EXPECT_EQ(read.error().fault, RequestFault::not_trusted) << profile;
    EXPECT_EQ(read.error().why, "the certificate is not for signing requests") << profile;
  }
}

// The provider would have a citizen's card sign for another site: origin and way back agree, and are not its own.
TEST_F(AgentRequests, ForAnotherSitesOriginAreRefused) {
  auto signer = signer_for("id.example");
  for (const char* const origin : {"https://portal.example", "http://id.example", "https://id.example@evil.example"}) {
    std::string payload = claims(R"("origin":"https://id.example")", R"("origin":")" + std::string(origin) + "\"");
    const std::string own = R"("return_uri":"https://id.example/)";
    payload.replace(payload.find(own), own.size(), R"("return_uri":")" + std::string(origin) + "/");
    const auto read = read_agent_request(sign(payload, signer), providers, now);
    ASSERT_FALSE(read) << origin;
    EXPECT_EQ(read.error().why, "\"origin\" is not the issuer's") << origin;
  }
}

// Every name a portal can be registered with (identity/openid/client.h).
TEST_F(AgentRequests, ALongNameIsShown) {
  auto signer = signer_for("id.example");
  std::string name;
  for (int i = 0; i < 400; ++i) name += "я";
  const auto read = read_agent_request(sign(claims("Образец", name), signer), providers, now);
  ASSERT_TRUE(read) << read.error().why;
  EXPECT_EQ(read->client_name_ru, name);
  EXPECT_EQ(fault_of(sign(claims("Образец", name + "я"), signer)), RequestFault::broken);
  for (const char* const hidden :
       {"Об\u200Bразец", "\u202Eзецабро", "Образец\uFEFF", "Образец\u2066", "Образец\u0085"}) {
    EXPECT_EQ(fault_of(sign(claims("Образец", hidden), signer)), RequestFault::broken) << hidden;
  }
}

TEST_F(AgentRequests, AlteredOrOfAnotherTypeAreRefused) {
  auto signer = signer_for("id.example");
  const std::string good = sign(claims(), signer);
  for (const std::size_t at : {good.find('.') + 40, good.size() - 20}) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    const RequestFault fault = fault_of(changed);
    EXPECT_TRUE(fault == RequestFault::altered || fault == RequestFault::broken ||
                fault == RequestFault::unknown_provider);
  }
  EXPECT_EQ(fault_of(sign(claims(), signer, "JWT")), RequestFault::broken);
  EXPECT_EQ(fault_of(sign(claims(), signer, "")), RequestFault::broken);
  EXPECT_EQ(fault_of("eyJhbGciOiJub25lIn0." + good.substr(good.find('.') + 1)), RequestFault::broken);
  EXPECT_EQ(fault_of(std::string(AgentRequest::kMostOctets + 1, 'a')), RequestFault::broken);
}

TEST_F(AgentRequests, HaveTheirTime) {
  auto signer = signer_for("id.example");
  const std::string jws = sign(claims(), signer);
  const auto at = [&](std::chrono::seconds offset) { return read_agent_request(jws, providers, now + offset); };
  EXPECT_TRUE(at(-60s));
  ASSERT_FALSE(at(-61s));
  EXPECT_EQ(at(-61s).error().fault, RequestFault::expired);
  EXPECT_TRUE(at(359s));
  ASSERT_FALSE(at(360s));
  EXPECT_EQ(at(360s).error().fault, RequestFault::expired);
  const std::string end = std::to_string((now + 300s).time_since_epoch().count()),
                    later = std::to_string((now + 301s).time_since_epoch().count());
  EXPECT_EQ(fault_of(sign(claims(end, later), signer)), RequestFault::broken);
  EXPECT_EQ(fault_of(sign(claims("\"exp\":" + end, "\"x\":1"), signer)), RequestFault::broken);
}

TEST_F(AgentRequests, LeadNowhereElseAndSignForNobodyElse) {
  auto signer = signer_for("id.example");
  const std::pair<const char*, const char*> changes[] = {
      {R"("aud":"karta-agent")", R"("aud":"portal")"},
      {R"("aud":"karta-agent")", R"("aud":["karta-agent","portal"])"},
      {R"("origin":"https://id.example")", R"("origin":"https://portal.example")"},
      {R"("origin":"https://id.example")", R"("origin":"http://id.example")"},
      {R"("origin":"https://id.example")", R"("origin":"https://id.example/")"},
      {R"("origin":"https://id.example")", R"("origin":"https://id.example@evil.example")"},
      {R"("return_uri":"https://id.example/)", R"("return_uri":"https://evil.example/)"},
      {R"("return_uri":"https://id.example/)", R"("return_uri":"https://id.example.evil.example/)"},
      {R"("return_uri":"https://id.example/)", R"("return_uri":"https://id.example:8443/)"},
      {R"("return_uri":"https://id.example/)", R"("return_uri":"https://id.example@evil.example/)"},
      {R"(agent?x=1")", R"(agent#x")"},
      {R"(agent?x=1")", R"(agent\r\nSet-Cookie: a=b")"},
      {R"("verb":"login")", R"("verb":"sign")"},
      {R"("jti":"j1")", R"("jti":"")"},
      {R"("jti":"j1",)", ""},
      {R"("nonce":"0123456789)", R"("nonce":"01)"},
      {R"("name":"Sample Portal")", R"("name":"")"},
      {R"("name":"Sample Portal")",
       "\"name\":\"\xE2\x80\xAE"
       "elpmaxe.di\""},
      {R"("name":"Sample Portal")", "\"name\":\"id\xE2\x80\x8B.example\""},
      {R"("origin":"https://portal.example")", R"("origin":"javascript:0")"},
      {R"("claims":["name")", R"("claims":["<b>")"},
      {R"("claims":["name")", R"("claims":[7)"},
      {R"("state":"s/1")", R"("state":"")"},
  };
  for (const auto& [from, to] : changes) {
    EXPECT_EQ(fault_of(sign(claims(from, to), signer)), RequestFault::broken) << to;
  }
}

TEST_F(AgentRequests, AreHeardOnce) {
  auto signer = signer_for("id.example");
  FixedClock clock(now);
  SystemRandom random;
  RequestBook book(clock, random);
  const auto request = read_agent_request(sign(claims(), signer), providers, now);
  ASSERT_TRUE(request);
  const auto first = book.open(*request);
  ASSERT_TRUE(first);
  EXPECT_EQ(book.find((*first)->id), *first);
  const auto again = book.open(*request);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().fault, RequestFault::replayed);
  ASSERT_FALSE(book.hear(*request));
  // As long as its text could still be valid, and not for ever.
  clock.advance(359s);
  EXPECT_TRUE(book.expired(**first));
  ASSERT_FALSE(book.hear(*request));
  // A provider whose clock is ahead: its request can be shown until its own end and the skew, not ours.
  clock.advance(60s);
  ASSERT_FALSE(book.hear(*request));
  clock.advance(2s);
  EXPECT_TRUE(book.hear(*request));
  EXPECT_EQ(book.find((*first)->id), *first);
  clock.advance(1000s);
  book.sweep();
  EXPECT_EQ(book.find((*first)->id), nullptr);
}

TEST_F(AgentRequests, ManyOpenOnesDoNotGrowWithoutEnd) {
  FixedClock clock(now);
  SystemRandom random;
  RequestBook book(clock, random);
  std::vector<std::shared_ptr<OpenLogin>> all;
  for (std::size_t i = 0; i < RequestBook::kMostOpen + 1; ++i) {
    AgentRequest request;
    request.issuer = "https://id.example";
    request.jti = std::to_string(i);
    request.expires = now + std::chrono::seconds(i + 1);
    request.heard_until = now + 420s;
    auto opened = book.open(std::move(request));
    ASSERT_TRUE(opened);
    all.push_back(*opened);
  }
  EXPECT_EQ(book.find(all.front()->id), nullptr);  // the one that would have ended first
  EXPECT_EQ(book.find(all.back()->id), all.back());
  AgentRequest request;
  request.issuer = "https://id.example";
  request.expires = now + 300s;
  request.heard_until = now + 420s;
  for (std::size_t i = all.size(); i < RequestBook::kMostHeard; ++i) {
    request.jti = "h" + std::to_string(i);
    ASSERT_TRUE(book.hear(request));
  }
  request.jti = "one more";
  const auto full = book.hear(request);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().fault, RequestFault::too_many);
}

}  // namespace
}  // namespace karta::daemon
