// Secure messaging of ISO 7816-4 on the card's side: published examples through the channel itself, then sessions with
// a terminal through the whole card.
#include "firmware-sim/os/secure_messaging.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/key_agreement.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

nlohmann::json entries_of(const std::string& name) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/" + name);
  return nlohmann::json::parse(file).at("entries");
}

Memory field(const nlohmann::json& entry, const char* name) { return hex(entry.at(name).get<std::string>()); }

// A channel in the middle of a session: the next command counts as `counter`.
void begin(SecureChannel& channel, const Memory& enc, const Memory& mac, Memory counter) {
  channel.start(ChannelKind::pace, enc, mac);
  channel.settle();
  for (std::size_t i = counter.size(); i-- > 0 && counter[i]-- == 0;) {
  }
  copy(channel.session().counter, counter);
}

TEST(AesVectors, CmacOfAllPublishedLengths) {
  int seen = 0;
  for (const auto& entry : entries_of("aes_cmac.json")) {
    EXPECT_EQ(cmac(field(entry, "key"), field(entry, "message")), field(entry, "mac")) << entry.at("id");
    ++seen;
  }
  EXPECT_EQ(seen, 12);
}

TEST(SecureMessagingVectors, OpensEveryPublishedCommand) {
  int seen = 0;
  for (const auto& entry : entries_of("iso7816_sm_aes.json")) {
    if (!entry.contains("protected")) continue;
    const std::string id = entry.at("id");
    Chip chip(64);
    SecureChannel channel(chip);
    begin(channel, field(entry, "k_enc"), field(entry, "k_mac"), field(entry, "ssc"));
    Memory wire = field(entry, "protected");
    const Memory plain_wire = field(entry, "plain");
    Command plain;
    Command command;
    ASSERT_TRUE(parse_command(plain_wire, plain)) << id;
    ASSERT_TRUE(parse_command(wire, command)) << id;
    ASSERT_EQ(channel.open_command(command, wire), Sw::ok) << id;  // in the memory it came in
    EXPECT_EQ(command.cla, plain.cla) << id;
    EXPECT_EQ(command.ins << 16 | command.p1_p2(), plain.ins << 16 | plain.p1_p2()) << id;
    EXPECT_EQ(to_hex(command.data), to_hex(plain.data)) << id;
    EXPECT_EQ(command.ne, plain.ne) << id;
    EXPECT_EQ(command.le_is_max, plain.le_is_max) << id;
    EXPECT_TRUE(command.secured);

    // The terminal of these tests makes the same octets, so that it may stand for others below.
    SmTerminal terminal(field(entry, "k_enc"), field(entry, "k_mac"));
    terminal.counter = field(entry, "ssc");
    for (std::size_t i = 16; i-- > 0 && terminal.counter[i]-- == 0;) {
    }
    EXPECT_EQ(to_hex(terminal.protect(plain_wire)), to_hex(field(entry, "protected"))) << id;
    ++seen;
  }
  EXPECT_EQ(seen, 12);
}

TEST(SecureMessagingVectors, SessionWithAes256BothWays) {
  int seen = 0;
  for (const auto& entry : entries_of("iso7816_sm_aes.json")) {
    if (!entry.contains("steps")) continue;
    Chip chip(64);
    SecureChannel channel(chip);
    channel.start(ChannelKind::eac, field(entry, "k_enc"), field(entry, "k_mac"));
    channel.settle();
    copy(channel.session().counter, field(entry, "ssc_start"));
    for (const auto& step : entry.at("steps")) {
      const Memory wire = field(step, "protected_command");
      const Memory plain_wire = field(step, "plain_command");
      Memory memory(kMaxData);
      Command command;
      Command plain;
      ASSERT_TRUE(parse_command(wire, command) && parse_command(plain_wire, plain));
      ASSERT_EQ(channel.open_command(command, memory), Sw::ok);
      EXPECT_EQ(to_hex(command.data), to_hex(plain.data));
      EXPECT_EQ(command.ne, plain.ne);
      Memory buffer(kMaxData);
      Writer reply{ByteSpan(buffer)};
      reply.bytes(field(step, "plain_response_data"));
      ASSERT_EQ(channel.seal_answer(reply, Sw::ok, false), Sw::ok);
      EXPECT_EQ(to_hex(reply.written()) + "9000", to_hex(field(step, "protected_response")));
      ++seen;
    }
    EXPECT_EQ(to_hex(channel.session().counter), to_hex(field(entry, "ssc_end")));
  }
  EXPECT_EQ(seen, 3);
}

TEST(SecureMessagingVectors, ChecksumWithDerivedKeys) {
  int seen = 0;
  for (const auto& entry : entries_of("iso7816_sm_aes.json")) {
    if (!entry.contains("mac8")) continue;
    Chip chip(64);
    const std::size_t bits = entry.at("key_bits");
    Memory key(bits / 8);
    ASSERT_EQ(entry.at("kdf_counter"), 2);
    ASSERT_EQ(derive_key(chip, field(entry, "secret"), {}, kDeriveMac, key), Sw::ok);
    EXPECT_EQ(to_hex(slice(cmac(key, field(entry, "message")), 0, 8)), to_hex(field(entry, "mac8")));
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// Initial vectors are made for many commands at once. Whatever commands come between, with data or without, and
// wherever the counter's octets overflow, the terminal's own vectors open what the card says and the other way round.
TEST(SecureMessaging, VectorsMadeBeforehandAreTheCountersOwn) {
  for (const char* start :
       {"00000000000000000000000000000000", "000000000000000000000000000000F3", "0000000000000000FFFFFFFFFFFFFFF1"}) {
    Chip chip(64);
    SecureChannel channel(chip);
    const Memory enc(16, 0x11), mac(16, 0x22);
    channel.start(ChannelKind::pace, enc, mac);
    channel.settle();
    SmTerminal terminal(enc, mac);
    terminal.counter = hex(start);
    copy(channel.session().counter, terminal.counter);
    u32 pattern = 0x5A6F13C7;
    for (int i = 0; i < 60; ++i) {
      const bool with_data = (pattern >> (i % 32) & 1) != 0;
      // Now and then a gap longer than the vectors held reach.
      const int silent = i % 17 == 16 ? 12 : 0;
      for (int k = 0; k <= silent; ++k) {
        const bool data = with_data && k == silent;
        const Memory plain_wire = data ? hex("002241A4030102"
                                             "03")
                                       : hex("0084000008");
        Memory wire = terminal.protect(plain_wire);
        Command command, plain;
        ASSERT_TRUE(parse_command(wire, command) && parse_command(plain_wire, plain));
        Memory memory(kMaxData);
        ASSERT_EQ(channel.open_command(command, memory), Sw::ok) << start << " " << i;
        ASSERT_EQ(to_hex(command.data), to_hex(plain.data)) << start << " " << i;
        Memory buffer(kMaxData);
        Writer reply{ByteSpan(buffer)};
        if (!data) reply.bytes(hex("0102030405060708"));
        ASSERT_EQ(channel.seal_answer(reply, Sw::ok, false), Sw::ok);
        const ByteView sealed = reply.written();
        const Answer opened = terminal.open({.sw = 0x9000, .data = Memory(sealed.begin(), sealed.end())});
        ASSERT_EQ(to_hex(opened.data), data ? "" : "0102030405060708") << start << " " << i;
      }
    }
  }
}

// Card-security 18: the counter stops at its end, and with it the session.
TEST(SecureMessaging, Behaviour18_TheSendCounterIsNeverUsedTwice) {
  u8 counter[16] = {};
  u8 last[16] = {};
  for (int i = 0; i < 70000; ++i) {
    ASSERT_TRUE(advance(counter));
    const auto grown = [&] {
      for (std::size_t k = 0; k < 16; ++k) {
        if (counter[k] != last[k]) return counter[k] > last[k];
      }
      return false;
    };
    ASSERT_TRUE(grown()) << i;
    copy(last, counter);
  }
  for (u8& octet : counter) octet = 0xFF;
  EXPECT_FALSE(advance(counter));
  EXPECT_EQ(to_hex(counter), std::string(32, 'F')) << "it stays where it is";

  // A command that takes the last number finds none for its answer.
  Chip chip(64);
  const Memory key(16, 0x42);
  SecureChannel channel(chip);
  begin(channel, key, key, Memory(16, 0xFF));
  SmTerminal terminal(key, key);
  terminal.counter = Memory(16, 0xFF);
  terminal.counter[15] = 0xFE;
  Memory wire = terminal.protect(hex("00B0000000"));
  Command command;
  ASSERT_TRUE(parse_command(wire, command));
  ASSERT_EQ(channel.open_command(command, wire), Sw::ok);
  Memory buffer(kMaxData);
  Writer reply{ByteSpan(buffer)};
  EXPECT_EQ(channel.seal_answer(reply, Sw::ok, false), Sw::secure_messaging_incorrect);
  wire = terminal.protect(hex("00B0000000"));
  ASSERT_TRUE(parse_command(wire, command));
  EXPECT_EQ(channel.open_command(command, wire), Sw::secure_messaging_incorrect);
}

TEST(SecureMessaging, PaddingIsOneBlockAtMostAndThere) {
  std::size_t n = 99;
  EXPECT_TRUE(strip_padding(hex("8000000000000000 0000000000000000"), n));
  EXPECT_EQ(n, 0u);
  EXPECT_TRUE(strip_padding(hex("0102030405060708 090A0B0C0D0E0F80"), n));
  EXPECT_EQ(n, 15u);
  EXPECT_FALSE(strip_padding(hex("0000000000000000 0000000000000000"), n));
  EXPECT_FALSE(strip_padding(hex("0102030405060708 090A0B0C0D0E0F10"), n));
  EXPECT_FALSE(strip_padding(hex("0102030405060708 090A0B0C0D0E0F80 0000000000000000 0000000000000000"), n));
  EXPECT_FALSE(strip_padding({}, n));
}

}  // namespace
}  // namespace karta::os
