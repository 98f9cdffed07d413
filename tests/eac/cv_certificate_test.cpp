// CV certificates of our own making: the rules of a chain, negative ones included, requests, links, and the roles'
// table.
#include <gtest/gtest.h>

#include "card/terminal_store.h"
#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using std::chrono::year;

crypto::SoftwareSigner signer_of(crypto::KeyType type) {
  return crypto::SoftwareSigner(*crypto::PrivateKey::generate(type));
}

struct Maker {
  crypto::SoftwareSigner key = signer_of(crypto::KeyType::p256);
  CvContent content;

  Maker(std::string holder, HolderRole role, Rights rights = all_rights(TerminalType::authentication_terminal)) {
    content.holder = std::move(holder);
    content.chat = {TerminalType::authentication_terminal, role, rights};
    content.effective = year(2026) / 1 / 1;
    content.expiration = year(2027) / 1 / 1;
    content.public_key =
        *cv_public_key_of(key.public_key(), crypto::AlgorithmId::ecdsa_sha256, role == HolderRole::cvca);
  }
  CvCertificate by(Maker& issuer) {
    content.authority = issuer.content.holder;
    auto made = sign_cv_certificate(content, issuer.key, crypto::AlgorithmId::ecdsa_sha256);
    EXPECT_TRUE(made) << made.error().message;
    return *made;
  }
};

const CvDate kThen = year(2026) / 6 / 1;

class Chains : public ::testing::Test {
 protected:
  ErrorKind verdict(const std::vector<CvCertificate>& chain, CvDate at = kThen) {
    const auto trust = verify_cv_chain({cvca.by(cvca)}, chain, at);
    if (trust) rights = trust->chat.rights;
    return trust ? ErrorKind::internal : trust.error().kind;
  }
  static constexpr ErrorKind kGood = ErrorKind::internal;
  Maker cvca{"XXTESTCA00001", HolderRole::cvca};
  Maker dv{"XXTESTDV00001", HolderRole::domestic_dv};
  Maker terminal{"XXTERM00001", HolderRole::terminal, 0xFF00};
  Rights rights = 0;
};

TEST_F(Chains, Behaviour24OrderOfRoles) {
  EXPECT_EQ(verdict({dv.by(cvca), terminal.by(dv)}), kGood);
  EXPECT_EQ(verdict({terminal.by(cvca)}), ErrorKind::untrusted) << "a skipped level";
  Maker below("XXBELOW00001", HolderRole::terminal);
  EXPECT_EQ(verdict({dv.by(cvca), terminal.by(dv), below.by(terminal)}), ErrorKind::untrusted) << "a terminal issues";
  Maker second("XXTESTDV00002", HolderRole::domestic_dv);
  EXPECT_EQ(verdict({dv.by(cvca), second.by(dv)}), ErrorKind::untrusted) << "a verifier over a verifier";
  Maker authority("XXTESTCA00002", HolderRole::cvca);
  EXPECT_EQ(verdict({dv.by(cvca), authority.by(dv)}), ErrorKind::untrusted) << "a verifier over an authority";
  EXPECT_FALSE(CvTrust::of(dv.by(cvca))) << "only an authority is an anchor";
}

TEST_F(Chains, Behaviour25RightsAreWhatAllHave) {
  dv.content.chat.rights = 0x0F0F00;
  terminal.content.chat.rights = 0xFFFFFF;
  ASSERT_EQ(verdict({dv.by(cvca), terminal.by(dv)}), kGood);
  EXPECT_EQ(rights, 0x0F0F00u);
  // Another type along the way is refused, not masked.
  dv.content.chat = {TerminalType::inspection_system, HolderRole::domestic_dv, 1};
  EXPECT_EQ(verdict({dv.by(cvca), terminal.by(dv)}), ErrorKind::untrusted);
}

TEST_F(Chains, Behaviour27Dates) {
  const std::vector<CvCertificate> good = {dv.by(cvca), terminal.by(dv)};
  EXPECT_EQ(verdict(good, year(2027) / 1 / 1), kGood) << "the last day counts";
  EXPECT_EQ(verdict(good, year(2027) / 1 / 2), ErrorKind::untrusted);
  // An expired link still leads on; an expired anchor links, and signs no verifier.
  Maker next("XXTESTCA00002", HolderRole::cvca);
  next.content.effective = year(2026) / 1 / 1;
  next.content.expiration = year(2026) / 2 / 1;
  dv.content.expiration = terminal.content.expiration = year(2030) / 1 / 1;
  Maker third("XXTESTCA00003", HolderRole::cvca);
  third.content.expiration = year(2030) / 1 / 1;
  EXPECT_EQ(verdict({next.by(cvca), third.by(next), dv.by(third), terminal.by(dv)}, year(2028) / 1 / 1), kGood);
  EXPECT_EQ(verdict({next.by(cvca), dv.by(next), terminal.by(dv)}, year(2026) / 3 / 1), ErrorKind::untrusted);
}

TEST_F(Chains, SignaturesAndReferences) {
  Maker stranger("XXTESTCA00001", HolderRole::cvca);
  EXPECT_EQ(verdict({dv.by(stranger), terminal.by(dv)}), ErrorKind::invalid_signature);
  Maker other("XXOTHRCA00001", HolderRole::cvca);
  EXPECT_EQ(verdict({dv.by(other), terminal.by(dv)}), ErrorKind::untrusted);
  // Domain parameters below an authority, and none in one.
  dv.content.public_key = *cv_public_key_of(dv.key.public_key(), crypto::AlgorithmId::ecdsa_sha256, true);
  EXPECT_EQ(verdict({dv.by(cvca), terminal.by(dv)}), ErrorKind::untrusted);
  Maker bare("XXTESTCA00009", HolderRole::cvca);
  bare.content.public_key = *cv_public_key_of(bare.key.public_key(), crypto::AlgorithmId::ecdsa_sha256, false);
  EXPECT_FALSE(CvTrust::of(bare.by(bare)));
}

// Every octet changed, one at a time: it does not parse, or its signature is wrong, or it is the same certificate.
TEST_F(Chains, NoOctetCanBeChanged) {
  const CvCertificate genuine = dv.by(cvca);
  for (std::size_t at = 0; at < genuine.octets().size(); ++at) {
    Bytes octets = genuine.octets();
    octets[at] ^= 1;
    const auto changed = CvCertificate::parse(octets);
    if (!changed) continue;
    EXPECT_NE(verdict({*changed, terminal.by(dv)}), kGood) << at;
  }
  Bytes longer = genuine.octets();
  longer.push_back(0);
  EXPECT_FALSE(CvCertificate::parse(longer));
  for (std::size_t size = 0; size < genuine.octets().size(); ++size) {
    EXPECT_FALSE(CvCertificate::parse(ByteView(genuine.octets()).first(size)));
  }
}

TEST(CvRequests, AreSignedByTheirKeyAndCountersigned) {
  crypto::SoftwareSigner key = signer_of(crypto::KeyType::brainpool_p256r1);
  const auto octets = make_cv_request("XXTESTDV00001", "XXTERM00002", {}, key, crypto::AlgorithmId::ecdsa_sha256);
  ASSERT_TRUE(octets) << octets.error().message;
  const auto request = CvRequest::parse(*octets);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->holder, "XXTERM00002");
  EXPECT_EQ(request->authority, "XXTESTDV00001");
  EXPECT_EQ(request->public_key.curve, crypto::KeyType::brainpool_p256r1);
  Bytes forged = *octets;
  forged.back() ^= 1;
  EXPECT_FALSE(CvRequest::parse(forged));

  crypto::SoftwareSigner present = signer_of(crypto::KeyType::p256);
  const auto renewal = countersign_cv_request(*octets, "XXTERM00001", present, crypto::AlgorithmId::ecdsa_sha256);
  ASSERT_TRUE(renewal);
  const auto outer = CvRequest::parse(*renewal);
  ASSERT_TRUE(outer) << outer.error().message;
  EXPECT_EQ(outer->renewed_by, "XXTERM00001");
  EXPECT_TRUE(verify_cv_signature(present.public_key(), crypto::AlgorithmId::ecdsa_sha256, outer->outer_signed,
                                  outer->outer_signature));
  EXPECT_FALSE(make_cv_request("", "x", {}, key, crypto::AlgorithmId::ecdsa_sha256)) << "no reference";
}

TEST(Roles, EachHasARowARightAndAWord) {
  for (const TerminalRole& role : terminal_roles()) {
    SCOPED_TRACE(role.name);
    EXPECT_TRUE(check_cv_reference("RU" + std::string(role.holder) + "00001"));
    EXPECT_NE(role.rights, 0u);
    EXPECT_EQ(role.rights & ~named_rights(TerminalType::authentication_terminal), 0u);
    EXPECT_EQ((role.rights & right_bit(kRightRestrictedId)) != 0, !role.sector.empty());
  }
}

// A new authority: cards that know the old one accept terminals of the new one through the link.
TEST(TerminalStores, RollOverWithALink) {
  const crypto::testing::TemporaryFolder folder;
  TerminalStore store(folder.path() / "terminals");
  const auto options = test::CentreForTerminals::quick();
  const SecretBytes passphrase = test::secret("for tests only");
  ASSERT_TRUE(store.create("XX", options, passphrase, kThen));
  const auto old = store.authority();
  ASSERT_TRUE(old);
  const TerminalRole& clinic = *find_terminal_role("clinic");
  const auto missing = store.chain(clinic);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  ASSERT_TRUE(store.issue_terminal(clinic, {}, options, passphrase, kThen));
  ASSERT_TRUE(verify_cv_chain({*old}, *store.chain(clinic), kThen));

  const auto made = store.roll_over(options, passphrase, kThen);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(store.issue_verifier(options, passphrase, kThen));
  const auto terminal = store.issue_terminal(clinic, {}, options, passphrase, kThen);
  ASSERT_TRUE(terminal) << terminal.error().message;
  const auto chain = store.chain(clinic);
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->size(), 3u) << "link, verifier, terminal";
  EXPECT_TRUE(verify_cv_chain({*old}, *chain, kThen));
  // A card that knows the new one already needs the link no more.
  const auto shorter = chain_from(*chain, made->authority.holder(), old->holder());
  ASSERT_TRUE(shorter);
  EXPECT_EQ(shorter->size(), 2u);
  EXPECT_TRUE(verify_cv_chain({made->authority}, *shorter, kThen));
  const auto whole = chain_from(*chain, old->holder(), "");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->size(), 3u);
  EXPECT_FALSE(chain_from(*chain, "XXSTRANGE00001", ""));
  EXPECT_FALSE(store.unlock(clinic, test::secret("another passphrase")));
}

TEST(TerminalStores, CertifyARequestFromElsewhere) {
  const crypto::testing::TemporaryFolder folder;
  TerminalStore store(folder.path() / "terminals");
  const auto options = test::CentreForTerminals::quick();
  const SecretBytes passphrase = test::secret("for tests only");
  ASSERT_TRUE(store.create("XX", options, passphrase, kThen));
  crypto::SoftwareSigner key = signer_of(crypto::KeyType::p256);
  const auto octets = make_cv_request("", "XXPHARMCY00007", {}, key, crypto::AlgorithmId::ecdsa_sha256);
  ASSERT_TRUE(octets);
  const auto request = CvRequest::parse(*octets);
  ASSERT_TRUE(request);
  const TerminalRole& pharmacy = *find_terminal_role("pharmacy");
  const auto made = store.issue_terminal(*request, pharmacy, {}, options, passphrase, kThen);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->chat().rights, pharmacy.rights);
  EXPECT_FALSE(made->extension(kCvSectorOid).empty());
  const auto twice = store.issue_terminal(*request, pharmacy, {}, options, passphrase, kThen);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().kind, ErrorKind::already_exists);
}

}  // namespace
}  // namespace karta::card
