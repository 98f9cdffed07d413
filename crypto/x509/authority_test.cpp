#include "crypto/x509/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "crypto/testing.h"
#include "crypto/x509/csr.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;

CertificateProfile built_in(std::string_view name) {
  for (const BuiltInProfile& one : built_in_profiles()) {
    if (one.name == name) return must(CertificateProfile::from_toml(one.text, name));
  }
  ADD_FAILURE() << "no profile " << name;
  return {};
}

class Authorities : public ::testing::Test {
 protected:
  Authorities() : signer_(testing::copy_of(test_key(KeyType::p384))), clock_(test_time()) {
    const CertificateRequest request{.subject = must(name_from_text("CN=Test Root,O=Test,C=XX")),
                                     .public_key = signer_.public_key()};
    const Certificate root = must(self_signed(built_in("root-ca"), request, signer_, clock_, random_));
    AuthorityConfig config;
    config.name = "Test \"Root\"";
    EXPECT_TRUE(Authority::create(folder_ / "root", config, root, {}, "key"));
  }
  Authority open() { return must(Authority::open(folder_ / "root")); }
  Certificate issue(Authority& authority, const std::string& name = "CN=Образец,SNILS=00000000000") {
    const CertificateRequest request{.subject = must(name_from_text(name)),
                                     .public_key = test_key(KeyType::p256).public_key()};
    return must(authority.issue(built_in("everyday"), request, signer_, clock_, random_));
  }

  static std::vector<IssuedCertificate> issued_by(const Authority& authority) {
    std::vector<IssuedCertificate> out;
    EXPECT_TRUE(authority.for_each_issued([&](const IssuedCertificate& one) -> Status {
      out.push_back(one);
      return {};
    }));
    return out;
  }

  testing::TemporaryFolder folder_;
  SoftwareSigner signer_;
  FixedClock clock_;
  SystemRandom random_;
};

TEST_F(Authorities, RememberWhatTheyDid) {
  Authority authority = open();
  EXPECT_EQ(authority.config().name, "Test \"Root\"");
  const Certificate first = issue(authority), second = issue(authority);
  EXPECT_TRUE(authority.revoke(first.serial(), CrlReason::superseded, clock_));
  const Authority again = open();
  ASSERT_EQ(issued_by(again).size(), 2u);
  EXPECT_EQ(issued_by(again)[0].profile, "everyday");
  EXPECT_EQ(must(again.state_of(first.serial())).status, OcspCertificateStatus::revoked);
  EXPECT_EQ(must(again.state_of(second.serial())).status, OcspCertificateStatus::good);
  EXPECT_EQ(must(again.state_of(Bytes{1})).status, OcspCertificateStatus::unknown);
  EXPECT_EQ(authority.revoke(first.serial(), CrlReason::key_compromise, clock_).error().kind,
            ErrorKind::already_exists);
  EXPECT_EQ(Authority::create(folder_ / "root", {}, first, {}, "").error().kind, ErrorKind::already_exists);
  EXPECT_EQ(Authority::open(folder_ / "none").error().kind, ErrorKind::not_found);
}

TEST_F(Authorities, ListsFollowTheJournal) {
  Authority authority = open();
  const Certificate one = issue(authority), other = issue(authority);
  EXPECT_EQ(authority.issue_crl({.delta = true}, signer_, clock_).error().kind, ErrorKind::not_found);
  const Crl empty = must(authority.issue_crl({}, signer_, clock_));
  EXPECT_TRUE(empty.entries().empty());
  EXPECT_TRUE(authority.revoke(one.serial(), CrlReason::certificate_hold, clock_));
  const Crl full = must(authority.issue_crl({}, signer_, clock_));
  EXPECT_EQ(full.entries().size(), 1u);
  EXPECT_EQ(full.number(), Bytes{2});
  EXPECT_EQ(must(authority.last_crl({})), full);
  EXPECT_FALSE(must(authority.last_crl({.delta = true})));
  // Released, and another revoked: the delta says both.
  EXPECT_TRUE(authority.revoke(one.serial(), CrlReason::remove_from_crl, clock_));
  EXPECT_TRUE(authority.revoke(other.serial(), CrlReason::key_compromise, clock_));
  const Crl delta = must(authority.issue_crl({.delta = true}, signer_, clock_));
  EXPECT_EQ(delta.base_number(), Bytes{2});
  ASSERT_EQ(delta.entries().size(), 2u);
  EXPECT_EQ(delta.find(authority.certificate().subject(), one.serial())->reason, CrlReason::remove_from_crl);
  PathOptions options;
  options.at = test_time();
  options.revocation = RevocationMode::required;
  RevocationData data;
  data.add(full);
  data.add(delta);
  options.revocation_data = &data;
  EXPECT_TRUE(verify_path(one, {}, {authority.certificate()}, options).ok());
  EXPECT_EQ(verify_path(other, {}, {authority.certificate()}, options).fault, PathFault::revoked);
  // Partitions.
  EXPECT_TRUE(must(authority.issue_crl({.ca_certificates = true}, signer_, clock_)).entries().empty());
  EXPECT_EQ(must(authority.issue_crl({.ca_certificates = false}, signer_, clock_)).entries().size(), 1u);
  // The dead are forgotten a list after their end.
  clock_.advance(std::chrono::hours(24 * 2000));
  EXPECT_TRUE(must(authority.issue_crl({}, signer_, clock_)).entries().empty());
  EXPECT_EQ(must(authority.issue_crl({.with_expired = true}, signer_, clock_)).entries().size(), 1u);
}

TEST_F(Authorities, ATornLineNeverHappened) {
  {
    Authority authority = open();
    issue(authority);
    std::ofstream journal(folder_ / "root" / "journal.jsonl", std::ios::app);
    journal << R"({"at":"2026-06-01T12:00:00Z","event":"revo)";
  }
  Authority authority = open();
  EXPECT_EQ(issued_by(authority).size(), 1u);
  issue(authority);
  EXPECT_EQ(issued_by(open()).size(), 2u);
  // A line broken in the middle is no accident of power.
  {
    std::ofstream journal(folder_ / "root" / "journal.jsonl", std::ios::app);
    journal << "{}\n";
  }
  EXPECT_THAT(Authority::open(folder_ / "root").error().message, HasSubstr("journal.jsonl:3"));
}

TEST_F(Authorities, TwoAtOnceSeeEachOther) {
  Authority one = open(), other = open();
  const Certificate first = issue(one);
  issue(other);
  EXPECT_EQ(issued_by(other).size(), 2u);
  EXPECT_TRUE(other.revoke(first.serial(), CrlReason::superseded, clock_));
  EXPECT_EQ(one.revoke(first.serial(), CrlReason::superseded, clock_).error().kind, ErrorKind::already_exists);
}

TEST_F(Authorities, RollOverCarriesTrustAcross) {
  Authority authority = open();
  const Certificate old = authority.certificate();
  const Certificate citizen = issue(authority);
  SoftwareSigner next(testing::copy_of(test_key(KeyType::p521)));
  const CertificateRequest request{.subject = old.subject(), .public_key = next.public_key()};
  const Certificate fresh = must(self_signed(built_in("root-ca"), request, next, clock_, random_));
  const RollOverLinks links = must(roll_over_links(built_in("root-ca"), old, signer_, fresh, next, clock_, random_));
  ASSERT_TRUE(authority.replace(fresh, {.pem = "new key"}, {links.old_with_new, links.new_with_old}, clock_));
  EXPECT_EQ(open().certificate(), fresh);
  EXPECT_EQ(as_text(folder_.read("root/earlier/1/key.pem")), "key");
  EXPECT_EQ(as_text(folder_.read("root/key.pem")), "new key");
  // Who knows only one of the roots follows the link to what the other signed.
  const auto fault = [&](const Certificate& leaf, const Certificate& link, const Certificate& anchor) {
    return verify_path(leaf, {link}, {anchor}, test_time(), Purpose::any).fault;
  };
  EXPECT_EQ(fault(citizen, links.old_with_new, fresh), PathFault::none);
  EXPECT_EQ(fault(citizen, links.new_with_old, fresh), PathFault::signature);
  const CertificateRequest later{.subject = must(name_from_text("CN=Later")),
                                 .public_key = test_key(KeyType::p256).public_key()};
  const Certificate newer = must(authority.issue(built_in("everyday"), later, next, clock_, random_));
  EXPECT_EQ(fault(newer, links.new_with_old, old), PathFault::none);
}

TEST_F(Authorities, EveryProfileThatComesAlongIssues) {
  Authority authority = open();
  for (const BuiltInProfile& one : built_in_profiles()) {
    CertificateProfile profile = must(CertificateProfile::from_toml(one.text, one.name));
    EXPECT_FALSE(profile.description.empty()) << one.name;
    NameBuilder builder;
    for (const char* attribute : {"C", "O", "CN", "SN", "GN", "serialNumber", "SNILS"}) {
      const auto listed = [&](const std::vector<std::string>& list) {
        return std::find(list.begin(), list.end(), attribute) != list.end();
      };
      if (!listed(profile.subject_required)) continue;
      builder.add(attribute, std::string(attribute) == "C"       ? "XX"
                             : std::string(attribute) == "SNILS" ? "00000000000"
                                                                 : "Sample");
    }
    const CertificateRequest request{.subject = must(builder.build()),
                                     .public_key = test_key(KeyType::p256).public_key()};
    const Certificate certificate = must(authority.issue(profile, request, signer_, clock_, random_));
    EXPECT_TRUE(verify_path(certificate, {}, {authority.certificate()}, test_time(), Purpose::any).ok()) << one.name;
  }
}

TEST(CertificationRequests, GoThereAndBack) {
  SoftwareSigner signer(testing::copy_of(test_key(KeyType::p256)));
  const Name subject = must(name_from_text("CN=host.example,O=Comma\\, Inc,C=XX"));
  EXPECT_EQ(subject.find("O"), "Comma, Inc");
  const std::vector<GeneralName> names = {must(general_name_from_text("dns:host.example")),
                                          must(general_name_from_text("ip:192.0.2.7"))};
  const Bytes der = must(sign_certification_request(subject, names, signer));
  const CertificationRequest back = must(CertificationRequest::from_der(der));
  EXPECT_EQ(back.subject, subject);
  EXPECT_EQ(back.public_key, signer.public_key());
  EXPECT_EQ(back.subject_alternative_names, names);
  for (std::size_t i = 0; i < der.size(); ++i) {
    Bytes changed = der;
    changed[i] ^= 0x01;
    EXPECT_FALSE(CertificationRequest::from_der(changed)) << "octet " << i;
  }
}

}  // namespace
}  // namespace karta::crypto
