// The security module against the ledgers it works for, two cards in two readers; and what it refuses.
#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

constexpr char kModuleAid[] = "F04B4152544104";

class SecurityModuleTest : public CardTest {
 protected:
  SecurityModuleTest() {
    EXPECT_TRUE(other->format(kSerial));
    EXPECT_TRUE(other->boot(Interface::contact));
    for (const Memory& command : sample.commands()) EXPECT_EQ(send(*other, command).sw, 0x9000);
  }
  // Masters F1 debit, F2 credit, F3 settlement, F4 of an issuing centre, under PIN 1; issued; the DF selected.
  void issue_module(const HostKeys& keys = {}) {
    put_pin(1, "123456", "12345678");
    expect(create("820138 8302D104 8407" + std::string(kModuleAid) + "8603FFFFFF"), 0x9000);
    make_master("00F1", kDebit, "03008101");
    make_master("00F2", kCredit, "020081");
    make_master("00F3", kSettlement, "03008103");
    make_master("00F4", kDebit, "020083");
    if (!keys.enc.empty()) {
      Scp03Host first(initial_keys());
      ASSERT_EQ(first.open(*card, 0x03), 0x9000);
      ASSERT_EQ(first.exchange(*card, first.put_key(0, 2, keys)).sw, 0x9000);
      restart();
    }
    expect("0044000002 3F00", 0x9000);
    restart();
    select_module();
  }
  void make_master(const std::string& id, u8 kind, const std::string& properties, const std::string& more = "") {
    const std::string bits = sample.key_octets == 32 ? "0100" : "0080";
    expect(create("8102" + bits + "820129 8302" + id + "85" + properties + "86031FFFFF" + more), 0x9000);
    EXPECT_EQ(run(apdu("00DA018A", Memory{1} + sample.master(kind))).sw, 0x9000);
  }
  void select_module() { expect(std::string("00A4040C07") + kModuleAid, 0x9000); }
  void open_module() {
    select_module();
    ASSERT_EQ(verify(1, "123456"), 0x9000);
  }
  Answer prepare(u8 kind = kDebit, u8 low = 0xF1) {
    return run(Memory{0x80, 0x52, kind, low, 8} + sample.serial + Memory{0});
  }
  Answer check(const Memory& opening) { return transmit(*card, "80540210", opening); }
  // PREPARE and CHECK; what the card was opened with.
  LedgerView open(u8 kind = kDebit, u8 low = 0xF1) {
    const Answer nonce = prepare(kind, low);
    EXPECT_EQ(nonce.sw, 0x9000);
    LedgerTerminal reference = sample.terminal(kind);
    const Answer opening = send(*other, reference.open_command(nonce.data));
    EXPECT_EQ(opening.sw, 0x9000);
    const LedgerView view = reference.read_opening(opening.data);
    const Answer plain = check(opening.data);
    EXPECT_EQ(plain.sw, 0x9000);
    const Memory expected = Memory{static_cast<u8>((view.ratified ? 1 : 0) | (view.credit ? 2 : 0))} +
                            be32(view.sequence) +
                            Memory{static_cast<u8>(view.version >> 8), static_cast<u8>(view.version)} +
                            be32(view.counters) + view.product + view.entry + view.code;
    EXPECT_EQ(plain.data, expected);
    return view;
  }
  Answer authorise(const Memory& order) { return run(apdu("80560000", order, true)); }

  Chip other_chip;
  std::unique_ptr<Card> other = std::make_unique<Card>(other_chip, kDefaultConfig);
  LedgerSample sample;
};

TEST_F(SecurityModuleTest, WorksTheTerminalsSideOfAWholeTransaction) {
  issue_module();
  open_module();
  for (u32 i = 1; i <= 3; ++i) {
    const u8 kind = i == 1 ? kCredit : kDebit;
    const LedgerView view = open(kind, i == 1 ? 0xF2 : 0xF1);
    EXPECT_EQ(view.sequence, i - 1);
    const Memory order = be32({10 - i, 5}) + Memory(16, static_cast<u8>(i));
    const Answer mac_t = authorise(order);
    ASSERT_EQ(mac_t.sw, 0x9000);
    const Answer receipt = send(*other, apdu("80340000", order + mac_t.data, true));
    ASSERT_EQ(receipt.sw, 0x9000);
    const Answer mac_r = run(apdu("80580000", receipt.data, true));
    ASSERT_EQ(mac_r.sw, 0x9000);
    EXPECT_EQ(send(*other, apdu("80360000", mac_r.data)).sw, 0x9000);
    // The back office's module finds the same settlement code.
    const Answer code = run(apdu("805A03F3", Memory{kind} + sample.serial + be32(i) + order, true));
    ASSERT_EQ(code.sw, 0x9000);
    EXPECT_EQ(code.data, cut_out(receipt.data, 4, 8));
  }
  LedgerTerminal look = sample.terminal(kDebit);
  EXPECT_TRUE(look.read_opening(send(*other, look.open_command()).data).ratified);
}

TEST_F(SecurityModuleTest, NothingWorksBeforeItsPin) {
  issue_module();
  EXPECT_EQ(prepare().sw, 0x6982);
  EXPECT_EQ(run(apdu("805A03F3", Memory(1 + 8 + 4 + 24, 1), true)).sw, 0x6982);
  EXPECT_EQ(run(apdu("805C01F4", sample.serial, true)).sw, 0x6982);
  open_module();
  EXPECT_EQ(prepare().sw, 0x9000);
  expect("00A4000C02 3F00", 0x9000);
  EXPECT_EQ(prepare().sw, 0x6A88) << "masters are of their DF";
  restart(Interface::contactless);
  EXPECT_EQ(prepare().sw, 0x6982) << "never in plain over the air";
}

TEST_F(SecurityModuleTest, EachStepCountsOnceAndInItsOrder) {
  issue_module();
  open_module();
  const Memory order = be32({0, 0}) + Memory(16, 1);
  const Memory receipt(20, 0);
  EXPECT_EQ(authorise(order).sw, 0x6985);
  EXPECT_EQ(run(apdu("80580000", receipt, true)).sw, 0x6985);
  EXPECT_EQ(check(Memory(16 + 64 + 8, 0)).sw, 0x6985);
  open();
  EXPECT_EQ(authorise(order).sw, 0x9000);
  EXPECT_EQ(authorise(order).sw, 0x6985) << "one MAC a session";
  EXPECT_EQ(run(apdu("80580000", receipt, true)).sw, 0x6985) << "and that ended it";
  open();
  expect("0084000008", 0x9000);
  EXPECT_EQ(authorise(order).sw, 0x6985) << "another command ended it";
  open();
  EXPECT_EQ(authorise(order + Memory{1}).sw, 0x6700);
  EXPECT_EQ(authorise(order).sw, 0x6985);
  open();
  ASSERT_EQ(authorise(order).sw, 0x9000);
  EXPECT_EQ(run(apdu("80580000", receipt, true)).sw, 0x6300) << "a receipt nobody gave";
  open();
  prepare();
  EXPECT_EQ(authorise(order).sw, 0x6985) << "a new session, without its CHECK";
}

TEST_F(SecurityModuleTest, ForgedOpeningsAreRefusedAndEndTheSession) {
  issue_module();
  open_module();
  LedgerTerminal reference = sample.terminal(kDebit);
  for (const std::size_t at : {std::size_t{0}, std::size_t{16}, std::size_t{40}, std::size_t{99}}) {
    Memory opening = send(*other, reference.open_command(prepare().data)).data;
    const std::size_t place = at == 99 ? opening.size() - 1 : at;
    opening[place] = static_cast<u8>(opening[place] ^ 1);
    EXPECT_EQ(check(opening).sw, 0x6300) << place;
    EXPECT_EQ(authorise(be32({0, 0}) + Memory(16, 1)).sw, 0x6985);
  }
  const Memory old = send(*other, reference.open_command(prepare().data)).data;
  EXPECT_EQ(check(old).sw, 0x9000);
  prepare();
  EXPECT_EQ(check(old).sw, 0x6300) << "an opening of yesterday";
  // A card without keys has nothing to say; lengths are told before.
  prepare();
  EXPECT_EQ(check(Memory(16 + 8, 0)).sw, 0x6700);
  prepare();
  EXPECT_EQ(check(Memory(16 + 17 + 8, 0)).sw, 0x6700);
  prepare();
  EXPECT_EQ(transmit(*card, "80540929", old).sw, 0x6A86);
}

TEST_F(SecurityModuleTest, MastersAreForTheirKindAndUsage) {
  issue_module();
  open_module();
  EXPECT_EQ(prepare(kCredit, 0xF1).sw, 0x6985) << "a gate's debit master derives no credit keys";
  EXPECT_EQ(prepare(kSettlement, 0xF3).sw, 0x6A86);
  EXPECT_EQ(prepare(kDebit, 0xF3).sw, 0x6985);
  EXPECT_EQ(prepare(kDebit, 0xF9).sw, 0x6A88);
  EXPECT_EQ(run(apdu("805A01F1", Memory(37, 1), true)).sw, 0x6A86);
  EXPECT_EQ(run(apdu("805A03F1", Memory(37, 1), true)).sw, 0x6985);
  EXPECT_EQ(run(apdu("805A03F3", Memory(36, 1), true)).sw, 0x9000);
  EXPECT_EQ(run(apdu("805A03F3", Memory(24, 1), true)).sw, 0x6700);
  EXPECT_EQ(run(apdu("805A03F3", Memory{3} + Memory(36, 1), true)).sw, 0x6A80);
  expect("8052 01F1 07 00000000000000 00", 0x6700);
}

TEST_F(SecurityModuleTest, OnlyAnIssuingCentresModuleGivesAKeyAndOnlyEncrypted) {
  const HostKeys keys = sample_keys(16, 6);
  issue_module(keys);
  open_module();
  const Memory derive = apdu("805C01F4", sample.serial, true);
  EXPECT_EQ(run(derive).sw, 0x6982) << "in plain";
  EXPECT_EQ(run(apdu("805C01F1", sample.serial, true)).sw, 0x6985) << "a gate's master";
  for (const u8 level : {u8{0x01}, u8{0x03}, u8{0x13}, u8{0x33}}) {
    restart();
    Scp03Host host(keys);
    ASSERT_EQ(host.open(*card, level), 0x9000);
    ASSERT_EQ(host.exchange(*card, std::string("00A4040C07") + kModuleAid).sw, 0x9000);
    EXPECT_EQ(host.exchange(*card, derive).sw, 0x6982) << "without its PIN";
    ASSERT_EQ(host.exchange(*card, apdu("00200001", pin("123456"))).sw, 0x9000);
    const Answer answer = host.exchange(*card, derive);
    EXPECT_EQ(answer.sw, level == 0x33 ? 0x9000 : 0x6982);
    if (level == 0x33) {
      EXPECT_EQ(answer.data, sample.key(kDebit));
    }
    EXPECT_EQ(host.exchange(*card, apdu("805C01F1", sample.serial, true)).sw, 0x6985);
  }
}

TEST_F(SecurityModuleTest, Behaviour35_AMasterDerivesAsOftenAsItMay) {
  put_pin(1, "123456", "12345678");
  make_master("00F1", kDebit, "020081", "A306800400000003");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(prepare().sw, 0x9000);
    restart();
  }
  EXPECT_EQ(prepare().sw, 0x6985);
}

TEST_F(SecurityModuleTest, LongKeysWorkAlike) {
  sample.key_octets = 32;
  ASSERT_TRUE(other->format(kSerial));
  ASSERT_TRUE(other->boot(Interface::contact));
  for (const Memory& command : sample.commands()) ASSERT_EQ(send(*other, command).sw, 0x9000);
  issue_module();
  open_module();
  open();
  const Memory order = be32({0, 0}) + Memory(16, 1);
  const Answer mac_t = authorise(order);
  EXPECT_EQ(send(*other, apdu("80340000", order + mac_t.data, true)).sw, 0x9000);
}

TEST_F(SecurityModuleTest, Behaviour37_DerivedKeysAreGoneOnEveryWayOut) {
  issue_module();
  open_module();
  const auto holds = [&](const Memory& needle) {
    const u8* begin = reinterpret_cast<const u8*>(card.get());
    return std::search(begin, begin + sizeof(Card), needle.begin(), needle.end()) != begin + sizeof(Card);
  };
  const Memory key = sample.key(kDebit);
  prepare();
  EXPECT_TRUE(holds(key)) << "what is looked for can be found";
  EXPECT_FALSE(holds(sample.master(kDebit)));
  expect("0084000008", 0x9000);
  EXPECT_FALSE(holds(key));
  open();
  EXPECT_FALSE(holds(key)) << "behind CHECK the session's keys are enough";
  prepare();
  EXPECT_EQ(check(Memory(16 + 64 + 8, 0)).sw, 0x6300);
  EXPECT_FALSE(holds(key));
  prepare();
  card->power_off();
  EXPECT_FALSE(holds(key));
}

}  // namespace
}  // namespace karta::os
