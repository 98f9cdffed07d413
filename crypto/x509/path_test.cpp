#include "crypto/x509/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/der.h"
#include "crypto/testing.h"
#include "crypto/x509/issue.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;
using testing::TestCentre;

class Path : public ::testing::Test {
 protected:
  PathResult verify(Time at = test_time(), Purpose purpose = Purpose::sign_document) {
    return verify_path(centre_.citizen_certificate, {centre_.ca}, {centre_.root}, at, purpose);
  }
  TestCentre centre_;
};

TEST_F(Path, LeadsToTheRoot) {
  const PathResult path = verify();
  ASSERT_TRUE(path.ok()) << path.reason;
  EXPECT_EQ(path.chain, (std::vector<Certificate>{centre_.citizen_certificate, centre_.ca, centre_.root}));
  EXPECT_TRUE(verify(test_time(), Purpose::authenticate).ok());
}

TEST_F(Path, NoTrustAndNotTrustedAreTwoAnswers) {
  EXPECT_EQ(verify_path(centre_.citizen_certificate, {centre_.ca}, {}, test_time(), Purpose::any).fault,
            PathFault::no_trust_data);
  const TestCentre other;
  // The other root has the same name and another key.
  const PathResult stranger =
      verify_path(centre_.citizen_certificate, {centre_.ca}, {other.root}, test_time(), Purpose::any);
  EXPECT_EQ(stranger.fault, PathFault::signature);
  EXPECT_THAT(stranger.reason, HasSubstr("Test Issuing CA"));
  const PathResult missing = verify_path(centre_.citizen_certificate, {}, {centre_.root}, test_time(), Purpose::any);
  EXPECT_EQ(missing.fault, PathFault::no_path);
  EXPECT_THAT(missing.reason, HasSubstr("\"CN=Test Issuing CA,O=Test Authority,C=XX\" is missing"));
  // A root brought along in the file is no anchor.
  const PathResult self =
      verify_path(centre_.citizen_certificate, {centre_.ca, centre_.root}, {other.root}, test_time(), Purpose::any);
  EXPECT_FALSE(self.ok());
}

TEST_F(Path, FindsItsWayPastStrangersOfTheSameName) {
  const TestCentre other, third;
  const PathResult path = verify_path(centre_.citizen_certificate, {other.ca, third.ca, centre_.ca, other.ca},
                                      {other.root, centre_.root, third.root}, test_time(), Purpose::sign_document);
  EXPECT_TRUE(path.ok()) << path.reason;
}

TEST_F(Path, DatesAreChecked) {
  const PathResult late = verify(must(parse_time("2029-06-01")));
  EXPECT_EQ(late.fault, PathFault::expired);
  EXPECT_EQ(late.at, 0u);
  EXPECT_THAT(late.reason, HasSubstr("expired at 2029-01-01T23:59:59Z"));
  EXPECT_TRUE(verify(centre_.citizen_certificate.not_after()).ok());
  EXPECT_EQ(verify(centre_.citizen_certificate.not_after() + std::chrono::seconds(1)).fault, PathFault::expired);
  const PathResult early = verify(must(parse_time("2026-01-02T12:00:00Z")));
  EXPECT_EQ(early.fault, PathFault::not_yet_valid);
}

TEST_F(Path, AnAnchorMayBeTheLeafOrTheCa) {
  EXPECT_TRUE(
      verify_path(centre_.citizen_certificate, {}, {centre_.citizen_certificate}, test_time(), Purpose::any).ok());
  EXPECT_TRUE(verify_path(centre_.citizen_certificate, {}, {centre_.ca}, test_time(), Purpose::any).ok());
}

TEST_F(Path, ACitizenIsNoCa) {
  // The citizen's key signs a certificate under the citizen's name; issue_certificate would refuse, so the CA profile's
  // certificate is made with another issuer of that name.
  const FixedClock clock(test_time());
  SystemRandom random;
  CertificateProfile ca_profile = must(CertificateProfile::from_toml(testing::kRootProfile));
  ca_profile.subject_restricted = false;
  ca_profile.subject_fixed.clear();
  const CertificateRequest pretend{.subject = centre_.citizen_certificate.subject(),
                                   .public_key = centre_.citizen.public_key()};
  const Certificate pretended = must(self_signed(ca_profile, pretend, centre_.citizen, clock, random));
  CertificateProfile leaf_profile = must(CertificateProfile::from_toml(testing::kCitizenProfile));
  leaf_profile.status_index = StatusIndexRule::none;
  const CertificateRequest victim{
      .subject = must(NameBuilder().add("CN", "Victim").add("SNILS", "00000000000").build()),
      .public_key = test_key(KeyType::p384).public_key()};
  const Certificate forged = must(issue_certificate(leaf_profile, victim, pretended, centre_.citizen, clock, random));
  const PathResult whole =
      verify_path(forged, {centre_.citizen_certificate, centre_.ca}, {centre_.root}, test_time(), Purpose::any);
  EXPECT_EQ(whole.fault, PathFault::not_a_ca);
  // Trusting the citizen does not make a CA of her either.
  const PathResult path = verify_path(forged, {}, {centre_.citizen_certificate}, test_time(), Purpose::any);
  EXPECT_EQ(path.fault, PathFault::not_a_ca);
  EXPECT_THAT(path.reason, HasSubstr("is not a CA"));
  EXPECT_EQ(path.at, 1u);
}

TEST_F(Path, PathLengthIsCounted) {
  // root -> ca (path length 0) -> deeper -> leaf
  const FixedClock clock(test_time());
  SystemRandom random;
  const CertificateProfile ca_profile = must(CertificateProfile::from_toml(testing::kCaProfile));
  CertificateProfile root_profile = must(CertificateProfile::from_toml(testing::kRootProfile));
  // The same name and key as the CA, without its path length, so that issue_certificate agrees.
  root_profile.subject_restricted = false;
  root_profile.subject_fixed.clear();
  const CertificateRequest same{.subject = centre_.ca.subject(), .public_key = centre_.ca_signer.public_key()};
  const Certificate unlimited = must(self_signed(root_profile, same, centre_.ca_signer, clock, random));
  SoftwareSigner deeper_signer(testing::copy_of(test_key(KeyType::p521)));
  const CertificateRequest deeper_request{.subject = must(NameBuilder().add("CN", "Deeper").build()),
                                          .public_key = deeper_signer.public_key()};
  const Certificate deeper =
      must(issue_certificate(ca_profile, deeper_request, unlimited, centre_.ca_signer, clock, random));
  CertificateProfile leaf_profile = must(CertificateProfile::from_toml(testing::kCitizenProfile));
  leaf_profile.status_index = StatusIndexRule::none;
  const CertificateRequest leaf_request{
      .subject = must(NameBuilder().add("CN", "Leaf").add("SNILS", "00000000000").build()),
      .public_key = test_key(KeyType::p256).public_key()};
  const Certificate leaf = must(issue_certificate(leaf_profile, leaf_request, deeper, deeper_signer, clock, random));

  const PathResult bad = verify_path(leaf, {deeper, centre_.ca}, {centre_.root}, test_time(), Purpose::any);
  EXPECT_EQ(bad.fault, PathFault::not_a_ca);
  EXPECT_THAT(bad.reason, HasSubstr("path length 0"));
  EXPECT_TRUE(verify_path(leaf, {deeper}, {unlimited}, test_time(), Purpose::any).ok());
  // An anchor's path length counts too.
  EXPECT_EQ(verify_path(leaf, {deeper}, {centre_.ca}, test_time(), Purpose::any).fault, PathFault::not_a_ca);
}

TEST_F(Path, PurposesAreKept) {
  std::string encrypting = testing::kCitizenProfile;
  const std::string usage = "[\"digitalSignature\", \"nonRepudiation\"]";
  encrypting.replace(encrypting.find(usage), usage.size(), "[\"keyAgreement\"]");
  const Certificate one = centre_.issue(test_key(KeyType::p256).public_key(), encrypting);
  for (const Purpose purpose : {Purpose::sign_document, Purpose::authenticate}) {
    EXPECT_EQ(verify_path(one, {centre_.ca}, {centre_.root}, test_time(), purpose).fault, PathFault::key_usage);
  }
  EXPECT_TRUE(verify_path(one, {centre_.ca}, {centre_.root}, test_time(), Purpose::any).ok());
}

TEST_F(Path, KeysForLogInAndServersSignNoDocuments) {
  const std::string usage = "[\"clientAuth\", \"emailProtection\"]";
  const auto with = [&](const std::string& purposes) {
    std::string profile = testing::kCitizenProfile;
    profile.replace(profile.find(usage), usage.size(), purposes);
    return verify_path(centre_.issue(test_key(KeyType::p256).public_key(), profile), {centre_.ca}, {centre_.root},
                       test_time(), Purpose::sign_document)
        .fault;
  };
  for (const char* other : {"[\"clientAuth\"]", "[\"serverAuth\", \"clientAuth\"]", "[\"codeSigning\"]",
                            "[\"timeStamping\"]", "[\"OCSPSigning\"]", "[\"smartcardLogon\"]"}) {
    EXPECT_EQ(with(other), PathFault::key_usage) << other;
  }
  for (const char* documents : {"[]", "[\"emailProtection\"]", "[\"clientAuth\", \"documentSigning\"]",
                                "[\"2.5.29.37.0\"]", "[\"1.2.643.2.2.34.6\"]"}) {
    EXPECT_EQ(with(documents), PathFault::none) << documents;
  }
}

TEST_F(Path, KeysPastTheirSunsetAreRefused) {
  const TestCentre rsa(KeyType::rsa_2048);
  const Time later = must(parse_time("2031-01-01"));
  CertificateProfile profile = must(CertificateProfile::from_toml(testing::kCitizenProfile));
  profile.validity_days = 3000;
  const FixedClock clock(test_time());
  SystemRandom random;
  const CertificateRequest request{
      .subject = must(NameBuilder().add("CN", "Old Key").add("SNILS", "00000000000").build()),
      .public_key = test_key(KeyType::rsa_2048).public_key(),
      .status_index = 1};
  const Certificate one = must(issue_certificate(profile, request, centre_.ca, centre_.ca_signer, clock, random));
  EXPECT_TRUE(verify_path(one, {centre_.ca}, {centre_.root}, test_time(), Purpose::any).ok());
  EXPECT_EQ(verify_path(one, {centre_.ca}, {centre_.root}, later, Purpose::any).fault, PathFault::weak_algorithm);
}

TEST_F(Path, TheSearchIsBounded) {
  // CAs that certify each other in every combination: a search without a bound would never end.
  const FixedClock clock(test_time());
  SystemRandom random;
  CertificateProfile profile = must(CertificateProfile::from_toml(testing::kRootProfile));
  profile.subject_restricted = false;
  profile.subject_fixed.clear();
  constexpr int kCas = 12;
  std::vector<SoftwareSigner> signers;
  std::vector<Certificate> roots, knot;
  const auto request = [&](int i) {
    return CertificateRequest{.subject = must(NameBuilder().add("CN", "Knot " + std::to_string(i)).build()),
                              .public_key = signers[static_cast<std::size_t>(i)].public_key()};
  };
  for (int i = 0; i < kCas; ++i) {
    signers.emplace_back(must(PrivateKey::generate(KeyType::p256)));
    roots.push_back(must(self_signed(profile, request(i), signers.back(), clock, random)));
  }
  for (int i = 0; i < kCas; ++i) {
    for (int j = 0; j < kCas; ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (i != j) knot.push_back(must(issue_certificate(profile, request(i), roots[at], signers[at], clock, random)));
    }
  }
  const PathResult path = verify_path(knot.front(), knot, {centre_.root}, test_time(), Purpose::any);
  EXPECT_EQ(path.fault, PathFault::limit);
  // With one of them trusted there are ways enough.
  EXPECT_TRUE(verify_path(knot.front(), knot, {roots.back()}, test_time(), Purpose::any).ok());
}

TEST_F(Path, ACertificateIsNotItsOwnWay) {
  // Forty certificates of one name and key: none leads anywhere, and none is tried after another.
  const FixedClock clock(test_time());
  SystemRandom random;
  CertificateProfile profile = must(CertificateProfile::from_toml(testing::kRootProfile));
  profile.subject_restricted = false;
  profile.subject_fixed.clear();
  SoftwareSigner signer(testing::copy_of(test_key(KeyType::p256)));
  const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Ring").build()),
                                   .public_key = signer.public_key()};
  std::vector<Certificate> ring;
  for (int i = 0; i < 40; ++i) ring.push_back(must(self_signed(profile, request, signer, clock, random)));
  EXPECT_EQ(verify_path(ring.front(), ring, {centre_.root}, test_time(), Purpose::any).fault, PathFault::no_path);
}

TEST_F(Path, NamesAreComparedAsPeopleReadThem) {
  // A root written by another hand: other string types, case and blanks, the same name (RFC 5280 §7.1).
  const auto name = [](Tag type, std::string_view country, std::string_view common) {
    const auto rdn = [](std::string_view oid, Tag tag, std::string_view value) {
      return make_tlv(der::kSet, der::sequence({der::oid(oid), make_tlv(tag, as_bytes(value))}));
    };
    return must(
        Name::from_der(der::sequence({rdn("2.5.4.6", der::kPrintableString, country), rdn("2.5.4.3", type, common)})));
  };
  EXPECT_EQ(name(der::kUtf8String, "RU", "Удостоверяющий центр"),
            name(der::kUtf8String, "ru", "  УДОСТОВЕРЯЮЩИЙ   Центр "));
  EXPECT_EQ(name(der::kPrintableString, "XX", "Test CA"), name(der::kUtf8String, "XX", "test ca"));
  EXPECT_FALSE(name(der::kUtf8String, "XX", "Test CA") == name(der::kUtf8String, "XX", "TestCA"));
  EXPECT_FALSE(name(der::kUtf8String, "XX", "Test CA") == name(der::kUtf8String, "XX", "Test CА"));  // Cyrillic А
  // A value that is no text is not the text that spells it.
  EXPECT_FALSE(name(der::kUtf8String, "XX", "#020101") ==
               must(Name::from_der(
                   der::sequence({make_tlv(der::kSet, der::sequence({der::oid("2.5.4.6"), der::printable("XX")})),
                                  make_tlv(der::kSet, der::sequence({der::oid("2.5.4.3"), der::integer(1)}))}))));
}

}  // namespace
}  // namespace karta::crypto
