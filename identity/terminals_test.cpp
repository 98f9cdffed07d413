#include "identity/terminals.h"

#include <gmock/gmock.h>

#include <set>

#include "crypto/digest.h"
#include "crypto/testing.h"
#include "identity/certificate_ledger.h"
#include "identity/registry_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

class TerminalLedgerTest : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    { Registry registry = create(); }
    clock_ = FixedClock(crypto::testing::test_time());
  }
  TerminalLedger ledger() { return TerminalLedger(open()); }

  Invitation invite(const std::string& name, const std::string& role = "clinic") {
    return must(ledger().invite(name, role, "RUCL", std::chrono::hours(24), cause_));
  }
  static Bytes keys(std::string_view of) { return crypto::digest(crypto::Hash::sha256, as_bytes(of)); }
  GrantedCertificates granted(std::uint32_t sequence = 1) {
    static crypto::testing::TestCentre centre;
    const auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    return {Bytes{0x7F, 0x21, 0x00},
            "RUCLX0000" + std::to_string(sequence),
            clock_.now() + std::chrono::hours(24 * 7),
            centre.issue(key.public_key()),
            centre.ca.subject().to_text(),
            "terminal-tls"};
  }
  crypto::Certificate enrol(const Invitation& invitation, std::string_view key = "keys") {
    TerminalLedger terminals = ledger();
    const auto begun = must(terminals.begin_enrolment(invitation.code, keys(key)));
    const GrantedCertificates certificates = granted(begun.sequence);
    must(terminals.finish_enrolment(invitation.code, keys(key), certificates, "{\"answer\":1}"));
    return certificates.tls;
  }
  static std::vector<JournalRecord> chain(std::size_t count, JournalPosition end = {}, std::string_view word = "a") {
    std::vector<JournalRecord> out;
    for (std::size_t i = 0; i < count; ++i) {
      JournalRecord record;
      record.number = end.number + 1;
      record.time = crypto::testing::test_time();
      record.kind = "visit";
      record.body = "{\"word\":\"" + std::string(word) + "\"}";
      record.previous = end.hash;
      record.hash = hash_of(record);
      end = record.position();
      out.push_back(std::move(record));
    }
    return out;
  }
};

TEST_F(TerminalLedgerTest, AnInvitedTerminalEnrolsOnce) {
  const Invitation invitation = invite("clinic-1");
  EXPECT_EQ(invitation.code.size(), 23u);  // four groups of five
  EXPECT_EQ(invitation.terminal.state, TerminalState::invited);
  EXPECT_EQ(invitation.terminal.cv_line.size(), 11u);
  const crypto::Certificate tls = enrol(invitation);
  const Terminal terminal = must(ledger().find("clinic-1"));
  EXPECT_EQ(terminal.state, TerminalState::enrolled);
  EXPECT_EQ(terminal.cv_sequence, 1u);
  EXPECT_EQ(terminal.tls_until, tls.not_after());
  EXPECT_EQ(must(ledger().find(format_id(terminal.id))), terminal);
  EXPECT_EQ(must(ledger().authenticate(tls.der())).name, "clinic-1");

  // The same keys again, the answer having been lost: the same answer. Other keys: the code is used.
  const auto again = must(ledger().begin_enrolment(invitation.code, keys("keys")));
  EXPECT_EQ(again.answer, "{\"answer\":1}");
  const auto other = ledger().begin_enrolment(invitation.code, keys("others"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::not_permitted);
}

TEST_F(TerminalLedgerTest, CodesAreReadAsPeopleTypeThem) {
  const Invitation invitation = invite("clinic-1");
  std::string typed(invitation.code.expose_secret_text());
  for (char& c : typed) {
    if (c == '-') c = ' ';
    if (c == '0') c = 'o';
    if (c == '1') c = 'l';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  EXPECT_TRUE(ledger().begin_enrolment(SecretBytes::copy_of(typed), keys("keys")));
}

TEST_F(TerminalLedgerTest, EveryBadCodeIsRefusedInTheSameWords) {
  const Invitation used = invite("used");
  enrol(used);
  const Invitation old = invite("old");
  const Invitation replaced = invite("replaced");
  const Invitation fresh = invite("replaced");
  clock_.advance(std::chrono::hours(25));
  std::set<std::string> words;
  for (const SecretBytes& code : {used.code.clone(), old.code.clone(), replaced.code.clone(),
                                  SecretBytes::copy_of(std::string_view("AAAAA-AAAAA-AAAAA-AAAAA")), SecretBytes()}) {
    const auto refused = ledger().begin_enrolment(code, keys("k"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
    words.insert(refused.error().message);
  }
  EXPECT_EQ(words.size(), 1u);
}

TEST_F(TerminalLedgerTest, TwoWhoHaveTheCodeCannotBothEnrol) {
  const Invitation invitation = invite("clinic-1");
  TerminalLedger one = ledger(), other = ledger();
  must(one.begin_enrolment(invitation.code, keys("one")));
  must(other.begin_enrolment(invitation.code, keys("other")));
  must(one.finish_enrolment(invitation.code, keys("one"), granted(), "{}"));
  const GrantedCertificates second = granted(2);
  EXPECT_EQ(other.finish_enrolment(invitation.code, keys("other"), second, "{}").error().kind,
            ErrorKind::not_permitted);
  EXPECT_FALSE(ledger().authenticate(second.tls.der())) << "nothing of a refused enrolment is left";
}

TEST_F(TerminalLedgerTest, ARevokedTerminalIsRefusedEverywhere) {
  const Invitation invitation = invite("clinic-1");
  const crypto::Certificate tls = enrol(invitation);
  const TerminalId id = invitation.terminal.id;
  must(ledger().revoke(id, {"operator:test", "stolen"}));
  for (const Error& error :
       {ledger().authenticate(tls.der()).error(), ledger().begin_renewal(id).error(),
        ledger().finish_renewal(tls.der(), granted(2)).error(), ledger().take_journal(id, chain(1)).error(),
        ledger().invite("clinic-1", "clinic", "RUCL", std::chrono::hours(1), cause_).error(),
        ledger().revoke(id, cause_).error()}) {
    EXPECT_EQ(error.kind, ErrorKind::not_permitted);
    EXPECT_THAT(error.message, HasSubstr("revoked"));
  }
  EXPECT_FALSE(ledger().begin_enrolment(invitation.code, keys("keys")));
  const auto certificates = must(open_certificate_ledger(url(), tls.issuer().to_text(), {"test", ""}, clock_));
  const auto state = must(certificates->state_of(tls.serial()));
  EXPECT_EQ(state.status, crypto::OcspCertificateStatus::revoked);
  const auto events = must(ledger().events_of(id));
  EXPECT_EQ(events.front().kind, "revoked");
  EXPECT_EQ(events.front().actor, "operator:test");
  EXPECT_EQ(events.front().reason, "stolen");
}

TEST_F(TerminalLedgerTest, EnrollingAgainRevokesWhatWasLost) {
  const crypto::Certificate lost = enrol(invite("clinic-1"));
  const crypto::Certificate fresh = enrol(invite("clinic-1"), "new keys");
  EXPECT_THAT(ledger().authenticate(lost.der()).error().message, HasSubstr("revoked"));
  EXPECT_TRUE(ledger().authenticate(fresh.der()));
  EXPECT_EQ(must(ledger().find("clinic-1")).cv_sequence, 2u);
}

TEST_F(TerminalLedgerTest, KeysReplacedDuringTheirRenewalGetNothing) {
  const Invitation invitation = invite("clinic-1");
  const crypto::Certificate lost = enrol(invitation);
  must(ledger().begin_renewal(invitation.terminal.id));
  enrol(invite("clinic-1"), "new keys");
  const GrantedCertificates late = granted(3);
  EXPECT_EQ(ledger().finish_renewal(lost.der(), late).error().kind, ErrorKind::not_permitted);
  EXPECT_FALSE(ledger().authenticate(late.tls.der())) << "nothing of a refused renewal is left";
}

TEST_F(TerminalLedgerTest, RenewalKeepsTheOldCertificateWhileItLasts) {
  const Invitation invitation = invite("clinic-1");
  const crypto::Certificate first = enrol(invitation);
  EXPECT_EQ(must(ledger().begin_renewal(invitation.terminal.id)), 2u);
  const GrantedCertificates second = granted(2);
  must(ledger().finish_renewal(first.der(), second));
  EXPECT_TRUE(ledger().authenticate(first.der()));
  EXPECT_TRUE(ledger().authenticate(second.tls.der()));
  clock_ = FixedClock(second.tls.not_after() + std::chrono::seconds(1));
  EXPECT_THAT(ledger().authenticate(second.tls.der()).error().message, HasSubstr("has expired"));
}

TEST_F(TerminalLedgerTest, NamesAndRolesAreFixed) {
  invite("clinic-1");
  EXPECT_EQ(ledger().invite("clinic-1", "counter", "RUCO", std::chrono::hours(1), cause_).error().kind,
            ErrorKind::usage);
  for (const char* name : {"", "Clinic", "клиника", "a/b", "a b", "0123456789abcdef"}) {
    EXPECT_EQ(ledger().invite(name, "clinic", "RUCL", std::chrono::hours(1), cause_).error().kind, ErrorKind::usage)
        << name;
  }
  invite("clinic-0");
  const auto all = must(ledger().list());
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "clinic-0");
  EXPECT_EQ(must(ledger().list("clinic-0")).size(), 1u);
  EXPECT_EQ(must(ledger().list("", 1)).size(), 1u);
  EXPECT_NE(all[0].cv_line, all[1].cv_line);
}

TEST_F(TerminalLedgerTest, JournalsArriveOnceAndInOrder) {
  const TerminalId id = invite("clinic-1").terminal.id;
  JournalPosition origin;  // a journal's own, random
  origin.hash.fill(0x5A);
  const auto records = chain(5, origin);
  const std::vector<JournalRecord> first(records.begin(), records.begin() + 3);
  EXPECT_EQ(must(ledger().take_journal(id, first)), first.back().position());
  EXPECT_EQ(must(ledger().take_journal(id, first)), first.back().position()) << "a batch again is no error";
  EXPECT_EQ(must(ledger().take_journal(id, {})), first.back().position());
  // Overlapping: what is known is compared, what is new is taken.
  EXPECT_EQ(must(ledger().take_journal(id, {records.begin() + 1, records.end()})), records.back().position());
  EXPECT_EQ(must(ledger().journal_of(id, 0, 100)), records);
  EXPECT_EQ(must(ledger().journal_of(id, 3, 1)), std::vector<JournalRecord>{records[3]});
  EXPECT_EQ(must(ledger().terminal(id)).journal_to, 5u);
}

TEST_F(TerminalLedgerTest, GapsAndForksAreRefusedWhole) {
  const TerminalId id = invite("clinic-1").terminal.id;
  const auto records = chain(6);
  must(ledger().take_journal(id, {records.begin(), records.begin() + 2}));
  const auto gap = ledger().take_journal(id, {records.begin() + 3, records.end()});
  EXPECT_EQ(gap.error().kind, ErrorKind::not_found);
  EXPECT_THAT(gap.error().message, HasSubstr("records 3 to 3"));

  // Another history from record 2 on.
  auto other = chain(3, records[0].position(), "b");
  const auto fork = ledger().take_journal(id, other);
  EXPECT_EQ(fork.error().kind, ErrorKind::already_exists);
  // One that goes on from another record 2.
  EXPECT_EQ(ledger().take_journal(id, {other.begin() + 1, other.end()}).error().kind, ErrorKind::already_exists);
  EXPECT_EQ(must(ledger().terminal(id)).journal_to, 2u);
  EXPECT_THAT(must(ledger().terminal(id)).journal_fault, HasSubstr("differs"));
  EXPECT_EQ(must(ledger().events_of(id)).front().kind, "journal-fork");

  std::vector<JournalRecord> broken(records.begin() + 2, records.begin() + 4);
  broken[1].body = "{\"word\":\"c\"}";
  EXPECT_EQ(ledger().take_journal(id, broken).error().kind, ErrorKind::invalid_signature);
  EXPECT_EQ(must(ledger().terminal(id)).journal_to, 2u) << "all or none";
}

TEST_F(TerminalLedgerTest, AMendedJournalGoesOn) {
  const TerminalId id = invite("clinic-1").terminal.id;
  const auto records = chain(2);
  must(ledger().take_journal(id, records));
  JournalRecord damage;
  damage.number = 6;
  damage.time = clock_.now();
  damage.kind = kDamageKind;
  damage.body = damage_body({.from = 3, .to = 5, .file = "x"});
  damage.previous.fill(0x0D);  // of record 5, which is lost
  damage.hash = hash_of(damage);
  const auto after = chain(1, damage.position());
  EXPECT_EQ(must(ledger().take_journal(id, {damage, after[0]})).number, 7u);
  EXPECT_EQ(must(ledger().events_of(id)).front().kind, "journal-mended");
  const std::vector<JournalRecord> all = must(ledger().journal_of(id, 2, 10));
  EXPECT_EQ(all, (std::vector<JournalRecord>{damage, after[0]}));
}

TEST_F(TerminalLedgerTest, ACardIsMovedOnceAKey) {
  CardId card{};
  {
    Registry registry = open();
    const CitizenId citizen = must(registry.add_citizen(made_up_citizen(1), cause_));
    card = must(registry.order_card({.citizen = citizen, .profile = "citizen"}, cause_)).id;
    must(registry.produce_card(card, "00c0ffee", clock_.now() + std::chrono::hours(24 * 365), cause_));
    must(registry.change_card_state(card, CardState::active, cause_));
    EXPECT_EQ(must(registry.stop_changes()), 0u);
  }
  TerminalLedger terminals = ledger();
  int answers = 0;
  const auto change = [&](const std::string& key, CardState to, std::string_view request) {
    return terminals.change_card_once({"operator:a", key, keys(request)}, card, to, RevocationReason::unspecified,
                                      cause_, [&](const Card& moved) {
                                        ++answers;
                                        return std::string(row_of(moved.state).name);
                                      });
  };
  EXPECT_EQ(must(change("1", CardState::suspended, "suspend")), "suspended");
  EXPECT_EQ(must(terminals.registry().stop_changes()), 1u);
  EXPECT_EQ(must(change("2", CardState::active, "resume")), "active");
  EXPECT_EQ(must(change("1", CardState::suspended, "suspend")), "suspended") << "what was said then";
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(must(open().card(card)).state, CardState::active) << "and nothing was done again";
  EXPECT_EQ(change("1", CardState::revoked, "revoke").error().kind, ErrorKind::already_exists);
  EXPECT_EQ(change("", CardState::active, "resume").error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(change("3", CardState::produced, "x").error().kind, ErrorKind::usage);
  must(terminals.forget_answers(clock_.now() + std::chrono::seconds(1)));
  EXPECT_EQ(must(change("1", CardState::suspended, "suspend")), "suspended");
  EXPECT_EQ(must(open().stop_changes()), 3u);
}

}  // namespace
}  // namespace karta::identity
