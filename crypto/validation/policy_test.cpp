#include "crypto/validation/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using ::testing::StartsWith;

const std::string kHead = "schema = \"karta.validation-policy/1\"\n";

TEST(ValidationPolicy, ReadsAllOfAFile) {
  const ValidationPolicy policy = must(ValidationPolicy::from_toml(kHead + R"(
name = "agency of samples"
revocation = "required"
revocation_max_age_hours = 48
timestamp_max_delay_hours = 24
stale_trust = "accept"
signature_policy = "known"
least_rsa_bits = 3072
least_rsa_exponent = 3
least_level = "B-T"
required_attributes = ["signing-time", "2.999.5"]
[sunset]
sha1 = "2012-12-31"
rsa-2048 = "2027-12-31"
[signature_policies]
"2.999.7" = "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)"));
  EXPECT_EQ(policy.name, "agency of samples");
  EXPECT_EQ(policy.revocation, RevocationMode::required);
  EXPECT_EQ(policy.most_revocation_age, std::chrono::hours(48));
  EXPECT_EQ(policy.most_timestamp_delay, std::chrono::hours(24));
  EXPECT_TRUE(policy.accept_stale_trust);
  EXPECT_TRUE(policy.only_known_signature_policies);
  EXPECT_EQ(policy.least_rsa_bits, 3072u);
  EXPECT_EQ(policy.least_rsa_exponent, 3u);
  EXPECT_EQ(policy.least_level, "B-T");
  EXPECT_THAT(policy.required_attributes, ::testing::ElementsAre("1.2.840.113549.1.9.5", "2.999.5"));
  EXPECT_EQ(policy.signature_policies.at("2.999.7").digest.size(), 32u);
  // The last day counts.
  EXPECT_FALSE(policy.past("sha1", 0, must(parse_time("2012-12-31T23:59:59Z"))));
  EXPECT_TRUE(policy.past("sha1", 0, must(parse_time("2013-01-01"))));
  // Over the built-in year, and without it.
  EXPECT_FALSE(policy.past("rsa-2048", 2020, must(parse_time("2027-12-31"))));
  EXPECT_FALSE(policy.past("p256", 2030, must(parse_time("2030-12-31T23:59:59Z"))));
  EXPECT_TRUE(policy.past("p256", 2030, must(parse_time("2031-01-01"))));
  EXPECT_FALSE(policy.past("p256", 0, must(parse_time("2999-01-01"))));
}

struct Wrong {
  const char* line;
  const char* words;
};
class WrongPolicy : public ::testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(
    Lines, WrongPolicy,
    ::testing::Values(
        Wrong{"schema = \"karta.other/1\"", "schema must be"}, Wrong{"colour = 1", "\"colour\""},
        Wrong{"name = 5", "name"}, Wrong{"revocation = \"often\"", "revocation is"},
        Wrong{"revocation_max_age_hours = 0", "revocation_max_age_hours"},
        Wrong{"timestamp_max_delay_hours = \"1\"", "timestamp_max_delay_hours"},
        Wrong{"stale_trust = true", "stale_trust is"}, Wrong{"signature_policy = \"none\"", "signature_policy is"},
        Wrong{"least_rsa_bits = 512", "least_rsa_bits"}, Wrong{"least_rsa_exponent = 2", "least_rsa_exponent"},
        Wrong{"least_level = \"B\"", "least_level is"},
        Wrong{"required_attributes = \"signing-time\"", "required_attributes is a list"},
        Wrong{"required_attributes = [\"date\"]", "\"date\" in required_attributes"}, Wrong{"sunset = 1", "\"sunset\""},
        Wrong{"sunset.sha2 = \"2030-01-01\"", "\"sha2\" is no"}, Wrong{"sunset.sha1 = \"soon\"", "sunset of sha1"},
        Wrong{"signature_policies.\"2.x\" = \"sha256:00\"", "is no OID"},
        Wrong{"signature_policies.\"2.999.7\" = \"sha256:00\"", "signature policy 2.999.7"},
        Wrong{"least_rsa_bits = ", ""}),
    [](const auto& one) { return "Number" + std::to_string(one.index); });

TEST_P(WrongPolicy, IsRefusedWithItsLineAndKey) {
  const std::string text = std::string(GetParam().line).starts_with("schema") ? "\n" + std::string(GetParam().line)
                                                                              : kHead + GetParam().line;
  const auto policy = ValidationPolicy::from_toml(text, "p.toml");
  ASSERT_FALSE(policy.has_value());
  EXPECT_EQ(policy.error().kind, ErrorKind::configuration);
  EXPECT_THAT(policy.error().message, StartsWith("p.toml:2: "));
  EXPECT_THAT(policy.error().message, HasSubstr(GetParam().words));
}

TEST(ValidationPolicy, NeedsItsSchemaAndABoundedSize) {
  EXPECT_THAT(ValidationPolicy::from_toml("", "p.toml").error().message, HasSubstr("schema is missing"));
  EXPECT_EQ(ValidationPolicy::from_toml(std::string(kMostPolicyOctets + 1, '#')).error().kind,
            ErrorKind::configuration);
}

TEST(ValidationPolicy, NamesLevels) {
  EXPECT_EQ(level_rank("B-B"), 0u);
  EXPECT_EQ(level_rank("CAdES-B-T"), 1u);
  EXPECT_EQ(level_rank("PAdES-B-LTA"), 3u);
  EXPECT_EQ(level_rank("CMS"), std::nullopt);
}

}  // namespace
}  // namespace karta::crypto
