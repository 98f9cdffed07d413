// The card as a whole: start and reset, classes, answers, life, and what no command may do. Behaviour numbers are those
// of docs on card security.
#include "firmware-sim/os/card_fixture.h"

namespace karta::os {
namespace {

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

// Card-security 43: what start-up finds damaged and cannot do without leaves the card mute, every time, and changes
// nothing any more; a page it can do without costs its own file only.
TEST_F(CardTest, Behaviour43_DamagedMemoryLeavesTheCardMuteOrWithoutThatFile) {
  create_ef("4301", 20);
  expect("00D6000004 A5A5A5A5", 0x9000);
  const Memory sound = chip.memory;
  std::size_t mute = 0;
  std::size_t up = 0;
  for (std::size_t page = 0; page < chip.page_count(); ++page) {
    if (sound[page * 256] == 0xFF) continue;  // erased
    chip.memory = sound;
    chip.memory[page * 256 + 40] = static_cast<u8>(chip.memory[page * 256 + 40] ^ 0x10);
    auto damaged = std::make_unique<Card>(chip, kDefaultConfig);
    if (!damaged->boot(Interface::contact)) {
      ++mute;
      EXPECT_TRUE(damaged->atr().empty());
      EXPECT_EQ(send(*damaged, "00A40000").sw, 0);
      const Memory after = chip.memory;
      EXPECT_FALSE(damaged->boot(Interface::contact));
      EXPECT_EQ(chip.memory, after);
      continue;
    }
    ++up;
    const Answer content = send(*damaged, "00A4020C024301").sw == 0x9000 ? send(*damaged, "00B0000004") : Answer{};
    EXPECT_TRUE(content.data == hex("A5A5A5A5") || content.data.empty()) << "never damaged content";
  }
  EXPECT_GT(mute, 0U);
  EXPECT_GT(up, 0U);
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
