// SCP03 on the card's side: every published session, derivation and check value, and what is left out of the file.
#include "firmware-sim/os/scp03.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

nlohmann::json entries() {
  std::ifstream file(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/gp_scp03.json");
  return nlohmann::json::parse(file).at("entries");
}

Memory field(const nlohmann::json& entry, const char* name) { return hex(entry.at(name).get<std::string>()); }

// A session of the file up to INITIALIZE UPDATE, with the card's challenge as published.
struct Published {
  explicit Published(const nlohmann::json& entry) : challenge(field(entry, "card_challenge")) {
    cryptogram.resize(challenge.size());
    prepared = prepare_scp03(chip, field(entry, "key_enc"), field(entry, "key_mac"), field(entry, "host_challenge"),
                             challenge, session, cryptogram);
  }
  Sw authenticate(const Memory& apdu) {
    Command command;
    EXPECT_TRUE(parse_command(apdu, command));
    return authenticate_scp03(chip, session, command);
  }

  Chip chip{64};
  ChannelSession session;
  Memory challenge;
  Memory cryptogram;
  Sw prepared = Sw::no_diagnosis;
};

TEST(Scp03Vectors, EverySessionOfEveryLevelKeyLengthAndMode) {
  std::set<std::string> kinds;
  int sessions = 0;
  int answers = 0;
  int overlong = 0;
  for (const auto& entry : entries()) {
    if (!entry.contains("init_update_cmd")) continue;
    const std::string id = entry.at("id");
    Published card(entry);
    ASSERT_EQ(card.prepared, Sw::ok) << id;
    const ChannelSession& session = card.session;
    const std::size_t n = session.key_bytes;
    EXPECT_EQ(to_hex(card.cryptogram), to_hex(field(entry, "card_cryptogram"))) << id;
    const auto& derived = entry.at("derived");
    EXPECT_EQ(to_hex(ByteView(session.enc).first(n)), to_hex(field(derived, "s_enc"))) << id;
    EXPECT_EQ(to_hex(ByteView(session.mac).first(n)), to_hex(field(derived, "s_mac"))) << id;
    EXPECT_EQ(to_hex(ByteView(session.rmac).first(n)), to_hex(field(derived, "s_rmac"))) << id;
    EXPECT_EQ(to_hex(ByteView(session.chaining).first(session.mac_bytes)), to_hex(field(derived, "host_cryptogram")));
    ASSERT_EQ(card.authenticate(field(entry, "ext_auth_cmd")), Sw::ok) << id;
    EXPECT_EQ(session.level, field(entry, "security_level")[0]) << id;
    kinds.insert(entry.at("mode").get<std::string>() + "/" + std::to_string(8 * n) + "/" +
                 entry.at("security_level").get<std::string>());

    for (const auto& step : entry.at("steps")) {
      Memory wire = field(step, "protected");
      const Memory plain_wire = field(step, "plain");
      Command command;
      Command plain;
      ASSERT_TRUE(parse_command(wire, command) && parse_command(plain_wire, plain)) << id;
      ASSERT_EQ(open_scp03(card.chip, card.session, command, wire), Sw::ok) << id << " " << to_hex(plain_wire);
      EXPECT_EQ(command.cla, plain.cla) << id;
      EXPECT_EQ(to_hex(command.data), to_hex(plain.data)) << id;
      if (!step.contains("response_protected")) continue;
      const auto sealed = [&](const Memory& data) {
        Memory buffer(kAesBlockBytes * 20);
        Writer reply{ByteSpan(buffer)};
        reply.bytes(data);
        EXPECT_EQ(seal_scp03(card.chip, card.session, reply, Sw::ok), Sw::ok) << id;
        return to_hex(reply.written());
      };
      const Memory data = field(step, "response_plain");
      const std::string expected = to_hex(field(step, "response_protected"));
      // The emulation some of these come from pads a short answer with a block of zeros too many. Those are read
      // instead of made: the R-MAC is right, and so is what is encrypted.
      if (sealed(data).size() == expected.size()) {
        EXPECT_EQ(sealed(data), expected) << id;
      } else {
        const Memory answer = field(step, "response_protected");
        const Memory cipher = slice(answer, 0, answer.size() - session.mac_bytes);
        const Memory mac = cmac(Memory(session.rmac, session.rmac + n),
                                Memory(session.chaining, session.chaining + 16) + cipher + hex("9000"));
        EXPECT_EQ(slice(mac, 0, session.mac_bytes), slice(answer, cipher.size(), session.mac_bytes)) << id;
        const Memory key(session.enc, session.enc + n);
        Memory block(session.counter, session.counter + 16);
        block[0] = 0x80;
        const Memory iv = cbc(Cipher::encrypt, key, Memory(16, 0), block);
        EXPECT_EQ(cbc(Cipher::decrypt, key, iv, cipher), padded(data) + Memory(16, 0)) << id;
        ++overlong;
      }
      ++answers;
    }
    ++sessions;
  }
  EXPECT_EQ(sessions, 15);
  EXPECT_GE(answers, 15);
  EXPECT_EQ(overlong, 5);
  EXPECT_EQ(kinds,
            (std::set<std::string>{"S8/128/11", "S8/128/03", "S8/128/33", "S8/192/11", "S8/192/03", "S8/192/33",
                                   "S8/256/11", "S8/256/03", "S8/256/33", "S16/128/33", "S16/192/33", "S16/256/33"}));
}

TEST(Scp03Vectors, DerivationChain) {
  Chip chip(64);
  int rows = 0;
  for (const auto& entry : entries()) {
    if (entry.at("id") != "kdf-chain") continue;
    for (const auto& row : entry.at("rows")) {
      const Memory expected = hex(row.at(3).get<std::string>());
      const Memory context = hex(row.at(2).get<std::string>());
      const auto constant = static_cast<Derivation>(std::stoi(row.at(1).get<std::string>(), nullptr, 16));
      Memory out(expected.size());
      ASSERT_TRUE(derive(chip, hex(row.at(0).get<std::string>()), constant, context, {}, out));
      EXPECT_EQ(to_hex(out), to_hex(expected)) << rows;
      ++rows;
    }
  }
  EXPECT_GT(rows, 7);
}

TEST(Scp03Vectors, KeyCheckValues) {
  int seen = 0;
  for (const auto& entry : entries()) {
    if (!entry.contains("kcv") || !entry.contains("key")) continue;
    EXPECT_EQ(Scp03Host::check_value(field(entry, "key")), field(entry, "kcv")) << entry.at("id");
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// What of the file is no part of SCP03: a vendor's way to diversify keys, which the card never sees.
TEST(Scp03Vectors, LeavesOutTheVendorsDiversificationOnly) {
  std::set<std::string> left_out;
  for (const auto& entry : entries()) {
    const std::string id = entry.at("id");
    const bool used = entry.contains("init_update_cmd") || id == "kdf-chain" || id.rfind("kcv-", 0) == 0;
    if (!used) left_out.insert(id);
  }
  EXPECT_EQ(left_out, (std::set<std::string>{"kdf3-diversify-aes128", "kdf3-diversify-aes192", "kdf3-diversify-aes256",
                                             "kdf3-external-aes256"}));
}

// Amendment D section 6.2.6: the counter advances with a command without data, too. Were it not so, the second command
// here could not be opened.
TEST(Scp03, EncryptionCounterAdvancesWithEveryCommand) {
  for (const auto& entry : entries()) {
    if (entry.at("id") != "pysim-aes128-level33") continue;
    Published card(entry);
    ASSERT_EQ(card.authenticate(field(entry, "ext_auth_cmd")), Sw::ok);
    std::size_t commands = 0;
    for (const auto& step : entry.at("steps")) {
      Memory wire = field(step, "protected");
      Command command;
      ASSERT_TRUE(parse_command(wire, command));
      ASSERT_EQ(open_scp03(card.chip, card.session, command, wire), Sw::ok);
      EXPECT_EQ(card.session.counter[15], ++commands) << (command.data.empty() ? "no data" : "data");
    }
    EXPECT_EQ(commands, 5u);
    return;
  }
  FAIL() << "the published session is missing";
}

// Card-security 18 and 23.
TEST(Scp03, Behaviour23_WrongCryptogramOrMacAuthenticatesNobody) {
  for (const auto& entry : entries()) {
    if (!entry.contains("init_update_cmd")) continue;
    const Memory right = field(entry, "ext_auth_cmd");
    for (std::size_t at = 5; at < right.size(); ++at) {
      Published card(entry);
      Memory wrong = right;
      wrong[at] ^= 0x01;
      const bool cryptogram = at < 5 + card.challenge.size();
      EXPECT_EQ(card.authenticate(wrong), cryptogram ? Sw::authentication_failed : Sw::security_status_not_satisfied);
      EXPECT_FALSE(card.session.authenticated);
    }
    // A level that is none, and one that the MAC was not made over.
    for (const u8 level : {0x02, 0x10, 0x30, 0x31, 0x81, 0xFF}) {
      Published card(entry);
      Memory other = right;
      other[2] = level;
      EXPECT_EQ(card.authenticate(other), Sw::incorrect_p1_p2);
    }
    Published card(entry);
    Memory lower = right;
    lower[2] = 0x01;
    EXPECT_EQ(card.authenticate(lower), Sw::security_status_not_satisfied);
  }
}

TEST(Scp03, Behaviour18_TheEncryptionCounterEndsTheSession) {
  const auto all = entries();
  Published card(all.at(1));
  ASSERT_EQ(all.at(1).at("security_level"), "03");
  ASSERT_EQ(card.authenticate(field(all.at(1), "ext_auth_cmd")), Sw::ok);
  for (u8& octet : card.session.counter) octet = 0xFF;
  Memory wire = field(all.at(1).at("steps").at(0), "protected");
  Command command;
  ASSERT_TRUE(parse_command(wire, command));
  EXPECT_EQ(open_scp03(card.chip, card.session, command, wire), Sw::secure_messaging_incorrect);
}

}  // namespace
}  // namespace karta::os
