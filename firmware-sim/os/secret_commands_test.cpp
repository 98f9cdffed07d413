// PINs and unblocking codes: verifying, changing, counting tries.
#include "firmware-sim/os/card_fixture.h"

namespace karta::os {
namespace {

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

TEST_F(CardTest, ChallengesDiffer) {
  const Answer a = run("0084000010");
  const Answer b = run("0084000010");
  EXPECT_EQ(a.data.size(), 16u);
  EXPECT_NE(a.data, b.data);
}

}  // namespace
}  // namespace karta::os
