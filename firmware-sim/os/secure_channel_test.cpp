// Secure messaging of ISO 7816-4 through the whole card, in a channel that PACE has opened.
#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

class SecureChannelTest : public CardTest {
 protected:
  SecureChannelTest() {
    expect("00DA011006 313233343536", 0x9000);
    Memory infos;
    for (u8 number = 2; number <= 4; ++number) {
      infos = infos + tlv(0x30, tlv(0x06, protocol_oid(4, number)) + hex("020102 02010D"));
    }
    const Memory access = tlv(0x31, infos);
    expect(create("8002" + size_of(access.size()) + "820101 8302011C 8603000FFF A104 810201FF 8A0100"), 0x9000);
    EXPECT_EQ(run(apdu("00D60000", access)).sw, 0x9000);
    select_esign();
    put_pin(1, "1234", "87654321");
    create_ef("4301", 2048);
    expect("00D6000004 CAFEBABE", 0x9000);
    create_ef("4302", 16, "11FFFF");
    expect(std::string("004404000C") + kEsignAid, 0x9000);  // the rules are in force
  }

  // PACE with the CAN; `number` 2, 3, 4: AES-128, 192, 256.
  SmTerminal open(u8 number = 2) {
    PaceTerminal terminal;
    terminal.number = number;
    EXPECT_EQ(terminal.run([this](const Memory& command) { return run(command); }), 0x9000);
    SmTerminal channel = terminal.channel();
    EXPECT_EQ(channel.exchange(*card, std::string("00A404000C") + kEsignAid).sw, 0x9000);
    return channel;
  }
  // Nothing of the session is left: no keys, no PIN, no password.
  void expect_nothing_left(SmTerminal& channel) {
    EXPECT_EQ(run(channel.protect(hex("00A40000"))).sw, 0x6882);
    EXPECT_EQ(run("00200001").sw, 0x63C3) << "the PIN that was verified inside";
  }
};

Memory pattern(std::size_t n, u8 seed) {
  Memory out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<u8>(i * 7 + seed);
  return out;
}

TEST_F(SecureChannelTest, AllFourCasesShortAndExtendedWithEveryKeyLength) {
  for (const u8 number : {2, 3, 4}) {
    SCOPED_TRACE(static_cast<int>(number));
    restart();
    SmTerminal channel = open(number);
    const auto run_in = [&](const Memory& command) { return channel.exchange(*card, command); };
    EXPECT_EQ(run_in(hex("00A40000")).sw, 0x9000) << "case 1";
    EXPECT_EQ(run_in(hex("00A4080C0450154301")).sw, 0x9000) << "case 3";
    EXPECT_EQ(run_in(hex("00A4080404 50154301 00")).data.size(), 25u) << "case 4";
    const Memory content = pattern(2000, number);
    EXPECT_EQ(run_in(hex("00D6000000") + Memory{0x07, 0xD0} + content).sw, 0x9000) << "case 3, extended";
    EXPECT_EQ(run_in(hex("00B0000010")).data, slice(content, 0, 16)) << "case 2";
    EXPECT_EQ(run_in(hex("00B0000000")).data, slice(content, 0, 256)) << "61xx and GET RESPONSE";
    EXPECT_EQ(run_in(hex("00B000000007D0")).data, content) << "case 2, extended";
    EXPECT_EQ(run_in(hex("00B00000000000")).data.size(), kMaxPlainAnswer) << "as much as fits";
    EXPECT_EQ(run_in(hex("00A40804000004 50154301 0000")).data.size(), 25u) << "case 4, extended";
    // The longest data field there is: 2,015 octets protected are 2,048 less the rest to a block.
    EXPECT_EQ(run_in(hex("00D6000000") + Memory{0x07, 0xDF} + pattern(2015, 1)).sw, 0x9000);
  }
}

TEST_F(SecureChannelTest, ErrorsTravelProtected) {
  SmTerminal channel = open();
  const auto run_in = [&](const char* command) { return channel.exchange(*card, hex(command)).sw; };
  EXPECT_EQ(run_in("00A4020C024399"), 0x6A82);
  EXPECT_EQ(run_in("00A4020C024301"), 0x9000);
  EXPECT_EQ(run_in("00B0080001"), 0x6B00);
  EXPECT_EQ(run_in("00B007F8FF"), 0x6282) << "a warning, with its data";
  EXPECT_EQ(run_in("00EE0000"), 0x6D00);
  EXPECT_EQ(run_in("00200001"), 0x63C3);
  EXPECT_EQ(run_in("10200001"), 0x6884);
  EXPECT_EQ(run_in("00C0000000"), 0x6985) << "GET RESPONSE is transport, and nothing waits";
  EXPECT_EQ(run_in("00B0000004"), 0x9000) << "the session goes on";
}

TEST_F(SecureChannelTest, ChainsLinkByLinkAndInParts) {
  SmTerminal channel = open();
  EXPECT_EQ(channel.exchange(*card, "00A4020C024301").sw, 0x9000);
  const Memory content = pattern(500, 9);
  EXPECT_EQ(channel.exchange(*card, hex("10D60000C8") + slice(content, 0, 200)).sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, hex("10D60000C8") + slice(content, 200, 200)).sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, hex("00D6000064") + slice(content, 400, 100)).sw, 0x9000);
  EXPECT_EQ(to_hex(channel.exchange(*card, hex("00B000000001F4")).data), to_hex(content));

  const Memory other = pattern(600, 77);
  EXPECT_EQ(channel.exchange_in_parts(*card, hex("00D60000000258") + other).sw, 0x9000);
  EXPECT_EQ(to_hex(channel.exchange(*card, hex("00B00000000258")).data), to_hex(other));

  // A part that is missing is noticed, and nothing is written.
  const PlainCommand whole = take_apart(channel.protect(hex("00D600000001F4") + content));
  EXPECT_EQ(run(hex("1CD60000FF") + slice(whole.data, 0, 255)).sw, 0x9000);
  EXPECT_EQ(run(hex("0CD6000080") + slice(whole.data, whole.data.size() - 128, 128)).sw, 0x6988);
  expect_nothing_left(channel);
  select_esign();
  expect("00A4020C024301", 0x9000);
  EXPECT_EQ(to_hex(run("00B00000000258").data), to_hex(other));
}

// Card-security 16.
TEST_F(SecureChannelTest, Behaviour16_APlainCommandEndsTheSession) {
  for (const char* plain : {"00B0000004", "00200001", "0084000008", "00C0000000", "80F28002024F0000", "04B0000004",
                            "08B0000004", "00", "00B0", "0C"}) {
    restart();
    SmTerminal channel = open();
    EXPECT_EQ(channel.exchange(*card, "0020000108 31323334FFFFFFFF").sw, 0x9000);
    expect(plain, 0x6987);
    expect_nothing_left(channel);
  }
  for (const char* anew : {"00A40000", "8050000008 0102030405060708 00"}) {
    restart();
    SmTerminal channel = open();
    EXPECT_EQ(channel.exchange(*card, "0020000108 31323334FFFFFFFF").sw, 0x9000);
    expect(anew, 0x9000);
    expect_nothing_left(channel);
  }
  // PACE's MSE SET AT ends the session whatever becomes of it.
  restart();
  SmTerminal channel = open();
  EXPECT_EQ(channel.exchange(*card, "0020000108 31323334FFFFFFFF").sw, 0x9000);
  EXPECT_NE(run("0022C1A402 8000").sw, 0x6987);
  expect_nothing_left(channel);
}

// Card-security 17: any wrong octet, and objects that are missing, twice, strange or in another order.
TEST_F(SecureChannelTest, Behaviour17_AnyFaultDestroysKeysAndRights) {
  const Memory update = hex("00A4080404 50154301 00");
  {
    SmTerminal probe = open();
    const std::size_t n = probe.protect(update).size();
    for (std::size_t at = 0; at < n; ++at) {
      if (at == 4 || at == n - 1) continue;  // Lc: no APDU any more; Le: not under the checksum
      restart();
      SmTerminal channel = open();
      EXPECT_EQ(channel.exchange(*card, "0020000108 31323334FFFFFFFF").sw, 0x9000);
      Memory wrong = channel.protect(update);
      wrong[at] ^= at == 0 ? 0x08 : 0x01;  // class: 04, which is no ISO protection; else one bit
      if (at == 1) wrong[at] = 0xB0;       // another command under the same checksum
      const u16 sw = run(wrong).sw;
      EXPECT_EQ(sw, at == 0 ? 0x6987 : 0x6988) << at;
      expect_nothing_left(channel);
    }
  }
  // Objects by hand: the checksum is right, and they are not.
  struct Hand {
    const char* what;
    std::string objects;
  };
  const std::vector<Hand> hands = {{"strange object", "810400000000"},
                                   {"Le twice", "970104970104"},
                                   {"Le too long", "9703000004"},
                                   {"Le empty", "9700"},
                                   {"cryptogram behind Le", "970100871101000102030405060708090A0B0C0D0E0F"},
                                   {"no padding indicator",
                                    "871000010203040506070809"
                                    "0A0B0C0D0E0F"},
                                   {"another indicator", "871102000102030405060708090A0B0C0D0E0F"},
                                   {"no whole block", "870801000102030405"},
                                   {"85 with an even instruction", "8510000102030405060708090A0B0C0D0E0F"},
                                   {"padding that is none", "871101000102030405060708090A0B0C0D0E0F"},
                                   {"no object", "FF"}};
  for (const Hand& hand : hands) {
    SCOPED_TRACE(hand.what);
    restart();
    PaceTerminal terminal;
    ASSERT_EQ(terminal.run([this](const Memory& command) { return run(command); }), 0x9000);
    SmTerminal channel = terminal.channel();
    const Memory objects = hex(hand.objects);
    const Memory header = padded(hex("0CB00000"));
    Memory counter(16, 0);
    counter[15] = 1;
    const Memory mac = slice(cmac(terminal.mac, counter + header + padded(objects)), 0, 8);
    const Memory body = objects + hex("8E08") + mac;
    EXPECT_EQ(run(hex("0CB00000") + Memory{static_cast<u8>(body.size())} + body + Memory{0}).sw, 0x6988);
    EXPECT_EQ(run(channel.protect(hex("00A40000"))).sw, 0x6882);
  }
  for (const char* bare : {"0CB0000000", "0CB00000", "0CB00000039701 0400", "0CB000000A 8E04010203048E02FFFF 00",
                           "0CB000000A 8E080000000000000000 00"}) {
    restart();
    SmTerminal channel = open();
    EXPECT_EQ(run(bare).sw, 0x6988) << bare;
    expect_nothing_left(channel);
  }
}

TEST_F(SecureChannelTest, Behaviour17_ReplayReorderingAndTruncatedChecksums) {
  SmTerminal channel = open();
  const Memory once = channel.protect(hex("00A40000"));
  EXPECT_EQ(channel.open(run(once)).sw, 0x9000);
  EXPECT_EQ(run(once).sw, 0x6988) << "replayed";
  expect_nothing_left(channel);

  restart();
  channel = open();
  const Memory first = channel.protect(hex("00A40000"));
  channel.counter[15] ^= 0;  // as the terminal counts, the answer's number is not used
  SmTerminal ahead = channel;
  (void)ahead.protect(hex("00A40000"));
  EXPECT_EQ(run(ahead.protect(hex("00A40000"))).sw, 0x6988) << "a counter ahead";
  EXPECT_EQ(run(first).sw, 0x6882);

  for (std::size_t n = 0; n < 8; ++n) {
    restart();
    channel = open();
    const Memory whole = channel.protect(hex("00B0000004"));
    const Memory body = slice(whole, 5, 3) + Memory{0x8E, static_cast<u8>(n)} + slice(whole, 10, n);
    EXPECT_EQ(run(hex("0CB00000") + Memory{static_cast<u8>(body.size())} + body + Memory{0}).sw, 0x6988) << n;
    expect_nothing_left(channel);
  }
}

// Card-security 15: the class of another channel, or of the reader's own commands, is nothing to the session.
TEST_F(SecureChannelTest, Behaviour15_ForeignClassesLeaveSessionAndAnswer) {
  SmTerminal channel = open();
  EXPECT_EQ(channel.exchange(*card, "00A4020C024301").sw, 0x9000);
  const Answer part = run(channel.protect(hex("00B0000000")));
  EXPECT_EQ(part.sw >> 8, 0x61);
  expect("01B0000000", 0x6881);
  expect("0DB0000000", 0x6881);
  expect("FFCA000000", 0x6E00);
  const Answer rest = run(hex("00C00000") + Memory{static_cast<u8>(part.sw)});
  EXPECT_EQ(channel.open({.sw = rest.sw, .data = part.data + rest.data}).data.size(), 256u);
}

// Card-security 14 and 20: the channel is none of what a PIN opens, and ends with the reset.
TEST_F(SecureChannelTest, Behaviour14_ResetEndsTheChannelAndPaceIsNoVerify) {
  SmTerminal channel = open();
  EXPECT_EQ(channel.exchange(*card, "00A4020C024302").sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, "00B0000001").sw, 0x6982);
  EXPECT_EQ(channel.exchange(*card, "0020000108 31323334FFFFFFFF").sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, "00B0000001").sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, "00A4040008 A000000151000000").sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, std::string("00A404000C") + kEsignAid).sw, 0x9000);
  EXPECT_EQ(channel.exchange(*card, "00200001").sw, 0x63C3) << "another application was selected";
  ASSERT_TRUE(card->reset(Interface::contact));
  expect_nothing_left(channel);
}

// PACE ends SCP03 and the other way round; over contactless INITIALIZE UPDATE comes through PACE, since it gives away
// the serial number (behaviour 46).
TEST_F(SecureChannelTest, Scp03BeginsInsidePaceOverContactless) {
  const HostKeys keys = sample_keys(16, 5);
  {
    Scp03Host host(initial_keys());
    ASSERT_EQ(host.open(*card, 0x03), 0x9000);
    ASSERT_EQ(host.exchange(*card, host.put_key(0, 0x30, keys)).sw, 0x9000);
    ASSERT_EQ(host.exchange(*card, "80F0800F").sw, 0x9000);
  }
  restart(Interface::contactless);
  expect("8050000008 0102030405060708 00", 0x6982);
  expect("80CA00E000", 0x6982);
  PaceTerminal terminal;
  ASSERT_EQ(terminal.run([this](const Memory& command) { return run(command); }), 0x9000);
  SmTerminal channel = terminal.channel();
  Scp03Host host(keys);
  ASSERT_EQ(host.initialize([&](const Memory& command) { return channel.exchange(*card, command); }).sw, 0x9000);
  ASSERT_EQ(run(host.authentication(0x33)).sw, 0x9000);
  EXPECT_EQ(host.exchange(*card, std::string("00A404000C") + kEsignAid).sw, 0x9000);
  EXPECT_EQ(host.exchange(*card, hex(create("80020010 820101 83024303 8603000FFF 8A0100"))).sw, 0x9000);
  EXPECT_EQ(run(channel.protect(hex("00A40000"))).sw, 0x6987) << "the first channel is over";
  EXPECT_EQ(run(host.protect(hex("00A40000"))).sw, 0x6882);
}

}  // namespace
}  // namespace karta::os
