#include "card/scp03.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "card/transports.h"
#include "crypto/kdf.h"

namespace karta::card {
namespace {

Bytes octets(std::string_view hex) {
  auto read = from_hex(hex);
  if (!read) {
    ADD_FAILURE() << read.error().message;
    return {};
  }
  return std::move(*read);
}
Bytes octets(const nlohmann::json& value) { return octets(std::string_view(value.get_ref<const std::string&>())); }
std::string lower(const nlohmann::json& value) { return to_hex(octets(value)); }

nlohmann::json entries() {
  std::ifstream file(KARTA_SOURCE_DIR "/tests/vectors/gp_scp03.json");
  return nlohmann::json::parse(file).at("entries");
}

Scp03KeySet keys_of(const nlohmann::json& row) {
  return {0, SecretBytes(octets(row.at("key_enc"))), SecretBytes(octets(row.at("key_mac"))),
          SecretBytes(octets(row.at("key_dek")))};
}

// The short commands of the examples.
CommandApdu command_of(ByteView raw) {
  CommandApdu command(raw[0], raw[1], raw[2], raw[3]);
  if (raw.size() == 5) command.le = raw[4] == 0 ? kShortResponse : raw[4];
  if (raw.size() <= 5) return command;
  command.data = to_bytes(raw.subspan(5, raw[4]));
  if (raw.size() > 5u + raw[4]) command.le = raw.back() == 0 ? kShortResponse : raw.back();
  return command;
}

Scp03Mode mode_of(const nlohmann::json& row) { return row.at("mode") == "S16" ? Scp03Mode::s16 : Scp03Mode::s8; }

TEST(Scp03, FollowsEveryPublishedSession) {
  std::set<std::string> ids;
  for (const auto& row : entries()) {
    if (!row.contains("init_update_rsp")) continue;
    const std::string id = row.at("id");
    SCOPED_TRACE(id);
    ids.insert(id);
    const Scp03Mode mode = mode_of(row);
    const auto greeting = Scp03Greeting::parse(octets(row.at("init_update_rsp")), mode);
    ASSERT_TRUE(greeting) << greeting.error().message;
    EXPECT_EQ(to_hex(greeting->card_challenge), lower(row.at("card_challenge")));
    EXPECT_TRUE(greeting->sequence.has_value());
    Scp03Session session(keys_of(row), mode, octets(row.at("host_challenge")), greeting->card_challenge);
    EXPECT_EQ(to_hex(session.keys().encryption.expose_secret()), lower(row.at("derived").at("s_enc")));
    EXPECT_EQ(to_hex(session.keys().checksum.expose_secret()), lower(row.at("derived").at("s_mac")));
    EXPECT_EQ(to_hex(session.keys().response_checksum.expose_secret()), lower(row.at("derived").at("s_rmac")));
    EXPECT_EQ(session.card_cryptogram(), greeting->card_cryptogram);
    EXPECT_EQ(to_hex(session.host_cryptogram()), lower(row.at("derived").at("host_cryptogram")));
    const std::uint8_t level = octets(row.at("security_level"))[0];
    const CommandApdu authenticate = session.external_authenticate(level);
    EXPECT_EQ(to_hex(*authenticate.encode()), lower(row.at("ext_auth_cmd")));
    for (const auto& step : row.at("steps")) {
      const auto sent = session.protect(command_of(octets(step.at("plain"))));
      ASSERT_TRUE(sent);
      EXPECT_EQ(to_hex(*sent->encode()), lower(step.at("protected")));
      if (!step.contains("response_protected")) continue;
      const auto answer =
          session.unprotect({octets(step.at("response_protected")), StatusWord{load_be16(octets(step.at("sw")))}});
      ASSERT_TRUE(answer) << answer.error().message;
      EXPECT_EQ(to_hex(answer->data), lower(step.at("response_plain")));
    }
  }
  EXPECT_EQ(ids.size(), 15u);
}

TEST(Scp03, DerivesThePublishedChain) {
  unsigned tried = 0;
  for (const auto& row : entries()) {
    if (row.at("id") != "kdf-chain") continue;
    for (const auto& line : row.at("rows")) {
      Bytes label(12, 0);
      label[11] = static_cast<std::uint8_t>(std::stoul(line[1].get<std::string>(), nullptr, 16));
      const Bytes expected = octets(line[3]);
      const SecretBytes key(octets(line[0]));
      EXPECT_TRUE(crypto::cmac_counter_kdf(key, label, octets(line[2]), expected.size()).equals(expected)) << line;
      ++tried;
    }
  }
  EXPECT_EQ(tried, 40u);
}

// Amendment D §4.1.4, and the vendor's diversification, which Amendment D does not know: not ours to offer, but its
// published keys and check values are a second witness for CMAC and for key_check_value.
TEST(Scp03, KeyCheckValuesOfThePublishedKeys) {
  unsigned tried = 0;
  for (const auto& row : entries()) {
    if (row.contains("kcv") && row.at("kcv").is_string()) {
      EXPECT_EQ(to_hex(key_check_value(SecretBytes(octets(row.at("key"))))), lower(row.at("kcv")));
      ++tried;
    }
    if (!row.contains("kdd")) continue;
    const SecretBytes master(octets(row.at("master")));
    const auto vendor = [&](std::uint8_t purpose) {
      Bytes key;
      for (std::uint8_t i = 1; key.size() < master.size(); ++i) {
        append(key, crypto::aes_cmac(master, {Bytes{i, 0, 0, 0, purpose, 0}, octets(row.at("kdd"))}));
      }
      key.resize(master.size());
      return key;
    };
    if (row.contains("derived_enc")) {
      EXPECT_EQ(to_hex(vendor(0x01)), lower(row.at("derived_enc")));
      ++tried;
      continue;
    }
    for (const char* const name : {"enc", "mac", "dek"}) {
      const std::uint8_t purpose = octets(row.at("purpose").at(name))[0];
      EXPECT_EQ(to_hex(vendor(purpose)), lower(row.at("derived").at(name))) << row.at("id");
      EXPECT_EQ(to_hex(key_check_value(SecretBytes(vendor(purpose)))), lower(row.at("kcv").at(name)));
    }
    ++tried;
  }
  EXPECT_EQ(tried, 7u);
}

TEST(Scp03, EveryEntryOfTheFileIsTried) { EXPECT_EQ(entries().size(), 15u + 1u + 7u); }

TEST(Scp03, DiversifiedSetsDifferByCardVersionAndPurpose) {
  const SecretBytes master = SecretBytes::copy_of("0123456789abcdef0123456789abcdef");
  const Bytes one(10, 1), two(10, 2);
  std::set<Bytes> keys;
  for (const ByteView serial : {ByteView(one), ByteView(two)}) {
    for (const std::uint8_t version : {2, 3}) {
      const Scp03KeySet set = diversify(master, serial, version, 32);
      EXPECT_EQ(set.version, version);
      for (const SecretBytes* key : {&set.encryption, &set.checksum, &set.data}) {
        EXPECT_EQ(key->size(), 32u);
        EXPECT_TRUE(keys.insert(to_bytes(key->expose_secret())).second);
      }
    }
  }
  // The same again gives the same: a card is opened years later.
  EXPECT_FALSE(keys.insert(to_bytes(diversify(master, one, 2, 32).data.expose_secret())).second);
}

// The label and the order of fields are a contract with every card in the field: this never changes.
TEST(Scp03, DiversificationIsFrozen) {
  SecretBytes master(32);
  const Scp03KeySet set = diversify(master, Bytes(10, 0), 2, 16);
  Bytes input = to_bytes(as_bytes("karta/scp03/enc"));
  append(input, Bytes{0x00, 0x00, 0x80, 0x01, 0x02});
  append(input, Bytes(10, 0));
  EXPECT_TRUE(set.encryption.equals(crypto::aes_cmac(master, {input})));
}

TEST(Scp03, KnowsItsLevels) {
  unsigned known = 0;
  for (unsigned level = 0; level < 256; ++level) known += is_security_level(static_cast<std::uint8_t>(level));
  EXPECT_EQ(known, 6u);
}

// Hostile cards -----------------------------------------------------------------------------------

// Plays one of the published cards, whatever the host's challenge; `spoil` changes its answers.
struct PublishedCard {
  PublishedCard()
      : connection({.process = [this](ByteView command) { return process(command); },
                    .atr =
                        [] {
                          return Bytes{0x3B, 0x80, 0x01, 0x81};
                        },
                    .reset = {}}),
        channel(connection) {
    for (const auto& candidate : entries()) {
      if (candidate.at("id") == "openscp-aes128-S16-level33") row = candidate;
    }
  }
  Bytes process(ByteView command) {
    commands.push_back(to_bytes(command));
    Bytes answer;
    if (command[1] == 0x50) {
      answer = octets(row.at("init_update_rsp"));
      append(answer, Bytes{0x90, 0x00});
    } else if (command[1] == 0x82) {
      answer = {0x90, 0x00};
    } else {
      answer = octets(row.at("steps")[step++].at("response_protected"));
      append(answer, Bytes{0x90, 0x00});
    }
    return spoil ? spoil(command[1], answer) : answer;
  }
  Result<std::unique_ptr<Scp03Channel>> open(std::uint8_t level = 0x33) {
    struct Fixed final : RandomSource {
      Bytes octets;
      void fill(MutableByteView out) override { std::copy_n(octets.begin(), out.size(), out.begin()); }
    } random;
    random.octets = octets(row.at("host_challenge"));
    return Scp03Channel::open(
        channel, {.mode = Scp03Mode::s16, .level = level, .key_version = 0x30},
        [this](const Scp03Greeting&) { return Result<Scp03KeySet>(keys_of(row)); }, random);
  }
  nlohmann::json row;
  std::function<Bytes(std::uint8_t ins, Bytes)> spoil;
  std::size_t step = 0;
  std::vector<Bytes> commands;
  MemoryConnection connection;
  PlainChannel channel;
};
const CommandApdu kGetStatus(0x80, 0xF2, 0x20, 0x00, {0x4F, 0x00}, 256);

TEST(Scp03Channel, SpeaksToAPublishedCard) {
  PublishedCard card;
  const auto channel = card.open();
  ASSERT_TRUE(channel) << channel.error().message;
  const auto answer = (*channel)->transmit(kGetStatus);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(to_hex(answer->data), lower(card.row.at("steps")[0].at("response_plain")));
  EXPECT_EQ((*channel)->greeting().key_version, 0x30);
  EXPECT_EQ((*channel)->limits().command_data, 223u);
}

TEST(Scp03Channel, RefusesACardThatCannotProveItsKey) {
  for (const std::size_t at : {13u, 29u, 44u}) {  // challenge, cryptogram's first and last octet
    PublishedCard card;
    card.spoil = [at](std::uint8_t ins, Bytes answer) {
      if (ins == 0x50) answer[at] ^= 1;
      return answer;
    };
    const auto channel = card.open();
    ASSERT_FALSE(channel);
    EXPECT_EQ(channel.error().kind, ErrorKind::card_insecure);
    EXPECT_EQ(card.commands.size(), 1u) << "our own cryptogram is not shown to it";
  }
}

TEST(Scp03Channel, RefusesOtherModesProtocolsAndShapes) {
  const auto with = [](std::function<void(Bytes&)> change) {
    PublishedCard card;
    card.spoil = [change](std::uint8_t ins, Bytes answer) {
      if (ins == 0x50) change(answer);
      return answer;
    };
    const auto channel = card.open();
    EXPECT_FALSE(channel);
    EXPECT_EQ(card.commands.size(), 1u);
    return channel ? ErrorKind::internal : channel.error().kind;
  };
  EXPECT_EQ(with([](Bytes& a) { a[12] &= 0xFE; }), ErrorKind::card_insecure);  // "I do S8"
  EXPECT_EQ(with([](Bytes& a) { a[11] = 0x02; }), ErrorKind::unsupported);     // SCP02
  EXPECT_EQ(with([](Bytes& a) { a[10] = 0x31; }), ErrorKind::card_insecure);   // another key set
  EXPECT_EQ(with([](Bytes& a) { a.erase(a.begin()); }), ErrorKind::card_unresponsive);
  EXPECT_EQ(with([](Bytes& a) { a.insert(a.begin(), 0); }), ErrorKind::card_unresponsive);
}

TEST(Scp03Channel, DiesOfTheFirstWrongAnswer) {
  const std::function<Bytes(Bytes)> spoilings[] = {
      [](Bytes a) { return a[a.size() - 3] ^= 1, a; },    // checksum
      [](Bytes a) { return a[0] ^= 1, a; },               // cryptogram
      [](Bytes a) { return a[a.size() - 2] = 0x63, a; },  // status word
      [](Bytes) {
        return Bytes{0x90, 0x00};
      },  // nothing
      [](Bytes) {
        return Bytes{0x08, 0xA0, 0x90, 0x00};
      },                                                               // in the clear
      [](Bytes a) { return a.erase(a.end() - 18, a.end() - 10), a; },  // checksum cut to eight
      [](Bytes a) { return a[a.size() - 2] = 0x69, a; },               // an error together with data
  };
  for (const auto& spoiling : spoilings) {
    PublishedCard card;
    const auto channel = card.open();
    ASSERT_TRUE(channel);
    card.spoil = [&](std::uint8_t, Bytes answer) { return spoiling(std::move(answer)); };
    const auto answer = (*channel)->transmit(kGetStatus);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::card_insecure);
    const std::size_t sent = card.commands.size();
    EXPECT_FALSE((*channel)->transmit(kGetStatus));
    EXPECT_EQ(card.commands.size(), sent);
  }
}

TEST(Scp03Channel, TakesUnprotectedErrorsAndNothingElseUnprotected) {
  PublishedCard card;
  const auto channel = card.open();
  ASSERT_TRUE(channel);
  card.spoil = [](std::uint8_t, Bytes) { return Bytes{0x6A, 0x88}; };
  const auto refused = (*channel)->transmit(kGetStatus);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, kSwReferenceNotFound);
  EXPECT_TRUE((*channel)->alive());
  card.spoil = [](std::uint8_t, Bytes) { return Bytes{0x62, 0x83}; };  // a warning is protected
  EXPECT_FALSE((*channel)->transmit(kGetStatus));
}

TEST(Scp03Channel, EndsWithAReset) {
  PublishedCard card;
  const auto channel = card.open();
  ASSERT_TRUE(channel);
  ASSERT_TRUE(card.connection.reset());
  EXPECT_FALSE((*channel)->transmit(kGetStatus));
}

TEST(Scp03Channel, SaysWhyTheCardRefusedOurKey) {
  PublishedCard card;
  card.spoil = [](std::uint8_t ins, Bytes answer) { return ins == 0x82 ? Bytes{0x63, 0x00} : answer; };
  EXPECT_FALSE(card.open());
}

TEST(Scp03, WhatItSaysFitsDoesFit) {
  const SecretBytes key = SecretBytes::copy_of("0123456789abcdef");
  for (const std::uint8_t level : {0x01, 0x03, 0x11, 0x13, 0x33}) {
    for (const Scp03Mode mode : {Scp03Mode::s8, Scp03Mode::s16}) {
      const auto size = [&](std::size_t data) {
        const Bytes challenge(static_cast<std::size_t>(mode), 7);
        Scp03Session session({0, key.clone(), key.clone(), key.clone()}, mode, challenge, challenge);
        session.external_authenticate(level);
        return session.protect({0x00, 0xD6, 0x00, 0x00, Bytes(data, 1)})->data.size();
      };
      for (const std::size_t limit : {255u, 2048u}) {
        const std::size_t room = scp03_room(limit, level, mode, true);
        EXPECT_LE(size(room), limit);
        EXPECT_GT(size(room + 1), limit - 16);
      }
    }
  }
}

}  // namespace
}  // namespace karta::card
