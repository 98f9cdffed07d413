// A card at a gate: three commands, a receipt, and nothing taken twice whatever becomes of the answer.
#include <gtest/gtest.h>

#include "card/transit.h"
#include "tests/eac/identity_card.h"
#include "tests/sectors/wire.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::is;
using test::kInsCommit;
using test::Wire;

const Time kNow = crypto::testing::test_time();

class TapTest : public ::testing::Test {
 protected:
  void SetUp() override { at_gate(); }
  // The card in the field, powered anew, nobody else on the wire.
  void at_gate() {
    card.put(os::Interface::contactless);
    wire = std::make_unique<Wire>(card.sim);
  }
  // What a ticket office puts into the second product.
  void buy_trips(std::uint32_t trips) {
    at_gate();
    auto transit = TransitApplication::open(wire->channel);
    ASSERT_TRUE(transit) << transit.error().message;
    // The rule to sell asks for a terminal with the right: here in the open it is refused.
    EXPECT_FALSE(transit->open_for_sale(keys));
    const SecretBytes can = test::secret(test::kCan);
    const UnlockedTerminal counter = card.terminal("counter");
    at_gate();
    auto identity = IdentityApplication::open(*card.plain, card.request(counter, PacePassword::can, can), card.random);
    ASSERT_TRUE(identity) << identity.error().message;
    auto inside = TransitApplication::open(identity->channel());
    ASSERT_TRUE(inside) << inside.error().message;
    auto ledger = inside->open_for_sale(keys);
    ASSERT_TRUE(ledger) << ledger.error().message;
    TransitEntry entry;
    entry.terminal = 9;
    entry.number = ++sold;
    const auto change = sale(ledger->state(), 1, trips, entry);
    ASSERT_TRUE(change);
    const auto receipt = ledger->commit(*change);
    ASSERT_TRUE(receipt) << receipt.error().message;
    ASSERT_TRUE(ledger->ratify());
    identity->close();
    at_gate();
  }
  // OPEN alone: what the card says of itself.
  LedgerState look() {
    auto transit = TransitApplication::open(wire->channel);
    EXPECT_TRUE(transit);
    auto ledger = transit->open_for_travel(keys);
    EXPECT_TRUE(ledger) << ledger.error().message;
    return ledger ? ledger->state() : LedgerState{};
  }

  IdentityCard card;
  MasterTransactionKeys keys{test::ledger_masters(test::kTransitMasters), card.random};
  std::unique_ptr<Wire> wire;
  std::uint32_t sold = 0;
  Gate gate{.terminal = 7, .zone = 1, .fare = 50, .reduced_fare = 25, .pass_back_seconds = 0};
  Gate far_gate{.terminal = 8, .zone = 9, .fare = 50, .reduced_fare = 25, .pass_back_seconds = 0};
};

TEST_F(TapTest, IsThreeCommandsAndOneBehindTheOpenGate) {
  Tap tap(wire->channel, keys, gate);
  const auto outcome = tap.run(1, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->reason, TapReason::open);
  ASSERT_EQ(wire->exchanges.size(), 3u);
  EXPECT_EQ(wire->exchanges[0].command[1], test::kInsSelect);
  EXPECT_EQ(wire->exchanges[1].command[1], test::kInsOpen);
  EXPECT_EQ(wire->exchanges[2].command[1], test::kInsCommit);
  ASSERT_TRUE(outcome->receipt);
  EXPECT_EQ(outcome->receipt->sequence, 1u);
  ASSERT_TRUE(tap.ratify());
  EXPECT_EQ(wire->exchanges.size(), 4u);
  EXPECT_EQ(tap.session()->phase(), LedgerPhase::ratified);
  // The back office computes the same code from what it knows.
  const LedgerInfo& info = tap.session()->info();
  EXPECT_EQ(info.serial, card.data.transit.ledger.serial);
  const auto masters = test::ledger_masters(test::kTransitMasters);
  const SecretBytes settlement =
      diversify_ledger_key(masters.at(LedgerKey::settlement), LedgerKey::settlement, info.serial);
  EXPECT_EQ(outcome->receipt->code,
            settlement_code(settlement, LedgerKey::debit, info.serial, 1, Bytes(8, 0), outcome->entry.encode()));
  // A gate cannot: its masters lack that one.
  const LedgerState after = look();
  EXPECT_TRUE(after.ratified);
  EXPECT_EQ(after.sequence, 1u);
  EXPECT_EQ(after.last_entry, outcome->entry.encode());
  EXPECT_EQ(after.last_code, outcome->receipt->code);
}

TEST_F(TapTest, TripsAreCountedDownAndEndAtNone) {
  buy_trips(2);
  for (const std::uint32_t left : {1u, 0u}) {
    at_gate();
    Tap tap(wire->channel, keys, far_gate);
    const auto outcome = tap.run(10 + left, kNow);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->reason, TapReason::open);
    EXPECT_EQ(outcome->counters, (std::vector<std::uint32_t>{0, left}));
    ASSERT_TRUE(tap.ratify());
  }
  at_gate();
  Tap tap(wire->channel, keys, far_gate);
  const auto outcome = tap.run(12, kNow);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->reason, TapReason::used_up);
  EXPECT_FALSE(outcome->receipt);
  EXPECT_EQ(wire->exchanges.size(), 2u) << "a card that may not pass is written nothing on";
}

// The answer to COMMIT is swallowed: written. The same gate, or another that was told, lets the holder pass and takes
// nothing.
TEST_F(TapTest, ALostAnswerIsSettledAtTheNextTap) {
  buy_trips(2);
  std::optional<PendingCommit> kept;
  const auto keep = [&](const PendingCommit& pending) -> Status {
    kept = pending;
    return {};
  };
  wire->from_card = [](ByteView command, Bytes answer) { return is(command, kInsCommit) ? Bytes{} : answer; };
  {
    Tap tap(wire->channel, keys, far_gate);
    const auto outcome = tap.run(20, kNow, keep);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(tap.session()->phase(), LedgerPhase::lost);
    ASSERT_TRUE(kept);
  }
  // It survives the terminal's own restart as text.
  const auto read_back = PendingCommit::from_text(kept->to_text());
  ASSERT_TRUE(read_back) << read_back.error().message;
  at_gate();
  EXPECT_FALSE(look().ratified);
  at_gate();
  Tap tap(wire->channel, keys, far_gate);
  const auto outcome = tap.run(21, kNow, keep, &*read_back);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->reason, TapReason::open);
  EXPECT_TRUE(outcome->settled);
  EXPECT_EQ(outcome->receipt->sequence, 2u);
  EXPECT_FALSE(outcome->receipt->code.empty());
  EXPECT_EQ(wire->exchanges.size(), 2u) << "no second COMMIT";
  EXPECT_EQ(look().counters[1], 1u) << "one trip, not two";
}

// The command itself never arrives: not written, and committed anew.
TEST_F(TapTest, ALostCommandIsCommittedAgain) {
  buy_trips(2);
  std::optional<PendingCommit> kept;
  const auto keep = [&](const PendingCommit& pending) -> Status {
    kept = pending;
    return {};
  };
  wire->to_card = [](ByteView command) { return is(command, kInsCommit) ? Bytes{} : to_bytes(command); };
  ASSERT_FALSE(Tap(wire->channel, keys, far_gate).run(30, kNow, keep));
  ASSERT_TRUE(kept);
  const PendingCommit before = *kept;
  at_gate();
  Tap tap(wire->channel, keys, far_gate);
  const auto outcome = tap.run(31, kNow, keep, &before);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_FALSE(outcome->settled);
  EXPECT_EQ(outcome->counters[1], 1u);
}

TEST_F(TapTest, SettlingKnowsEveryCase) {
  LedgerInfo info;
  info.serial = Bytes(8, 1);
  PendingCommit pending{Bytes(8, 1), LedgerKey::debit, 5, {{1, 2}, Bytes(16, 3)}};
  LedgerState state;
  state.last_entry = pending.change.entry;
  state.sequence = 6;
  EXPECT_EQ(settle(pending, info, state), Settlement::written);
  state.last_entry = Bytes(16, 4);
  EXPECT_EQ(settle(pending, info, state), Settlement::not_written) << "another terminal's entry stands in its place";
  state.sequence = 5;
  EXPECT_EQ(settle(pending, info, state), Settlement::not_written);
  state.sequence = 7;
  EXPECT_EQ(settle(pending, info, state), Settlement::superseded);
  state.sequence = 4;
  EXPECT_EQ(settle(pending, info, state), Settlement::other_card) << "sequences do not go back";
  info.serial = Bytes(8, 2);
  EXPECT_EQ(settle(pending, info, state), Settlement::other_card);
}

TEST_F(TapTest, NothingIsSentThatCouldNotBeKept) {
  const auto keep = [](const PendingCommit&) -> Status { return fail(ErrorKind::io, "the disk is full"); };
  Tap tap(wire->channel, keys, gate);
  const auto outcome = tap.run(1, kNow, keep);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::io);
  EXPECT_EQ(wire->exchanges.size(), 2u);
  at_gate();
  EXPECT_EQ(look().sequence, 0u);
}

TEST_F(TapTest, RulesOfTheGate) {
  struct Case {
    const char* name;
    Gate gate;
    Time now;
    TapReason reason;
  };
  const Gate outside{.terminal = 7, .zone = 5};
  for (const Case& one : {Case{"in its zone", gate, kNow, TapReason::open},
                          Case{"no zone of the pass, no trips bought", outside, kNow, TapReason::used_up},
                          Case{"long after", gate, kNow + std::chrono::days(3000), TapReason::used_up}}) {
    SCOPED_TRACE(one.name);
    at_gate();
    const auto decision = decide_tap(look(), one.gate, 1, one.now);
    ASSERT_TRUE(decision);
    EXPECT_EQ(decision->reason, one.reason) << name_of(decision->reason);
  }
  // Over the barrier to a friend, at once; after a while it is a trip of its own.
  Gate strict = gate;
  strict.pass_back_seconds = 300;
  at_gate();
  ASSERT_TRUE(Tap(wire->channel, keys, strict).run(1, kNow));
  at_gate();
  const auto second = Tap(wire->channel, keys, strict).run(2, kNow + std::chrono::seconds(20));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->reason, TapReason::pass_back);
  at_gate();
  const auto later = Tap(wire->channel, keys, strict).run(3, kNow + std::chrono::seconds(300));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->reason, TapReason::open);
}

TEST(TapDecision, AConcessionRidesForLess) {
  TransitPass pass;
  pass.concession = 4;
  pass.concession_until = std::chrono::year(2027) / 6 / 30;
  pass.products = {{ProductKind::purse, 0xFFFF, {}, {}}};
  const auto product = pass.encode();
  ASSERT_TRUE(product);
  LedgerState state;
  state.product = *product;
  state.counters = {100};
  state.last_entry = Bytes(TransitEntry::kOctets, 0);
  const Gate gate{.terminal = 1, .zone = 0, .fare = 60, .reduced_fare = 20};
  const auto reduced = decide_tap(state, gate, 1, *parse_time("2027-06-30"));
  ASSERT_TRUE(reduced);
  EXPECT_EQ(reduced->change.counters, std::vector<std::uint32_t>{80});
  EXPECT_TRUE(reduced->entry.reduced);
  const auto full = decide_tap(state, gate, 1, *parse_time("2027-07-01"));
  ASSERT_TRUE(full);
  EXPECT_EQ(full->change.counters, std::vector<std::uint32_t>{40});
  EXPECT_FALSE(full->entry.reduced);
  state.counters = {59};
  EXPECT_EQ(decide_tap(state, gate, 1, *parse_time("2027-07-01"))->reason, TapReason::used_up);
}

// The newest entry carries what the day and the month have had: quotas, caps, exits, all by what OPEN shows.
class TapSums : public ::testing::Test {
 protected:
  TapSums() { state.last_entry = Bytes(TransitEntry::kOctets, 0); }
  void carry(const TransitPass& pass, std::vector<std::uint32_t> counters) {
    state.product = crypto::testing::must(pass.encode());
    state.counters = std::move(counters);
  }
  /// A tap whose change becomes the card's state where it opens.
  TapReason tap(const Gate& at, std::string_view time) {
    const auto decision = decide_tap(state, at, ++number, parse_time(time).value());
    EXPECT_TRUE(decision) << decision.error().message;
    if (!decision) return TapReason::no_product;
    if (decision->reason == TapReason::open) {
      state.counters = decision->change.counters;
      state.last_entry = decision->change.entry;
    }
    return decision->reason;
  }
  LedgerState state;
  std::uint32_t number = 0;
};

TEST_F(TapSums, AConcessionHasItsRidesADayAndAMonth) {
  TransitPass pass;
  pass.concession = 6;
  pass.products = {{ProductKind::period, 0xFFFF, {}, {}}, {ProductKind::purse, 0xFFFF, {}, {}}};
  carry(pass, {0, 60});
  Gate gate{.terminal = 1, .zone = 0, .fare = 50, .reduced_fare = 20};
  gate.concessions[6] = {true, 2, 3};
  EXPECT_EQ(tap(gate, "2027-06-01T08:00:00Z"), TapReason::open);
  EXPECT_EQ(tap(gate, "2027-06-01T09:00:00Z"), TapReason::open);
  EXPECT_EQ(state.counters[1], 60u);
  EXPECT_EQ(tap(gate, "2027-06-01T10:00:00Z"), TapReason::open) << "off the purse, at the full fare";
  EXPECT_EQ(state.counters[1], 10u);
  EXPECT_EQ(tap(gate, "2027-06-01T11:00:00Z"), TapReason::quota);
  EXPECT_EQ(tap(gate, "2027-06-02T08:00:00Z"), TapReason::open) << "a new day";
  EXPECT_EQ(tap(gate, "2027-06-03T08:00:00Z"), TapReason::quota) << "three a month";
  EXPECT_EQ(tap(gate, "2027-07-01T08:00:00Z"), TapReason::open);
  EXPECT_EQ(tap(gate, "2027-07-01T08:10:00Z"), TapReason::open);
  EXPECT_EQ(tap(gate, "2027-06-30T08:10:00Z"), TapReason::quota) << "a clock set back gives nothing";
  gate.concessions[6].honoured = false;
  EXPECT_EQ(tap(gate, "2027-09-01T08:00:00Z"), TapReason::used_up)
      << "no ground here: ten are left for a fare of fifty";
}

TEST_F(TapSums, ADayHasItsCapAndBeginsWhenServiceDoes) {
  TransitPass pass;
  pass.products = {{ProductKind::purse, 0xFFFF, {}, {}}};
  carry(pass, {1000});
  Gate gate{.terminal = 1, .zone = 0, .fare = 50, .reduced_fare = 20};
  gate.day_cap = {120, 60};
  gate.day_offset_seconds = (3 - 4) * 3600;  // three hours ahead of UTC, service from four in the morning
  for (const std::uint32_t left : {950u, 900u, 880u, 880u}) {
    EXPECT_EQ(tap(gate, "2027-06-01T20:00:00Z"), TapReason::open);
    EXPECT_EQ(state.counters[0], left);
  }
  // A sale keeps the sums.
  TransitEntry entry;
  entry.moment = moment_number(*parse_time("2027-06-01T21:00:00Z"));
  const auto sold = sale(state, 0, 20, entry, gate.day_offset_seconds);
  ASSERT_TRUE(sold);
  state.counters = sold->counters;
  state.last_entry = sold->entry;
  EXPECT_EQ(tap(gate, "2027-06-02T00:59:00Z"), TapReason::open);
  EXPECT_EQ(state.counters[0], 900u) << "before four in the morning it is still the day before";
  EXPECT_EQ(tap(gate, "2027-06-02T01:00:00Z"), TapReason::open);
  EXPECT_EQ(state.counters[0], 850u);
}

TEST_F(TapSums, AnExitTakesWhatTheWayCostsMore) {
  TransitPass pass;
  pass.products = {{ProductKind::purse, 0xFFFF, {}, {}}};
  carry(pass, {100});
  const Gate in{.terminal = 1, .zone = 2, .fare = 40, .reduced_fare = 20};
  Gate out{.terminal = 9, .zone = 5, .event = TransitEntry::Event::exit};
  out.supplements[2] = {35, 15};
  EXPECT_EQ(tap(out, "2027-06-01T08:00:00Z"), TapReason::no_entry);
  EXPECT_EQ(tap(in, "2027-06-01T08:00:00Z"), TapReason::open);
  EXPECT_EQ(tap(out, "2027-06-01T08:30:00Z"), TapReason::open);
  EXPECT_EQ(state.counters[0], 25u);
  EXPECT_EQ(TransitEntry::parse(state.last_entry)->spent_day, 75u);
  EXPECT_EQ(tap(out, "2027-06-01T08:31:00Z"), TapReason::no_entry) << "out is out";
}

TEST_F(TapTest, AStoppedCardIsRefusedBeforeAnythingIsTaken) {
  buy_trips(1);
  at_gate();
  Tap tap(wire->channel, keys, far_gate);
  std::uint64_t asked = 0;
  const auto outcome = tap.run(1, kNow, {}, nullptr, [&](std::uint64_t index) {
    asked = index;
    return TapReason::stopped;
  });
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->reason, TapReason::stopped);
  EXPECT_EQ(asked, 4711u);
  EXPECT_FALSE(outcome->receipt);
  EXPECT_EQ(wire->exchanges.size(), 2u);
}

// No secret in the gate, no write on the card.
TEST(SignedTap, IsCheckedByWhoHasOnlyTheRoot) {
  IdentityCard card({.card_signed = true});
  card.put(os::Interface::contactless);
  Wire wire(card.sim);
  const Gate gate{.terminal = 7, .zone = 1};
  const std::vector<crypto::Certificate> anchors = {card.centre.issuing};
  const auto outcome = run_signed_tap(wire.channel, anchors, gate, kNow, card.random);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->reason, TapReason::open);
  EXPECT_EQ(outcome->certificate.status_index(), 4711u);
  EXPECT_EQ(outcome->status_index, 4711u);
  EXPECT_EQ(outcome->serial, card.data.transit.ledger.serial);
  EXPECT_EQ(wire.exchanges.size(), 3u) << "SELECT, READ BINARY, INTERNAL AUTHENTICATE";
  // A day added to the pass, a trip to the counter: anything changed breaks the signature.
  for (const std::size_t at : {1u, 10u, 23u, 30u}) {
    card.put(os::Interface::contactless);
    Wire forging(card.sim);
    forging.from_card = [&](ByteView command, Bytes answer) {
      if (is(command, 0x88)) answer[at] ^= 0x01;
      return answer;
    };
    const auto forged = run_signed_tap(forging.channel, anchors, gate, kNow, card.random);
    ASSERT_FALSE(forged);
    EXPECT_EQ(forged.error().kind, ErrorKind::invalid_signature) << at << " " << forged.error().message;
  }
  // An answer of yesterday is not this gate's nonce.
  const Bytes recorded = wire.last(0x88).answer;
  card.put(os::Interface::contactless);
  Wire replaying(card.sim);
  replaying.from_card = [&](ByteView command, Bytes answer) { return is(command, 0x88) ? recorded : answer; };
  EXPECT_EQ(run_signed_tap(replaying.channel, anchors, gate, kNow, card.random).error().kind,
            ErrorKind::invalid_signature);
  // Another card's certificate does not vouch for this one's ledger.
  IdentityCard other({.seed = 2, .card_signed = true});
  other.put(os::Interface::contactless);
  Wire theirs(other.sim);
  const Bytes certificate = wire.last(0xB0).answer;
  theirs.from_card = [&](ByteView command, Bytes answer) { return is(command, 0xB0) ? certificate : answer; };
  EXPECT_EQ(run_signed_tap(theirs.channel, anchors, gate, kNow, card.random).error().kind,
            ErrorKind::invalid_signature);
}

}  // namespace
}  // namespace karta::card
