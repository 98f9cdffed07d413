#include "identity/certificate_ledger.h"

#include <gmock/gmock.h>

#include "crypto/testing.h"
#include "crypto/x509/issue.h"
#include "crypto/x509/path.h"
#include "identity/registry_testing.h"

namespace karta::identity {
namespace {

using crypto::CrlReason;
using crypto::OcspCertificateStatus;
using crypto::testing::must;

/// A CA, its ledger in a registry, and a card with certificates of it.
class LedgerTest : public RegistryFixture {
 protected:
  LedgerTest()
      : signer_(crypto::testing::copy_of(crypto::testing::test_key(crypto::KeyType::p256))),
        authority_(must(crypto::self_signed(
            must(crypto::CertificateProfile::from_toml(
                "schema = \"karta.certificate-profile/1\"\nname = \"r\"\n"
                "validity_days = 3650\nkey_usage = [\"keyCertSign\", \"cRLSign\"]\n"
                "[basic_constraints]\nca = true\n",
                "r.toml")),
            {must(crypto::name_from_text("CN=Test CA,O=Test,C=XX")), signer_.public_key(), {}, {}, {}, {}, {}}, signer_,
            clock_, random_))) {}

  std::string issuer() const { return authority_.subject().to_text(); }
  std::shared_ptr<CertificateLedger> ledger() {
    return must(open_certificate_ledger(url(), issuer(), cause_, clock_));
  }
  /// A citizen's certificate, and its serial number's content octets.
  CardCertificate on_card(std::uint8_t number, CertificateKind kind = CertificateKind::sig) const {
    return {kind,
            issuer(),
            Bytes{0x00, 0x90, number},
            Bytes{0x30, number},
            clock_.now(),
            clock_.now() + std::chrono::hours(24 * 365)};
  }
  CardId card_with(Registry& registry, std::initializer_list<CardCertificate> certificates) {
    const CitizenId citizen = must(registry.add_citizen(made_up_citizen(++citizens_), cause_));
    const Card card = must(registry.order_card({.citizen = citizen, .profile = "citizen"}, cause_));
    for (const CardCertificate& one : certificates) EXPECT_TRUE(registry.add_certificate(card.id, one, cause_));
    must(registry.produce_card(card.id, "0" + std::to_string(citizens_), clock_.now() + std::chrono::hours(24 * 365),
                               cause_));
    must(registry.change_card_state(card.id, CardState::active, cause_));
    return card.id;
  }
  static crypto::OcspState state(CertificateLedger& from, const CardCertificate& certificate) {
    return must(from.state_of(certificate.serial));
  }
  crypto::CrlPlan complete() const { return {.hours = 24}; }
  crypto::CrlPlan delta() const { return {.delta = true, .hours = 1}; }
  const crypto::CrlEntry* entry(const crypto::Crl& crl, const CardCertificate& certificate) const {
    return crl.find(authority_.subject(), certificate.serial);
  }

  crypto::SoftwareSigner signer_;
  crypto::Certificate authority_;
  std::uint32_t citizens_ = 0;
};

TEST_F(LedgerTest, OneTruthForCardsAndCommands) {
  Registry registry = create();
  const CardCertificate one = on_card(1), two = on_card(2);
  card_with(registry, {one, two});
  const auto first = ledger(), second = ledger();
  EXPECT_EQ(state(*first, one).status, OcspCertificateStatus::good);
  EXPECT_EQ(must(first->state_of(Bytes{0x55})).status, OcspCertificateStatus::unknown);
  // Through the registry, and the ledger says it; through the ledger, and the registry says it.
  ASSERT_TRUE(registry.revoke_certificate(issuer(), one.serial, RevocationReason::superseded, cause_));
  EXPECT_EQ(state(*first, one).status, OcspCertificateStatus::revoked);
  EXPECT_EQ(state(*first, one).reason, CrlReason::superseded);
  EXPECT_EQ(state(*first, one).revoked_at, clock_.now());
  ASSERT_TRUE(first->revoke(Bytes{0x90, 2}, CrlReason::key_compromise));
  EXPECT_EQ(state(*second, two).status, OcspCertificateStatus::revoked);
  const CertificateStatus status = must(registry.certificate_status(issuer(), two.serial));
  EXPECT_EQ(status.reason, RevocationReason::key_compromise);
  EXPECT_EQ(must(registry.events_of(status.citizen)).front().kind, "certificate-revoked");
  // A second time is refused from either side.
  EXPECT_EQ(second->revoke(Bytes{0x90, 2}, CrlReason::superseded).error().kind, ErrorKind::already_exists);
  EXPECT_EQ(registry.revoke_certificate(issuer(), two.serial, RevocationReason::superseded, cause_).error().kind,
            ErrorKind::not_permitted);
  // What nobody knows can be revoked too: it may have been issued before the registry was.
  ASSERT_TRUE(first->revoke(Bytes{0x55}, CrlReason::unspecified));
  EXPECT_EQ(must(second->state_of(Bytes{0x55})).status, OcspCertificateStatus::revoked);
}

TEST_F(LedgerTest, RevisionTellsOfEveryChangeAndOfNothingElse) {
  Registry registry = create();
  const CardCertificate one = on_card(1);
  card_with(registry, {one});
  const auto watching = ledger(), acting = ledger();
  const std::uint64_t before = must(watching->revision());
  must(registry.add_citizen(made_up_citizen(900), cause_));
  EXPECT_EQ(must(watching->revision()), before);
  ASSERT_TRUE(acting->revoke(Bytes{0x90, 1}, CrlReason::certificate_hold));
  const std::uint64_t held = must(watching->revision());
  EXPECT_NE(held, before);
  ASSERT_TRUE(watching->revoke(Bytes{0x90, 1}, CrlReason::remove_from_crl));
  EXPECT_NE(must(watching->revision()), held);  // its own doing too
  const std::uint64_t released = must(watching->revision());
  must(acting->issue_crl(complete(), authority_, signer_));
  EXPECT_NE(must(watching->revision()), released);
}

TEST_F(LedgerTest, CertificatesFollowTheirCard) {
  Registry registry = create();
  const CardCertificate held = on_card(1), free = on_card(2), dead = on_card(3);
  const CardId card = card_with(registry, {held, free, dead});
  const auto book = ledger();
  ASSERT_TRUE(book->revoke(Bytes{0x90, 1}, CrlReason::certificate_hold));
  ASSERT_TRUE(book->revoke(Bytes{0x90, 3}, CrlReason::key_compromise));
  must(registry.change_card_state(card, CardState::suspended, cause_));
  EXPECT_EQ(state(*book, free).reason, CrlReason::certificate_hold);
  EXPECT_EQ(state(*book, dead).reason, CrlReason::key_compromise);
  must(registry.change_card_state(card, CardState::active, cause_));
  EXPECT_EQ(state(*book, free).status, OcspCertificateStatus::good);
  EXPECT_EQ(state(*book, held).reason, CrlReason::certificate_hold);  // for a reason of its own
  EXPECT_EQ(state(*book, dead).reason, CrlReason::key_compromise);
  must(registry.change_card_state(card, CardState::revoked, cause_, RevocationReason::cessation_of_operation));
  EXPECT_EQ(state(*book, free).reason, CrlReason::cessation_of_operation);
  EXPECT_EQ(state(*book, held).reason, CrlReason::cessation_of_operation);
  EXPECT_EQ(state(*book, dead).reason, CrlReason::key_compromise);
  // Replaced: what is on the old card is superseded.
  const CardCertificate old = on_card(9);
  must(registry.change_card_state(card_with(registry, {old}), CardState::replaced, cause_));
  EXPECT_EQ(state(*book, old).reason, CrlReason::superseded);
}

TEST_F(LedgerTest, ListsAreNumberedOnceAndDeltasBuildOnThem) {
  Registry registry = create();
  const CardCertificate one = on_card(1), two = on_card(2);
  card_with(registry, {one, two});
  const auto first = ledger(), second = ledger();
  EXPECT_EQ(first->issue_crl(delta(), authority_, signer_).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(must(first->last_crl(complete())));
  ASSERT_TRUE(registry.revoke_certificate(issuer(), one.serial, RevocationReason::certificate_hold, cause_));
  const crypto::Crl base = must(first->issue_crl(complete(), authority_, signer_));
  EXPECT_EQ(number_of(base), 1u);
  ASSERT_NE(entry(base, one), nullptr);
  EXPECT_EQ(entry(base, one)->reason, CrlReason::certificate_hold);
  EXPECT_FALSE(must(second->changed_since(1)));
  ASSERT_TRUE(second->revoke(Bytes{0x90, 1}, CrlReason::remove_from_crl));
  ASSERT_TRUE(second->revoke(Bytes{0x90, 2}, CrlReason::key_compromise));
  EXPECT_TRUE(must(first->changed_since(1)));
  const crypto::Crl news = must(second->issue_crl(delta(), authority_, signer_));
  EXPECT_EQ(number_of(news), 2u);
  EXPECT_EQ(news.base_number(), Bytes{1});
  EXPECT_EQ(entry(news, one)->reason, CrlReason::remove_from_crl);
  EXPECT_EQ(entry(news, two)->reason, CrlReason::key_compromise);
  EXPECT_EQ(must(first->last_crl(delta())), news);
  EXPECT_EQ(must(first->last_crl(complete())), base);
  // A failed attempt before them took no number: it was rolled back.
  const crypto::Crl next = must(first->issue_crl(complete(), authority_, signer_));
  EXPECT_EQ(number_of(next), 3u);
  EXPECT_EQ(entry(next, one), nullptr);
  EXPECT_TRUE(crypto::verify_crl_signature(next, must(authority_.public_key())));
  // Partitions: the citizens' are no CAs'.
  crypto::CrlPlan cas = complete();
  cas.ca_certificates = true;
  EXPECT_TRUE(must(first->issue_crl(cas, authority_, signer_)).entries().empty());
  cas.ca_certificates = false;
  EXPECT_EQ(must(first->issue_crl(cas, authority_, signer_)).entries().size(), 1u);
  // The dead are forgotten a list after their end.
  clock_.advance(std::chrono::hours(24 * 800));
  EXPECT_TRUE(must(first->issue_crl(complete(), authority_, signer_)).entries().empty());
}

TEST_F(LedgerTest, RemembersCertificatesOfNoCardAndNamesNoCitizen) {
  Registry registry = create();
  const CardCertificate one = on_card(1);
  const CardId card = card_with(registry, {one});
  const auto book = ledger();
  const crypto::Certificate own = authority_;  // any certificate of this issuer will do
  ASSERT_TRUE(book->add(own, "ocsp"));
  EXPECT_EQ(book->add(own, "ocsp").error().kind, ErrorKind::already_exists);
  EXPECT_EQ(must(book->state_of(own.serial())).status, OcspCertificateStatus::good);
  ASSERT_TRUE(book->revoke(Bytes{0x55}, CrlReason::superseded));
  std::vector<crypto::IssuedCertificate> all;
  ASSERT_TRUE(book->for_each([&](const crypto::IssuedCertificate& each) -> Status {
    all.push_back(each);
    return {};
  }));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].profile, "ocsp");
  EXPECT_EQ(all[0].subject, "CN=Test CA,O=Test,C=XX");
  EXPECT_TRUE(all[0].is_ca);
  EXPECT_EQ(all[1].subject, "card " + format_id(card));
  EXPECT_EQ(all[1].profile, "SIG");
  EXPECT_EQ(all[1].serial, (Bytes{0x90, 1}));
  EXPECT_FALSE(all[1].revoked_at);
  EXPECT_EQ(all[2].serial, Bytes{0x55});
  EXPECT_EQ(all[2].reason, CrlReason::superseded);
}

}  // namespace
}  // namespace karta::identity
