#include "card/secure_messaging.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/tlv.h"
#include "card/iso7816.h"
#include "card/transports.h"
#include "crypto/digest.h"

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
std::string hex_of(const nlohmann::json& value) {
  std::string text = value;
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

nlohmann::json entries() {
  std::ifstream file(KARTA_SOURCE_DIR "/tests/vectors/iso7816_sm_aes.json");
  return nlohmann::json::parse(file).at("entries");
}
nlohmann::json entry(std::string_view id) {
  for (const auto& row : entries()) {
    if (row.at("id") == id) return row;
  }
  ADD_FAILURE() << "no vector " << id;
  return {};
}

// The examples state commands as octets; ours are values.
CommandApdu command_of(ByteView raw) {
  CommandApdu command(raw[0], raw[1], raw[2], raw[3]);
  ByteView rest = raw.subspan(4);
  if (rest.empty()) return command;
  const bool extended = rest[0] == 0 && rest.size() > 1;
  if (extended) rest = rest.subspan(1);
  const std::size_t width = extended ? 2 : 1;
  if (rest.size() > width) {
    const std::size_t length = extended ? load_be16(rest) : rest[0];
    command.data = to_bytes(rest.subspan(width, length));
    rest = rest.subspan(width + length);
  }
  if (!rest.empty()) {
    const std::size_t le = extended ? load_be16(rest) : rest[0];
    command.le = le != 0 ? le : extended ? kExtendedResponse : kShortResponse;
  }
  return command;
}

SessionKeys keys_of(const nlohmann::json& row, const char* counter) {
  SessionKeys keys{SecretBytes(octets(hex_of(row.at("k_enc")))), SecretBytes(octets(hex_of(row.at("k_mac")))), {}};
  const Bytes number = octets(hex_of(row.at(counter)));
  std::copy(number.begin(), number.end(), keys.counter.begin());
  return keys;
}
// The examples name the counter a command is protected with; ours is the one before.
SessionKeys keys_before(const nlohmann::json& row) {
  SessionKeys keys = keys_of(row, "ssc");
  for (std::size_t i = keys.counter.size(); i-- > 0;) {
    if (keys.counter[i]-- != 0) break;
  }
  return keys;
}

TEST(SecureMessaging, ProtectsTheCommandsOfThePublishedExamples) {
  unsigned tried = 0;
  for (const auto& row : entries()) {
    if (!row.contains("protected")) continue;
    const std::string id = row.at("id");
    SecureMessaging messaging(keys_before(row));
    const auto protected_command = messaging.protect(command_of(octets(hex_of(row.at("plain")))));
    ASSERT_TRUE(protected_command) << id;
    const auto wire = protected_command->encode();
    ASSERT_TRUE(wire) << id;
    EXPECT_EQ(to_hex(*wire), hex_of(row.at("protected"))) << id;
    ++tried;
  }
  EXPECT_EQ(tried, 12u);
}

TEST(SecureMessaging, ChecksumsOfThePublishedKeyDerivation) {
  unsigned tried = 0;
  for (const auto& row : entries()) {
    if (!row.contains("mac8")) continue;
    // Doc 9303-11 §9.7.1.2: SHA-1 for 128 bits, SHA-256 above, of secret || 00000002.
    const unsigned bits = row.at("key_bits");
    Bytes input = octets(hex_of(row.at("secret")));
    append(input, Bytes{0, 0, 0, row.at("kdf_counter").get<std::uint8_t>()});
    Bytes digest = crypto::digest(bits == 128 ? crypto::Hash::sha1 : crypto::Hash::sha256, input);
    digest.resize(bits / 8);
    const SecretBytes key(std::move(digest));
    const auto mac = crypto::aes_cmac(key, {octets(hex_of(row.at("message")))});
    EXPECT_EQ(to_hex(ByteView(mac).first(8)), hex_of(row.at("mac8"))) << row.at("id");
    ++tried;
  }
  EXPECT_EQ(tried, 3u);
}

constexpr char kSession[] = "gmrtd-aes256-session-read-efcom";

TEST(SecureMessaging, FollowsAPublishedSession) {
  const auto row = entry(kSession);
  SecureMessaging messaging(keys_of(row, "ssc_start"));
  for (const auto& step : row.at("steps")) {
    const auto command = messaging.protect(command_of(octets(hex_of(step.at("plain_command")))));
    ASSERT_TRUE(command);
    EXPECT_EQ(to_hex(*command->encode()), hex_of(step.at("protected_command")));
    const auto answer = ResponseApdu::parse(octets(hex_of(step.at("protected_response"))));
    ASSERT_TRUE(answer);
    const auto opened = messaging.unprotect(*answer);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(to_hex(opened->data), hex_of(step.at("plain_response_data")));
    EXPECT_EQ(opened->status, kSwOk);
  }
  EXPECT_EQ(to_hex(messaging.counter()), hex_of(row.at("ssc_end")));
}

// The card's side of a session, for answers no published example has. Written from TR-03110-3 F.2.3.
class Answerer {
 public:
  Answerer(const char* enc, const char* mac) : enc_(octets(enc)), mac_(octets(mac)) {}
  void count() {
    for (std::size_t i = 16; i-- > 0;) {
      if (++counter_[i] != 0) break;
    }
  }
  Bytes cryptogram(ByteView data) const {
    Bytes padded = to_bytes(data);
    crypto::pad_iso9797(padded);
    return crypto::aes_cbc_encrypt(enc_, crypto::aes_encrypt_block(enc_, counter_), padded);
  }
  Bytes checksum(ByteView objects) const {
    Bytes message = to_bytes(counter_);
    append(message, objects);
    crypto::pad_iso9797(message);
    return make_tlv(0x8E, ByteView(crypto::aes_cmac(mac_, {message})).first(8));
  }
  // 87 { 01 cryptogram } 99 8E
  Bytes answer(ByteView data, std::uint16_t status) {
    count();
    Bytes objects;
    if (!data.empty()) objects = make_tlv(0x87, {Bytes{0x01}, cryptogram(data)});
    Bytes word;
    append_be16(word, status);
    append_tlv(objects, 0x99, word);
    return concat({objects, checksum(objects), word});
  }

 private:
  SecretBytes enc_, mac_;
  crypto::AesBlock counter_{};
};
constexpr char kEnc[] = "46313233343536373839304142434445", kMac[] = "31323334353637383930414243444546";
SessionKeys test_keys() { return {SecretBytes(octets(kEnc)), SecretBytes(octets(kMac)), {}}; }

// A card that protects what `say` tells it, over a channel of ours.
struct SecureCard {
  explicit SecureCard(ChannelLimits limits = {})
      : connection({.process = [this](ByteView command) { return process(to_bytes(command)); },
                    .atr =
                        [] {
                          return Bytes{0x3B, 0x80, 0x01, 0x81};
                        },
                    .reset = [] {}}),
        plain(connection),
        channel(plain, test_keys()) {
    plain.set_limits(limits);
  }
  Bytes process(Bytes command) {
    commands.push_back(command);
    if (!held.empty()) {  // GET RESPONSE
      const Bytes part = held.front();
      held.erase(held.begin());
      return part;
    }
    if ((command[0] & 0x10) != 0) return {0x90, 0x00};
    side.count();
    Bytes answer = side.answer(say, status);
    if (spoil) answer = spoil(answer);
    if (answer.size() <= 258 || plain.limits().extended()) return answer;
    // Short lengths: in parts, 61xx.
    Bytes first(answer.begin(), answer.begin() + 256);
    Bytes rest(answer.begin() + 256, answer.end());
    append_be16(first, static_cast<std::uint16_t>(0x6100 | (rest.size() - 2)));
    held.push_back(rest);
    return first;
  }
  Answerer side{kEnc, kMac};
  Bytes say = {1, 2, 3};
  std::uint16_t status = 0x9000;
  std::function<Bytes(Bytes)> spoil;
  std::vector<Bytes> commands, held;
  MemoryConnection connection;
  PlainChannel plain;
  SecureMessagingChannel channel;
};
const CommandApdu kRead(0x00, 0xB0, 0x00, 0x00, {}, 256);
constexpr ChannelLimits kExtended{2048, 2048, true};

TEST(SecureMessagingChannel, CarriesAllFourCases) {
  SecureCard card;
  card.say = {};
  ASSERT_TRUE(card.channel.transmit({0x00, 0x2E, 0x00, 0x00}));
  ASSERT_TRUE(card.channel.transmit({0x00, 0xD6, 0x00, 0x00, {1, 2, 3}}));
  card.say = {4, 5};
  for (const CommandApdu& command : {kRead, CommandApdu(0x00, 0x2A, 0x9E, 0x9A, Bytes(32, 7), 256)}) {
    const auto answer = card.channel.transmit(command);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->data, (Bytes{4, 5}));
  }
  EXPECT_EQ(card.commands[0][0], 0x0C);
  for (const Bytes& command : card.commands) EXPECT_EQ(command.back(), 0x00);  // Le, whatever the case
}

TEST(SecureMessagingChannel, TakesErrorsTheCardHasProtected) {
  SecureCard card;
  card.say = {};
  card.status = 0x6A82;
  const auto answer = card.channel.transmit(kRead);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, kSwNotFound);
  EXPECT_TRUE(card.channel.secure());
}

TEST(SecureMessagingChannel, FetchesLongAnswersInPartsOnShortLengths) {
  SecureCard card;
  card.say = Bytes(256, 0x5A);
  const auto answer = card.channel.transmit(kRead);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->data, card.say);
  ASSERT_EQ(card.commands.size(), 2u);
  EXPECT_EQ(to_hex(card.commands[1]).substr(0, 8), "00c00000");  // in the clear: no command of the session
}

TEST(SecureMessagingChannel, AsksForLongAnswersAtOnceWhereTheCardCan) {
  SecureCard card(kExtended);
  card.say = Bytes(256, 0x5A);
  const auto answer = card.channel.transmit(kRead);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(card.commands.size(), 1u);
  EXPECT_EQ(card.channel.limits().response_data, 2015u);
}

TEST(SecureMessagingChannel, ProtectsTheWholeAndThenChainsIt) {
  SecureCard card;
  card.say = {};
  ASSERT_TRUE(card.channel.transmit({0x00, 0xD6, 0x00, 0x00, Bytes(600, 0x33)}));
  ASSERT_EQ(card.commands.size(), 3u);
  EXPECT_EQ(card.commands[0][0], 0x1C);
  EXPECT_EQ(card.commands[1][0], 0x1C);
  EXPECT_EQ(card.commands[2][0], 0x0C);
}

TEST(SecureMessagingChannel, WhatItSaysFitsDoesFit) {
  for (const std::size_t limit : {100u, 144u, 255u, 256u, 500u, 2048u, 65535u}) {
    const std::size_t room = plain_room(limit, true);
    const auto size = [](std::size_t octets_of_data) {
      SecureMessaging messaging(test_keys());
      return messaging.protect({0x00, 0xD6, 0x00, 0x00, Bytes(octets_of_data, 1), kShortResponse})->data.size();
    };
    EXPECT_LE(size(room), limit) << limit;
    EXPECT_GT(size(room + 17), limit) << limit;
  }
  EXPECT_EQ(plain_room(20, true), 0u);
  EXPECT_EQ(plain_room(256, false), 223u);
}

// What a hostile card, or somebody in between, may answer. Each ends the session for good.
struct Spoiling {
  const char* name;
  std::function<Bytes(Bytes)> how;
};
const Spoiling kSpoilings[] = {
    {"a bit of the checksum", [](Bytes a) { return a[a.size() - 3] ^= 1, a; }},
    {"a bit of the cryptogram", [](Bytes a) { return a[8] ^= 0x80, a; }},
    {"another status word", [](Bytes a) { return a[a.size() - 2] = 0x62, a[a.size() - 1] = 0x82, a; }},
    {"in the clear",
     [](Bytes) {
       return Bytes{1, 2, 3, 0x90, 0x00};
     }},
    {"an error in the clear",
     [](Bytes) {
       return Bytes{0x69, 0x88};
     }},
    {"no checksum", [](Bytes a) { return a.erase(a.end() - 12, a.end() - 2), a; }},
    {"a checksum cut short", [](Bytes a) { return a[a.size() - 11] = 4, a.erase(a.end() - 6, a.end() - 2), a; }},
    {"no status word object", [](Bytes a) { return a.erase(a.end() - 16, a.end() - 12), a; }},
    {"the objects the other way round",
     [](Bytes a) {
       std::rotate(a.begin(), a.end() - 16, a.end() - 12);
       return a;
     }},
    {"the cryptogram twice",
     [](Bytes a) {
       return concat({ByteView(a).first(a.size() - 16), a});
     }},
    {"an object too many",
     [](Bytes a) {
       return concat({ByteView(a).first(a.size() - 2), Bytes{0x80, 0x01, 0x00}, ByteView(a).last(2)});
     }},
    {"nothing but a status word",
     [](Bytes) {
       return Bytes{0x90, 0x00};
     }},
};

TEST(SecureMessagingChannel, DiesOfTheFirstWrongAnswer) {
  for (const Spoiling& spoiling : kSpoilings) {
    SCOPED_TRACE(spoiling.name);
    SecureCard card;
    ASSERT_TRUE(card.channel.transmit(kRead));
    card.spoil = spoiling.how;
    const auto answer = card.channel.transmit(kRead);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::card_insecure) << answer.error().message;
    // Nothing more is sent, let alone in the clear.
    const std::size_t sent = card.commands.size();
    card.spoil = nullptr;
    const auto again = card.channel.transmit(kRead);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::card_insecure);
    EXPECT_EQ(card.commands.size(), sent);
  }
}

TEST(SecureMessagingChannel, RefusesAnAnswerOfBefore) {
  SecureCard card;
  Bytes first;
  card.spoil = [&](Bytes a) { return first = a; };
  ASSERT_TRUE(card.channel.transmit(kRead));
  card.spoil = [&](Bytes) { return first; };
  const auto replayed = card.channel.transmit(kRead);
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().kind, ErrorKind::card_insecure);
}

TEST(SecureMessagingChannel, RefusesMoreThanWasAskedFor) {
  SecureCard card;
  card.say = Bytes(20, 1);
  const auto answer = card.channel.transmit({0x00, 0xB0, 0x00, 0x00, {}, 4});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::card_insecure);
}

// A cryptogram that is protected as it should be and yet no message.
TEST(SecureMessaging, RefusesWhatItCannotUnpad) {
  const auto with = [](std::uint8_t indicator, ByteView blocks) {
    SecureMessaging messaging(test_keys());
    EXPECT_TRUE(messaging.protect(kRead));
    Answerer side(kEnc, kMac);
    side.count();
    side.count();
    Bytes objects = make_tlv(0x87, {Bytes{indicator}, blocks});
    append_tlv(objects, 0x99, Bytes{0x90, 0x00});
    const Bytes checksum = side.checksum(objects);
    return messaging.unprotect({concat({objects, checksum}), kSwOk});
  };
  Answerer side(kEnc, kMac);
  side.count();
  side.count();
  const Bytes good = side.cryptogram(Bytes{1, 2, 3});
  ASSERT_TRUE(with(0x01, good));
  EXPECT_FALSE(with(0x02, good));
  EXPECT_FALSE(with(0x01, ByteView(good).first(15)));
  EXPECT_FALSE(with(0x01, {}));
  EXPECT_FALSE(with(0x01, Bytes(16, 0x55)));
}

TEST(SecureMessagingChannel, OddInstructionsCarryObjectsWithoutIndicator) {
  SecureMessaging messaging(test_keys());
  const auto command = messaging.protect({0x00, 0xCB, 0x3F, 0xFF, {0x5C, 0x01, 0x7E}, 256});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->data[0], 0x85);
  EXPECT_EQ(command->data[1], 16);
}

// PACE inside PACE and chip authentication: new keys with the next command, old ones gone.
TEST(SecureMessagingChannel, ChangesKeysBetweenCommands) {
  SecureCard card;
  ASSERT_TRUE(card.channel.transmit(kRead));
  card.channel.start({SecretBytes(octets(kMac)), SecretBytes(octets(kEnc)), {}});
  card.side = Answerer(kMac, kEnc);
  const auto answer = card.channel.transmit(kRead);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->data, card.say);
  // After stop() the same channel speaks in the clear.
  card.channel.stop();
  card.spoil = [](Bytes) { return Bytes{9, 0x90, 0x00}; };
  EXPECT_EQ(card.channel.transmit(kRead)->data, Bytes{9});
  EXPECT_EQ(card.commands.back()[0], 0x00);
}

TEST(SecureMessagingChannel, EndsWithAReset) {
  SecureCard card;
  ASSERT_TRUE(card.channel.transmit(kRead));
  ASSERT_TRUE(card.connection.reset());
  const std::size_t sent = card.commands.size();
  const auto answer = card.channel.transmit(kRead);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::card_insecure);
  EXPECT_EQ(card.commands.size(), sent);
}

// Behaviour 18: the counter is never used twice.
TEST(SecureMessaging, Behaviour18EndsWhenTheCounterOverflows) {
  SessionKeys keys = test_keys();
  keys.counter.fill(0xFF);
  SecureMessaging messaging(std::move(keys));
  EXPECT_FALSE(messaging.protect(kRead));
  EXPECT_FALSE(messaging.alive());
}

TEST(SecureMessagingChannel, KeepsSecretsOutOfTheWire) {
  SecureCard card;
  card.say = {};
  ASSERT_TRUE(card.channel.transmit(verify(0x01, as_bytes("12345678"))));
  const std::string wire = to_hex(card.commands.back());
  EXPECT_EQ(wire.find(to_hex(as_bytes("12345678"))), std::string::npos);
}

}  // namespace
}  // namespace karta::card
