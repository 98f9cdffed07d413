// Journals that agree, and journals that lie: invented, dropped and doubled taps, sums, chains.
#include "issuing/settlement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/be32.h"
#include "card/transit.h"
#include "crypto/testing.h"

namespace karta::issuing {
namespace {

using card::LedgerKey;
using card::TapRecord;
using identity::JournalRecord;
using ::testing::ElementsAre;
using Kind = SettlementFindingKind;

/// A card's ledger with one counter of trips, and the codes it makes.
struct Ledger {
  explicit Ledger(std::uint8_t fill) : serial(8, fill) {}
  /// The next commit: one trip off, at this gate.
  TapRecord ride(std::uint32_t gate, std::uint32_t number) {
    card::TransitEntry entry;
    entry.event = card::TransitEntry::Event::entry;
    entry.terminal = gate;
    entry.number = number;
    TapRecord tap;
    tap.gate = gate;
    tap.number = number;
    tap.ledger = serial;
    tap.status_index = 4711;
    tap.sequence = ++sequence;
    tap.change = {{--trips}, entry.encode()};
    tap.product = card::ProductKind::trips;
    tap.taken = 1;
    tap.code = code(tap);
    return tap;
  }
  Bytes code(const TapRecord& tap) const {
    Bytes counters;
    append_be32(counters, tap.change.counters[0]);
    return card::settlement_code(card::diversify_ledger_key(master(), LedgerKey::settlement, serial), tap.kind, serial,
                                 tap.sequence, counters, tap.change.entry);
  }
  static SecretBytes master() { return SecretBytes(Bytes(16, 0x53)); }

  Bytes serial;
  std::uint32_t sequence = 0, trips = 100;
};

/// A terminal's chain.
struct Chain {
  void add(std::string_view kind, const TapRecord& tap) {
    JournalRecord record;
    record.number = records.size() + 1;
    record.time = *parse_time("2026-06-01T12:00:00Z");
    record.kind = kind;
    record.body = tap.to_json();
    if (!records.empty()) record.previous = records.back().hash;
    record.hash = hash_of(record);
    records.push_back(std::move(record));
  }
  /// As a gate writes it.
  void ride(const TapRecord& tap) {
    intent(tap);
    add(card::kTapKind, tap);
  }
  void intent(TapRecord tap) {
    tap.code.clear();
    add(card::kTapIntentKind, tap);
  }
  std::vector<JournalRecord> records;
};

class SettlementTest : public ::testing::Test {
 protected:
  SettlementTest() {
    masters_.emplace(LedgerKey::settlement, Ledger::master());
    keys_ = std::make_unique<card::MasterTransactionKeys>(std::move(masters_), random_);
  }
  SettlementReport settle(std::initializer_list<const Chain*> chains) {
    Settlement settlement(keys_.get());
    int terminal = 0;
    for (const Chain* chain : chains) {
      const Status added = settlement.add("terminal-" + std::to_string(++terminal), chain->records);
      EXPECT_TRUE(added) << added.error().message;
    }
    return settlement.finish();
  }
  static std::vector<Kind> kinds(const SettlementReport& report) {
    std::vector<Kind> out;
    for (const auto& finding : report.findings) out.push_back(finding.kind);
    return out;
  }
  SeededRandom random_{1};
  card::LedgerMasters masters_;
  std::unique_ptr<card::MasterTransactionKeys> keys_;
  Ledger card{1};
  Chain one, two;
};

TEST_F(SettlementTest, HonestJournalsAgree) {
  for (std::uint32_t i = 1; i <= 3; ++i) {
    one.ride(card.ride(7, i));
    two.ride(card.ride(8, i));
  }
  const auto report = settle({&two, &one});  // whichever comes first
  EXPECT_TRUE(report.findings.empty()) << report.findings.front().words;
  EXPECT_EQ(report.commits, 6u);
  EXPECT_EQ(report.all.trips, 6u);
  EXPECT_EQ(report.gates.at(7).trips, 3u);
  EXPECT_EQ(report.gates.at(8).taps, 3u);
}

TEST_F(SettlementTest, AnInventedTapHasNoCodeOfTheCards) {
  one.ride(card.ride(7, 1));
  TapRecord invented = card.ride(7, 2);
  --card.sequence;
  invented.code[0] ^= 1;
  one.ride(invented);
  TapRecord replayed = card.ride(7, 3);
  replayed.code = Ledger(1).ride(7, 1).code;
  --card.sequence;
  one.ride(replayed);
  const auto report = settle({&one});
  EXPECT_EQ(report.count(Kind::invented), 2u);
  EXPECT_FALSE(report.faultless());
  EXPECT_EQ(report.all.taps, 1u);
}

TEST_F(SettlementTest, ADroppedTapLeavesAGap) {
  one.ride(card.ride(7, 1));
  (void)card.ride(7, 2);  // taken, and not told
  one.ride(card.ride(7, 3));
  const auto report = settle({&one});
  EXPECT_THAT(kinds(report), ElementsAre(Kind::dropped));
  EXPECT_EQ(report.findings.front().sequence, 2u);
  // What the next gate saw of it is proof as well.
  Chain told;
  Ledger other{2};
  told.ride(other.ride(7, 1));
  const TapRecord hidden = other.ride(7, 2);
  TapRecord next = other.ride(8, 1);
  next.seen = TapRecord::Seen{hidden.sequence, false, hidden.change.counters, hidden.change.entry, hidden.code};
  told.ride(next);
  EXPECT_THAT(kinds(settle({&told})), ElementsAre(Kind::dropped));
}

TEST_F(SettlementTest, OneCommitOpensOnce) {
  const TapRecord tap = card.ride(7, 1);
  one.ride(tap);
  one.add(card::kTapKind, tap);
  EXPECT_THAT(kinds(settle({&one})), ElementsAre(Kind::doubled));
  // A card that went back in time makes two commits of one number.
  Ledger clone = Ledger{3}, twin = Ledger{3};
  two.ride(clone.ride(7, 1));
  two.ride(twin.ride(8, 1));
  EXPECT_THAT(kinds(settle({&two})), ElementsAre(Kind::doubled));
}

TEST_F(SettlementTest, ASecondCommitUnderOneNumberIsToldThoughItOpenedNothing) {
  Ledger clone = Ledger{3}, twin = Ledger{3};
  one.ride(clone.ride(7, 1));
  TapRecord late = twin.ride(8, 1);
  late.settlement = card::TapSettlement::written;
  two.add(card::kSettledKind, late);
  EXPECT_THAT(kinds(settle({&one, &two})), ElementsAre(Kind::doubled));
}

/// A card that signs: its transit key, certified for its ledger.
struct SigningCard {
  static constexpr const char* kProfile = R"(
schema = "karta.certificate-profile/1"
name = "card-transit"
validity_days = 1826
key_usage = ["digitalSignature"]
status_index = "required"
[subject]
required = ["CN"]
)";
  SigningCard(crypto::testing::TestCentre& centre, std::uint8_t fill)
      : serial(8, fill), certificate(certified(centre, card::transit_subject(serial)).der()) {}
  /// Its key, certified under this name.
  crypto::Certificate certified(crypto::testing::TestCentre& centre, const std::string& subject) const {
    using crypto::testing::must;
    const FixedClock clock(must(parse_time("2026-01-03")));
    SystemRandom random;
    const crypto::CertificateRequest request{.subject = must(crypto::NameBuilder().add("CN", subject).build()),
                                             .public_key = key.public_key(),
                                             .status_index = 4711};
    return must(crypto::issue_certificate(must(crypto::CertificateProfile::from_toml(kProfile)), request, centre.ca,
                                          centre.ca_signer, clock, random));
  }
  /// A tap at this gate; `nonce` is the gate's.
  TapRecord tap(std::uint32_t gate, std::uint32_t number, std::uint8_t nonce) {
    using crypto::testing::must;
    TapRecord out;
    out.form = TapRecord::Form::card_signed;
    out.gate = gate;
    out.number = number;
    out.ledger = serial;
    out.status_index = 4711;
    out.statement = concat({as_bytes("KTXP"), Bytes(16, nonce), serial, Bytes(20, 0x01)});
    out.signature = must(
        crypto::decode_ecdsa_signature(must(key.sign_message(crypto::AlgorithmId::ecdsa_sha256, out.statement)), 32));
    out.certificate = certificate;
    return out;
  }

  crypto::SoftwareSigner key{crypto::testing::must(crypto::PrivateKey::generate(crypto::KeyType::p256))};
  Bytes serial, certificate;
};

class SignedSettlementTest : public SettlementTest {
 protected:
  SettlementReport settle_signed(const Chain& chain) {
    Settlement settlement(nullptr, {centre_.ca});
    const Status added = settlement.add("terminal", chain.records);
    EXPECT_TRUE(added) << added.error().message;
    return settlement.finish();
  }
  crypto::testing::TestCentre centre_;
  SigningCard signing_{centre_, 1}, other_{centre_, 2};
};

TEST_F(SignedSettlementTest, HonestTapsAreCounted) {
  one.add(card::kTapKind, signing_.tap(7, 1, 0x11));
  one.add(card::kTapKind, signing_.tap(7, 2, 0x12));
  one.add(card::kTapKind, other_.tap(7, 3, 0x13));
  const auto report = settle_signed(one);
  EXPECT_TRUE(report.findings.empty()) << report.findings.front().words;
  EXPECT_EQ(report.all.card_signed, 3u);
  EXPECT_EQ(report.codes_unchecked, 0u);
}

TEST_F(SignedSettlementTest, OneStatementIsOneTap) {
  one.add(card::kTapKind, signing_.tap(7, 1, 0x11));
  TapRecord again = signing_.tap(7, 1, 0x11);
  again.number = 2;
  one.add(card::kTapKind, again);
  const auto report = settle_signed(one);
  EXPECT_THAT(kinds(report), ElementsAre(Kind::doubled));
  EXPECT_EQ(report.all.card_signed, 1u);
}

TEST_F(SignedSettlementTest, WhatTheCardDidNotSignIsInvented) {
  TapRecord altered = signing_.tap(7, 1, 0x11);
  altered.statement.back() ^= 1;
  one.add(card::kTapKind, altered);
  // Another card's signature under this one's ledger, with either certificate.
  TapRecord borrowed = other_.tap(7, 2, 0x12);
  borrowed.ledger = signing_.serial;
  one.add(card::kTapKind, borrowed);
  TapRecord renamed = other_.tap(7, 3, 0x13);
  renamed.ledger = signing_.serial;
  renamed.statement = signing_.tap(7, 3, 0x13).statement;
  renamed.signature = crypto::testing::must(crypto::decode_ecdsa_signature(
      crypto::testing::must(other_.key.sign_message(crypto::AlgorithmId::ecdsa_sha256, renamed.statement)), 32));
  one.add(card::kTapKind, renamed);
  // A key that no issuer of ours certified, though its issuer bears the same name.
  crypto::testing::TestCentre elsewhere;
  one.add(card::kTapKind, SigningCard(elsewhere, 3).tap(7, 4, 0x14));
  const auto report = settle_signed(one);
  EXPECT_EQ(report.count(Kind::invented), 4u);
  EXPECT_EQ(report.all.card_signed, 0u);
}

// The same authority certifies citizens and servers: a name that is not a ledger's, to the letter, is nobody's ledger.
TEST_F(SignedSettlementTest, ACertificateIsALedgersByItsNameAlone) {
  const Time at = crypto::testing::test_time();
  const std::string right = card::transit_subject(Bytes(8, 0xAB));
  const auto serial = card::verify_transit_certificate(signing_.certified(centre_, right), {centre_.ca}, at);
  ASSERT_TRUE(serial) << serial.error().message;
  EXPECT_EQ(*serial, Bytes(8, 0xAB));
  for (const char* const other : {"transit abababababababab", "transit ABABABABABABABAB00", "transit ABABABABABABAB",
                                  "transit  ABABABABABABABAB", "Transit ABABABABABABABAB", "ABABABABABABABAB"}) {
    const auto refused = card::verify_transit_certificate(signing_.certified(centre_, other), {centre_.ca}, at);
    ASSERT_FALSE(refused) << other;
    EXPECT_EQ(refused.error().kind, ErrorKind::untrusted) << other;
  }
  EXPECT_FALSE(card::verify_transit_certificate(signing_.certified(centre_, right), {centre_.ca},
                                                at + std::chrono::days(6 * 366)));
}

TEST_F(SettlementTest, ALostAnswerIsTold) {
  // Sent, and the card not seen since.
  const TapRecord lost = card.ride(7, 1);
  one.intent(lost);
  EXPECT_THAT(kinds(settle({&one})), ElementsAre(Kind::unproven));
  // Another gate sees that it was written: paid, and nobody passed.
  TapRecord next = card.ride(8, 1);
  next.seen = TapRecord::Seen{lost.sequence, false, lost.change.counters, lost.change.entry, lost.code};
  two.intent(next);
  next.seen.reset();
  two.add(card::kTapKind, next);
  const auto report = settle({&one, &two});
  EXPECT_THAT(kinds(report), ElementsAre(Kind::not_opened));
  EXPECT_EQ(report.findings.front().gate, 7u);
  EXPECT_TRUE(report.faultless()) << "it happens to honest gates";
  // The gate settles it itself.
  Chain settled;
  Ledger other{4};
  TapRecord tap = other.ride(7, 1);
  settled.intent(tap);
  tap.number = 2;
  tap.settlement = card::TapSettlement::written;
  tap.opens = true;
  settled.add(card::kSettledKind, tap);
  const auto good = settle({&settled});
  EXPECT_TRUE(good.findings.empty()) << good.findings.front().words;
  EXPECT_EQ(good.all.settled, 1u);
  EXPECT_EQ(good.all.trips, 1u);
}

TEST_F(SettlementTest, SumsAreHeldAgainstTheCountersAndSalesAreNoRides) {
  one.ride(card.ride(7, 1));
  TapRecord cheap = card.ride(7, 2);
  cheap.taken = 0;
  one.ride(cheap);
  EXPECT_THAT(kinds(settle({&one})), ElementsAre(Kind::wrong_amount));
  Ledger other{5};
  two.ride(other.ride(7, 1));
  other.trips += 10;
  other.sequence += 1;
  two.ride(other.ride(7, 2));
  EXPECT_THAT(kinds(settle({&two})), ElementsAre(Kind::unseen_sale));
}

TEST_F(SettlementTest, AChainThatWasChangedIsTold) {
  for (std::uint32_t i = 1; i <= 3; ++i) one.ride(card.ride(7, i));
  Chain changed = one;
  changed.records[2].body += " ";
  EXPECT_GE(settle({&changed}).count(Kind::broken_chain), 1u);
  Chain cut = one;
  cut.records.erase(cut.records.begin() + 2, cut.records.begin() + 4);
  const auto report = settle({&cut});
  EXPECT_EQ(report.count(Kind::broken_chain), 1u);
  EXPECT_EQ(report.count(Kind::dropped), 1u);
  // A page that comes twice is no fault.
  Settlement settlement(keys_.get());
  ASSERT_TRUE(settlement.add("t", one.records));
  ASSERT_TRUE(settlement.add("t", {one.records.back()}));
  EXPECT_TRUE(settlement.finish().findings.empty());
}

TEST_F(SettlementTest, WithoutKeysNothingIsCalledProven) {
  one.ride(card.ride(7, 1));
  Settlement settlement(nullptr);
  ASSERT_TRUE(settlement.add("t", one.records));
  EXPECT_EQ(settlement.finish().codes_unchecked, 1u);
}

}  // namespace
}  // namespace karta::issuing
