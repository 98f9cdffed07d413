// A terminal of region B before a card of region A: let in where A's authority has certified B's verifier, on the trust
// list's word alone, and with no more than A has given.
#include <gtest/gtest.h>

#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using crypto::testing::must;
using test::CentreForTerminals;
using test::IdentityCard;
using test::kCan;
using test::secret;

class RegionsTest : public ::testing::Test {
 protected:
  RegionsTest() {
    const CvDate today = cv_date_of(home_.now);
    EXPECT_TRUE(abroad_.create("XB", CentreForTerminals::quick(), home_.passphrase, today));
    EXPECT_TRUE(abroad_.issue_terminal(*find_terminal_role("clinic"), {}, CentreForTerminals::quick(), home_.passphrase,
                                       today));
    terminal_ = must(abroad_.unlock(*find_terminal_role("clinic"), home_.passphrase));
  }

  /// B's verifier as A's authority certifies it. A store of its own: the tests share A's.
  CvCertificate certified(std::optional<Rights> rights = {}, unsigned days = 0) {
    const std::filesystem::path copy = folder_ / ("home" + std::to_string(copies_++));
    std::filesystem::copy(home_.store.folder(), copy);
    const UnlockedVerifier verifier = must(abroad_.unlock_verifier(home_.passphrase));
    const Bytes request = must(make_cv_request(must(home_.store.authority()).holder(), verifier.certificate.holder(),
                                               {}, *verifier.signer, verifier.signer->algorithms().front()));
    CvIssueOptions options = CentreForTerminals::quick();
    options.days = days;
    TerminalStore store(copy);
    return must(store.issue_verifier(must(CvRequest::parse(request)), rights, options, home_.passphrase,
                                     cv_date_of(home_.now)));
  }
  /// The terminal's own chain with what the trust list adds.
  void add(const CvCertificate& from_trust_list) {
    terminal_.credentials.chain.insert(terminal_.credentials.chain.begin(), from_trust_list);
  }
  Result<IdentityApplication> open() {
    return IdentityApplication::open(*card_.plain, card_.request(terminal_, PacePassword::can, can_), card_.random);
  }

  IdentityCard card_;
  CentreForTerminals& home_ = card_.centre;
  crypto::testing::TemporaryFolder folder_;
  TerminalStore abroad_{folder_.path() / "abroad"};
  UnlockedTerminal terminal_;
  SecretBytes can_ = secret(kCan);
  int copies_ = 0;
};

TEST_F(RegionsTest, WithoutItsCertificateTheTerminalIsAStranger) {
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::untrusted);
}

TEST_F(RegionsTest, WithItTheCardGivesWhatTheRoleMayRead) {
  add(certified());
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->rights().rights, find_terminal_role("clinic")->rights);
  EXPECT_EQ(opened->sector_rights(), find_terminal_role("clinic")->sector_rights);
  for (const auto& [group, state] : {std::pair(4u, DataGroupState::read), std::pair(5u, DataGroupState::read),
                                     std::pair(9u, DataGroupState::refused), std::pair(17u, DataGroupState::refused)}) {
    const auto reading = opened->read(group);
    ASSERT_TRUE(reading) << reading.error().message;
    EXPECT_EQ(reading->state, state) << group;
  }
}

TEST_F(RegionsTest, RightsThatWereHeldBackStayBack) {
  add(certified(right_bit(right_to_read(4)) | right_bit(kRightCanAllowed)));
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->rights().rights, right_bit(right_to_read(4)) | right_bit(kRightCanAllowed));
  EXPECT_EQ(opened->sector_rights(), 0);
  EXPECT_EQ(must(opened->read(4)).state, DataGroupState::read);
  EXPECT_EQ(must(opened->read(5)).state, DataGroupState::refused);
}

}  // namespace
}  // namespace karta::card
