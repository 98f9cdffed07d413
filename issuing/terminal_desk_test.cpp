#include "issuing/terminal_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/random.h"
#include "issuing/centre.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;
using card::CvCertificate;
using identity::TerminalOrder;
using testing::HasSubstr;

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}

class TerminalDeskTest : public ::testing::Test {
 protected:
  static fs::path folder() { return fs::temp_directory_path() / ("karta-terminal-desk-" + std::to_string(getpid())); }
  static void SetUpTestSuite() {
    FixedClock clock(*parse_time("2026-11-21T12:00:00Z"));
    SystemRandom random;
    CentreOptions options;
    options.name = "Made-up Centre";
    options.country = "XA";
    options.key_file_iterations = 1000;
    ASSERT_TRUE(create_centre(folder(), options, passphrase(), clock, random));
  }
  static void TearDownTestSuite() { fs::remove_all(folder()); }
  static SecretBytes passphrase() { return SecretBytes::copy_of(std::string_view("correct horse")); }
  static card::CvIssueOptions quick() { return {.key_file_iterations = 1000}; }

  void SetUp() override { desk_ = must(TerminalDesk::open(folder(), passphrase(), clock_, quick())); }

  static std::unique_ptr<crypto::SoftwareSigner> key(crypto::KeyType type = crypto::KeyType::p256) {
    return std::make_unique<crypto::SoftwareSigner>(must(crypto::PrivateKey::generate(type)));
  }
  static Bytes request(crypto::Signer& signer, const std::vector<card::CvExtension>& extensions = {}) {
    return must(card::make_cv_request("", "XXCLINIC00000", extensions, signer, signer.algorithms().front()));
  }
  TerminalOrder order(const std::string& role, crypto::Signer& signer) const {
    const card::TerminalRole* const known = card::find_terminal_role(role);
    TerminalOrder out;
    out.role = role;
    out.holder_line = known == nullptr ? "XAXXABCDEFG" : cv_line_prefix(*known, "XA") + "ABCDEFG";
    out.sequence = 42;
    out.request = request(signer);
    out.validity = std::chrono::days(7);
    return out;
  }
  Error refused(const TerminalOrder& wanted) {
    const auto made = desk_->certify(wanted);
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }

  FixedClock clock_{*parse_time("2026-11-21T12:00:00Z")};
  std::unique_ptr<TerminalDesk> desk_;
};

TEST_F(TerminalDeskTest, EveryRoleGetsItsRightsUnderTheAuthority) {
  const card::TerminalStore store(load_centre_config(folder())->terminals);
  std::set<std::string> prefixes;
  for (const card::TerminalRole& role : card::terminal_roles()) {
    const auto signer = key();
    const auto made = must(desk_->certify(order(std::string(role.name), *signer)));
    const CvCertificate certificate = must(CvCertificate::parse(made.certificate));
    EXPECT_EQ(certificate.holder(), cv_line_prefix(role, "XA") + "ABCDEFG00042");
    EXPECT_EQ(made.holder, certificate.holder());
    EXPECT_EQ(made.until, *parse_time("2026-11-28T23:59:59Z"));
    std::vector<CvCertificate> chain;
    for (const Bytes& octets : made.above) chain.push_back(must(CvCertificate::parse(octets)));
    chain.push_back(certificate);
    const auto trust = card::verify_cv_chain(must(store.anchors()), chain, card::cv_date_of(clock_.now()));
    ASSERT_TRUE(trust) << trust.error().message;
    EXPECT_EQ(trust->chat.rights, role.rights) << role.name;
    EXPECT_EQ(trust->sector_rights, role.sector_rights) << role.name;
    EXPECT_EQ(certificate.extension(card::kCvSectorOid).empty(), role.sector.empty());
    EXPECT_EQ(must(desk_->key_of(order(std::string(role.name), *signer).request)), signer->public_key().spki());
    prefixes.insert(cv_line_prefix(role, "XA"));
  }
  EXPECT_EQ(prefixes.size(), card::terminal_roles().size()) << "references tell roles apart";
}

TEST_F(TerminalDeskTest, FewerRightsWhereTheyAreNamed) {
  const auto signer = key();
  TerminalOrder wanted = order("clinic", *signer);
  wanted.rights = {"read-dg4", "can-allowed", "read-insurance"};
  const CvCertificate made = must(CvCertificate::parse(must(desk_->certify(wanted)).certificate));
  EXPECT_EQ(made.chat().rights, card::right_bit(card::right_to_read(4)) | card::right_bit(card::kRightCanAllowed));
  EXPECT_EQ(made.sector_rights(), card::right_bit(card::SectorRight::read_insurance));
}

TEST_F(TerminalDeskTest, NobodyGetsMoreThanTheRole) {
  const auto signer = key();
  TerminalOrder wanted = order("pharmacy", *signer);
  for (const char* right : {"read-dg1", "write-dg17", "pin-management", "grant-entitlements"}) {
    wanted.rights = {"read-dg4", right};
    const Error error = refused(wanted);
    EXPECT_EQ(error.kind, ErrorKind::not_permitted);
    EXPECT_THAT(error.message, HasSubstr(right));
  }
  wanted.rights = {"read-minds"};
  EXPECT_EQ(refused(wanted).kind, ErrorKind::usage);
  wanted.rights.clear();
  // In the request itself.
  wanted.request = request(*signer, {{std::string(card::kSectorRightsOid),
                                      card::encode_sector_rights(card::right_bit(card::SectorRight::sell_transit))}});
  EXPECT_THAT(refused(wanted).message, HasSubstr("sell-transit"));
  wanted.request = request(*signer, {{std::string(card::kCvSectorOid), make_tlv(0x80, Bytes(32, 1))}});
  EXPECT_EQ(refused(wanted).kind, ErrorKind::not_permitted);
  wanted.request =
      request(*signer, {{std::string(card::kSectorRightsOid),
                         card::encode_sector_rights(card::right_bit(card::SectorRight::read_entitlements))}});
  EXPECT_TRUE(desk_->certify(wanted)) << "what the role has may be asked for";
  EXPECT_EQ(refused(order("king", *signer)).kind, ErrorKind::usage);
}

TEST_F(TerminalDeskTest, RequestsMustBeSoundAndOnTheAuthoritysCurve) {
  const auto signer = key();
  TerminalOrder wanted = order("clinic", *signer);
  wanted.request.back() ^= 1;
  EXPECT_EQ(refused(wanted).kind, ErrorKind::invalid_signature);
  wanted.request = Bytes{1, 2, 3};
  EXPECT_FALSE(desk_->key_of(wanted.request));
  EXPECT_EQ(refused(wanted).kind, ErrorKind::malformed);
  const auto other = key(crypto::KeyType::p384);
  wanted.request = request(*other);
  EXPECT_EQ(refused(wanted).kind, ErrorKind::usage);
}

TEST_F(TerminalDeskTest, ARenewalIsSignedWithThePresentKey) {
  const auto first = key(), second = key(), stranger = key();
  const auto present = must(desk_->certify(order("clinic", *first)));
  const auto algorithm = first->algorithms().front();
  TerminalOrder wanted = order("clinic", *second);
  const Bytes plain = wanted.request;
  wanted.present = present.certificate;
  wanted.request = must(card::countersign_cv_request(plain, present.holder, *first, algorithm));
  EXPECT_TRUE(desk_->certify(wanted));
  wanted.request = must(card::countersign_cv_request(plain, present.holder, *stranger, algorithm));
  EXPECT_EQ(refused(wanted).kind, ErrorKind::invalid_signature);
  wanted.request = must(card::countersign_cv_request(plain, "XACLOTHERXX00001", *stranger, algorithm));
  EXPECT_THAT(refused(wanted).message, HasSubstr("another terminal"));
  wanted.present.clear();
  EXPECT_THAT(refused(wanted).message, HasSubstr("nothing to renew"));
}

TEST_F(TerminalDeskTest, NothingIsCertifiedOnceTheVerifierHasExpired) {
  const auto signer = key();
  clock_ = FixedClock(must(desk_->until()) - std::chrono::days(2));
  const auto made = must(desk_->certify(order("clinic", *signer)));
  EXPECT_EQ(made.until, must(desk_->until())) << "no certificate outlives the one above it";
  clock_ = FixedClock(must(desk_->until()) + std::chrono::seconds(1));
  EXPECT_EQ(refused(order("clinic", *signer)).kind, ErrorKind::untrusted);
}

// Region A certifies the verifier of region B: its terminals are good under A's authority too.
TEST_F(TerminalDeskTest, ATerminalOfAnotherRegionUnderThisAuthority) {
  const card::CvDate today = card::cv_date_of(clock_.now());
  const fs::path other = folder() / "region-b";
  card::TerminalStore ours(load_centre_config(folder())->terminals), theirs(other);
  ASSERT_TRUE(theirs.create("XB", quick(), passphrase(), today));
  const card::UnlockedVerifier verifier = must(theirs.unlock_verifier(passphrase()));
  const Bytes asked = must(card::make_cv_request(must(ours.authority()).holder(), verifier.certificate.holder(), {},
                                                 *verifier.signer, verifier.signer->algorithms().front()));
  const CvCertificate certified =
      must(ours.issue_verifier(must(card::CvRequest::parse(asked)), {}, quick(), passphrase(), today));
  EXPECT_EQ(certified.chat().role, card::HolderRole::foreign_dv);
  EXPECT_EQ(must(ours.verifier()).holder(), "XAKDV00001") << "our own goes on signing our terminals";
  EXPECT_EQ(ours.issue_verifier(must(card::CvRequest::parse(asked)), {}, quick(), passphrase(), today).error().kind,
            ErrorKind::already_exists);

  const CvCertificate terminal =
      must(theirs.issue_terminal(*card::find_terminal_role("clinic"), {}, quick(), passphrase(), today));
  for (const auto& [anchors, chain] :
       {std::pair(must(ours.anchors()), std::vector{certified, terminal}),
        std::pair(must(theirs.anchors()), std::vector{verifier.certificate, terminal})}) {
    const auto trust = card::verify_cv_chain(anchors, chain, today);
    ASSERT_TRUE(trust) << trust.error().message;
    EXPECT_EQ(trust->chat.rights, card::find_terminal_role("clinic")->rights);
  }
  // Rights may be held back from another region.
  card::CvIssueOptions days = quick();
  days.days = 10;
  fs::remove(ours.folder() / "XBKDV00001.cvcert");
  const CvCertificate narrow = must(ours.issue_verifier(
      must(card::CvRequest::parse(asked)), card::right_bit(card::right_to_read(4)), days, passphrase(), today));
  const auto trust = must(card::verify_cv_chain(must(ours.anchors()), {narrow, terminal}, today));
  EXPECT_EQ(trust.chat.rights, card::right_bit(card::right_to_read(4)));
  EXPECT_EQ(trust.sector_rights, 0);
}

}  // namespace
}  // namespace karta::issuing
