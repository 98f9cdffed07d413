// Selecting, reading, writing, creating and ending files.
#include "firmware-sim/os/card_fixture.h"

namespace karta::os {
namespace {

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

TEST_F(CardTest, ListsTheFilesOfTheCurrentDf) {
  select_esign();
  create_ef("4301", 10);
  create_ef("4302", 10);
  EXPECT_EQ(to_hex(run("00CA01A100").data), "43014302");
  expect("00A40000", 0x9000);
  EXPECT_EQ(to_hex(run("00CA01A100").data), "2F012F005015");
  expect("00CA01FF00", 0x6A88);
}

}  // namespace
}  // namespace karta::os
