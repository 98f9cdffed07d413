// The card from the terminal's side: commands in, answers out. Behaviour numbers are those of docs on card security.
#include "firmware-sim/os/card.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/test_chip.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
constexpr char kEsignAid[] = "A000000063504B43532D3135";

class CardTest : public testing::Test {
 protected:
  CardTest() {
    EXPECT_TRUE(card->format(kSerial));
    EXPECT_TRUE(card->boot(Interface::contact));
  }

  Answer run(const std::string& command) { return send(*card, command); }
  Answer run(const Memory& command) { return send(*card, command); }
  void expect(const std::string& command, u16 sw) {
    const Answer answer = run(command);
    EXPECT_EQ(answer.sw, sw) << command << " answered " << std::hex << answer.sw;
  }
  // Power off and on, on the same memory, with a new operating system object: nothing in RAM survives.
  void restart(Interface interface = Interface::contact) {
    card = std::make_unique<Card>(chip, kDefaultConfig);
    chip.restore_power();
    ASSERT_TRUE(card->boot(interface));
  }

  void select_esign() { expect(std::string("00A404000C") + kEsignAid, 0x9000); }
  void put_pin(int reference, const std::string& value, const std::string& puk, u8 tries = 3, u8 puk_tries = 10,
               u8 options = 0) {
    Memory head = hex("00DA01");
    head.push_back(static_cast<u8>(reference));
    head.push_back(19);
    EXPECT_EQ(run(head + pin(value) + pin(puk) + Memory{tries, puk_tries, options}).sw, 0x9000);
  }
  // CREATE FILE with these file control parameters.
  static std::string create(const std::string& parameters) {
    const Memory fcp = hex(parameters);
    return to_hex(apdu("00E00000", Memory{0x62, static_cast<u8>(fcp.size())} + fcp));
  }
  static std::string size_of(std::size_t n) { return to_hex(Memory{static_cast<u8>(n >> 8), static_cast<u8>(n)}); }
  void create_ef(const std::string& id, u16 size, const std::string& rules = "000FFF") {
    expect(create("8002" + size_of(size) + "820101 8302" + id + "8603" + rules + "8A0100"), 0x9000);
  }
  static std::string key_fcp(const std::string& id, u16 bits, const std::string& rules, const std::string& properties) {
    const std::string kind = bits > 1000 ? "11" : "22";
    return create("8102" + size_of(bits) + "8201" + kind + "8302" + id + "8603" + rules + "8502" + properties +
                  "8A0100");
  }
  void create_key(const std::string& id, u16 bits, const std::string& rules = "0000FF",
                  const std::string& properties = "0000") {
    expect(key_fcp(id, bits, rules, properties), 0x9000);
  }
  void generate() { expect("00460000", 0x9000); }
  void mse(const std::string& crt, const std::string& algorithm, const std::string& id, u16 sw = 0x9000) {
    expect("002241" + crt + "0A 8001" + algorithm + "8102" + id + "840100", sw);
  }
  u16 verify(int reference, const std::string& value) {
    Memory command = hex("002000");
    command.push_back(static_cast<u8>(reference));
    command.push_back(8);
    return run(command + pin(value)).sw;
  }
  u16 status(int reference) { return run(hex("002000") + Memory{static_cast<u8>(reference)}).sw; }
  u16 change(int reference, const std::string& from, const std::string& to) {
    return run(hex("002400") + Memory{static_cast<u8>(reference), 16} + pin(from) + pin(to)).sw;
  }
  u16 unblock(int reference, const std::string& puk, const std::string& to) {
    return run(hex("002C00") + Memory{static_cast<u8>(reference), 16} + pin(puk) + pin(to)).sw;
  }
  u16 change_counter() {
    const Answer answer = run("00CA01A014");
    return answer.data.size() == 20 ? read_u16(answer.data.data() + 18) : 0xFFFF;
  }
  // Signs a hash of 32 octets with the key the environment is set to.
  u16 sign() { return run(hex("002A9E9A20") + Memory(32, 0x5A) + Memory{0}).sw; }

  // A card as an issuing centre leaves it: transport PINs 11111 and 22222, one PUK, a signature key under PIN 1
  // (4B01, P-256), a qualified key under PIN 2 with consent (4B02), a key agreement key (4B03), a certificate file.
  void issue() {
    select_esign();
    put_pin(1, "11111", "", 3, 0, 0x03);
    put_pin(2, "22222", "", 3, 0, 0x03);
    EXPECT_EQ(run(hex("00DA010F0B") + text("1234567890") + Memory{10}).sw, 0x9000);
    create_key("4B01", 256, "11F1FF", "0001");
    generate();
    create_key("4B02", 256, "22F2FF", "2001");
    generate();
    create_key("4B03", 256, "11F1FF", "0004");
    generate();
    create_key("4B04", 2048, "11F1FF", "0002");
    generate();
    create_ef("4301", 600, "01FFFF");
    expect(std::string("004404000C") + kEsignAid, 0x9000);
    expect("0044000002 3F00", 0x9000);
    restart();
    select_esign();
  }
  void issue_with_own_pins() {
    issue();
    ASSERT_EQ(change(1, "11111", "123456"), 0x9000);
    ASSERT_EQ(change(2, "22222", "654321"), 0x9000);
  }

  Chip chip;
  std::unique_ptr<Card> card = std::make_unique<Card>(chip, kDefaultConfig);
};

Memory xor_check(ByteView atr) {
  u8 sum = 0;
  for (const u8 octet : atr.subspan(1)) sum ^= octet;
  return {sum};
}

TEST_F(CardTest, AtrsEndInTheirCheckOctetAndOnlyContactEndsInOsEid) {
  EXPECT_EQ(to_hex(card->atr()),
            "3B8A80014B617274614F73454944"
            "32");
  EXPECT_EQ(xor_check(card->atr()), Memory{0});
  ASSERT_TRUE(card->reset(Interface::contactless));
  EXPECT_EQ(xor_check(card->atr()), Memory{0});
  EXPECT_EQ(to_hex(card->atr()).find("4F73454944"), std::string::npos);
  card->power_off();
  EXPECT_TRUE(card->atr().empty());
}

TEST_F(CardTest, BlankCardShowsTheMyEidLayout) {
  EXPECT_EQ(to_hex(run("00A4080402 3F00 00").data),
            "6217810200008201388302"
            "3F0085020000"
            "8603000FFF"
            "8A0101");
  EXPECT_EQ(to_hex(run(std::string("00A404000C") + kEsignAid + "00").data),
            "6F258102000082013883025015"
            "840CA000000063504B43532D3135"
            "85020000"
            "8603000FFF"
            "8A0101");
  EXPECT_EQ(to_hex(run("00CA01A014").data),
            "4B41525441"
            "040505"
            "A0010203040506070809"
            "0000");
  EXPECT_EQ(to_hex(run("00CA01AA0B").data), "0100091000000000000209");
  expect("00A4040005 F000000001", 0x6A82);
  expect("00A4080C04 50154B01", 0x6A82);
  expect("00A4000C02 2F01", 0x6A82);
  expect("00A4000C02 3F00", 0x9000);
  expect("00A4000C02 2F01", 0x9000);
  EXPECT_EQ(to_hex(run("00B0000000").data),
            "4703F401C0"
            "7F6608"
            "02020809"
            "02020802");
}

TEST_F(CardTest, SelectsByPathParentAndPartialName) {
  select_esign();
  create_ef("4301", 10);
  expect("00A4080C04 50154301", 0x9000);
  expect("00A4080C06 3F0050154301", 0x9000);
  expect("00A4090C02 4301", 0x9000);
  expect("00A4020C02 4301", 0x9000);
  expect("00A4010C02 4301", 0x6A82);
  expect("00A4030C", 0x9000);
  expect("00A4030C", 0x6A82);
  expect("00A4010C02 5015", 0x9000);
  expect("00A4040C05 A000000063", 0x9000);
  expect("00A4040E05 A000000063", 0x6A82);
  expect("00A4050C02 4301", 0x6A86);
  expect("00A4000102 4301", 0x6A86);
  expect("00A4080C03 501543", 0x6A80);
}

TEST_F(CardTest, ReadsAndUpdatesByOffsetAndShortIdentifier) {
  select_esign();
  create_ef("4305", 600);
  Memory content(600);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<u8>(i * 7);
  for (std::size_t at = 0; at < 600; at += 200) {
    EXPECT_EQ(run(apdu("00D6" + to_hex(Memory{static_cast<u8>(at >> 8), static_cast<u8>(at)}),
                       Memory(content.begin() + static_cast<long>(at), content.begin() + static_cast<long>(at) + 200)))
                  .sw,
              0x9000);
  }
  EXPECT_EQ(run("00B0000000").data, Memory(content.begin(), content.begin() + 256));
  EXPECT_EQ(run("00B00000000258").data, content) << "extended Le 600";
  EXPECT_EQ(run("00B08502FF").data.size(), 255u) << "short identifier 5";
  EXPECT_EQ(run("00B0020000").data.size(), 88u);
  EXPECT_EQ(run("00B0020000").sw, 0x9000);
  EXPECT_EQ(run("00B00200FF").sw, 0x6282);
  expect("00B0025800", 0x6B00);
  expect("00B09E00 00", 0x6A82);
  expect("00D6025701 00", 0x9000);
  expect("00D6025702 0000", 0x6A84);
  expect("00D6025901 00", 0x6B00);
  restart();
  select_esign();
  expect("00B0850000", 0x9000);
}

TEST_F(CardTest, FreshFilesReadAsZerosEvenBeyondTheFirstWrite) {
  select_esign();
  create_ef("4306", 2000);
  expect("00D6070001 AB", 0x9000);
  EXPECT_EQ(run("00B0060000").data, Memory(256, 0));
  EXPECT_EQ(run("00B0070001").data, Memory{0xAB});
}

TEST_F(CardTest, ExtendedUpdateOf2048OctetsAndNoMore) {
  select_esign();
  create_ef("4306", 4096);
  Memory command = hex("00D6000000") + Memory{0x08, 0x00} + Memory(2048, 0x77);
  EXPECT_EQ(run(command).sw, 0x9000);
  command = hex("00D6000000") + Memory{0x08, 0x01} + Memory(2049, 0x66);
  EXPECT_EQ(run(command).sw, 0x6700);
  const Answer all = run("00B00000000000");
  EXPECT_EQ(all.sw, 0x9000);
  EXPECT_EQ(all.data, Memory(2048, 0x77));
}

TEST_F(CardTest, CreateRefusesDuplicatesAndNonsense) {
  select_esign();
  create_ef("4301", 10);
  expect(create("8002000A820101830243018603000FFF8A0100"), 0x6A89);
  expect(create("8002000A82010183023F008603000FFF8A0100"), 0x6A80);
  expect(create("8002000082010183024302 8603000FFF8A0100"), 0x6A80);
  expect(create("8002000A8201078302 4302 8603000FFF8A0100"), 0x6A80);
  expect("00E0000015 62148002000A820101830243028603000FFF8A0100", 0x6A80);  // longer than there is
  expect(create("81020C0082012283024B018603000000850200008A0100"), 0x6A80);
  // Two octets of 00 behind the DF's objects, as some terminals pad.
  expect(create("8002000082013883025016 8603000FFF 85020000 8A0100 8405F000000001 0000"), 0x9000);
  expect("00A4040C05 F000000001", 0x9000);
}

TEST_F(CardTest, Behaviour52_CreateBeyondTheMemoryIsRefusedBeforeAnyChange) {
  select_esign();
  int made = 0;
  u16 sw = 0x9000;
  while (sw == 0x9000) {
    const std::string id = to_hex(Memory{0x46, static_cast<u8>(made)});
    sw = run(create("80027FFF8201018302" + id + "8603000FFF8A0100")).sw;
    if (sw == 0x9000) ++made;
  }
  EXPECT_EQ(sw, 0x6A84);
  EXPECT_EQ(made, 2) << "files of 137 pages";
  const Memory before = chip.memory;
  expect(create("80027FFF820101830246508603000FFF8A0100"), 0x6A84);
  EXPECT_EQ(chip.memory, before);
  create_ef("4660", 1000);  // smaller ones still fit
}

TEST_F(CardTest, DeleteTakesAllBelowAndItsPages) {
  select_esign();
  expect(create("8002000082013883025016 8603000FFF 85020000 8A0100"), 0x9000);
  create_ef("4301", 300);
  expect("00D6000004 CAFEBABE", 0x9000);
  expect("00A4030C", 0x9000);
  expect("00A4000C02 5016", 0x9000);
  expect("A0E40000", 0x9000);
  expect("00A4080C04 50155016", 0x6A82);
  expect("00A4080C06 501550164301", 0x6A82);
  const Memory needle = hex("CAFEBABE");
  EXPECT_EQ(std::search(chip.memory.begin(), chip.memory.end(), needle.begin(), needle.end()), chip.memory.end());
  expect("00A4000C02 3F00", 0x9000);
  expect("00E40000", 0x6985);
}

// Card-security 1: the try is gone in the memory before the comparison is made.
TEST_F(CardTest, Behaviour01_CounterIsDecrementedAndDurableBeforeTheComparison) {
  select_esign();
  put_pin(1, "1234", "87654321");
  const std::size_t before = chip.operations;
  chip.cut_power_at(3, Cut::before);  // 1: the decremented page; 2: its old copy's erase; 3: what follows success
  EXPECT_EQ(verify(1, "1234"), 0x6581);
  EXPECT_FALSE(chip.powered) << before;
  restart();
  EXPECT_EQ(status(1), 0x63C2) << "the PIN was right, yet without the second step the try stays spent";
}

// Card-security 2.
TEST_F(CardTest, Behaviour02_SuccessRestoresTheTriesAsASecondDurableStep) {
  select_esign();
  put_pin(1, "1234", "87654321");
  EXPECT_EQ(verify(1, "9999"), 0x63C2);
  chip.cut_power_at(1000, Cut::before);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  EXPECT_EQ(chip.operations, 4u) << "two transactions of a page each: write, erase, write, erase";
  restart();
  EXPECT_EQ(status(1), 0x63C3);
}

// Card-security 3 for every cut is in os_tear_test; here the count of a wrong try.
TEST_F(CardTest, Behaviour03_AWrongVerifyCostsOneTryAcrossReset) {
  select_esign();
  put_pin(1, "1234", "87654321");
  EXPECT_EQ(verify(1, "4321"), 0x63C2);
  restart();
  EXPECT_EQ(verify(1, "4321"), 0x63C1);
  restart();
  EXPECT_EQ(status(1), 0x63C1);
}

// Card-security 4: blocked is blocked, the right value included, and nothing is written or compared.
TEST_F(CardTest, Behaviour04_BlockedRefusesTheRightPinAlike) {
  select_esign();
  put_pin(1, "1234", "87654321");
  for (const u16 sw : {0x63C2, 0x63C1, 0x63C0}) EXPECT_EQ(verify(1, "0000"), sw);
  const auto cost = [&](const std::string& value) {
    chip.restore_power();
    const std::size_t crc = chip.crc_octets;
    EXPECT_EQ(verify(1, value), 0x6983);
    EXPECT_EQ(chip.operations, 0u);
    return chip.crc_octets - crc;
  };
  EXPECT_EQ(cost("1234"), cost("0000"));
  EXPECT_EQ(status(1), 0x6983);
  EXPECT_EQ(change(1, "1234", "5678"), 0x6983);
}

// Card-security 5.
TEST_F(CardTest, Behaviour05_EmptyVerifyReportsAndChangesNothing) {
  select_esign();
  put_pin(1, "1234", "87654321");
  const Memory before = chip.memory;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(chip.memory, before);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  EXPECT_EQ(status(1), 0x9000);
  EXPECT_EQ(status(9), 0x6A88);
  expect("00200000", 0x6A86);
  expect("0020000F", 0x6A86);
}

// Card-security 6 for every cut is in os_tear_test.
TEST_F(CardTest, Behaviour06_AfterAChangeOnlyTheNewPinWorks) {
  select_esign();
  put_pin(1, "1234", "87654321");
  EXPECT_EQ(change(1, "9999", "5678"), 0x63C2);
  EXPECT_EQ(change(1, "1234", "5678"), 0x9000);
  EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(verify(1, "1234"), 0x63C2);
  EXPECT_EQ(verify(1, "5678"), 0x9000);
}

// Card-security 7.
TEST_F(CardTest, Behaviour07_UnblockingHasItsOwnCounterAndItsEndIsPermanent) {
  select_esign();
  put_pin(1, "1234", "87654321", 3, 4);
  for (const u16 sw : {0x63C3, 0x63C2}) EXPECT_EQ(unblock(1, "00000000", "5678"), sw);
  EXPECT_EQ(unblock(1, "87654321", "5678"), 0x9000);
  for (const u16 sw : {0x63C3, 0x63C2, 0x63C1, 0x63C0}) EXPECT_EQ(unblock(1, "00000000", "5678"), sw);
  EXPECT_EQ(unblock(1, "87654321", "9999"), 0x6983);
  restart();
  EXPECT_EQ(unblock(1, "87654321", "9999"), 0x6983);
  EXPECT_EQ(verify(1, "5678"), 0x9000) << "the PIN itself goes on";
}

TEST_F(CardTest, Behaviour07_TheSharedPukOfAnIssuedCardHasOneCounterAndTakesItsFirstEightDigits) {
  issue_with_own_pins();
  EXPECT_EQ(unblock(1, "00000000", "111111"), 0x63C9);
  EXPECT_EQ(unblock(2, "00000000", "111111"), 0x63C8);
  EXPECT_EQ(unblock(2, "12345678", "222222"), 0x9000);
  EXPECT_EQ(unblock(1, "00000000", "111111"), 0x63C9) << "success gave the tries back";
  EXPECT_EQ(verify(2, "222222"), 0x9000);
}

// Card-security 8.
TEST_F(CardTest, Behaviour08_UnblockingAloneGrantsNoSignature) {
  issue_with_own_pins();
  mse("B6", "04", "4B01");
  EXPECT_EQ(unblock(1, "12345678", "111111"), 0x9000);
  EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(sign(), 0x6982);
  EXPECT_EQ(verify(1, "111111"), 0x9000);
  EXPECT_EQ(sign(), 0x9000);
}

// Card-security 9.
TEST_F(CardTest, Behaviour09_TransportPinPermitsOnlyItsOwnReplacement) {
  issue();
  EXPECT_EQ(verify(1, "11111"), 0x6984);
  EXPECT_EQ(status(1), 0x63C3) << "no try was spent, nothing learned";
  mse("B6", "04", "4B01");
  EXPECT_EQ(sign(), 0x6982);
  EXPECT_EQ(change(1, "11111", "12345"), 0x6A80) << "a transport PIN is not replaced by another";
  EXPECT_EQ(change(1, "00000", "123456"), 0x63C2);
  EXPECT_EQ(change(1, "11111", "123456"), 0x9000);
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  EXPECT_EQ(sign(), 0x9000);
}

// Card-security 10: lengths and forms are refused before a try is taken; any eight octets are compared and cost one.
TEST_F(CardTest, Behaviour10_FormatErrorsCostNoTry) {
  issue_with_own_pins();
  expect("0020000106 313233343536", 0x6700);
  expect("0024000110 313233343536FFFF 3132333435FFFFFF", 0x6A80);
  expect("0024000110 313233343536FFFF 31323334353637FF", 0x9000);
  expect("0024000110 31323334353637FF 3132333435364141", 0x6A80);
  expect("0024000110 31323334353637FF 31FF3334353637FF", 0x6A80);
  expect("002400010F 31323334353637FF 31323334353637", 0x6700);
  expect("0024010108 31323334353637FF", 0x6A86);
  expect("002C000110 3132333435363738 3132333435FFFFFF", 0x6A80);
  EXPECT_EQ(status(1), 0x63C3);
  expect("0020000108 FFFFFFFFFFFFFFFF", 0x63C2);
}

// Card-security 12: what a comparison costs does not depend on where the first wrong digit stands.
TEST_F(CardTest, Behaviour12_ComparisonHasNoDataDependentExit) {
  u8 a[64];
  for (std::size_t i = 0; i < sizeof a; ++i) a[i] = static_cast<u8>(i);
  for (std::size_t i = 0; i < sizeof a; ++i) {
    u8 b[64];
    copy(b, a);
    b[i] ^= 0x80;
    EXPECT_FALSE(equal_constant_time(a, b)) << i;
  }
  EXPECT_TRUE(equal_constant_time(a, a));
  select_esign();
  put_pin(1, "12345678", "87654321", 15);
  const auto cost = [&](const std::string& value) {
    chip.restore_power();
    const std::size_t crc = chip.crc_octets;
    EXPECT_EQ(verify(1, value) & 0xFFF0, 0x63C0);
    return std::pair(chip.operations, chip.crc_octets - crc);
  };
  EXPECT_EQ(cost("02345678"), cost("12345670"));
}

// Card-security 14.
TEST_F(CardTest, Behaviour14_SecurityStateIsEmptyAfterResetAndOnSelectOfAnotherApplication) {
  select_esign();
  put_pin(1, "1234", "87654321");
  expect("00A4000C02 3F00", 0x9000);
  expect(create("8002000082013883025016 8603000FFF 85020000 8A0100 8406F00000000100"), 0x9000);
  select_esign();
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  expect("00A4000C02 3F00", 0x9000);
  EXPECT_EQ(status(1), 0x9000) << "the MF is no other application";
  expect("00A4040C06 F00000000100", 0x9000);
  EXPECT_EQ(status(1), 0x63C3);
  select_esign();
  EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  ASSERT_TRUE(card->reset(Interface::contact));
  EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  expect("002E0000", 0x9000);
  EXPECT_EQ(status(1), 0x63C3);
}

// Card-security 14: a path leads into an application without selecting it, and takes no rights along.
TEST_F(CardTest, Behaviour14_AFileOfAnotherApplicationIsEnteredWithoutRights) {
  select_esign();
  put_pin(1, "1234", "87654321");
  create_ef("4301", 10, "1111FF");
  expect("00A4000C02 3F00", 0x9000);
  expect(create("8002000082013883025016 8603000FFF 85020000 8A0100 8406F00000000100"), 0x9000);
  create_ef("4302", 10, "1111FF");
  expect(create("80020000820138830260018603000FFF850200008A0100"), 0x9000);
  create_ef("4303", 10, "1111FF");
  expect(std::string("004404000C") + kEsignAid, 0x9000);
  for (const char* path : {"04 50164302", "06 501660014303", "04 50166001"}) {
    select_esign();
    EXPECT_EQ(verify(1, "1234"), 0x9000);
    expect("00A4080C04 50154301", 0x9000);
    expect("00B0000001", 0x9000);
    expect(std::string("00A4080C") + path, 0x9000);
    EXPECT_EQ(status(1), 0x63C3) << path;
    if (std::string(path) != "04 50166001") expect("00B0000001", 0x6982);
  }
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  expect("00A4080C04 50164302", 0x9000);
  EXPECT_EQ(status(1), 0x9000) << "the same application, another file";
  expect("00B0000001", 0x9000);
}

// Card-security 13: what takes a PIN's place or gives tries back asks for the PIN, its PUK or an open card.
TEST_F(CardTest, Behaviour13_TriesComeBackByPinOrPukOnly) {
  issue_with_own_pins();
  EXPECT_EQ(verify(2, "654321"), 0x9000) << "the right to PIN 2 is none to PIN 1";
  for (const u16 sw : {0x63C2, 0x63C1, 0x63C0}) EXPECT_EQ(verify(1, "999999"), sw);
  expect("00DA010113 313233343536FFFF FFFFFFFFFFFFFFFF 030002", 0x6982);
  expect("002C010108 3132333435363738", 0x6A86);
  expect("002C020108 313233343536FFFF", 0x6A88);
  expect("002C0301", 0x6A88);
  expect("0024010108 313233343536FFFF", 0x6A86);
  expect("102C000108 3132333435363738", 0x6884);
  expect("002C000108 313233343536FFFF", 0x6700);
  ASSERT_TRUE(card->reset(Interface::contact));
  restart();
  EXPECT_EQ(status(1), 0x6983);
  EXPECT_EQ(unblock(1, "12345678", "111111"), 0x9000);
  EXPECT_EQ(status(1), 0x63C3);
}

// Card-security 15, and the classes that are not ours.
TEST_F(CardTest, Behaviour15_OtherChannelsAnswer6881AndChangeNothing) {
  select_esign();
  put_pin(1, "1234", "87654321");
  const Memory before = chip.memory;
  for (const char* cla : {"01", "02", "03", "40", "41", "53", "7F"}) {
    expect(std::string(cla) + "20000108 0000000000000000", 0x6881);
    expect(std::string(cla) + "A4000C02 3F00", 0x6881);
  }
  for (const char* cla : {"04", "08", "0C", "1C"}) expect(std::string(cla) + "A4000C02 3F00", 0x6882);
  for (const char* cla : {"20", "80", "90", "A0", "C0", "FF"}) expect(std::string(cla) + "A4000C02 3F00", 0x6E00);
  expect("FF68000000", 0x6E00);
  EXPECT_EQ(status(1), 0x63C3);
  EXPECT_EQ(chip.memory, before);
  expect("00B0000001", 0x6986);
}

// Card-security 30: after every kind of use, no answer of any command holds an octet string of the private key.
TEST_F(CardTest, Behaviour30_PrivateKeysLeaveTheCardByNoCommand) {
  select_esign();
  create_key("4B01", 256);
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
  Memory seen;
  for (int ins = 0; ins < 256; ++ins) {
    if (ins == 0xE4 || ins == 0xE6 || ins == 0xE8 || ins == 0x46 || ins == 0x04) continue;  // they end the key
    for (const int p1 : {0x00, 0x01, 0x41, 0x80, 0x81, 0x9E}) {
      for (const int p2 : {0x00, 0x01, 0x80, 0x86, 0x87, 0x9A, 0xA0, 0xA1, 0xB6}) {
        const Memory head = {0x00, static_cast<u8>(ins), static_cast<u8>(p1), static_cast<u8>(p2)};
        if (ins == 0xDA) continue;
        expect("00A4080C04 50154B01", 0x9000);
        const Answer answer = run(head + Memory{0});
        seen = seen + answer.data;
        seen = seen + run(head + Memory{0, 0, 0}).data;
      }
    }
  }
  const auto four = [&](const Memory& in, std::size_t at) {
    return std::search(in.begin(), in.end(), scalar.begin() + static_cast<long>(at),
                       scalar.begin() + static_cast<long>(at) + 4) != in.end();
  };
  for (std::size_t at = 0; at + 4 <= scalar.size(); ++at) EXPECT_FALSE(four(seen, at)) << at;
  EXPECT_FALSE(seen.empty());
  expect("00A4080C04 50154B01", 0x9000);
  EXPECT_EQ(to_hex(run("00CA018600").data).substr(0, 72),
            "8641"
            "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
            "79");
  expect("00B0000000", 0x6981);
  expect("00D6000001 00", 0x6981);
}

// Card-security 31 (torn generation is in os_tear_test): the public key always matches.
TEST_F(CardTest, Behaviour31_GenerationReplacesThePairAndThePublicKeyMatches) {
  select_esign();
  create_key("4B01", 256);
  expect("00CA018600", 0x6985);
  generate();
  const Memory first = run("00CA018600").data;
  const Answer again = run("0046000000");
  ASSERT_EQ(again.sw, 0x9000);
  const Memory second = run("00CA018600").data;
  EXPECT_NE(first, second);
  EXPECT_EQ(to_hex(again.data), "7F4943" + to_hex(second));
  EXPECT_EQ(chip.ec_check_point(Curve::p256, ByteView(second).subspan(2)), HalStatus::ok);
}

// Card-security 32.
TEST_F(CardTest, Behaviour32_KeyPurposeIsEnforced) {
  issue_with_own_pins();
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  mse("A4", "04", "4B01", 0x6985);  // a signature key agrees on nothing
  mse("B6", "04", "4B03", 0x6985);  // an agreement key signs nothing
  mse("B6", "00", "4B04", 0x6985);  // a deciphering key signs nothing
  mse("B8", "00", "4B04");
  EXPECT_EQ(sign(), 0x6985) << "and the environment for one operation serves no other";
  mse("B8", "00", "4B01", 0x6981);
  expect("00A4080C04 50154B03", 0x9000);
  const Memory point = run("00CA018600").data;
  mse("A4", "04", "4B03");
  const Answer shared =
      run(hex("00860000") + Memory{69, 0x7C, 67, 0x85, 65} + Memory(point.begin() + 2, point.end()) + Memory{32});
  EXPECT_EQ(shared.sw, 0x9000);
  EXPECT_EQ(shared.data.size(), 32u);
}

// Card-security 33.
TEST_F(CardTest, Behaviour33_QualifiedKeySignsOncePerVerifiedPin) {
  issue_with_own_pins();
  mse("B6", "04", "4B02");
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  EXPECT_EQ(sign(), 0x6982) << "PIN 1 is not PIN 2";
  expect("00A4080C04 50154B02", 0x9000);
  expect("00460000", 0x6982);  // nor does it make a new qualified key
  EXPECT_EQ(verify(2, "654321"), 0x9000);
  EXPECT_EQ(sign(), 0x9000);
  EXPECT_EQ(sign(), 0x6982);
  EXPECT_EQ(status(2), 0x63C3);
  mse("B6", "04", "4B01");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sign(), 0x9000) << "the everyday key goes on under PIN 1";
}

// Card-security 36: one bit of the stored key, PIN or counter turned, in service or at rest: refused and signalled.
TEST_F(CardTest, Behaviour36_CorruptedKeyPinOrCounterIsNeverUsed) {
  issue_with_own_pins();
  const Memory good = chip.memory;
  int keys = 0;
  int pins = 0;
  for (std::size_t page = 0; page < chip.page_count(); ++page) {
    const u8* image = good.data() + page * kPageBytes;
    if (image[0] != 0x4B) continue;
    const u16 logical = read_u16(image + 2);
    const bool is_pin = logical == kSecretPages;
    const bool is_key = logical == kFirstExtentPage + 2;  // behind EF.ATR and EF.DIR: the first key
    if (!is_pin && !is_key) continue;
    for (const std::size_t at : {16, 100, 255}) {
      for (const bool at_rest : {false, true}) {
        chip.memory = good;
        if (!at_rest) restart();
        chip.memory[page * kPageBytes + at] ^= 0x04;
        if (at_rest) restart();
        select_esign();
        if (is_pin) {
          EXPECT_EQ(verify(1, "123456"), 0x6581);
          EXPECT_EQ(status(1), 0x6581);
          EXPECT_EQ(unblock(1, "12345678", "123456"), 0x6581);
          ++pins;
        } else {
          ASSERT_EQ(verify(1, "123456"), 0x9000);
          mse("B6", "04", "4B01");
          EXPECT_EQ(sign(), 0x6581);
          EXPECT_EQ(sign(), 0x6581);
          ++keys;
        }
      }
    }
  }
  EXPECT_EQ(keys, 6);
  EXPECT_EQ(pins, 6);
}

// Card-security 37: after the command and after power-off the card object holds no octet of PIN, key or plaintext.
TEST_F(CardTest, Behaviour37_SecretsAreWipedFromMemoryOnEveryExit) {
  alignas(Card) static u8 memory[sizeof(Card)];
  Card* own = new (memory) Card(chip, kDefaultConfig);
  const auto holds = [&](const Memory& secret) {
    return std::search(std::begin(memory), std::end(memory), secret.begin(), secret.end()) != std::end(memory);
  };
  ASSERT_TRUE(own->boot(Interface::contact));
  const Memory value = pin("73915528");
  const Memory puk = pin("88664422");
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  EXPECT_EQ(send(*own, std::string("00A404000C") + kEsignAid).sw, 0x9000);
  EXPECT_EQ(send(*own, hex("00DA010113") + value + puk + Memory{3, 3, 0}).sw, 0x9000);
  EXPECT_EQ(send(*own, key_fcp("4B01", 256, "0000FF", "0000")).sw, 0x9000);
  EXPECT_EQ(send(*own, apdu("10DA0187", Memory(scalar.begin(), scalar.begin() + 16))).sw, 0x9000);
  EXPECT_TRUE(holds(Memory(scalar.begin(), scalar.begin() + 16))) << "a chain under way is kept";
  EXPECT_EQ(send(*own, apdu("00DA0187", Memory(scalar.begin() + 16, scalar.end()))).sw, 0x9000);
  const auto clean = [&] {
    for (std::size_t at = 0; at + 8 <= scalar.size(); at += 8) {
      EXPECT_FALSE(holds(Memory(scalar.begin() + static_cast<long>(at), scalar.begin() + static_cast<long>(at) + 8)));
    }
    EXPECT_FALSE(holds(value));
    EXPECT_FALSE(holds(puk));
  };
  clean();
  EXPECT_EQ(send(*own, apdu("00200001", value)).sw, 0x9000);
  clean();
  EXPECT_EQ(send(*own, apdu("00200001", puk)).sw, 0x63C2);
  clean();
  EXPECT_EQ(send(*own, apdu("002C0001", puk + value)).sw, 0x9000);
  clean();
  EXPECT_EQ(send(*own, hex("002241B60A 800104 81024B01 840100")).sw, 0x9000);
  EXPECT_EQ(send(*own, hex("002A9E9A20") + Memory(32, 0x11) + Memory{0}).sw, 0x9000);
  clean();
  EXPECT_EQ(send(*own, apdu("10DA0187", Memory(scalar.begin(), scalar.begin() + 16))).sw, 0x9000);
  own->power_off();
  clean();
  own->~Card();
}

// Card-security 38: DELETE, GENERATE and wipe leave no copy of the old key anywhere in the memory.
TEST_F(CardTest, Behaviour38_DestroyedKeysLeaveNoCopy) {
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  const auto stored = [&] {
    return std::search(chip.memory.begin(), chip.memory.end(), scalar.begin(), scalar.end()) != chip.memory.end();
  };
  for (const char* end : {"00E40000", "00460000", "00DA01E008 FFFF000FFF000FFF"}) {
    select_esign();
    create_key("4B01", 256);
    EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
    ASSERT_TRUE(stored());
    expect(end, 0x9000);
    EXPECT_FALSE(stored()) << end;
    if (run("00A4080C04 50154B01").sw == 0x9000) expect("00E40000", 0x9000);
  }
}

// Card-security 39: without a sound random source and coprocessor the card does not come up, and does not sign.
TEST_F(CardTest, Behaviour39_43_FailedSelfTestLeavesTheCardMute) {
  chip.broken = true;
  EXPECT_FALSE(card->boot(Interface::contact));
  EXPECT_TRUE(card->atr().empty());
  Memory response(kMaxResponseBytes);
  EXPECT_EQ(card->process(hex("00A40000"), response), 0u);
  chip.broken = false;
  EXPECT_TRUE(card->boot(Interface::contact));
  select_esign();
  create_key("4B01", 256);
  generate();
  mse("B6", "04", "4B01");
  chip.broken = true;
  EXPECT_EQ(sign(), 0x6581);
  expect("0084000008", 0x6F00);
}

// Card-security 41.
TEST_F(CardTest, Behaviour41_PersonalisationCommandsAreDeadAfterIssuance) {
  issue_with_own_pins();
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  EXPECT_EQ(verify(2, "654321"), 0x9000);
  const Memory before = chip.memory;
  expect(create("8002000A82010183024309 8603000FFF8A0100"), 0x6982);
  expect("00A4080C04 50154301", 0x9000);
  for (const char* cla : {"00", "A0"}) expect(std::string(cla) + "E40000", 0x6982);
  for (const char* ins : {"E6", "E8", "04", "44"}) expect(std::string("00") + ins + "0000", 0x6982);
  for (const char* object : {"01", "03", "0E", "0F", "80", "83", "87", "E0"}) {
    expect(std::string("00DA01") + object + "08 FFFF000000000000", 0x6982);
  }
  expect("0044000002 3F00", 0x6982);
  EXPECT_EQ(chip.memory, before);
  // The holder renews: a new pair and a new certificate, each under its PIN.
  expect("00A4080C04 50154B01", 0x9000);
  expect("00460000", 0x9000);
  expect("00A4080C04 50154301", 0x9000);
  expect("00D6000003 308203", 0x9000);
  expect("002E0000", 0x9000);
  expect("00D6000003 308203", 0x6982);
  expect("00A4080C04 50154B01", 0x9000);
  expect("00460000", 0x6982);
}

// What a PKCS #11 module does around a key agreement; the object is gone with the session and was never durable.
TEST_F(CardTest, SessionObjectsLiveInRamAlsoOnAnIssuedCard) {
  issue_with_own_pins();
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  const std::string object = create("81020100 820141 83024D01 86031111FF 85020009 8A0100");
  expect(object, 0x9000);
  expect(object, 0x6A89);
  expect(create("81020100 820141 83024D02 86031111FF 85020009 8A0100"), 0x9000);
  expect("00A4080C04 50154D01", 0x6A82);
  expect("00A4080C04 50154D02", 0x9000);
  expect("002E0000", 0x9000);
  expect("00A4080C04 50154D02", 0x6A82);
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  const Memory verified = chip.memory;
  expect("00A4080C02 5015", 0x9000);
  expect(object, 0x9000);
  EXPECT_EQ(to_hex(run("00A4080004 50154D01 00").data),
            "6F17"
            "80020100"
            "820141"
            "83024D01"
            "85020009"
            "86031111FF"
            "8A0105");
  expect("00B0000000", 0x6981);
  expect("00040000", 0x6982);
  expect("00A4080C02 5015", 0x9000);
  expect("00A4080C04 50154D01", 0x9000);
  expect("A0E40000", 0x9000);
  expect("00A4080C04 50154D01", 0x6A82);
  expect("00A4080C02 5015", 0x9000);
  expect(object, 0x9000);
  EXPECT_EQ(chip.memory, verified);
  ASSERT_TRUE(card->reset(Interface::contact));
  expect("00A4080C04 50154D01", 0x6A82);
}

TEST_F(CardTest, AnIssuedCardTakesNoSecretsInPlainOverTheAir) {
  issue_with_own_pins();
  restart(Interface::contactless);
  expect("00A404000C A000000063504B43532D3135", 0x6A82);
  EXPECT_EQ(verify(1, "123456"), 0x6982);
  EXPECT_EQ(change(1, "123456", "222222"), 0x6982);
  EXPECT_EQ(unblock(1, "12345678", "222222"), 0x6982);
  EXPECT_EQ(sign(), 0x6982);
  restart();
  EXPECT_EQ(status(1), 0x63C3);
}

// Card-security 47: shortened, lengthened and twisted commands change nothing durable.
TEST_F(CardTest, Behaviour47_MalformedCommandsChangeNothing) {
  select_esign();
  put_pin(1, "1234", "87654321");
  create_ef("4301", 100);
  create_key("4B01", 256);
  const std::vector<Memory> commands = {
      hex(create("8002000A820101830243028603000FFF8A0100")),
      hex("00D6000004 01020304"),
      hex("00DA010213 31323334FFFFFFFF 3132333435363738 030300"),
      hex("002241B60A 800104 81024B01 840100"),
      hex("00DA01E008 FFFF000FFF000FFF"),
      hex("0024000110 31323334FFFFFFFF 35363738FFFFFFFF"),
  };
  const Memory before = chip.memory;
  for (const Memory& command : commands) {
    for (std::size_t n = 0; n < command.size(); ++n) {
      if (n == 4 || n == 5) continue;  // a header, or header and Le: another command, but a whole one
      EXPECT_EQ(run(Memory(command.begin(), command.begin() + static_cast<long>(n))).sw, 0x6700);
    }
    EXPECT_EQ(run(command + Memory{0, 0}).sw, 0x6700);
    EXPECT_EQ(run(command + Memory(3000, 0)).sw, 0x6700);
  }
  expect("10D6000004 01020304", 0x9000);  // a chain that is never finished
  expect("00A40000", 0x9000);
  for (int i = 0; i < 9; ++i) {
    const u16 sw = run(hex("10DA0183FF") + Memory(255, 0x01)).sw;
    EXPECT_EQ(sw, i < 8 ? 0x9000 : 0x6700);
  }
  expect("1020000104 31323334", 0x6884);
  for (const char* fcp : {"62", "6200", "621580", "62158002000A", "62058302430282", "6281", "62820010", "6115800200"}) {
    Memory data = hex(fcp);
    EXPECT_NE(run(apdu("00E00000", data)).sw, 0x9000) << fcp;
  }
  EXPECT_EQ(chip.memory, before);
}

TEST_F(CardTest, ChangeCounterFollowsContentOf5015Only) {
  EXPECT_EQ(change_counter(), 0);
  select_esign();
  put_pin(1, "1234", "87654321");
  EXPECT_EQ(change_counter(), 1);
  create_ef("4301", 10);
  EXPECT_EQ(change_counter(), 2);
  expect("00D6000001 01", 0x9000);
  EXPECT_EQ(change_counter(), 3);
  create_key("4B01", 256);
  generate();
  EXPECT_EQ(change_counter(), 5);
  mse("B6", "04", "4B01");
  EXPECT_EQ(sign(), 0x9000);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  EXPECT_EQ(verify(1, "9234"), 0x63C2);
  EXPECT_EQ(change(1, "1234", "4321"), 0x9000);
  EXPECT_EQ(change_counter(), 5);
  expect("00A4080C02 2F00", 0x9000);
  expect("00D6000001 61", 0x9000);
  EXPECT_EQ(change_counter(), 5) << "EF.DIR lies outside";
  expect("00A4080C04 50154301", 0x9000);
  expect("A0E40000", 0x9000);
  EXPECT_EQ(change_counter(), 6);
  restart();
  EXPECT_EQ(change_counter(), 6);
  expect("00DA01E008 FFFF000FFF000FFF", 0x9000);
  EXPECT_EQ(change_counter(), 7) << "a wipe counts and does not start anew";
}

TEST_F(CardTest, RulesSleepUntilActivationAndWipeNeedsItsPin) {
  expect("00DA01E008 FFFF 111FFF 111FFF", 0x9000);
  select_esign();
  put_pin(1, "1234", "87654321");
  create_ef("4301", 10, "FF1FFF");
  expect("00B0000001", 0x9000);
  expect(std::string("004404000C") + kEsignAid, 0x9000);
  EXPECT_EQ(run("00A4080002 3F00 00").data.back(), 0x05);
  expect("00A4080C04 50154301", 0x9000);
  expect("00B0000001", 0x6982);
  expect("00A4000C02 3F00", 0x9000);
  expect("00DA01E008 FFFF 111FFF 111FFF", 0x6982);
  expect("00DA010113 31323334FFFFFFFF 3132333435363738 030300", 0x6985);  // no way round the PUK
  expect("00DA010213 31323334FFFFFFFF 3132333435363738 030300", 0x6982);
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  expect("00DA010213 31323334FFFFFFFF 3132333435363738 030300", 0x9000);
  expect("00DA01E008 FFFF 111FFF 111FFF", 0x9000);
  EXPECT_EQ(status(1), 0x6A88);
  EXPECT_EQ(run("00A4080002 3F00 00").data.back(), 0x01);
}

TEST_F(CardTest, DeactivatedAndTerminatedFilesAreShownAndNotUsed) {
  select_esign();
  create_ef("4301", 10);
  expect("00040000", 0x9000);
  expect("00A4080004 50154301 00", 0x6283);
  expect("00B0000001", 0x6985);
  expect("00440000", 0x9000);
  expect("00B0000001", 0x9000);
  expect("00E60000", 0x6981);
  expect("00E80000", 0x9000);
  expect("00A4080004 50154301 00", 0x6285);
  expect("00B0000001", 0x6985);
  expect("00440000", 0x6985);
}

TEST_F(CardTest, AnEndedDfEndsWhatIsBelowIt) {
  expect(create("80020000820138830260018603000FFF850200008A0100"), 0x9000);
  create_key("4B01", 256);
  generate();
  create_ef("4301", 10);
  const auto use = [&](u16 sw) {
    expect("00A4080C04 60014301", 0x9000);
    expect("00B0000001", sw);
    expect("00D6000001 55", sw);
    mse("B6", "04", "4B01");
    EXPECT_EQ(sign(), sw);
    expect("00A4080C04 60014B01", 0x9000);
    expect("00460000", sw);
    expect("00A4080C02 6001", sw == 0x9000 ? 0x9000 : 0x6283);
  };
  use(0x9000);
  expect("00040000", 0x9000);
  use(0x6985);
  expect("00440000", 0x9000);
  use(0x9000);
  expect("00E60000", 0x9000);
  expect("00A4080C04 60014301", 0x9000);
  expect("00B0000001", 0x6985);
  expect("00440000", 0x9000);
  expect("00B0000001", 0x6985);
}

// --- Cryptography, checked by OpenSSL --------------------------------------------------------------------------------

Memory der_tlv(u8 tag, const Memory& value) {
  Memory out = {tag};
  if (value.size() >= 256) {
    out = out + Memory{0x82, static_cast<u8>(value.size() >> 8), static_cast<u8>(value.size())};
  } else if (value.size() >= 128) {
    out = out + Memory{0x81, static_cast<u8>(value.size())};
  } else {
    out.push_back(static_cast<u8>(value.size()));
  }
  return out + value;
}

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

Pkey parse_spki(const Memory& spki) {
  const u8* p = spki.data();
  return {d2i_PUBKEY(nullptr, &p, static_cast<long>(spki.size())), EVP_PKEY_free};
}

Pkey rsa_public_key(const Memory& modulus) {
  const Memory key = der_tlv(0x30, der_tlv(0x02, Memory{0} + modulus) + der_tlv(0x02, {1, 0, 1}));
  return parse_spki(der_tlv(0x30, hex("300D06092A864886F70D0101010500") + der_tlv(0x03, Memory{0} + key)));
}

Pkey ec_public_key(const std::string& curve_oid, const Memory& point) {
  return parse_spki(
      der_tlv(0x30, der_tlv(0x30, hex("06072A8648CE3D0201") + hex(curve_oid)) + der_tlv(0x03, Memory{0} + point)));
}

bool verifies(EVP_PKEY* key, const Memory& signature, const Memory& hash, const EVP_MD* md, bool pss) {
  const PkeyContext context(EVP_PKEY_CTX_new(key, nullptr), EVP_PKEY_CTX_free);
  if (EVP_PKEY_verify_init(context.get()) != 1) return false;
  if (md != nullptr && EVP_PKEY_CTX_set_signature_md(context.get(), md) != 1) return false;
  if (pss && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) != 1) return false;
  return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hash.data(), hash.size()) == 1;
}

struct EcCase {
  u16 bits;
  const char* oid;
  std::size_t field;
};
class EcCardTest : public CardTest, public testing::WithParamInterface<EcCase> {};

TEST_P(EcCardTest, SignsHashesOfEveryLengthAndAgrees) {
  const EcCase& c = GetParam();
  select_esign();
  create_key("4B01", c.bits);
  generate();
  const Answer object = transmit(*card, "00CA0186", {}, true);
  ASSERT_EQ(object.sw, 0x9000);
  const Memory point(object.data.end() - static_cast<long>(2 * c.field + 1), object.data.end());
  const Pkey key = ec_public_key(c.oid, point);
  ASSERT_NE(key, nullptr);
  mse("B6", "04", "4B01");
  for (const std::size_t n : {20u, 28u, 32u, 48u, 64u}) {
    Memory hash(n);
    for (std::size_t i = 0; i < n; ++i) hash[i] = static_cast<u8>(0xF1 + i * 13);
    Memory sent = hash;  // as a terminal sends it: cut to the field, or zeros in front
    if (sent.size() > c.field) sent.resize(c.field);
    while (sent.size() < c.field) sent.insert(sent.begin(), 0);
    const Answer answer = transmit(*card, "002A9E9A", sent);
    ASSERT_EQ(answer.sw, 0x9000);
    EXPECT_TRUE(verifies(key.get(), answer.data, hash, nullptr, false)) << n;
    EXPECT_TRUE(verifies(key.get(), transmit(*card, "002A9E9A", hash).data, hash, nullptr, false)) << n << " unpadded";
  }
  mse("A4", "04", "4B01");
  u8 scalar[kMaxFieldBytes];
  Memory theirs(point.size());
  ASSERT_EQ(chip.ec_generate(c.bits == 256   ? Curve::p256
                             : c.bits == 384 ? Curve::p384
                                             : Curve::p521,
                             ByteSpan(scalar).first(c.field), theirs),
            HalStatus::ok);
  const Memory request = der_tlv(0x7C, der_tlv(0x85, theirs));
  const Answer shared = transmit(*card, "00860000", request);
  ASSERT_EQ(shared.sw, 0x9000);
  Memory expected(c.field);
  ASSERT_EQ(chip.ec_agree(c.bits == 256   ? Curve::p256
                          : c.bits == 384 ? Curve::p384
                                          : Curve::p521,
                          ByteView(scalar).first(c.field), point, expected),
            HalStatus::ok);
  EXPECT_EQ(shared.data, expected);
  Memory off_curve = theirs;
  off_curve.back() ^= 1;
  EXPECT_EQ(transmit(*card, "00860000", der_tlv(0x7C, der_tlv(0x85, off_curve))).sw, 0x6A80);
}

INSTANTIATE_TEST_SUITE_P(Curves, EcCardTest,
                         testing::Values(EcCase{256, "06082A8648CE3D030107", 32}, EcCase{384, "06052B81040022", 48},
                                         EcCase{521, "06052B81040023", 66}));

class RsaCardTest : public CardTest, public testing::WithParamInterface<u16> {};

TEST_P(RsaCardTest, SignsAndDeciphersChainedAndByHalves) {
  const u16 bits = GetParam();
  const std::size_t k = bits / 8U;
  select_esign();
  create_key("4B01", bits);
  expect("0046000007 3005 8103010001", 0x9000);
  expect("0046000007 3005 8103010003", 0x6A80);
  const Memory modulus = transmit(*card, "00CA0101", {}).data;
  ASSERT_EQ(modulus.size(), k);
  EXPECT_EQ(to_hex(run("00CA010200").data), "010001");
  const Pkey key = rsa_public_key(modulus);
  ASSERT_NE(key, nullptr);

  const Memory hash(32, 0x3C);
  const Memory digest_info = hex("3031300D060960864801650304020105000420") + hash;
  mse("B6", "02", "4B01");
  const Answer pkcs1 = transmit(*card, "002A9E9A", digest_info);
  ASSERT_EQ(pkcs1.sw, 0x9000);
  EXPECT_TRUE(verifies(key.get(), pkcs1.data, hash, EVP_sha256(), false));

  mse("B6", "12", "4B01");
  const Memory sha1(20, 0x77);
  EXPECT_TRUE(verifies(key.get(), transmit(*card, "002A9E9A", sha1).data, sha1, EVP_sha1(), false));

  mse("B6", "00", "4B01");
  Memory block = Memory{0x00, 0x01} + Memory(k - 3 - digest_info.size(), 0xFF) + Memory{0x00} + digest_info;
  const Answer raw = transmit(*card, "002A9E9A", block);
  EXPECT_EQ(raw.data, pkcs1.data) << "the same block, padded outside";
  expect("002A9E9A02 0001 00", 0x6700);
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(k, 0xFF)).sw, 0x6A80) << "not below the modulus";

  const Memory message = text("made-up plaintext");
  const PkeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free);
  ASSERT_EQ(EVP_PKEY_encrypt_init(context.get()), 1);
  Memory cryptogram(k);
  std::size_t n = k;
  ASSERT_EQ(EVP_PKEY_encrypt(context.get(), cryptogram.data(), &n, message.data(), message.size()), 1);
  mse("B8", "02", "4B01");
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x00} + cryptogram).data, message);
  Memory bad = cryptogram;
  bad[k / 2] ^= 1;
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x00} + bad).sw, 0x6A80);
  mse("B8", "00", "4B01");
  const Memory first(cryptogram.begin(), cryptogram.begin() + static_cast<long>(k / 2));
  const Memory second(cryptogram.begin() + static_cast<long>(k / 2), cryptogram.end());
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x81} + first, false).sw, 0x9000);
  const Answer plain = transmit(*card, "002A8086", Memory{0x82} + second);
  ASSERT_EQ(plain.data.size(), k);
  EXPECT_EQ(Memory(plain.data.end() - static_cast<long>(message.size()), plain.data.end()), message);
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x82} + second).sw, 0x6985) << "a half alone is nothing";
}

INSTANTIATE_TEST_SUITE_P(Sizes, RsaCardTest, testing::Values(1024, 2048, 3072));

TEST_F(CardTest, ImportsAnRsaKeyPartByPartAndRefusesOneThatDoesNotWork) {
  Memory parts(128 + 5 * 64);
  const ByteSpan all(parts);
  ASSERT_EQ(chip.rsa_generate({.modulus = all.first(128),
                               .prime_p = all.subspan(128, 64),
                               .prime_q = all.subspan(192, 64),
                               .exponent_p = all.subspan(256, 64),
                               .exponent_q = all.subspan(320, 64),
                               .coefficient = all.subspan(384, 64)}),
            HalStatus::ok);
  const auto part = [&](std::size_t at, std::size_t n) {
    return Memory{0} + Memory(parts.begin() + static_cast<long>(at), parts.begin() + static_cast<long>(at + n));
  };
  select_esign();
  create_key("4B01", 1024);
  const std::vector<std::pair<std::string, Memory>> puts = {{"00DA0183", part(128, 64)}, {"00DA0184", part(192, 64)},
                                                            {"00DA0185", part(256, 64)}, {"00DA0186", part(320, 64)},
                                                            {"00DA0187", part(384, 64)}, {"00DA0180", part(0, 128)},
                                                            {"00DA0181", {1, 0, 1}}};
  for (const auto& [header, value] : puts) {
    expect("00CA010100", 0x6985);
    EXPECT_EQ(run(apdu(header, value)).sw, 0x9000) << header;
  }
  EXPECT_EQ(run("00CA010100").data, Memory(parts.begin(), parts.begin() + 128));
  mse("B6", "02", "4B01");
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(20, 1)).sw, 0x9000);

  // A new import ends the old key at once; parts that do not belong together are refused as a whole.
  EXPECT_EQ(run(apdu("00DA0183", part(192, 64))).sw, 0x9000);
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(20, 1)).sw, 0x6985);
  for (std::size_t i = 1; i + 1 < puts.size(); ++i) EXPECT_EQ(run(apdu(puts[i].first, puts[i].second)).sw, 0x9000);
  EXPECT_EQ(run(apdu(puts.back().first, puts.back().second)).sw, 0x6A80);
  expect("00CA010100", 0x6985);
  expect("00DA018301 00", 0x6A80);
  EXPECT_EQ(run(apdu("00DA0183", Memory(65, 0xFF))).sw, 0x6A80);
}

TEST_F(CardTest, ImportsAnEcKeyAndChecksItsPoint) {
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  select_esign();
  create_key("4B01", 256);
  Memory point(65);
  ASSERT_EQ(chip.ec_public_point(Curve::p256, scalar, point), HalStatus::ok);
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x6985);
  EXPECT_EQ(run(apdu("00DA0187", Memory(32, 0xFF))).sw, 0x6A80) << "not below the order";
  EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x9000);
  mse("B6", "04", "4B01");
  EXPECT_EQ(sign(), 0x9000);
  point[64] ^= 1;
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x6A80);
  EXPECT_EQ(sign(), 0x6985) << "a pair that does not match is destroyed";
}

TEST_F(CardTest, LongAnswersWaitForGetResponse) {
  select_esign();
  create_key("4B01", 3072);
  generate();
  const Answer first = run("00CA010100");
  EXPECT_EQ(first.data.size(), 256u);
  EXPECT_EQ(first.sw, 0x6180);
  const Answer rest = run("00C0000080");
  EXPECT_EQ(rest.data.size(), 128u);
  EXPECT_EQ(rest.sw, 0x9000);
  expect("00C0000000", 0x6985);
  EXPECT_EQ(run("00CA01010000").sw, 0x6700);
  EXPECT_EQ(run("00CA0101000000").data.size(), 384u) << "extended Le takes all";
  EXPECT_EQ(run("00CA0101").sw, 0x6100) << "no Le: nothing but the word that there is something";
  EXPECT_EQ(run("00C0000010").sw, 0x6100);
  EXPECT_EQ(run("00C00000FF").sw, 0x6171);
  expect("00A40000", 0x9000);
  expect("00C0000071", 0x6985);
}

TEST_F(CardTest, ListsTheFilesOfTheCurrentDf) {
  select_esign();
  create_ef("4301", 10);
  create_ef("4302", 10);
  EXPECT_EQ(to_hex(run("00CA01A100").data), "43014302");
  expect("00A40000", 0x9000);
  EXPECT_EQ(to_hex(run("00CA01A100").data), "2F012F005015");
  expect("00CA01FF00", 0x6A88);
}

TEST_F(CardTest, ChallengesDiffer) {
  const Answer a = run("0084000010");
  const Answer b = run("0084000010");
  EXPECT_EQ(a.data.size(), 16u);
  EXPECT_NE(a.data, b.data);
}

TEST_F(CardTest, HardwareFaultAnswers6581UntilRestart) {
  select_esign();
  create_ef("4301", 100);
  chip.cut_power_at(1, Cut::before);
  expect("00D6000001 01", 0x6581);
  expect("00B0000001", 0x6581);
  restart();
  select_esign();
  expect("00A4000C02 4301", 0x9000);
  EXPECT_EQ(run("00B0000001").data, Memory{0});
}

}  // namespace
}  // namespace karta::os
