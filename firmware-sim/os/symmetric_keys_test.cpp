// AES key files, and limits of uses on keys of every kind.
#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

class SymmetricKeyTest : public CardTest {
 protected:
  const Memory key = hex("A1A2A3A4A5A6A7A8A9AAABACADAEAFB0");

  static std::string aes_fcp(const std::string& bits, const std::string& properties, const std::string& more = "") {
    return create("8102" + bits + "820129 830200E1 85" + properties + "8603000000" + more);
  }
  void make_key(const std::string& more = "") {
    expect(aes_fcp("0080", "020080", more), 0x9000);
    EXPECT_EQ(run(apdu("00DA018A", Memory{1} + key)).sw, 0x9000);
  }
  bool stored(const Memory& value) {
    return std::search(chip.memory.begin(), chip.memory.end(), value.begin(), value.end()) != chip.memory.end();
  }
  // Tag A3 of the current or named key file, or -1.
  long uses_left(const std::string& id) {
    const Answer fcp = run("00A40004 02" + id + "00");
    const std::string text = to_hex(fcp.data);
    const std::size_t at = text.find("A3068004");
    return at == std::string::npos ? -1 : std::stol(text.substr(at + 8, 8), nullptr, 16);
  }
};

TEST_F(SymmetricKeyTest, SizesAndUsagesAreThoseOfThePage) {
  expect(aes_fcp("0100", "020081"), 0x9000);
  expect(aes_fcp("00C0", "020080"), 0x6A80);
  expect(aes_fcp("0081", "020080"), 0x6A80);
  expect(aes_fcp("0080", "020000"), 0x6A80);
  expect(aes_fcp("0080", "020082"), 0x6A80);
  expect(aes_fcp("0080", "021080"), 0x6A80);    // no consent
  expect(aes_fcp("0080", "03008104"), 0x6A80);  // no such kind
}

TEST_F(SymmetricKeyTest, AValueComesWholeOrNotAtAll) {
  expect(aes_fcp("0080", "020080"), 0x9000);
  EXPECT_EQ(run(apdu("00DA018A", Memory{1} + Memory(15, 7))).sw, 0x6700);
  EXPECT_EQ(run(apdu("00DA018A", Memory{1} + Memory(32, 7))).sw, 0x6700);
  EXPECT_EQ(run(apdu("00DA018A", Memory{0} + key)).sw, 0x6A80);
  EXPECT_EQ(run(apdu("00DA0187", key)).sw, 0x6981);
  EXPECT_FALSE(stored(key));
  EXPECT_EQ(run(apdu("00DA018A", Memory{0xFF} + key)).sw, 0x9000);
  EXPECT_TRUE(stored(key));
  const Memory next(16, 0xB4);
  EXPECT_EQ(run(apdu("00DA018A", Memory{2} + next)).sw, 0x9000);
  EXPECT_TRUE(stored(next));
  EXPECT_FALSE(stored(key)) << "no old copy";
  create_key("4B01", 256);
  EXPECT_EQ(run(apdu("00DA018A", Memory{1} + key)).sw, 0x6981) << "an EC key file takes no AES key";
}

// Behaviour 30 for AES keys: every command that might read or use one, in the file and by name.
TEST_F(SymmetricKeyTest, Behaviour30_NothingReadsOrUsesAnAesKeyDirectly) {
  make_key();
  for (const char* command : {"00B0000000", "00B2010400", "00CA010100", "00CA010200", "00CA018600", "0046000000",
                              "00D6000001 00", "00DC010401 00", "00E2000001 00"}) {
    const Answer answer = run(command);
    EXPECT_EQ(answer.sw, 0x6981) << command;
    EXPECT_TRUE(answer.data.empty());
  }
  for (const char* crt : {"B6", "B8", "A4"}) mse(crt, "00", "00E1", 0x6981);
  const Answer fcp = run("00A40004 0200E1 00");
  EXPECT_EQ(to_hex(fcp.data).find(to_hex(key).substr(0, 8)), std::string::npos);
}

TEST_F(SymmetricKeyTest, OnAnIssuedCardOnlyItsAdministratorImportsEncrypted) {
  const HostKeys keys = sample_keys(16, 4);
  make_key();
  Scp03Host first(initial_keys());
  ASSERT_EQ(first.open(*card, 0x03), 0x9000);
  ASSERT_EQ(first.exchange(*card, first.put_key(0, 2, keys)).sw, 0x9000);
  restart();
  expect("0044000002 3F00", 0x9000);
  restart();
  expect("00A4000C02 00E1", 0x9000);
  const Memory import = apdu("00DA018A", Memory{2} + Memory(16, 0x5C));
  EXPECT_EQ(run(import).sw, 0x6982);
  for (const u8 level : {u8{0x01}, u8{0x03}}) {
    restart();
    Scp03Host host(keys);
    ASSERT_EQ(host.open(*card, level), 0x9000);
    ASSERT_EQ(host.exchange(*card, "00A4000C0200E1").sw, 0x9000);
    EXPECT_EQ(host.exchange(*card, import).sw, (level & 0x02) != 0 ? 0x9000 : 0x6982);
  }
}

TEST_F(SymmetricKeyTest, LimitsAreForKeysAndNotZero) {
  expect(aes_fcp("0080", "020080", "A306800400000000"), 0x6A80);
  expect(aes_fcp("0080", "020080", "A30480020001"), 0x6A80);
  expect(aes_fcp("0080", "020080", "A3088004000000018001 00"), 0x6A80);
  expect(create("80020010 820101 83024301 8603000000 A306800400000005"), 0x6A80);
}

// Card-security 35: a signature key counts down durably before it signs; at zero it refuses; a new key begins anew.
TEST_F(SymmetricKeyTest, Behaviour35_SignatureKeysCountDownBeforeUse) {
  select_esign();
  for (const bool rsa : {false, true}) {
    const std::string id = rsa ? "4B08" : "4B07";
    const std::string bits = rsa ? "0800" : "0100";
    expect(create("8102" + bits + "8201" + (rsa ? "11" : "22") + "8302" + id + "86030000FF 85020001 A306800400000003"),
           0x9000);
    EXPECT_EQ(uses_left(id), 3);
    generate();
    EXPECT_EQ(uses_left(id), 3);
    const u16 counter = change_counter();
    for (int left = 2; left >= 0; --left) {
      mse("B6", rsa ? "02" : "04", id);
      EXPECT_EQ(sign(), 0x9000);
      EXPECT_EQ(uses_left(id), left);
    }
    EXPECT_EQ(change_counter(), counter) << "what a terminal caches has not changed";
    mse("B6", rsa ? "02" : "04", id);
    EXPECT_EQ(sign(), 0x6985);
    restart();
    select_esign();
    EXPECT_EQ(uses_left(id), 0);
    generate();
    EXPECT_EQ(uses_left(id), 3);
    mse("B6", rsa ? "02" : "04", id);
    EXPECT_EQ(sign(), 0x9000);
  }
  create_key("4B09", 256);
  EXPECT_EQ(uses_left("4B09"), -1);
}

// Card-security 35: wherever the power goes, the use that was begun is gone; the key never answered more than it may.
TEST_F(SymmetricKeyTest, Behaviour35_ACutUseIsSpentBeforeTheKeyIsTouched) {
  select_esign();
  expect(create("81020100 820122 83024B07 86030000FF 85020001 A306800400000002"), 0x9000);
  generate();
  const Memory memory = chip.memory;
  for (const Cut how : kCuts) {
    bool cut = true;
    for (std::size_t at = 1; cut; ++at) {
      chip.memory = memory;
      restart();
      select_esign();
      mse("B6", "04", "4B07");
      chip.cut_power_at(at, how);
      const Answer answer = run(hex("002A9E9A20") + Memory(32, 0x5A) + Memory{0});
      cut = !chip.powered;
      EXPECT_EQ(answer.sw, cut ? 0x6581 : 0x9000);
      EXPECT_EQ(answer.data.empty(), cut) << "no signature without the count";
      restart();
      select_esign();
      const long left = uses_left("4B07");
      EXPECT_TRUE(left == 1 || (cut && left == 2)) << left;
      for (long i = 0; i < left; ++i) {
        mse("B6", "04", "4B07");
        EXPECT_EQ(sign(), 0x9000);
      }
      mse("B6", "04", "4B07");
      EXPECT_EQ(sign(), 0x6985);
    }
  }
}

// The same for an agreement key and an imported RSA key's decipherment is Keys' one path; for AES keys it is this one.
TEST_F(SymmetricKeyTest, Behaviour35_LedgerKeysCountDownBeforeUse) {
  LedgerSample sample;
  expect(to_hex(sample.create_df()), 0x9000);
  expect(to_hex(sample.create_key("00E1", "80", "A306800400000002")), 0x9000);
  expect(to_hex(sample.import_key(1, sample.key(kDebit))), 0x9000);
  sample.settlement = true;
  expect(to_hex(sample.create_key("00E3", "80", "A306800400000001")), 0x9000);
  expect(to_hex(sample.import_key(1, sample.key(kSettlement))), 0x9000);
  expect(to_hex(sample.create_ledger()), 0x9000);
  LedgerTerminal gate = sample.terminal(kDebit);
  gate.read_opening(run(gate.open_command()).data);
  EXPECT_EQ(run(gate.commit_command({0, 0}, Memory(16, 1))).sw, 0x9000);
  gate.read_opening(run(gate.open_command()).data);
  EXPECT_EQ(run(gate.commit_command({0, 0}, Memory(16, 2))).sw, 0x6985) << "the settlement key is used up";
  EXPECT_EQ(run(gate.open_command()).sw, 0x6985);
  EXPECT_EQ(uses_left("00E1"), 0);
  EXPECT_EQ(uses_left("00E3"), 0);
  expect(to_hex(sample.import_key(2, sample.key(kSettlement))), 0x9000);  // 00E3 is current
  EXPECT_EQ(uses_left("00E3"), 1) << "a new key";
}

}  // namespace
}  // namespace karta::os
