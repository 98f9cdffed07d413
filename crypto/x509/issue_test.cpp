#include "crypto/x509/issue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_key;
using testing::TestCentre;

CertificateProfile citizen_profile() { return must(CertificateProfile::from_toml(testing::kCitizenProfile)); }

class Issue : public ::testing::Test {
 protected:
  CertificateRequest request() const {
    return {.subject = must(NameBuilder().add("CN", "Sample").add("SNILS", "00000000000").build()),
            .public_key = test_key(KeyType::p256).public_key(),
            .status_index = 7};
  }
  Result<Certificate> issue(const CertificateProfile& profile, const CertificateRequest& asked) {
    return issue_certificate(profile, asked, centre_.ca, centre_.ca_signer, clock_, random_);
  }
  TestCentre centre_;
  FixedClock clock_{testing::test_time()};
  SeededRandom random_{1};
};

TEST_F(Issue, SerialsAreSixteenRandomOctets) {
  const auto one = must(issue(citizen_profile(), request())), two = must(issue(citizen_profile(), request()));
  EXPECT_NE(one.serial(), two.serial());
  EXPECT_GE(one.serial().size(), 16u);
  CertificateRequest asked = request();
  asked.serial = *from_hex("00FF01");
  EXPECT_EQ(to_hex(must(issue(citizen_profile(), asked)).serial()), "00ff01");
  asked.serial = Bytes(20, 1);
  EXPECT_FALSE(issue(citizen_profile(), asked));
}

TEST_F(Issue, ValidityIsCutToTheIssuers) {
  CertificateProfile profile = citizen_profile();
  profile.validity_days = 36500;
  const Certificate one = must(issue(profile, request()));
  EXPECT_EQ(one.not_before(), testing::test_time());
  EXPECT_EQ(one.not_after(), centre_.ca.not_after());
  CertificateRequest asked = request();
  asked.not_after = testing::test_time() + std::chrono::days(2000);
  EXPECT_EQ(issue(citizen_profile(), asked).error().kind, ErrorKind::usage);
  asked.not_after = testing::test_time();
  EXPECT_FALSE(issue(citizen_profile(), asked));
}

// key_identifiers = false: shorter by the two extensions, and paths go by names.
TEST_F(Issue, WithoutKeyIdentifiersOnlyNamesLead) {
  CertificateProfile profile = citizen_profile();
  const Certificate with = must(issue(profile, request()));
  EXPECT_FALSE(with.subject_key_id().empty());
  ASSERT_TRUE(with.authority_key_id());
  EXPECT_EQ(to_hex(with.authority_key_id()->key_id), to_hex(centre_.ca.subject_key_id()));
  profile.key_identifiers = false;
  const Certificate without = must(issue(profile, request()));
  EXPECT_TRUE(without.subject_key_id().empty());
  EXPECT_FALSE(without.authority_key_id());
  EXPECT_LT(without.der().size() + 55, with.der().size());
  const PathVerifier paths({centre_.root}, {centre_.ca});
  PathOptions options;
  options.at = testing::test_time();
  EXPECT_TRUE(paths.verify(without, options).ok());
  // A stranger's CA of the same name has another key.
  const TestCentre stranger;
  ASSERT_EQ(stranger.ca.subject(), centre_.ca.subject());
  EXPECT_FALSE(PathVerifier({stranger.root}, {stranger.ca}).verify(without, options).ok());
}

TEST_F(Issue, RequestsThatBreakTheProfileAreRefused) {
  const CertificateProfile profile = citizen_profile();
  CertificateRequest asked = request();
  asked.subject = must(NameBuilder().add("CN", "Sample").build());
  EXPECT_NE(issue(profile, asked).error().message.find("SNILS is missing"), std::string::npos);
  asked = request();
  asked.subject = must(NameBuilder().add("CN", "S").add("SNILS", "00000000000").add("OU", "x").build());
  EXPECT_NE(issue(profile, asked).error().message.find("OU is not allowed"), std::string::npos);
  asked.subject = must(NameBuilder().add("C", "YY").add("CN", "S").add("SNILS", "00000000000").build());
  EXPECT_NE(issue(profile, asked).error().message.find("C is fixed"), std::string::npos);
  asked.subject = must(NameBuilder().add("C", "XX").add("CN", "S").add("SNILS", "00000000000").build());
  EXPECT_TRUE(issue(profile, asked));
  asked = request();
  asked.status_index.reset();
  EXPECT_NE(issue(profile, asked).error().message.find("status index is required"), std::string::npos);
  CertificateProfile narrow = profile;
  narrow.key_types = {KeyType::rsa_2048};
  EXPECT_NE(issue(narrow, request()).error().message.find("p256"), std::string::npos);
  narrow = profile;
  narrow.signature_algorithm = AlgorithmId::rsa_pkcs1_sha256;
  EXPECT_EQ(issue(narrow, request()).error().kind, ErrorKind::usage);
  narrow.status_index = StatusIndexRule::none;
  EXPECT_FALSE(issue(narrow, request()));
}

TEST_F(Issue, IssuersThatMayNotAreRefused) {
  const CertificateProfile profile = citizen_profile();
  EXPECT_EQ(issue_certificate(profile, request(), centre_.ca, centre_.root_signer, clock_, random_).error().kind,
            ErrorKind::usage);
  EXPECT_EQ(
      issue_certificate(profile, request(), centre_.citizen_certificate, centre_.citizen, clock_, random_).error().kind,
      ErrorKind::not_permitted);
  CertificateRequest sub_ca{.subject = must(NameBuilder().add("CN", "Too Deep").build()),
                            .public_key = test_key(KeyType::p256).public_key()};
  EXPECT_EQ(issue(must(CertificateProfile::from_toml(testing::kCaProfile)), sub_ca).error().kind,
            ErrorKind::not_permitted);
  clock_.advance(std::chrono::days(5000));
  EXPECT_EQ(issue(profile, request()).error().kind, ErrorKind::untrusted);
}

TEST_F(Issue, RootsAreForTheirOwnKey) {
  const CertificateRequest asked{.subject = must(NameBuilder().add("CN", "Root").build()),
                                 .public_key = test_key(KeyType::p256).public_key()};
  EXPECT_FALSE(self_signed(must(CertificateProfile::from_toml(testing::kRootProfile)), asked, centre_.root_signer,
                           clock_, random_));
  EXPECT_FALSE(self_signed(citizen_profile(), request(), centre_.citizen, clock_, random_));
}

/// A signer whose device has a fault.
class FaultySigner final : public Signer {
 public:
  explicit FaultySigner(Signer& good) : good_(good) {}
  const PublicKey& public_key() const override { return good_.public_key(); }
  const std::vector<Bytes>& certificate_chain() const override { return good_.certificate_chain(); }
  const std::vector<AlgorithmId>& algorithms() const override { return good_.algorithms(); }
  Result<Bytes> sign(AlgorithmId algorithm, ByteView digest) override {
    Bytes changed = to_bytes(digest);
    changed[0] ^= 1;
    return good_.sign(algorithm, changed);
  }

 private:
  Signer& good_;
};

TEST_F(Issue, AFaultySignatureNeverLeaves) {
  FaultySigner faulty(centre_.ca_signer);
  EXPECT_EQ(issue_certificate(citizen_profile(), request(), centre_.ca, faulty, clock_, random_).error().kind,
            ErrorKind::internal);
}

TEST(Profile, FaultsNameTheirLine) {
  const std::string good = testing::kCitizenProfile;
  const auto error_with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto profile = CertificateProfile::from_toml(text, "citizen.toml");
    return profile ? std::string("accepted") : profile.error().message;
  };
  EXPECT_THAT(error_with("validity_days", "validity"), ::testing::HasSubstr("\"validity_days\" must be"));
  EXPECT_THAT(error_with("policies", "polices"), ::testing::HasSubstr("citizen.toml:7: unknown key \"polices\""));
  EXPECT_THAT(error_with("1095", "0"), ::testing::HasSubstr("citizen.toml:4: \"validity_days\" must be"));
  EXPECT_THAT(error_with("1095", "\"1095\""), ::testing::HasSubstr("must be a whole number"));
  EXPECT_THAT(error_with("\"digitalSignature\"", "\"digitalSignatur\""), ::testing::HasSubstr("citizen.toml:5:"));
  EXPECT_THAT(error_with("\"digitalSignature\"", "\"keyCertSign\""), ::testing::HasSubstr("keyCertSign"));
  EXPECT_THAT(error_with("\"clientAuth\"", "\"clientauth\""), ::testing::HasSubstr("no key purpose"));
  EXPECT_THAT(error_with("2.999.1.2", "2.999.x"), ::testing::HasSubstr("no OID"));
  EXPECT_THAT(error_with("http://ocsp", "ftp://ocsp"), ::testing::HasSubstr("URL"));
  EXPECT_THAT(error_with("\"INN\"", "\"INNN\""), ::testing::HasSubstr("no name attribute"));
  EXPECT_THAT(error_with("\"INN\"", "\"GN\""), ::testing::HasSubstr("stands twice"));
  EXPECT_THAT(error_with("C = \"XX\"", "C = \"XXX\""), ::testing::HasSubstr("characters"));
  EXPECT_THAT(error_with("C = \"XX\"", "Q = \"XX\""), ::testing::HasSubstr("no name attribute"));
  EXPECT_THAT(error_with("[subject]", "[subject"), ::testing::HasSubstr("citizen.toml:12:"));
  EXPECT_THAT(error_with("profile/1", "profile/2"), ::testing::HasSubstr("schema"));
  EXPECT_THAT(error_with("\"required\"", "\"sometimes\""), ::testing::HasSubstr("status_index"));
}

TEST(Profile, KeepsWhatItRead) {
  const CertificateProfile profile = citizen_profile();
  EXPECT_EQ(profile.name, "citizen-signing");
  EXPECT_EQ(profile.validity_days, 1095u);
  EXPECT_EQ(profile.key_types.size(), kKeyTypes.size());
  EXPECT_EQ(profile.status_index, StatusIndexRule::required);
  EXPECT_FALSE(profile.basic_constraints);
  EXPECT_EQ(profile.subject_required, (std::vector<std::string>{"CN", "SNILS"}));
}

}  // namespace
}  // namespace karta::crypto
