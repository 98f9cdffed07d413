// Ledgers against a terminal written from docs/transactions.md.
#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

class LedgerTest : public CardTest {
 protected:
  // A ledger in a DF of its own, on an issued card; the DF is selected.
  void issue_ledger(Interface interface = Interface::contact) {
    expect(to_hex(sample.create_df()), 0x9000);
    for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
    expect("0044000002 3F00", 0x9000);
    restart(interface);
    select();
  }
  void select() { ASSERT_EQ(run(sample.select_df()).sw, 0x9000); }

  LedgerView open(LedgerTerminal& terminal) {
    Answer answer = run(terminal.open_command());
    if (answer.sw >> 8 == 0x61) {  // longer than a short APDU; fetching it is no other command
      const Answer rest = run(hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
      answer = {.sw = rest.sw, .data = answer.data + rest.data};
    }
    EXPECT_EQ(answer.sw, 0x9000);
    return terminal.read_opening(answer.data);
  }
  LedgerView look(u8 kind = kDebit) {
    LedgerTerminal terminal = sample.terminal(kind);
    return open(terminal);
  }
  // A whole transaction with ratification; the sequence the ledger is at then.
  u32 transact(u8 kind, const std::vector<u32>& counters, const Memory& entry, bool ratify = true) {
    LedgerTerminal terminal = sample.terminal(kind);
    const LedgerView before = open(terminal);
    const Answer answer = run(terminal.commit_command(counters, entry));
    EXPECT_EQ(answer.sw, 0x9000);
    const Memory code = terminal.read_receipt(answer.data, before.sequence + 1);
    EXPECT_EQ(code, sample.settlement ? terminal.settlement_code(sample.key(kSettlement), before.sequence + 1)
                                      : Memory(8, 0));
    if (ratify) {
      EXPECT_EQ(run(terminal.ratify_command()).sw, 0x9000);
    }
    return before.sequence + 1;
  }
  Memory entry(u8 mark) const { return Memory(sample.entry, mark); }
  std::vector<u32> counters(u32 value) const { return std::vector<u32>(sample.counters, value); }

  LedgerSample sample;
};

TEST_F(LedgerTest, SelectTellsSerialKeyVersionsProductVersionAndSizes) {
  issue_ledger();
  const Answer fci = run(apdu("00A40400", sample.aid(), true));
  ASSERT_EQ(fci.sw, 0x9000);
  const Memory a5 = hex("A517 8008") + sample.serial + hex("8102 0102 8202 0001 8303 021012");
  ASSERT_GE(fci.data.size(), a5.size());
  EXPECT_EQ(cut_out(fci.data, fci.data.size() - a5.size(), a5.size()), a5);
  const Answer fcp = run(apdu("00A40404", sample.aid(), true));
  EXPECT_EQ(to_hex(fcp.data).find(to_hex(sample.serial)), std::string::npos)
      << "control parameters are not information";
}

TEST_F(LedgerTest, ANewLedgerOpensEmptyAndRatified) {
  issue_ledger();
  const LedgerView view = look();
  EXPECT_TRUE(view.ratified);
  EXPECT_FALSE(view.credit);
  EXPECT_EQ(view.sequence, 0U);
  EXPECT_EQ(view.version, 1U);
  EXPECT_EQ(view.counters, counters(0));
  EXPECT_EQ(view.product, sample.product);
  EXPECT_EQ(view.entry, Memory(16, 0));
  EXPECT_EQ(view.code, Memory(8, 0));
}

struct Shape {
  std::size_t counters;
  std::size_t entry;
  std::size_t kept;
  std::size_t key_octets;
  std::size_t product;
};
class LedgerShapeTest : public LedgerTest, public testing::WithParamInterface<Shape> {};

// Credits and debits over every size, more of them than entries are kept.
TEST_P(LedgerShapeTest, CreditsAndDebitsKeepCountersAndEntries) {
  const Shape& shape = GetParam();
  sample.counters = shape.counters;
  sample.entry = shape.entry;
  sample.kept = shape.kept;
  sample.key_octets = shape.key_octets;
  sample.product = Memory(shape.product, 0x70);
  issue_ledger(Interface::contactless);
  EXPECT_EQ(transact(kCredit, counters(1000), entry(0xC0)), 1U);
  EXPECT_TRUE(look().credit);
  const std::size_t trips = shape.kept + 3;
  for (std::size_t i = 1; i <= trips; ++i) {
    ASSERT_EQ(transact(kDebit, counters(1000 - static_cast<u32>(i)), entry(static_cast<u8>(i)), i % 2 == 0), 1 + i);
    const LedgerView view = look();
    EXPECT_EQ(view.counters, counters(1000 - static_cast<u32>(i)));
    EXPECT_EQ(view.entry, entry(static_cast<u8>(i)));
    EXPECT_EQ(view.ratified, i % 2 == 0);
    EXPECT_FALSE(view.credit);
    EXPECT_EQ(view.product, sample.product);
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, LedgerShapeTest,
                         testing::Values(Shape{2, 16, 10, 16, 18}, Shape{8, 24, 6, 16, 138}, Shape{1, 8, 1, 16, 1},
                                         Shape{8, 40, 22, 32, 160}, Shape{8, 27, 32, 32, 160}, Shape{1, 40, 5, 32, 9}),
                         [](const testing::TestParamInfo<Shape>& row) {
                           return "c" + std::to_string(row.param.counters) + "e" + std::to_string(row.param.entry) +
                                  "k" + std::to_string(row.param.kept) + "a" + std::to_string(row.param.key_octets * 8);
                         });

TEST_F(LedgerTest, WithoutASettlementKeyTheCodeIsZeros) {
  sample.settlement = false;
  issue_ledger();
  transact(kCredit, counters(5), entry(1));
  EXPECT_EQ(look().code, Memory(8, 0));
}

TEST_F(LedgerTest, TheCodeOfTheLastCommitIsToldAgain) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kCredit);
  open(terminal);
  const Answer answer = run(terminal.commit_command(counters(7), entry(7)));
  ASSERT_EQ(answer.sw, 0x9000);
  EXPECT_EQ(look().code, terminal.read_receipt(answer.data, 1));
}

TEST_F(LedgerTest, ADebitRaisesNoCounterWhateverTheOthersDo) {
  issue_ledger();
  transact(kCredit, {10, 10}, entry(1));
  for (const std::vector<u32>& wanted : {std::vector<u32>{11, 0}, {0, 11}, {10, 0xFFFFFFFF}}) {
    LedgerTerminal terminal = sample.terminal(kDebit);
    open(terminal);
    const Memory command = terminal.commit_command(wanted, entry(2));
    EXPECT_EQ(run(command).sw, 0x6985);
    EXPECT_EQ(run(command).sw, 0x6985) << "the opening is over";
  }
  EXPECT_EQ(look().sequence, 1U);
  transact(kDebit, {10, 0}, entry(3));  // staying is allowed
  EXPECT_EQ(look().counters, (std::vector<u32>{10, 0}));
}

TEST_F(LedgerTest, AWrongMacIsToldBeforeAnythingIsJudgedAndEndsTheOpening) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  Memory forged = terminal.commit_command(counters(99), entry(1));  // goes up as well
  forged[forged.size() - 2] = static_cast<u8>(forged[forged.size() - 2] ^ 1);
  EXPECT_EQ(run(forged).sw, 0x6300);
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6985);
  EXPECT_EQ(look().sequence, 0U);
}

// A hostile gate: what was recorded is worth nothing, here or on another card.
TEST_F(LedgerTest, ReplayedReorderedAndForeignCommitsAreRefused) {
  issue_ledger();
  transact(kCredit, counters(9), entry(1));
  LedgerTerminal terminal = sample.terminal(kDebit);
  const Memory opening = terminal.open_command();
  terminal.read_opening(run(opening).data);
  const Memory commit = terminal.commit_command(counters(8), entry(2));
  EXPECT_EQ(run(commit).sw, 0x9000);
  EXPECT_EQ(run(commit).sw, 0x6985) << "a second time";
  EXPECT_EQ(run(opening).sw, 0x9000);
  EXPECT_EQ(run(commit).sw, 0x6300) << "under the same nonce of the terminal";
  EXPECT_EQ(run(commit).sw, 0x6985);

  LedgerSample other = sample;
  other.serial = hex("5E51A10000000002");
  LedgerTerminal foreign = other.terminal(kDebit);
  const Answer answer = run(foreign.open_command());
  EXPECT_THROW(foreign.read_opening(answer.data), std::runtime_error) << "a gate sees that the serial is not its";
  LedgerTerminal credit = sample.terminal(kCredit);
  const Memory as_debit = [&] {
    Memory command = credit.open_command();
    command[2] = kDebit;
    return command;
  }();
  EXPECT_THROW(credit.read_opening(run(as_debit).data), std::runtime_error) << "keys are bound to their kind";
  EXPECT_EQ(look().counters, counters(8));
}

TEST_F(LedgerTest, WrongLengthsParametersAndOrderAreRefused) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  EXPECT_EQ(run(apdu("80340000", Memory(32, 0), true)).sw, 0x6985) << "not opened";
  expect("8036000008 0000000000000000", 0x6985);
  expect("80320300 10 00000000000000000000000000000000 00", 0x6A86);
  expect("80320101 10 00000000000000000000000000000000 00", 0x6A86);
  expect("80320100 0F 000000000000000000000000000000 00", 0x6700);
  expect("80320100 10 00000000000000000000000000000000", 0x6700);
  open(terminal);
  EXPECT_EQ(run(terminal.commit_command({0}, entry(1))).sw, 0x6700);
  open(terminal);
  Memory command = terminal.commit_command(counters(0), entry(1));
  command[3] = 1;
  EXPECT_EQ(run(command).sw, 0x6A86);
  open(terminal);
  expect("8036000008 0000000000000000", 0x6985);
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6985) << "RATIFY in between";
  EXPECT_EQ(look().sequence, 0U);
}

TEST_F(LedgerTest, AnyOtherCommandEndsTheOpeningAndRatifiesNothing) {
  issue_ledger();
  const std::string others[] = {"00CA01A014", "0084000008",     "00B000FF10", "00C0000010",
                                "00",         "00A4000C02D103", "80CA006600", "8052010008 0000000000000000 00",
                                "002E0000",   "0034000000",     "00DEAD0000"};
  for (const std::string& other : others) {
    LedgerTerminal terminal = sample.terminal(kDebit);
    open(terminal);
    run(other);
    EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6985) << other;
  }
  for (const std::string& other : others) {
    LedgerTerminal terminal = sample.terminal(kDebit);
    const LedgerView before = open(terminal);
    const Answer answer = run(terminal.commit_command(counters(0), entry(1)));
    terminal.read_receipt(answer.data, before.sequence + 1);
    run(other);
    EXPECT_EQ(run(terminal.ratify_command()).sw, 0x6985) << other;
    EXPECT_FALSE(look().ratified) << other;
  }
}

// What a reader keeps to itself is no command of the card's (behaviour 15).
TEST_F(LedgerTest, AForeignClassLeavesTheOpeningAlone) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  expect("FFCA000000", 0x6E00);
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x9000);
}

TEST_F(LedgerTest, ResetAndPowerEndTheOpening) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  ASSERT_TRUE(card->reset(Interface::contact));
  select();
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6985);
  open(terminal);
  restart();
  select();
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6985);
}

TEST_F(LedgerTest, AWrongRatificationRatifiesNothing) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  terminal.read_receipt(run(terminal.commit_command(counters(0), entry(1))).data, 1);
  Memory wrong = terminal.ratify_command();
  wrong[3] = 1;
  EXPECT_EQ(run(wrong).sw, 0x6A86);
  open(terminal);
  terminal.read_receipt(run(terminal.commit_command(counters(0), entry(1))).data, 2);
  wrong = terminal.ratify_command();
  wrong.back() = static_cast<u8>(wrong.back() ^ 1);
  EXPECT_EQ(run(wrong).sw, 0x6300);
  EXPECT_EQ(run(terminal.ratify_command()).sw, 0x6985);
  EXPECT_FALSE(look().ratified);
}

TEST_F(LedgerTest, TheNonceOfTheCardIsFresh) {
  issue_ledger();
  LedgerTerminal terminal = sample.terminal(kDebit);
  const Memory command = terminal.open_command(Memory(16, 0x11));
  const Answer first = run(command);
  const Answer second = run(command);
  ASSERT_EQ(first.data.size(), second.data.size());
  EXPECT_NE(cut_out(first.data, 0, 16), cut_out(second.data, 0, 16));
  EXPECT_NE(cut_out(first.data, 16, 16), cut_out(second.data, 16, 16));
}

// The ledger as the layers below the commands see it, to bring it where only years of use would.
struct UnderTheCommands {
  explicit UnderTheCommands(Chip& chip) : journal(chip), table(journal), ledgers(journal, table) {
    EXPECT_EQ(journal.recover(), Sw::ok);
    EXPECT_EQ(table.recover(), Sw::ok);
    for (u8 slot = 0; slot < Files::kSlots && ledger.kind != FileKind::ledger; ++slot) {
      EXPECT_EQ(table.load(slot, ledger), Sw::ok);
    }
    EXPECT_EQ(ledger.kind, FileKind::ledger);
  }
  NvmJournal journal;
  Files table;
  Ledgers ledgers;
  File ledger;
};

TEST_F(LedgerTest, SequenceAtItsEndTakesNoMore) {
  issue_ledger();
  transact(kCredit, counters(9), entry(1));
  UnderTheCommands under(chip);
  LedgerShape shape;
  LedgerState state;
  ASSERT_EQ(under.ledgers.shape(under.ledger, shape), Sw::ok);
  ASSERT_EQ(under.ledgers.state(under.ledger, shape, state), Sw::ok);
  state.sequence = 0xFFFFFFFE;
  ASSERT_EQ(under.ledgers.commit(under.ledger, shape, state, entry(1)), Sw::ok);
  restart();
  select();
  EXPECT_EQ(transact(kDebit, counters(1), entry(2)), 0xFFFFFFFFU);
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(3))).sw, 0x6985);
  EXPECT_EQ(look().counters, counters(1));
}

TEST_F(LedgerTest, ProductVersionAtItsEndTakesNoMore) {
  issue_ledger();
  UnderTheCommands under(chip);
  const u8 late[] = {0xFF, 0xFE};
  {
    Transaction transaction(under.journal, 1);
    ASSERT_EQ(under.table.write(under.ledger, 20, late), Sw::ok);
    ASSERT_EQ(transaction.commit(), Sw::ok);
  }
  restart();
  select();
  expect("00D6830001 41", 0x9000);
  EXPECT_EQ(look().version, 0xFFFFU);
  expect("00D6830001 42", 0x6985);
  EXPECT_EQ(look().product[0], 0x41);
}

// What COMMIT changes fits one page, and one page is what it writes (and erases the old one).
TEST_F(LedgerTest, ACommitWritesOnePage) {
  issue_ledger();
  transact(kCredit, counters(9), entry(1));
  LedgerTerminal terminal = sample.terminal(kDebit);
  chip.operations = 0;
  open(terminal);
  EXPECT_EQ(chip.operations, 0U) << "OPEN writes nothing";
  const Answer answer = run(terminal.commit_command(counters(8), entry(2)));
  ASSERT_EQ(answer.sw, 0x9000);
  EXPECT_EQ(chip.operations, 2U);
  terminal.read_receipt(answer.data, 2);
  ASSERT_EQ(run(terminal.ratify_command()).sw, 0x9000);
  EXPECT_EQ(chip.operations, 4U);
}

// --- content and rules ---

TEST_F(LedgerTest, OnABlankCardTheLedgerReadsInPlain) {
  expect(to_hex(sample.create_df()), 0x9000);
  for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
  EXPECT_EQ(run("00B0000000").data, sample.product + Memory(12, 0));
  EXPECT_EQ(run("00B0000A04").data, cut_out(sample.product, 10, 4));
  expect("00B0001E01", 0x6B00);
  expect("00B0001D02", 0x6282);
  expect("00B2010400", 0x6A83);
}

TEST_F(LedgerTest, ProductUpdatesCountTheVersionAndReachNothingElse) {
  sample.rules = "8102 01FF 8202 01FF";
  issue_ledger();
  expect("00A4020C020103", 0x9000);
  expect("00D6000202 5858", 0x9000);
  expect("00D6001101 59", 0x9000);
  expect("00D6001201 59", 0x6B00);
  expect("00D6001102 5959", 0x6B00);
  expect("00DC010410 00000000000000000000000000000000", 0x6981);
  expect("00E2000010 00000000000000000000000000000000", 0x6981);
  select();
  const LedgerView view = look();
  EXPECT_EQ(view.version, 3U);
  Memory wanted = sample.product;
  wanted[2] = wanted[3] = 0x58;
  wanted[17] = 0x59;
  EXPECT_EQ(view.product, wanted);
  EXPECT_EQ(view.counters, counters(0));
}

TEST_F(LedgerTest, EntriesReadFromTheNewestAndNoMoreThanAreKept) {
  sample.kept = 4;
  expect(to_hex(sample.create_df()), 0x9000);
  for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
  for (u8 i = 1; i <= 6; ++i) {
    transact(kCredit, counters(i), entry(i));
    Memory all;
    for (u8 n = 1; n <= 7; ++n) {
      const Answer answer = run(Memory{0x00, 0xB2, n, 0x1C, 0x00});
      const bool there = n <= i && n <= 4;
      EXPECT_EQ(answer.sw, there ? 0x9000 : 0x6A83) << int{n};
      EXPECT_EQ(answer.data, there ? entry(static_cast<u8>(i - n + 1)) : Memory{});
      if (n >= 2) all = all + answer.data;
    }
    const Answer rest = run("00B2021D00");
    EXPECT_EQ(rest.sw, i >= 2 ? 0x9000 : 0x6A83);
    EXPECT_EQ(rest.data, all);
  }
}

TEST_F(LedgerTest, AnIssuedCardShowsContentToNobodyInPlain) {
  issue_ledger();
  expect("00A4020C020103", 0x9000);
  expect("00B0000000", 0x6982);
  expect("00B2010400", 0x6982);
}

struct RuleCase {
  const char* rules;
  u16 debit_contact, credit_contact, debit_air, credit_air;
};

TEST_F(LedgerTest, RulesOfDebitAndCreditStandApart) {
  const RuleCase cases[] = {
      {"8102 01FF 8202 01FF", 0x9000, 0x9000, 0x9000, 0x9000},
      {"8102 0507 8202 8508 8302 01FF", 0x9000, 0x6982, 0x9000, 0x6A82},
      {"8102 0507", 0x6982, 0x9000, 0x6A82, 0x6A82},  // credit: usual
      {"8102 01FF 8202 0FFF 8302 0FFF", 0x6982, 0x6982, 0x6A82, 0x6A82},
      {"8102 00FF", 0x9000, 0x9000, 0x6A82, 0x6A82},
      {"8102 02FF 8202 03FF", 0x6982, 0x6982, 0x6A82, 0x6A82},
  };
  for (const RuleCase& row : cases) {
    chip.memory.assign(chip.memory.size(), 0xFF);
    ASSERT_TRUE(card->format(kSerial));
    ASSERT_TRUE(card->boot(Interface::contact));
    sample.rules = row.rules;
    issue_ledger();
    LedgerTerminal debit = sample.terminal(kDebit);
    LedgerTerminal credit = sample.terminal(kCredit);
    EXPECT_EQ(run(debit.open_command()).sw, row.debit_contact) << row.rules;
    EXPECT_EQ(run(credit.open_command()).sw, row.credit_contact) << row.rules;
    const bool told =
        to_hex(run(apdu("00A40400", sample.aid(), true)).data).find(to_hex(sample.serial)) != std::string::npos;
    EXPECT_EQ(told, row.debit_contact == 0x9000 || row.credit_contact == 0x9000) << row.rules;
    restart(Interface::contactless);
    select();
    EXPECT_EQ(run(debit.open_command()).sw, row.debit_air) << row.rules;
    EXPECT_EQ(run(credit.open_command()).sw, row.credit_air) << row.rules;
  }
}

TEST_F(LedgerTest, ADfThatIsNotFreeDoesNotExistOverContactlessInPlain) {
  expect(to_hex(LedgerSample::create("820138 8302D103 8407F04B4152544103 8603FFFFFF")), 0x9000);
  for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
  expect("0044000002 3F00", 0x9000);
  restart(Interface::contactless);
  EXPECT_EQ(run(sample.select_df()).sw, 0x6A82);
  EXPECT_EQ(run(sample.terminal(kDebit).open_command()).sw, 0x6A82);
}

TEST_F(LedgerTest, WithoutALedgerOrAWholeKeyNothingOpens) {
  LedgerTerminal debit = sample.terminal(kDebit);
  EXPECT_EQ(run(debit.open_command()).sw, 0x6A88);
  expect(to_hex(sample.create_df()), 0x9000);
  expect(to_hex(sample.create_ledger()), 0x9000);
  EXPECT_EQ(run(debit.open_command()).sw, 0x6985) << "no key file";
  expect(to_hex(sample.create_key("00E1", "80")), 0x9000);
  EXPECT_EQ(run(debit.open_command()).sw, 0x6985) << "no key in it";
  expect(to_hex(sample.import_key(1, sample.key(kDebit))), 0x9000);
  EXPECT_EQ(run(debit.open_command()).sw, 0x9000);
  expect(to_hex(sample.create_key("00E2", "81")), 0x9000);
  expect(to_hex(sample.import_key(1, sample.key(kCredit))), 0x9000);
  EXPECT_EQ(run(sample.terminal(kCredit).open_command()).sw, 0x6985) << "a master key is no ledger key";
  open(debit);
  EXPECT_EQ(run(debit.commit_command(counters(0), entry(1))).sw, 0x6985) << "no settlement key";
  EXPECT_EQ(look().sequence, 0U);
  expect("0004000002 0103", 0x9000);
  EXPECT_EQ(run(debit.open_command()).sw, 0x6985) << "deactivated";
}

TEST_F(LedgerTest, TwoLedgersDoNotFitOneDf) {
  expect(to_hex(sample.create_df()), 0x9000);
  expect(to_hex(sample.create_ledger()), 0x9000);
  Memory second = sample.create_ledger();
  const Memory id = hex("83020103");
  std::copy_n(hex("83020104").begin(), 4, std::search(second.begin(), second.end(), id.begin(), id.end()));
  EXPECT_EQ(run(second).sw, 0x6985);
}

TEST_F(LedgerTest, ShapesBeyondTheLimitsAreRefused) {
  expect(to_hex(sample.create_df()), 0x9000);
  const auto created = [&](auto change) {
    LedgerSample s;
    change(s);
    return run(s.create_ledger()).sw;
  };
  EXPECT_EQ(created([](LedgerSample& s) { s.counters = 0; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.counters = 9; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.entry = 7; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.entry = 41; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.kept = 0; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.kept = 33; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.product = {}; }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.product = Memory(161, 1); }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.serial.pop_back(); }), 0x6A80);
  EXPECT_EQ(created([](LedgerSample& s) { s.entry = 40, s.kept = 23; }), 0x6A80) << "968 octets";
  EXPECT_EQ(created([](LedgerSample& s) { s.entry = 28, s.kept = 32, s.counters = 6; }), 0x9000) << "960 octets";
  // Without tag A2, or an object of it twice.
  expect(to_hex(LedgerSample::create("800101 820132 83020104 8603000000")), 0x6A80);
  expect(to_hex(LedgerSample::create("800101 820132 83020104 A21D 800101 800101 810108 820101 830200E1 840200E2 "
                                     "8508 0102030405060708")),
         0x6A80);
}

// --- channels ---

TEST_F(LedgerTest, InsideTheIssuersSessionTheLedgerOpensAndReads) {
  sample.rules = "8102 8FFF 8202 8FFF 8302 01FF";
  expect(to_hex(sample.create_df()), 0x9000);
  for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
  const HostKeys keys = sample_keys(16, 9);
  Scp03Host first(initial_keys());
  ASSERT_EQ(first.open(*card, 0x03), 0x9000);
  ASSERT_EQ(first.exchange(*card, first.put_key(0, 2, keys)).sw, 0x9000);
  restart();
  Scp03Host issuer(keys);
  expect("00A4040008 A000000151000000 00", 0x9000);
  ASSERT_EQ(issuer.open(*card, 0x33), 0x9000);
  ASSERT_EQ(issuer.exchange(*card, "0044000002 3F00").sw, 0x9000);
  ASSERT_EQ(issuer.exchange(*card, sample.select_df()).sw, 0x9000);

  LedgerTerminal credit = sample.terminal(kCredit);
  credit.read_opening(issuer.exchange(*card, credit.open_command()).data);
  const Answer receipt = issuer.exchange(*card, credit.commit_command(counters(40), entry(1)));
  ASSERT_EQ(receipt.sw, 0x9000);
  credit.read_receipt(receipt.data, 1);
  EXPECT_EQ(issuer.exchange(*card, credit.ratify_command()).sw, 0x9000);
  EXPECT_EQ(issuer.exchange(*card, "00A4020C020103").sw, 0x9000);
  EXPECT_EQ(issuer.exchange(*card, "00B0000000").data, sample.product + be32(counters(40)) + be32(1));
  EXPECT_EQ(issuer.exchange(*card, "00B2010400").data, entry(1));
  EXPECT_EQ(issuer.exchange(*card, "00D6000001 5A").sw, 0x9000);

  // To administer is not to debit: the rule decides. (The same card with another ledger.)
  EXPECT_EQ(issuer.exchange(*card, "00E4000002 0103").sw, 0x9000);
  sample.rules = "8102 8FFF 8202 8FFF 8302 0FFF";
  EXPECT_EQ(issuer.exchange(*card, sample.create_ledger()).sw, 0x9000);
  EXPECT_EQ(issuer.exchange(*card, sample.terminal(kDebit).open_command()).sw, 0x6982);
  EXPECT_EQ(issuer.exchange(*card, sample.terminal(kCredit).open_command()).sw, 0x9000);

  // Reading, where answers would go back in plain.
  for (const u8 level : {u8{0x01}, u8{0x03}, u8{0x13}}) {
    restart();
    expect("00A4040008 A000000151000000 00", 0x9000);
    Scp03Host plain(keys);
    ASSERT_EQ(plain.open(*card, level), 0x9000);
    ASSERT_EQ(plain.exchange(*card, sample.select_df()).sw, 0x9000);
    EXPECT_EQ(plain.exchange(*card, "00A4020C020103").sw, 0x9000);
    EXPECT_EQ(plain.exchange(*card, "00B0000000").sw, 0x6982);
    EXPECT_EQ(plain.exchange(*card, "00B2010400").sw, 0x6982);
  }
}

// --- the card-signed form ---

TEST_F(LedgerTest, TheSignedStatementVerifiesAndWritesNothing) {
  sample.statement = true;
  expect(to_hex(sample.create_df()), 0x9000);
  Memory point;
  for (const Memory& command : sample.commands()) {
    const Answer answer = run(command == hex("00460000") ? hex("0046000000") : command);
    ASSERT_EQ(answer.sw, 0x9000);
    if (command == hex("00460000")) point = cut_out(answer.data, 5, 65);
  }
  expect("0044000002 3F00", 0x9000);
  restart(Interface::contactless);
  select();
  transact(kCredit, {3, 4}, entry(1));
  const Memory nonce(16, 0x77);
  chip.operations = 0;
  const Answer answer = run(apdu("00880000", nonce, true));
  ASSERT_EQ(answer.sw, 0x9000);
  EXPECT_EQ(chip.operations, 0U);
  const Memory content = sample.product + be32({3, 4}) + be32(1) + hex("0001");
  ASSERT_EQ(answer.data.size(), content.size() + 64);
  EXPECT_EQ(cut_out(answer.data, 0, content.size()), content);
  const Memory statement = text("KTXP") + nonce + sample.serial + content;
  Memory digest(32);
  const ByteView parts[] = {statement};
  ASSERT_EQ(test_aes().digest(Digest::sha256, parts, digest), HalStatus::ok);
  EXPECT_EQ(test_aes().ec_verify(Curve::p256, point, digest, cut_out(answer.data, content.size(), 64)), HalStatus::ok);
  expect("00880001 10 00000000000000000000000000000000 00", 0x6A86);
  expect("00880000 0F 000000000000000000000000000000 00", 0x6700);

  // The key signs nothing else.
  restart();
  select();
  mse("B6", "04", "00E4", 0x6985);
  mse("A4", "04", "00E4", 0x6985);
}

TEST_F(LedgerTest, OnlyAKeyForStatementsSignsThem) {
  sample.statement = true;
  expect(to_hex(sample.create_df()), 0x9000);
  expect(to_hex(sample.create_ledger()), 0x9000);
  const std::string statement = "00880000 10 00000000000000000000000000000000 00";
  expect(statement, 0x6985);  // no key file
  for (const char* usage : {"0001", "0000", "0081"}) {
    expect(to_hex(LedgerSample::create("81020100 820122 830200E4 8502" + std::string(usage) + "8603000000")), 0x9000);
    generate();
    expect(statement, 0x6985);
    expect("00E4000002 00E4", 0x9000);
  }
  expect(to_hex(LedgerSample::create("81020100 820122 830200E4 85020080 8603000000")), 0x9000);
  expect(statement, 0x6985);  // no key in it
  generate();
  expect(statement, 0x9000);
}

TEST_F(LedgerTest, WithoutASigningKeyThereIsNoStatement) {
  issue_ledger();
  expect("00880000 10 00000000000000000000000000000000 00", 0x6A88);
}

// --- behaviours ---

bool holds(ByteView memory, ByteView needle) {
  return std::search(memory.begin(), memory.end(), needle.begin(), needle.end()) != memory.end();
}

// The card's working memory, all of it.
ByteView ram(const Card& card) { return {reinterpret_cast<const u8*>(&card), sizeof card}; }

TEST_F(LedgerTest, Behaviour37_KeysOfATransactionAreGoneOnEveryWayOut) {
  issue_ledger();
  const auto expect_clean = [&](const LedgerTerminal& terminal, const char* when) {
    for (const u8 kind : {kDebit, kCredit, kSettlement}) EXPECT_FALSE(holds(ram(*card), sample.key(kind))) << when;
    EXPECT_FALSE(holds(ram(*card), terminal.session_key())) << when;
  };
  LedgerTerminal terminal = sample.terminal(kDebit);
  open(terminal);
  EXPECT_TRUE(holds(ram(*card), terminal.session_key())) << "what is looked for can be found";
  EXPECT_FALSE(holds(ram(*card), sample.key(kDebit))) << "K is not needed any more";
  terminal.read_receipt(run(terminal.commit_command(counters(0), entry(1))).data, 1);
  EXPECT_EQ(run(terminal.ratify_command()).sw, 0x9000);
  expect_clean(terminal, "ratified");
  open(terminal);
  run("0084000008");
  expect_clean(terminal, "another command");
  open(terminal);
  Memory forged = terminal.commit_command(counters(0), entry(1));
  forged[5] = 0xFF;
  EXPECT_EQ(run(forged).sw, 0x6300);
  expect_clean(terminal, "wrong MAC");
  open(terminal);
  EXPECT_EQ(run(terminal.commit_command(counters(1), entry(1))).sw, 0x6985);
  expect_clean(terminal, "refused");
  open(terminal);
  chip.cut_power_at(1, Cut::before);
  EXPECT_EQ(run(terminal.commit_command(counters(0), entry(1))).sw, 0x6581);
  expect_clean(terminal, "the memory failed");
  chip.restore_power();
  ASSERT_TRUE(card->boot(Interface::contact));
  select();
  open(terminal);
  card->power_off();
  expect_clean(terminal, "power off");
}

// Every write and erase of a debit cut in every way, and recovery cut as well: counters, sequence, entry and code are
// those of before or those of after, together.
TEST_F(LedgerTest, Behaviour49_50_51_ATornCommitIsSpentOrNotAndTheTerminalLearnsWhich) {
  issue_ledger(Interface::contactless);
  transact(kCredit, {50, 7}, entry(0xC0));
  const LedgerView before = look();
  const Memory memory = chip.memory;
  std::size_t cuts = 0;
  std::size_t written = 0;
  for (const Cut how : kCuts) {
    for (std::size_t at = 1;; ++at) {
      chip.memory = memory;
      restart(Interface::contactless);
      select();
      LedgerTerminal terminal = sample.terminal(kDebit);
      open(terminal);
      chip.cut_power_at(at, how);
      const Answer answer = run(terminal.commit_command({49, 7}, entry(0xD1)));
      if (chip.powered) {
        EXPECT_EQ(answer.sw, 0x9000);
        break;
      }
      ++cuts;
      // The power comes back, and goes again while the card recovers.
      const Memory torn = chip.memory;
      for (std::size_t again = 0;; ++again) {
        chip.memory = torn;
        chip.restore_power();
        card = std::make_unique<Card>(chip, kDefaultConfig);
        if (again != 0) chip.cut_power_at(again, how);
        const bool up = card->boot(Interface::contactless);
        const bool undisturbed = chip.powered;
        chip.restore_power();
        if (!undisturbed) {
          ++cuts;
          EXPECT_FALSE(up);
          restart(Interface::contactless);
        }
        select();
        LedgerTerminal later = sample.terminal(kDebit);
        const LedgerView after = open(later);
        if (after.sequence == before.sequence) {
          EXPECT_EQ(after, before);
          // Not written: the terminal commits again, once.
          EXPECT_EQ(run(later.commit_command({49, 7}, entry(0xD1))).sw, 0x9000);
        } else {
          ++written;
          EXPECT_EQ(after.sequence, before.sequence + 1);
          EXPECT_FALSE(after.ratified);
        }
        const LedgerView settled = look();
        EXPECT_EQ(settled.sequence, before.sequence + 1) << "charged once";
        EXPECT_EQ(settled.counters, (std::vector<u32>{49, 7}));
        EXPECT_EQ(settled.entry, entry(0xD1));
        EXPECT_EQ(settled.code,
                  later.settlement_code(sample.key(kSettlement), before.sequence + 1, {49, 7}, entry(0xD1)));
        if (undisturbed && again != 0) break;
      }
    }
  }
  EXPECT_GT(cuts, 8U);
  EXPECT_GT(written, 0U);
  RecordProperty("cuts", static_cast<int>(cuts));
}

TEST_F(LedgerTest, Behaviour51_ALostAnswerIsLearntAtTheNextOpening) {
  issue_ledger(Interface::contactless);
  transact(kCredit, {5, 0}, entry(1));
  LedgerTerminal gate = sample.terminal(kDebit);
  const LedgerView before = open(gate);
  run(gate.commit_command({4, 0}, entry(0xAB)));  // its answer never reaches the gate
  restart(Interface::contactless);
  select();
  LedgerTerminal again = sample.terminal(kDebit);
  const LedgerView after = open(again);
  EXPECT_EQ(after.sequence, before.sequence + 1);
  EXPECT_EQ(after.entry, entry(0xAB)) << "it was written: nobody commits again";
  EXPECT_FALSE(after.ratified);
  EXPECT_EQ(after.code, gate.settlement_code(sample.key(kSettlement), before.sequence + 1));
}

// Behaviour 38 for what lies in a ledger: DELETE leaves neither keys nor counters nor entries in memory.
TEST_F(LedgerTest, Behaviour38_DeletingALedgerAndItsKeysLeavesNoOldCopy) {
  sample.product = Memory(24, 0xB7);
  expect(to_hex(sample.create_df()), 0x9000);
  for (const Memory& command : sample.commands()) expect(to_hex(command), 0x9000);
  for (u8 i = 1; i <= 5; ++i) transact(kCredit, {0x11223344U + i, 0x55667788U}, entry(static_cast<u8>(0xE0 + i)));
  const auto traces = [&] {
    std::size_t n = 0;
    for (const u8 kind : {kDebit, kCredit, kSettlement}) n += holds(chip.memory, sample.key(kind)) ? 1 : 0;
    for (u8 i = 1; i <= 5; ++i) n += holds(chip.memory, entry(static_cast<u8>(0xE0 + i))) ? 1 : 0;
    return n + (holds(chip.memory, sample.product) ? 1 : 0) + (holds(chip.memory, be32(0x55667788U)) ? 1 : 0);
  };
  EXPECT_EQ(traces(), 10U);
  expect("00E4000002 00E2", 0x9000);
  EXPECT_FALSE(holds(chip.memory, sample.key(kCredit)));
  expect("00E4000002 0103", 0x9000);
  EXPECT_EQ(traces(), 2U) << "two keys";
  expect("00E4000002 D103", 0x9000);
  EXPECT_EQ(traces(), 0U);
}

}  // namespace
}  // namespace karta::os
