#include "card/channel.h"

#include <gtest/gtest.h>

#include "card/card_type.h"
#include "card/esign.h"
#include "card/file.h"
#include "card/iso7816.h"
#include "card/transports.h"

namespace karta::card {
namespace {

const Bytes kUnknownAtr = {0x3B, 0x80, 0x01, 0x81};

// A card that says one thing after another, whatever it is asked.
struct Scripted {
  explicit Scripted(std::vector<Bytes> script, Bytes atr = kUnknownAtr)
      : answers(std::move(script)),
        connection({.process =
                        [this](ByteView command) {
                          commands.push_back(to_bytes(command));
                          return next < answers.size() ? answers[next++] : answers.back();
                        },
                    .atr = [atr] { return atr; },
                    .reset = {}}),
        channel(connection) {}
  std::vector<Bytes> answers;
  std::size_t next = 0;
  std::vector<Bytes> commands;
  MemoryConnection connection;
  PlainChannel channel;
};

const CommandApdu kRead(0x00, 0xB0, 0x00, 0x00, {}, 256);

TEST(PlainChannel, FetchesWhatIsHeldBack) {
  Scripted card({{1, 2, 0x61, 0x02}, {3, 4, 0x61, 0x01}, {5, 0x90, 0x00}});
  const auto response = card.channel.transmit(kRead);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->data, (Bytes{1, 2, 3, 4, 5}));
  EXPECT_EQ(card.commands[1], (Bytes{0x00, 0xC0, 0x00, 0x00, 0x02}));
  EXPECT_EQ(card.commands[2], (Bytes{0x00, 0xC0, 0x00, 0x00, 0x01}));
}

TEST(PlainChannel, RepeatsWithTheRightLength) {
  Scripted card({{0x6C, 0x03}, {7, 8, 9, 0x90, 0x00}});
  const auto response = card.channel.transmit(kRead);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->data, (Bytes{7, 8, 9}));
  EXPECT_EQ(card.commands[1], (Bytes{0x00, 0xB0, 0x00, 0x00, 0x03}));
}

TEST(PlainChannel, ChainsWhatIsTooLong) {
  Scripted card({{0x90, 0x00}});
  ASSERT_TRUE(card.channel.transmit({0x00, 0x2A, 0x9E, 0x9A, Bytes(600, 0x11), 512}));
  ASSERT_EQ(card.commands.size(), 3u);
  EXPECT_EQ(card.commands[0][0], 0x10);
  EXPECT_EQ(card.commands[0].size(), 260u);
  EXPECT_EQ(card.commands[1][0], 0x10);
  EXPECT_EQ(card.commands[2][0], 0x00);
  EXPECT_EQ(card.commands[2][4], 90);
  EXPECT_EQ(card.commands[2].back(), 0x00) << "Le is cut to what a short APDU can ask";
}

TEST(PlainChannel, AChainEndsWhereTheCardRefuses) {
  Scripted card({{0x68, 0x84}});
  const auto response = card.channel.transmit({0x00, 0x2A, 0x9E, 0x9A, Bytes(600, 0x11), 256});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status.value, 0x6884);
  EXPECT_EQ(card.commands.size(), 1u);
}

TEST(PlainChannel, ExtendedLengthInOneCommand) {
  Scripted card({{0x90, 0x00}});
  card.channel.set_limits({2048, 2048, true});
  ASSERT_TRUE(card.channel.transmit({0x00, 0xD6, 0x00, 0x00, Bytes(2048, 0x11)}));
  ASSERT_EQ(card.commands.size(), 1u);
  EXPECT_EQ(card.commands[0].size(), 4u + 3 + 2048);
}

TEST(PlainChannel, WithoutChainingALongCommandIsRefused) {
  Scripted card({{0x90, 0x00}});
  card.channel.set_limits({255, 256, false});
  EXPECT_EQ(card.channel.transmit({0x00, 0xD6, 0x00, 0x00, Bytes(300, 0)}).error().kind, ErrorKind::limit);
  EXPECT_TRUE(card.commands.empty());
}

// Hostile cards: a clear error, soon.
struct Hostile {
  const char* name;
  std::vector<Bytes> answers;
};
class HostileCard : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileCard, GivesAClearErrorAndEnds) {
  Scripted card(GetParam().answers);
  const auto response = card.channel.transmit(kRead);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::card_unresponsive) << response.error().message;
  EXPECT_LE(card.commands.size(), 1100u);
}

INSTANTIATE_TEST_SUITE_P(All, HostileCard,
                         ::testing::Values(Hostile{"OneOctet", {{0x90}}},
                                           Hostile{"Garbage", {{0xDE, 0xAD, 0xBE, 0xEF}}},
                                           Hostile{"TooMuch", {concat({Bytes(300, 1), Bytes{0x90, 0x00}})}},
                                           Hostile{"EndlessAnnouncements", {{0x61, 0x10}}},
                                           Hostile{"EndlessAnswer", {concat({Bytes(255, 1), Bytes{0x61, 0xFF}})}},
                                           Hostile{"EndlessDrops", {{1, 0x61, 0x01}}},
                                           Hostile{"EndlessCorrections", {{0x6C, 0x10}}},
                                           Hostile{"CorrectionsOfGetResponse", {{0x61, 0x05}, {0x6C, 0x05}}},
                                           Hostile{"MoreThanGetResponseAsked", {{0x61, 0x02}, {1, 2, 3, 0x90, 0x00}}}),
                         [](const auto& hostile) { return hostile.param.name; });

TEST(PlainChannel, ACardThatGoesAwayIsToldAsSuch) {
  MemoryConnection connection({.process = [](ByteView) { return Bytes(); }, .atr = {}, .reset = {}});
  PlainChannel channel(connection);
  EXPECT_EQ(channel.transmit(kRead).error().kind, ErrorKind::card_removed);
}

TEST(PlainChannel, DataNobodyAskedForIsRefused) {
  Scripted card({{1, 2, 3, 0x90, 0x00}});
  EXPECT_EQ(card.channel.transmit({0x00, 0x2E, 0x00, 0x00}).error().kind, ErrorKind::card_unresponsive);
}

TEST(PlainChannel, PartsThatAddUpToMoreThanAskedForAreRefused) {
  const std::vector<Bytes> parts = {concat({Bytes(8, 1), Bytes{0x61, 0x08}}), concat({Bytes(8, 2), Bytes{0x90, 0x00}})};
  for (const std::size_t asked : {8u, 15u}) {
    Scripted card(parts);
    const auto response = card.channel.transmit({0x00, 0xB0, 0x00, 0x00, {}, asked});
    ASSERT_FALSE(response) << asked;
    EXPECT_EQ(response.error().kind, ErrorKind::card_unresponsive);
  }
  for (const std::size_t asked : {16u, 256u}) {
    Scripted card(parts);
    const auto response = card.channel.transmit({0x00, 0xB0, 0x00, 0x00, {}, asked});
    ASSERT_TRUE(response) << asked;
    EXPECT_EQ(response->data.size(), 16u);
  }
}

// EF.ATR -----------------------------------------------------------------------------------------

TEST(ExtendedLengthInformation, IsReadFromEfAtr) {
  // 7F66 { 02 0809, 02 0802 }: whole APDUs of 2,057 and 2,050 octets
  const auto limits = parse_extended_length_information(*from_hex("43019e 7f66 08 0202 0809 0202 0802"));
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->command_data, 2048u);
  EXPECT_EQ(limits->response_data, 2048u);
  EXPECT_TRUE(limits->extended());
  EXPECT_FALSE(parse_extended_length_information(*from_hex("43019e"))->extended());
  EXPECT_FALSE(parse_extended_length_information(*from_hex("7f6604020200ff")));
}

// Files ------------------------------------------------------------------------------------------

TEST(FileControl, ReadsParametersAndRefusesBrokenOnes) {
  const auto file = FileControl::parse(*from_hex("6217 80020400 820101 83024401 86030ffff0 85020000 8a0105"));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->kind, FileKind::transparent);
  EXPECT_EQ(file->size, 1024u);
  EXPECT_EQ(file->file_id, 0x4401);
  EXPECT_TRUE(file->operational());
  EXPECT_EQ(FileControl::parse(*from_hex("6f03820138"))->kind, FileKind::dedicated);
  EXPECT_EQ(FileControl::parse(*from_hex("6203820122"))->kind, FileKind::key);
  for (const char* broken :
       {"", "90", "6205", "6204800100", "62038200", "6203830101", "62048a020505", "7000", "6206800500000000"}) {
    EXPECT_FALSE(FileControl::parse(*from_hex(broken))) << broken;
  }
}

TEST(ReadFile, TakesTheExactNumberOfCommands) {
  Scripted card({*from_hex("620a 8002012c 820101 8a0105 9000"), concat({Bytes(256, 1), Bytes{0x90, 0x00}}),
                 concat({Bytes(44, 2), Bytes{0x90, 0x00}})});
  const auto content = read_file(card.channel, Path{0x5015, 0x4403});
  ASSERT_TRUE(content) << content.error().message;
  EXPECT_EQ(content->size(), 300u);
  ASSERT_EQ(card.commands.size(), 3u);
  EXPECT_EQ(card.commands[2], (Bytes{0x00, 0xB0, 0x01, 0x00, 44}));
}

TEST(ReadFile, AFileThatIsShorterThanItSaysIsTold) {
  Scripted card({*from_hex("6207 8002012c 820101 9000"), {1, 2, 0x62, 0x82}});
  EXPECT_EQ(read_file(card.channel, Path{0x2F00}).error().kind, ErrorKind::card_unresponsive);
}

TEST(ReadFile, AnEnormousFileIsRefusedUnread) {
  Scripted card({*from_hex("6209 80047fffffff 820101 9000")});
  EXPECT_EQ(read_file(card.channel, Path{0x2F00}).error().kind, ErrorKind::limit);
  EXPECT_EQ(card.commands.size(), 1u);
}

TEST(FilePath, KnowsPkcs15Forms) {
  EXPECT_EQ(Path::from_octets(*from_hex("3f0050154401"))->to_string(), "3F00/5015/4401");
  EXPECT_EQ(Path::from_octets(*from_hex("50154401"))->absolute(), *from_hex("3f0050154401"));
  EXPECT_FALSE(Path::from_octets(*from_hex("3f0050")));
  EXPECT_FALSE(Path::from_octets(Bytes(20, 0x11)));
}

// ATR --------------------------------------------------------------------------------------------

TEST(CardTypes, AreToldByHistoricalBytes) {
  const Bytes contact = *from_hex("3b8a80014b617274614f7345494432");
  EXPECT_EQ(as_text(historical_bytes(contact)), "KartaOsEID");
  EXPECT_EQ(card_type_of(contact).name, "karta");
  EXPECT_TRUE(card_type_of(contact).limits.extended());
  EXPECT_EQ(card_type_of(*from_hex("3bf51800008131fe454d79454944 9a")).name, "MyEID");
  for (const char* broken : {"", "3b", "3b8a", "3bff", "ff00", "3b0f4b", "3b8a8080808080"}) {
    EXPECT_EQ(card_type_of(*from_hex(broken)).name, "unknown") << broken;
  }
  EXPECT_TRUE(card_types().back().historical_suffix.empty()) << "the last row must fit every card";
}

// Traces -----------------------------------------------------------------------------------------

TEST(Traces, RecordWhatWasSaidWithoutSecrets) {
  Scripted card({{0x90, 0x00}, {0xAA, 0x90, 0x00}});
  RecordingConnection recording(card.connection);
  PlainChannel channel(recording);
  ASSERT_TRUE(channel.transmit(verify(1, as_bytes("1234\xFF\xFF\xFF\xFF"))));
  ASSERT_TRUE(channel.transmit(kRead));
  const std::string text = recording.trace().to_text();
  EXPECT_EQ(text, "atr 3b800181\n> 00200001 *9\n< 9000\n> 00b0000000\n< aa9000\n");
  auto trace = Trace::from_text(text);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->to_text(), text);

  RecordedConnection played(*trace);
  PlainChannel again(played);
  EXPECT_TRUE(again.transmit(verify(1, as_bytes("9999\xFF\xFF\xFF\xFF"))));
  EXPECT_EQ(again.transmit(kRead)->data, Bytes{0xAA});
  EXPECT_TRUE(played.finished());
  EXPECT_FALSE(again.transmit(kRead)) << "the recording is over";
}

TEST(Traces, ADeviatingCommandIsRefused) {
  auto trace = Trace::from_text("# a card\natr 3b80\n> 00b0000000\n< 9000\n");
  ASSERT_TRUE(trace);
  RecordedConnection played(*trace);
  PlainChannel channel(played);
  const auto other = channel.transmit({0x00, 0xB0, 0x00, 0x01, {}, 256});
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("deviates"), std::string::npos);
}

TEST(Traces, BrokenTextIsRefusedWithItsLine) {
  for (const char* text : {"> 00b00000\n", "< 9000\n", "> 00b00000\n> 00b00000\n", "hello\n", "> 00\n< 9000\n",
                           "> 00b00000 *x\n< 9000\n"}) {
    EXPECT_FALSE(Trace::from_text(text)) << text;
  }
}

TEST(CountingConnections, CountExactly) {
  Scripted card({{1, 2, 0x90, 0x00}});
  CountingConnection counting(card.connection);
  PlainChannel channel(counting);
  ASSERT_TRUE(channel.transmit(kRead));
  EXPECT_EQ(counting.count(), (WireCount{1, 5, 4}));
  EXPECT_EQ(counting.by_instruction().at(0xB0), 1u);
}

// Readers ----------------------------------------------------------------------------------------

TEST(ChooseReader, ByNameNumberPartOrTheOnlyCard) {
  const std::vector<ReaderInfo> readers = {
      {.name = "Alpha 1", .card_present = false, .mute = false, .exclusive = false, .in_use = false, .atr = {}},
      {.name = "Alpha 2", .card_present = true, .mute = false, .exclusive = false, .in_use = false, .atr = {}}};
  EXPECT_EQ(*choose_reader(readers, ""), "Alpha 2");
  EXPECT_EQ(*choose_reader(readers, "0"), "Alpha 1");
  EXPECT_EQ(*choose_reader(readers, "pha 2"), "Alpha 2");
  EXPECT_EQ(*choose_reader(readers, "Alpha 1"), "Alpha 1");
  EXPECT_EQ(*choose_reader(readers, "Alpha"), "Alpha 2") << "of several that fit, the one with the card";
  EXPECT_EQ(choose_reader({readers[1], readers[1]}, "Alpha").error().kind, ErrorKind::usage);
  EXPECT_EQ(choose_reader(readers, "Beta").error().kind, ErrorKind::no_reader);
  EXPECT_EQ(choose_reader(readers, "7").error().kind, ErrorKind::no_reader);
  EXPECT_EQ(choose_reader({}, "").error().kind, ErrorKind::no_reader);
  EXPECT_EQ(choose_reader({readers[0]}, "").error().kind, ErrorKind::no_card);
}

// A hostile card behind the whole application.
TEST(ESignApplication, OnAHostileCardFailsClearly) {
  for (const Bytes& answer : {Bytes{0x90, 0x00}, Bytes{0x6A, 0x82}, concat({Bytes(20, 0), Bytes{0x90, 0x00}}),
                              Bytes{0x6D, 0x00}, Bytes{0xFF}}) {
    Scripted card({answer});
    auto esign = ESignApplication::open(card.channel);
    if (!esign) continue;
    EXPECT_FALSE(esign->keys() && !esign->keys()->empty());
  }
}

}  // namespace
}  // namespace karta::card
