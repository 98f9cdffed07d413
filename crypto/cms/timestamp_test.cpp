#include "crypto/cms/timestamp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;
using testing::TestCentre;

class TimeStamp : public ::testing::Test {
 protected:
  TimeStampAuthority authority(TimeStampAuthority::Options options = {}) {
    if (options.policy.empty()) options.policy = "2.999.3";
    return must(TimeStampAuthority::create(signer_, options, clock_, random_));
  }
  Result<TimeStampVerdict> verify(const TimeStampToken& token, Time at = test_time()) {
    PathOptions options;
    options.at = at;
    return verify_time_stamp(token, imprint_, PathVerifier({centre_.root}, {centre_.ca}), options);
  }

  TestCentre centre_;
  SoftwareSigner signer_ = centre_.service(testing::kTsaProfile);
  const Certificate certificate_ = must(Certificate::from_der(signer_.certificate_chain().front()));
  FixedClock clock_{test_time()};
  SystemRandom random_;
  MessageImprint imprint_ = imprint_of(Hash::sha256, as_bytes("a contract"));
};

TEST_F(TimeStamp, IsAskedForGrantedAndVerified) {
  TimeStampAuthority tsa =
      authority({.policy = "2.999.3", .accuracy = std::chrono::milliseconds(1500), .verify_tokens = true});
  const TimeStampRequest request{.imprint = imprint_, .policy = "2.999.3", .nonce = {0x11, 0x22}};
  const Bytes answer = tsa.answer(request.to_der());
  const TimeStampToken token = must(token_of(request, must(TimeStampResponse::from_der(answer))));
  EXPECT_EQ(token.info().time, test_time());
  EXPECT_EQ(token.info().policy, "2.999.3");
  EXPECT_EQ(token.info().accuracy, std::chrono::microseconds(1'500'000));
  EXPECT_EQ(token.certificates().size(), 2u);  // the root is not sent
  const auto verdict = verify(token);
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->signer, certificate_);
  // Later, when the certificate expired, it needs proof from elsewhere.
  const auto late = verify(token, must(parse_time("2035-01-01")));
  EXPECT_THAT(late.error().message, HasSubstr("expired"));
}

TEST_F(TimeStamp, OfOtherContentOrRequestIsRefused) {
  TimeStampAuthority tsa = authority();
  const TimeStampRequest request{.imprint = imprint_, .nonce = {0x11, 0x22}};
  const TimeStampResponse response = must(TimeStampResponse::from_der(tsa.answer(request.to_der())));
  TimeStampRequest other = request;
  other.nonce = {0x11, 0x23};
  EXPECT_THAT(token_of(other, response).error().message, HasSubstr("another request"));
  other = request;
  other.imprint = imprint_of(Hash::sha256, as_bytes("another contract"));
  EXPECT_THAT(token_of(other, response).error().message, HasSubstr("other content"));
  imprint_ = other.imprint;
  EXPECT_EQ(verify(*response.token).error().kind, ErrorKind::invalid_signature);
}

TEST_F(TimeStamp, RefusalsSayWhy) {
  TimeStampAuthority tsa = authority();
  const auto failure = [&](const TimeStampRequest& request) {
    return must(TimeStampResponse::from_der(tsa.answer(request.to_der()))).failure;
  };
  EXPECT_EQ(failure({.imprint = imprint_, .policy = "2.999.4"}), TimeStampFailure::unaccepted_policy);
  EXPECT_EQ(failure({.imprint = imprint_of(Hash::sha1, as_bytes("x"))}), TimeStampFailure::bad_algorithm);
  const TimeStampResponse nonsense = must(TimeStampResponse::from_der(tsa.answer(Bytes{0x30, 0x00})));
  EXPECT_EQ(nonsense.failure, TimeStampFailure::bad_data_format);
  EXPECT_FALSE(token_of({.imprint = imprint_}, nonsense).has_value());
}

TEST_F(TimeStamp, OnlyACertificateForTimeStampsAloneMakesThem) {
  EXPECT_EQ(TimeStampAuthority::create(centre_.citizen, {.policy = "2.999.3"}, clock_, random_).error().kind,
            ErrorKind::not_permitted);
  EXPECT_EQ(TimeStampAuthority::create(signer_, {.policy = "x"}, clock_, random_).error().kind,
            ErrorKind::configuration);
}

TEST_F(TimeStamp, EveryOctetCounts) {
  TimeStampAuthority tsa = authority();
  const Bytes token = must(tsa.stamp(imprint_));
  ASSERT_TRUE(verify(must(TimeStampToken::from_der(token))));
  for (std::size_t i = 0; i < token.size(); ++i) {
    Bytes changed = token;
    changed[i] = static_cast<std::uint8_t>(changed[i] ^ 1u << i % 8);
    const auto parsed = TimeStampToken::from_der(changed);
    if (!parsed) continue;
    const auto verdict = verify(*parsed);
    // What a changed octet may leave standing lies outside signature and signed content: certificates that took no
    // part (the issuing CA's, which the verifier has anyway), lists of algorithms.
    if (verdict) {
      EXPECT_EQ(parsed->info().imprint, imprint_);
      EXPECT_EQ(parsed->info().time, test_time());
      EXPECT_EQ(verdict->signer, certificate_);
    }
  }
}

TEST_F(TimeStamp, EveryKeyAndHash) {
  for (const KeyType type : {KeyType::p384, KeyType::rsa_2048, KeyType::ed25519}) {
    SoftwareSigner signer = centre_.service(testing::kTsaProfile, type);
    TimeStampAuthority tsa = must(TimeStampAuthority::create(signer, {.policy = "2.999.3"}, clock_, random_));
    imprint_ = imprint_of(Hash::sha512, as_bytes("a contract"));
    const auto verdict = verify(must(TimeStampToken::from_der(must(tsa.stamp(imprint_)))));
    EXPECT_TRUE(verdict) << verdict.error().message;
  }
}

}  // namespace
}  // namespace karta::crypto
