// Tearing, of ledgers, records and key counters: balance and journal agree, no trip is spent and kept, no use of a key
// is gained. (Card-security 35, 48, 50, 51.)
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_tear.h"

namespace karta::os {
namespace {

const LedgerSample& sample() {
  static const LedgerSample the_sample;
  return the_sample;
}
constexpr char kLimit[] = "A306 8004 00000005";

// Another ledger, whose debit key may be used five times, in DF D105 under a name of its own.
LedgerSample limited_sample() {
  LedgerSample out;
  out.serial = hex("5E51A10000000002");
  out.settlement = false;
  return out;
}
const Memory kLimitedAid = hex("F04B4152544105");
const Memory kSamAid = hex("F04B4152544104");

void must(Card& card, const Memory& command) { ASSERT_EQ(send(card, command).sw, 0x9000) << to_hex(command); }

Memory entry(u8 mark) { return Memory(sample().entry, mark); }

// OPEN with the debit or credit key, in the DF that is current.
LedgerView open_ledger(Card& card, LedgerTerminal& terminal) {
  Answer answer = send(card, terminal.open_command());
  if (answer.sw >> 8 == 0x61) {
    const Answer rest = send(card, hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
    answer = {.sw = rest.sw, .data = answer.data + rest.data};
  }
  EXPECT_EQ(answer.sw, 0x9000);
  return terminal.read_opening(answer.data);
}
LedgerTerminal opened(Card& card, u8 kind) {
  EXPECT_EQ(send(card, sample().select_df()).sw, 0x9000);
  LedgerTerminal terminal = sample().terminal(kind);
  (void)open_ledger(card, terminal);
  return terminal;
}
void transact(Card& card, u8 kind, const std::vector<u32>& counters, u8 mark) {
  LedgerTerminal terminal = opened(card, kind);
  const Answer answer = send(card, terminal.commit_command(counters, entry(mark)));
  ASSERT_EQ(answer.sw, 0x9000);
  (void)terminal.read_receipt(answer.data, read_u32(answer.data.data()));
  must(card, terminal.ratify_command());
}

Memory record_file(const std::string& id, const std::string& descriptor, const std::string& records) {
  return LedgerSample::create("8206" + descriptor + "41 0010 " + records + "8302" + id + "8603 000FFF 8A0100");
}

// A blank card with ledgers whose journal has gone round, record files, keys with a limit and a security module.
const Memory& applications() {
  static const Memory memory = [] {
    chip().memory = prepared();
    const auto card = boot();
    must(*card, record_file("4401", "02", "0003"));
    for (const u8 mark : {1, 2}) must(*card, apdu("00E20000", Memory(16, mark)));
    must(*card, record_file("4402", "04", "0003"));
    for (const u8 mark : {1, 2}) must(*card, apdu("00E20000", Memory(10, mark)));
    must(*card, record_file("4403", "06", "0003"));
    for (const u8 mark : {1, 2, 3, 4}) must(*card, apdu("00E20000", Memory(16, mark)));
    must(*card, LedgerSample::create("81020100 820122 83024B05 8502 0001 8603 0000FF 8A0100" + std::string(kLimit)));
    must(*card, hex("00460000"));
    must(*card, hex("00A40000023F00"));
    must(*card, sample().create_df());
    for (const Memory& command : sample().commands()) must(*card, command);
    for (u8 i = 1; i <= sample().kept; ++i) transact(*card, kCredit, {100U + i, i}, i);
    must(*card, hex("00A40000023F00"));
    must(*card, LedgerSample::create("820138 8302D105 8407" + to_hex(kLimitedAid) + "8603 0000FF A104 8102 01FF"));
    const LedgerSample limited = limited_sample();
    must(*card, limited.create_key("00E1", "80", kLimit));
    must(*card, limited.import_key(1, limited.key(kDebit)));
    must(*card, limited.create_key("00E2", "80"));
    must(*card, limited.import_key(1, limited.key(kCredit)));
    must(*card, limited.create_ledger());
    must(*card, hex("00A40000023F00"));
    must(*card, LedgerSample::create("820138 8302D104 8407" + to_hex(kSamAid) + "8603 0000FF A104 8102 01FF"));
    must(*card, sample().create_key("00E1", "81", kLimit));
    must(*card, sample().import_key(1, sample().master(kDebit)));
    return chip().memory;
  }();
  return memory;
}

std::string applications_portrait(Card& card) {
  std::string out = portrait(card);
  const auto add = [&](const std::string& name, const Answer& answer) {
    out += name + "=" + to_hex(answer.data) + "/" +
           to_hex(Memory{static_cast<u8>(answer.sw >> 8), static_cast<u8>(answer.sw)}) + "\n";
  };
  for (const char* id : {"4401", "4402", "4403", "4404", "4B05"}) {
    add(id, send(card, std::string("00A4080004 5015") + id + "00"));
    for (u8 record = 1; record <= 3; ++record) add("record", send(card, hex("00B2") + Memory{record, 4, 0}));
  }
  const Answer ledger = send(card, apdu("00A40400", sample().aid(), true));
  add("ledger", ledger);
  if (ledger.sw == 0x9000) {
    add("files", send(card, "00CA01A100"));
    LedgerTerminal terminal = sample().terminal(kDebit);
    if (send(card, "00A4020C020103").sw == 0x9000) {
      add("content", send(card, "00B0000000"));
      for (u8 record = 1; record <= sample().kept; ++record)
        add("entry", send(card, hex("00B2") + Memory{record, 4, 0}));
      if (send(card, terminal.open_command()).sw == 0x9000) {
        const LedgerView view = open_ledger(card, terminal);
        add("opening", {.sw = static_cast<u16>(view.ratified | view.credit << 1),
                        .data = be32(view.sequence) + be32(view.counters) + view.product + view.entry + view.code});
      }
    }
  }
  for (const Memory& aid : {kLimitedAid, kSamAid}) {
    add("df", send(card, apdu("00A40404", aid, true)));
    for (const char* id : {"00E1", "00E2", "0103"}) add(id, send(card, std::string("00A4020402") + id + "00"));
  }
  return out;
}

Scene of_applications(const char* name, std::vector<Memory> before, Memory command) {
  return {.name = name,
          .before = std::move(before),
          .command = std::move(command),
          .in_session = nullptr,
          .start = applications,
          .look = applications_portrait};
}
Scene of_applications(const char* name, std::function<Memory(Card&)> in_session) {
  return {.name = name,
          .before = {},
          .command = {},
          .in_session = std::move(in_session),
          .start = applications,
          .look = applications_portrait};
}

// Counters, journal, sequence and settlement code go together, whoever cuts what.
TEST(Tear, Behaviour50_51_CommitOfADebit) {
  expect_before_or_after(of_applications("COMMIT, debit", [](Card& card) {
    return opened(card, kDebit).commit_command({109, 10}, entry(0xD1));
  }));
}

TEST(Tear, Behaviour50_51_CommitOfACredit) {
  expect_before_or_after(of_applications("COMMIT, credit", [](Card& card) {
    return opened(card, kCredit).commit_command({900, 90}, entry(0xC1));
  }));
}

TEST(Tear, Behaviour50_Ratify) {
  expect_before_or_after(of_applications("RATIFY", [](Card& card) {
    LedgerTerminal terminal = opened(card, kDebit);
    const Answer answer = send(card, terminal.commit_command({109, 10}, entry(0xD1)));
    EXPECT_EQ(answer.sw, 0x9000);
    (void)terminal.read_receipt(answer.data, static_cast<u32>(sample().kept + 1));
    return terminal.ratify_command();
  }));
}

// A terminal that meets the torn card again settles: written, and it does not commit anew; or not, and it does, once.
TEST(Tear, Behaviour51_ATerminalSettlesWithoutChargingTwice) {
  const Scene scene = of_applications("COMMIT, settled afterwards", [](Card& card) {
    return opened(card, kDebit).commit_command({109, 10}, entry(0xD1));
  });
  const u32 was = static_cast<u32>(sample().kept);
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    ASSERT_EQ(send(*card, sample().select_df()).sw, 0x9000);
    LedgerTerminal terminal = sample().terminal(kDebit);
    const LedgerView view = open_ledger(*card, terminal);
    if (view.sequence == was) {
      old_seen = true;
      ASSERT_EQ(view.counters, (std::vector<u32>{110, 10})) << at << "/" << second;
      EXPECT_TRUE(view.ratified);
      ASSERT_EQ(send(*card, terminal.commit_command({109, 10}, entry(0xD1))).sw, 0x9000);
    } else {
      new_seen = true;
      ASSERT_EQ(view.entry, entry(0xD1));
      EXPECT_FALSE(view.ratified);
    }
    LedgerTerminal later = sample().terminal(kDebit);
    const LedgerView settled = open_ledger(*card, later);
    EXPECT_EQ(settled.sequence, was + 1) << "charged once " << at << "/" << second;
    EXPECT_EQ(settled.counters, (std::vector<u32>{109, 10}));
    EXPECT_EQ(settled.code, later.settlement_code(sample().key(kSettlement), was + 1, {109, 10}, entry(0xD1)));
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, Behaviour48_ProductOfALedger) {
  expect_before_or_after(of_applications("UPDATE BINARY, product of a ledger",
                                         {apdu("00A4040C", sample().aid()), hex("00A4020C020103")},
                                         apdu("00D60000", text("another product..."))));
}

TEST(Tear, Behaviour48_UpdateRecord) {
  expect_before_or_after(
      of_applications("UPDATE RECORD, linear fixed", {hex("00A4080C0450154401")}, apdu("00DC0104", Memory(16, 0x77))));
  expect_before_or_after(of_applications("UPDATE RECORD, linear variable", {hex("00A4080C0450154402")},
                                         apdu("00DC0104", Memory(14, 0x77))));
}

TEST(Tear, Behaviour48_AppendRecord) {
  expect_before_or_after(
      of_applications("APPEND RECORD, linear fixed", {hex("00A4080C0450154401")}, apdu("00E20000", Memory(16, 0x77))));
  expect_before_or_after(of_applications("APPEND RECORD, linear variable", {hex("00A4080C0450154402")},
                                         apdu("00E20000", Memory(7, 0x77))));
  expect_before_or_after(of_applications("APPEND RECORD, cyclic and full", {hex("00A4080C0450154403")},
                                         apdu("00E20000", Memory(16, 0x77))));
}

TEST(Tear, CreateRecordFile) {
  expect_before_or_after(of_applications("CREATE FILE, records", {}, record_file("4404", "06", "0020")));
}

TEST(Tear, CreateAndDeleteALedger) {
  Memory create = sample().create_ledger();
  expect_before_or_after(of_applications(
      "CREATE FILE, ledger", {apdu("00A4040C", sample().aid()), hex("00A4020C020103"), hex("00E40000")}, create));
  expect_before_or_after(of_applications("DELETE FILE, ledger",
                                         {apdu("00A4040C", sample().aid()), hex("00A4020C020103")}, hex("00E40000")));
}

TEST(Tear, DeleteAnApplication) {
  expect_before_or_after(
      of_applications("DELETE FILE, DF with a security module", {apdu("00A4040C", kSamAid)}, hex("00E40000")));
}

// Replaced whole or not at all; the portrait opens the ledger with the key that was, and fails with the one that came.
TEST(Tear, Behaviour31_ImportOfASymmetricKey) {
  const Scene scene = of_applications("PUT DATA, AES key", {apdu("00A4040C", sample().aid()), hex("00A4020C0200E1")},
                                      sample().import_key(9, Memory(16, 0x99)));
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    ASSERT_EQ(send(*card, sample().select_df()).sw, 0x9000);
    const auto opens = [&](const Memory& key) {
      LedgerTerminal terminal(kDebit, key, sample().serial, sample().counters, sample().entry);
      const Answer answer = send(*card, terminal.open_command());
      EXPECT_EQ(answer.sw, 0x9000) << at << "/" << second;
      try {
        (void)terminal.read_opening(answer.data);
        return true;
      } catch (const std::runtime_error&) {
        return false;
      }
    };
    const bool old_key = opens(sample().key(kDebit));
    ASSERT_NE(old_key, opens(Memory(16, 0x99))) << "one of the two " << at << "/" << second;
    (old_key ? old_seen : new_seen) = true;
    const Memory gone = old_key ? Memory(16, 0x99) : sample().key(kDebit);
    const auto& memory = chip().memory;
    EXPECT_EQ(std::search(memory.begin(), memory.end(), gone.begin(), gone.end()), memory.end()) << at << "/" << second;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

// The use is spent before the key is touched: a cut may cost one, and never gives one.
TEST(Tear, Behaviour35_UsesOfASignatureKey) {
  expect_before_or_after(of_applications("PSO, key with a limit", {hex("002241B60A 800104 81024B05 840100")},
                                         hex("002A9E9A20") + Memory(32, 0x5A) + Memory{0}));
}

TEST(Tear, Behaviour35_UsesOfALedgersKey) {
  expect_before_or_after(of_applications("OPEN, key with a limit", {apdu("00A4040C", kLimitedAid)},
                                         apdu("80320100", Memory(16, 0x31), true)));
}

TEST(Tear, Behaviour35_UsesOfAMasterKey) {
  expect_before_or_after(of_applications("PREPARE, master with a limit", {apdu("00A4040C", kSamAid)},
                                         apdu("805201E1", sample().serial, true)));
}

TEST(Tear, LifeOfAFile) {
  expect_before_or_after(of_applications("DEACTIVATE FILE", {hex("00A4080C0450154401")}, hex("00040000")));
  expect_before_or_after(
      of_applications("ACTIVATE FILE", {hex("00A4080C0450154401"), hex("00040000")}, hex("00440000")));
  expect_before_or_after(of_applications("TERMINATE EF", {hex("00A4080C0450154401")}, hex("00E80000")));
  expect_before_or_after(of_applications("TERMINATE DF", {apdu("00A4040C", kSamAid)}, hex("00E60000")));
}

}  // namespace
}  // namespace karta::os
