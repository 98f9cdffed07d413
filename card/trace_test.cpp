#include "card/trace.h"

#include <gtest/gtest.h>

#include "base/be32.h"
#include "base/tlv.h"
#include "card/scp03.h"
#include "card/secure_messaging.h"
#include "card/trace_decoder.h"
#include "card/trace_picture.h"

namespace karta::card {
namespace {

constexpr std::string_view kBegin = "{\"trace\":\"karta-apdu\",\"version\":1,\"secrets\":false}\n";

std::string with(std::string_view lines) { return std::string(kBegin) + std::string(lines); }

TEST(TraceParse, ReadsExchangesEventsAndCounts) {
  const auto trace = SessionTrace::parse(
      with(R"({"at_us":5,"card":2,"event":"power-on","atr":"3B00"})"
           "\n"
           R"({"at_us":81233,"card":2,"command":"0020000108","hidden_at":5,"hidden_bytes":8,"response":"","sw":"63C2",)"
           R"("gap_us":141,"us":9,"counts":{"nvm_writes":1,"nvm_octets":256,"operations":[["ec-sign",256,2]]}})"
           "\r\n\n"
           R"({"at_us":90000,"card":2,"command":"00B0000000","response":"0102","sw":"","gap_us":1,"us":2})"
           "\n"));
  ASSERT_TRUE(trace) << trace.error().message;
  ASSERT_EQ(trace->entries.size(), 3u);
  EXPECT_FALSE(trace->secrets);
  const auto& event = std::get<TraceEvent>(trace->entries[0]);
  EXPECT_EQ(event.name, "power-on");
  EXPECT_EQ(event.atr, (Bytes{0x3B, 0x00}));
  const auto& exchange = std::get<TraceExchange>(trace->entries[1]);
  EXPECT_EQ(exchange.at_us, 81233u);
  EXPECT_EQ(exchange.card, 2u);
  EXPECT_EQ(exchange.command_octets(), 13u) << "what was left out went over the wire";
  EXPECT_EQ(exchange.response_octets(), 2u);
  EXPECT_EQ(exchange.status->value, 0x63C2);
  ASSERT_TRUE(exchange.counts);
  EXPECT_EQ(exchange.counts->nvm_octets, 256u);
  ASSERT_EQ(exchange.counts->operations.size(), 1u);
  EXPECT_EQ(exchange.counts->operations[0].times, 2u);
  EXPECT_FALSE(std::get<TraceExchange>(trace->entries[2]).status) << "no answer";
}

TEST(TraceParse, LeavesAnUnfinishedLastLineOut) {
  const std::string line = R"({"at_us":1,"card":1,"command":"00B0000000","response":"","sw":"9000"})";
  const auto trace = SessionTrace::parse(with(line + "\n" + line.substr(0, 30)));
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->entries.size(), 1u);
}

TEST(TraceParse, RefusesWhatIsNoTrace) {
  const std::string_view kBad[] = {
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"90"})",
      R"({"at_us":1,"card":1,"command":"00B","response":"","sw":"9000"})",
      R"({"at_us":-1,"card":1,"command":"00B00000","response":"","sw":"9000"})",
      R"({"at_us":1.5,"card":1,"command":"00B00000","response":"","sw":"9000"})",
      R"({"at_us":1,"command":"00B00000","response":"","sw":"9000"})",
      R"({"at_us":1,"card":1,"response":"","sw":"9000"})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","hidden_at":9,"hidden_bytes":1})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","hidden_bytes":99999999})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","counts":3})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","counts":{"aes":-1}})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","counts":{"operations":[["x",1]]}})",
      R"({"at_us":1,"card":1,"command":"00B00000","response":"","sw":"9000","keys":"00"})",
      R"({"at_us":1,"card":1,"event":7})",
      R"(["at_us"])",
      "{",
  };
  for (const std::string_view line : kBad) {
    const auto trace = SessionTrace::parse(with(std::string(line) + "\n"));
    ASSERT_FALSE(trace) << line;
    EXPECT_EQ(trace.error().kind, ErrorKind::malformed) << line;
    EXPECT_NE(trace.error().message.find("line 2"), std::string::npos) << trace.error().message;
  }
  EXPECT_FALSE(SessionTrace::parse(""));
  EXPECT_FALSE(SessionTrace::parse("{\"at_us\":1}\n"));
  EXPECT_FALSE(SessionTrace::parse("{\"trace\":\"other\",\"version\":1}\n"));
  const auto later = SessionTrace::parse("{\"trace\":\"karta-apdu\",\"version\":2}\n");
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().kind, ErrorKind::unsupported);
  const auto long_line = SessionTrace::parse(with(std::string(kMaxTraceLine + 1, ' ') + "\n"));
  ASSERT_FALSE(long_line);
  EXPECT_EQ(long_line.error().kind, ErrorKind::limit);
}

std::string named(std::string_view hex) {
  const auto octets = from_hex(hex);
  const auto command = take_apart(*octets);
  return command ? describe(*command) : "none";
}

TEST(TraceNames, SayWhatIsAsked) {
  const struct {
    std::string_view apdu;
    std::string_view name;
  } kRows[] = {
      {"00A4040C07F04B4152544103", "SELECT transit"},
      {"00A4040C07F04B4152544112", "SELECT department 12"},
      {"00A4000C023F00", "SELECT 3F00"},
      {"00A40000", "SELECT 3F00"},
      {"00B09D0000", "READ BINARY short id 1D"},
      {"00B0010000", "READ BINARY from 256"},
      {"00200001", "VERIFY, tries of PIN 01"},
      {"0020000108FFFFFFFFFFFFFFFF", "VERIFY PIN 01"},
      {"0022C1A40180", "MSE for PACE"},
      {"10860000027C0000", "GENERAL AUTHENTICATE, PACE: nonce"},
      {"10860000047C02810000", "GENERAL AUTHENTICATE, PACE: mapping"},
      {"008600000C7C0A8508000000000000000000", "GENERAL AUTHENTICATE, PACE: token"},
      {"00860000067C0485020401", "GENERAL AUTHENTICATE, key agreement"},
      {"002A9E9A0101", "PSO: sign"},
      {"8032010010"
       "00000000000000000000000000000000"
       "00",
       "OPEN debit"},
      {"8036000008"
       "0000000000000000",
       "RATIFY"},
      {"848233001000000000000000000000000000000000", "EXTERNAL AUTHENTICATE level 33"},
      {"8020800000", "COMPARE AUXILIARY DATA"},
      {"0099000000", "command 00 99 0000"},
      {"FFCA000000", "command FF CA 0000"},
      {"00A404", "none"},
      {"00A4040C07F04B", "none"},
      {"00A4040C00000300", "none"},
  };
  for (const auto& row : kRows) EXPECT_EQ(named(row.apdu), row.name) << row.apdu;
}

// One exchange as it would be recorded.
TraceExchange exchange(const CommandApdu& command, Bytes response, std::uint16_t status = 0x9000) {
  TraceExchange out;
  out.card = 1;
  const auto octets = command.encode();
  EXPECT_TRUE(octets);
  out.command = *octets;
  out.response = std::move(response);
  out.status = StatusWord{status};
  return out;
}

SecretBytes key(std::uint8_t fill, std::size_t octets = 16) { return SecretBytes(Bytes(octets, fill)); }

// The card's half of secure messaging, as TR-03110-3 F.2.3 has it: what the terminal's half will read.
Bytes protected_answer(const SessionKeys& keys, std::uint8_t counter, ByteView data) {
  crypto::AesBlock block{};
  block[15] = counter;
  Bytes objects;
  if (!data.empty()) {
    Bytes padded = to_bytes(data);
    crypto::pad_iso9797(padded);
    const Bytes blocks =
        crypto::aes_cbc_encrypt(keys.encryption, crypto::aes_encrypt_block(keys.encryption, block), padded);
    append(objects, make_tlv(0x87, {Bytes{1}, blocks}));
  }
  append_tlv(objects, 0x99, Bytes{0x90, 0x00});
  Bytes covered = objects;
  crypto::pad_iso9797(covered);
  const auto mac = crypto::aes_cmac(keys.checksum, {block, covered});
  append_tlv(objects, 0x8E, ByteView(mac).first(8));
  return objects;
}

TEST(TraceDecoder, OpensSecureMessagingWithKeysInAnyOrder) {
  TraceDecoder decoder;
  for (std::uint8_t fill = 1; fill < 40; ++fill) decoder.add_key(key(fill).expose_secret());
  SecureMessaging terminal({key(17), key(5), {}});
  const SessionKeys keys{key(17), key(5), {}};
  std::uint8_t counter = 0;
  for (int round = 0; round < 3; ++round) {
    const CommandApdu plain(0x00, 0xB0, 0x9D, 0x00, Bytes{0xC0, 0xFF, 0xEE}, 256);
    const auto protected_command = terminal.protect(plain);
    ASSERT_TRUE(protected_command);
    counter = static_cast<std::uint8_t>(counter + 2);
    const Bytes secret = {0xCA, 0xFE, static_cast<std::uint8_t>(round)};
    const Bytes answer = protected_answer(keys, counter, secret);
    ASSERT_TRUE(terminal.unprotect({answer, StatusWord{0x9000}})) << "the answer is what a card would send";
    const DecodedExchange decoded = decoder.take(exchange(*protected_command, answer));
    EXPECT_EQ(decoded.name, "READ BINARY short id 1D");
    EXPECT_EQ(decoded.protection, "secure messaging");
    ASSERT_TRUE(decoded.plain);
    EXPECT_EQ(decoded.plain->data, plain.data);
    EXPECT_EQ(decoded.plain->response, secret);
  }
}

// An old key under which the first command looks well padded must not name it.
TEST(TraceDecoder, PrefersTheKeysThatCameWithTheSession) {
  const SessionKeys keys{key(17), key(5), {}};
  SecureMessaging terminal({key(17), key(5), {}});
  const CommandApdu plain = CommandApdu(0x00, 0xA4, 0x04, 0x0C, Bytes{0xF0, 0x4B, 0x41, 0x52, 0x54, 0x41, 0x02});
  const auto command = terminal.protect(plain);
  ASSERT_TRUE(command);
  Bytes blocks;  // of object 87 behind its padding indicator
  TlvCursor objects(command->data);
  const auto first = objects.next();
  ASSERT_TRUE(first && first->tag == 0x87);
  blocks = to_bytes(first->value.subspan(1));
  crypto::AesBlock counter{};
  counter[15] = 1;
  TraceDecoder decoder;
  std::size_t misleading = 0;
  for (std::uint32_t i = 0; misleading < 3; ++i) {
    Bytes candidate(12, 0x77);
    append_be32(candidate, i);
    const SecretBytes other = SecretBytes::copy_of(candidate);
    const Bytes opened = crypto::aes_cbc_decrypt(other, crypto::aes_encrypt_block(other, counter), blocks);
    if (!crypto::unpadded_iso9797(opened)) continue;
    decoder.add_key(candidate);
    ++misleading;
  }
  TraceExchange recorded = exchange(*command, protected_answer(keys, 2, {}));
  recorded.keys.push_back(key(5));
  recorded.keys.push_back(key(17));
  EXPECT_EQ(decoder.take(recorded).name, "SELECT health");
}

TEST(TraceDecoder, OpensNothingWithoutTheRightKey) {
  TraceDecoder decoder;
  decoder.add_key(key(9).expose_secret());
  SecureMessaging terminal({key(17), key(5), {}});
  const auto command = terminal.protect(CommandApdu(0x00, 0xB0, 0x00, 0x00, {}, 256));
  ASSERT_TRUE(command);
  const DecodedExchange decoded =
      decoder.take(exchange(*command, protected_answer({key(17), key(5), {}}, 2, Bytes{1})));
  EXPECT_EQ(decoded.name, "READ BINARY");
  EXPECT_EQ(decoded.protection, "secure messaging");
  EXPECT_FALSE(decoded.plain);

  // The checksum's key alone tells the header, not the content.
  TraceDecoder half;
  half.add_key(key(5).expose_secret());
  const auto half_open = half.take(exchange(*command, protected_answer({key(17), key(5), {}}, 2, Bytes{1})));
  ASSERT_TRUE(half_open.plain);
  EXPECT_FALSE(half_open.plain->response_read);
}

TEST(TraceDecoder, OpensScp03FromExternalAuthenticateOn) {
  const Scp03KeySet set = Scp03KeySet::blank();
  const Bytes host(8, 1), card(8, 2);
  Scp03Session terminal(set, Scp03Mode::s8, host, card);
  TraceDecoder decoder;
  decoder.add_key(key(0x33).expose_secret());
  decoder.add_key(terminal.keys().encryption.expose_secret());
  decoder.add_key(terminal.keys().checksum.expose_secret());
  const DecodedExchange opened = decoder.take(exchange(terminal.external_authenticate(0x03), {}));
  EXPECT_EQ(opened.name, "EXTERNAL AUTHENTICATE level 03");
  for (int round = 0; round < 3; ++round) {
    const CommandApdu plain(0x80, 0xF2, 0x40, 0x02, Bytes(20, 0x4F), 256);
    const auto protected_command = terminal.protect(plain);
    ASSERT_TRUE(protected_command);
    const DecodedExchange decoded = decoder.take(exchange(*protected_command, {0xE3, 0x00}));
    EXPECT_EQ(decoded.name, "GET STATUS");
    EXPECT_EQ(decoded.protection, "SCP03");
    ASSERT_TRUE(decoded.plain) << round;
    EXPECT_EQ(decoded.plain->data, plain.data);
    EXPECT_EQ(decoded.plain->response, (Bytes{0xE3, 0x00})) << "level 03 leaves answers plain";
  }
  decoder.end_session(1);
  const auto after = terminal.protect(CommandApdu(0x80, 0xF2, 0x40, 0x02, Bytes(20, 0x4F), 256));
  ASSERT_TRUE(after);
  EXPECT_FALSE(decoder.take(exchange(*after, {})).plain) << "power went: the session is over";
}

TEST(TraceKeys, AreReadFromAFile) {
  const auto keys = parse_trace_keys("# of one session\n000102030405060708090A0B0C0D0E0F # enc\r\n\n  " +
                                     std::string(64, 'a') + "\n");
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[1].size(), 32u);
  const auto bad = parse_trace_keys("00\n");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("line 1"), std::string::npos);
  EXPECT_EQ(bad.error().message.find("00"), std::string::npos);
  EXPECT_FALSE(parse_trace_keys("xyz"));
}

TEST(TracePicture, IsWellFormedAndSaysTheSum) {
  Timeline timeline;
  timeline.title = "A <tap> & more";
  timeline.subtitle = "chip";
  timeline.budget_ms = 70;
  timeline.steps = {{"SELECT", "5 + 2", {.channel = 3, .terminal = 1, .chip = 2}},
                    {"COMMIT", "", {.channel = 3, .terminal = 1, .chip = 20, .memory = 6.6}, false, true},
                    {"RATIFY", "", {.channel = 1, .terminal = 1, .chip = 9}, true}};
  timeline.footnotes.emplace_back(400, 'x');
  EXPECT_NEAR(timeline.total().total(), 36.6, 1e-9) << "RATIFY stands aside";
  const std::string svg = to_svg(timeline);
  EXPECT_EQ(svg.find("<tap>"), std::string::npos);
  EXPECT_NE(svg.find("A &lt;tap&gt; &amp; more"), std::string::npos);
  EXPECT_NE(svg.find("in all 36.6 ms of 70.0 ms"), std::string::npos);
  EXPECT_NE(svg.find("budget 70.0 ms"), std::string::npos);
  timeline.budget_ms = 30;
  EXPECT_NE(to_svg(timeline).find("of 30.0 ms: over"), std::string::npos);
}

TEST(TracePicture, FoldsRepetitions) {
  Timeline timeline;
  for (int i = 0; i < 5; ++i) {
    timeline.steps.push_back({"UPDATE BINARY from " + std::to_string(i * 250), "9 + 2", {.channel = 1}});
  }
  timeline.steps.push_back({"SELECT", "", {.channel = 1}});
  timeline.fold(6);
  EXPECT_EQ(timeline.steps.size(), 6u) << "they fit";
  timeline.fold(5);
  ASSERT_EQ(timeline.steps.size(), 2u);
  EXPECT_EQ(timeline.steps[0].name, "UPDATE BINARY, 5 times");
  EXPECT_NEAR(timeline.total().total(), 6, 1e-9);
}

}  // namespace
}  // namespace karta::card
