// A gate that cheats, and a card that is a copy: everything they try is refused, and nothing on the card moves.
#include <gtest/gtest.h>

#include "base/be32.h"
#include "card/transit.h"
#include "tests/eac/identity_card.h"
#include "tests/sectors/wire.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::is;
using test::kInsCommit;
using test::kInsOpen;
using test::Wire;

const Time kNow = crypto::testing::test_time();
constexpr StatusWord kSwNotSame{0x6300};

class HostileGate : public ::testing::Test {
 protected:
  void SetUp() override { field(card); }
  void field(IdentityCard& which) {
    which.put(os::Interface::contactless);
    wire = std::make_unique<Wire>(which.sim);
  }
  LedgerInfo select() { return select_ledger(wire->channel, kTransitAid).value(); }
  // OPEN by hand; the session's keys are the cheat's own.
  Bytes open(LedgerCryptogram& session) {
    const auto answer = wire->channel.transmit({0x80, 0x32, 0x01, 0x00, session.nonce(), kShortResponse}).value();
    EXPECT_TRUE(answer.status.ok()) << to_string(answer.status);
    return answer.data;
  }
  LedgerCryptogram session_for(const LedgerInfo& info, std::uint8_t fill = test::kTransitMasters) {
    auto masters = test::ledger_masters(fill);
    return {diversify_ledger_key(masters.at(LedgerKey::debit), LedgerKey::debit, info.serial), LedgerKey::debit,
            info.serial, card.random.bytes(16)};
  }
  StatusWord send(Bytes command) {
    const auto answer = wire->connection.transmit(command).value();
    return StatusWord{load_be16(ByteView(answer).last(2))};
  }
  std::uint32_t sequence() {
    field(card);
    auto transit = TransitApplication::open(wire->channel).value();
    return transit.open_for_travel(keys).value().state().sequence;
  }
  void tap_once(std::uint32_t number) {
    field(card);
    Tap tap(wire->channel, keys, gate);
    ASSERT_TRUE(tap.run(number, kNow));
    ASSERT_TRUE(tap.ratify());
  }

  IdentityCard card;
  MasterTransactionKeys keys{test::ledger_masters(test::kTransitMasters), card.random};
  std::unique_ptr<Wire> wire;
  Gate gate{.terminal = 7, .zone = 1};
};

TEST_F(HostileGate, ReplayedCommitsAreRefused) {
  tap_once(1);
  const Bytes recorded = wire->last(kInsCommit).command;
  // At once, after the session; after a fresh OPEN of somebody else's; after power.
  EXPECT_EQ(send(recorded), kSwConditions);
  field(card);
  const LedgerInfo info = select();
  LedgerCryptogram session = session_for(info);
  open(session);
  EXPECT_EQ(send(recorded), kSwNotSame);
  EXPECT_EQ(send(recorded), kSwConditions) << "the wrong one ended the opening";
  EXPECT_EQ(sequence(), 1u);
}

TEST_F(HostileGate, AReplayedSessionFromOpenToCommitIsRefused) {
  tap_once(1);
  const Bytes open_command = wire->last(kInsOpen).command, commit_command = wire->last(kInsCommit).command;
  field(card);
  select();
  EXPECT_TRUE(send(open_command).ok()) << "the nonce alone proves nothing";
  EXPECT_EQ(send(commit_command), kSwNotSame) << "the card's own nonce is another";
  EXPECT_EQ(sequence(), 1u);
}

TEST_F(HostileGate, CommandsOutOfOrderAreRefused) {
  tap_once(1);
  const Bytes ratify = wire->last(test::kInsRatify).command, commit = wire->last(kInsCommit).command;
  field(card);
  EXPECT_FALSE(send(commit).ok()) << "before SELECT";
  EXPECT_FALSE(send(ratify).ok());
  select();
  EXPECT_EQ(send(commit), kSwConditions) << "before OPEN";
  EXPECT_EQ(send(ratify), kSwConditions);
  // Another command in between ends the opening.
  const LedgerInfo info = select();
  LedgerCryptogram session = session_for(info);
  const Bytes answer = open(session);
  ASSERT_TRUE(session.check(info.shape, answer));
  const Bytes change = concat({Bytes(8, 0), Bytes(TransitEntry::kOctets, 7)});
  const Bytes mac = session.authorise(change).value();
  ASSERT_TRUE(wire->channel.transmit(select_master_file(SelectReturn::nothing)).value().status.ok());
  select();
  EXPECT_EQ(wire->channel.transmit({0x80, 0x34, 0x00, 0x00, concat({change, mac}), kShortResponse}).value().status,
            kSwConditions);
  EXPECT_EQ(sequence(), 1u);
}

TEST_F(HostileGate, ACommitForAnotherCardIsRefused) {
  IdentityCard other({.seed = 2});
  // The cheat has an honest session with one card and plays its COMMIT to the other.
  field(other);
  const LedgerInfo theirs = select();
  LedgerCryptogram honest = session_for(theirs);
  const Bytes answer = open(honest);
  ASSERT_TRUE(honest.check(theirs.shape, answer));
  const Bytes change = concat({Bytes(8, 0), Bytes(TransitEntry::kOctets, 7)});
  const Bytes mac = honest.authorise(change).value();
  field(card);
  const LedgerInfo ours = select();
  LedgerCryptogram session = session_for(ours);
  open(session);
  EXPECT_EQ(wire->channel.transmit({0x80, 0x34, 0x00, 0x00, concat({change, mac}), kShortResponse}).value().status,
            kSwNotSame);
  EXPECT_EQ(sequence(), 0u);
}

TEST_F(HostileGate, OldCountersAndGiftsAreRefused) {
  // With the debit key, as a gate has it, no counter goes up: not by one, not round the corner.
  for (const std::uint32_t wanted : {1u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    field(card);
    const LedgerInfo info = select();
    LedgerCryptogram session = session_for(info);
    const Bytes answer = open(session);
    ASSERT_TRUE(session.check(info.shape, answer));
    Bytes change(4, 0);
    append_be32(change, wanted);
    append(change, Bytes(TransitEntry::kOctets, 7));
    const Bytes mac = session.authorise(change).value();
    EXPECT_EQ(wire->channel.transmit({0x80, 0x34, 0x00, 0x00, concat({change, mac}), kShortResponse}).value().status,
              kSwConditions);
  }
  EXPECT_EQ(sequence(), 0u);
  // Nor can it be opened for credit: in plain over the air that ledger does not exist.
  field(card);
  const LedgerInfo info = select();
  EXPECT_EQ(wire->channel.transmit({0x80, 0x32, 0x02, 0x00, Bytes(16, 1), kShortResponse}).value().status, kSwNotFound);
  // And the terminal's own side does not ask for it.
  auto ledger = LedgerSession::open(wire->channel, keys, info, LedgerKey::debit);
  ASSERT_TRUE(ledger) << ledger.error().message;
  EXPECT_EQ(ledger->commit({{0, 1}, Bytes(TransitEntry::kOctets, 7)}).error().kind, ErrorKind::usage);
}

TEST_F(HostileGate, EveryOctetOfACommitCounts) {
  tap_once(1);
  for (std::size_t at = 5; at < 5 + 8 + TransitEntry::kOctets + 8; ++at) {
    field(card);
    wire->to_card = [&](ByteView command) {
      Bytes reaches = to_bytes(command);
      if (is(command, kInsCommit)) reaches[at] ^= 0x01;
      return reaches;
    };
    Tap tap(wire->channel, keys, gate);
    ASSERT_FALSE(tap.run(2, kNow)) << at;
    EXPECT_EQ(tap.session()->phase(), LedgerPhase::refused) << at;
  }
  EXPECT_EQ(sequence(), 1u);
}

// Somebody on the wire who wants the gate to open without the card having written.
TEST_F(HostileGate, AForgedReceiptOpensNoGate) {
  for (const std::size_t at : {0u, 3u, 4u, 11u, 12u, 19u}) {
    field(card);
    wire->from_card = [&](ByteView command, Bytes answer) {
      if (is(command, kInsCommit)) answer[at] ^= 0x01;
      return answer;
    };
    Tap tap(wire->channel, keys, gate);
    const auto outcome = tap.run(3, kNow);
    ASSERT_FALSE(outcome) << at;
    EXPECT_EQ(outcome.error().kind, ErrorKind::card_insecure);
    EXPECT_EQ(tap.session()->phase(), LedgerPhase::lost) << "the card may have written: settle it";
  }
  // A forged "no" in place of a written commit: told as refused, and found written when settled.
  field(card);
  std::optional<PendingCommit> kept;
  wire->from_card = [](ByteView command, Bytes answer) { return is(command, kInsCommit) ? Bytes{0x63, 0x00} : answer; };
  {
    Tap tap(wire->channel, keys, gate);
    ASSERT_FALSE(tap.run(4, kNow, [&](const PendingCommit& pending) -> Status {
      kept = pending;
      return {};
    }));
  }
  field(card);
  Tap tap(wire->channel, keys, gate);
  const auto outcome = tap.run(5, kNow, {}, &*kept);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->settled);
}

TEST_F(HostileGate, AClonedCardWithoutKeysIsKnown) {
  // A copy of all a gate ever hears of a card: SELECT and OPEN as recorded.
  tap_once(1);
  const Bytes selected = wire->exchanges.front().answer, opened = wire->last(kInsOpen).answer;
  MemoryConnection clone({.process =
                              [&](ByteView command) {
                                if (is(command, test::kInsSelect)) return selected;
                                if (is(command, kInsOpen)) return opened;
                                return Bytes{0x90, 0x00};
                              },
                          .atr = [&] { return to_bytes(card.sim.card().atr()); },
                          .reset = [] {}});
  PlainChannel channel(clone);
  Tap tap(channel, keys, gate);
  const auto outcome = tap.run(2, kNow);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::card_insecure);
  EXPECT_EQ(tap.session(), nullptr);
  // And a genuine card of another operator: other masters.
  field(card);
  MasterTransactionKeys others{test::ledger_masters(0x11), card.random};
  EXPECT_EQ(Tap(wire->channel, others, gate).run(3, kNow).error().kind, ErrorKind::card_insecure);
}

TEST_F(HostileGate, AChangedOpeningIsKnownOctetByOctet) {
  const LedgerInfo info = select();
  LedgerCryptogram first = session_for(info);
  const Bytes genuine = open(first);
  ASSERT_TRUE(first.check(info.shape, genuine));
  for (std::size_t at = 0; at < genuine.size(); ++at) {
    field(card);
    wire->from_card = [&](ByteView command, Bytes answer) {
      if (is(command, kInsOpen)) answer[at] ^= 0x80;
      return answer;
    };
    const LedgerInfo again = select();
    const auto opened = LedgerSession::open(wire->channel, keys, again, LedgerKey::debit);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::card_insecure) << at;
  }
}

}  // namespace
}  // namespace karta::card
