#include "firmware-sim/link/apdu_record.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "firmware-sim/host/soft_card.h"
#include "firmware-sim/link/recorded_card.h"

namespace karta::sim {
namespace {

namespace files = std::filesystem;
using std::chrono::microseconds;

Bytes hex(std::string_view text) { return *from_hex(text); }

std::string shown(std::string_view command) {
  const Bytes octets = hex(command);
  const HiddenRange hidden = secret_of_command(octets);
  return to_hex(ByteView(octets).first(hidden.begin)) + "[" + std::to_string(hidden.end - hidden.begin) + "]" +
         to_hex(ByteView(octets).subspan(hidden.end));
}

TEST(SecretOfCommand, HidesReferenceData) {
  EXPECT_EQ(shown("0020000108 31323334ffffffff"), "0020000108[8]");
  EXPECT_EQ(shown("0024000110 31323334ffffffff35363738ffffffff"), "0024000110[16]");
  EXPECT_EQ(shown("002C000110 31323334ffffffff35363738ffffffff 00"), "002c000110[16]00") << "with Le";
  EXPECT_EQ(shown("1020000104 31323334"), "1020000104[4]") << "a link of a chain";
  EXPECT_EQ(shown("00DA010113 31323334ffffffff3132333435363738030300"), "00da010113[19]");
  EXPECT_EQ(shown("00DA018003 aabbcc"), "00da018003[3]") << "a key component";
  EXPECT_EQ(shown("00200001 000004 31323334"), "00200001000004[4]") << "extended";
  EXPECT_EQ(shown("00200001 000004 31323334 0000"), "00200001000004[4]0000");
}

TEST(SecretOfCommand, HidesEverythingWhereTheLengthIsInconsistent) {
  EXPECT_EQ(shown("0020000109 31323334ffffffff"), "00200001[9]");
  EXPECT_EQ(shown("0020000100 313233"), "00200001[4]");
}

TEST(SecretOfCommand, ShowsWhatIsNoSecret) {
  EXPECT_EQ(shown("00200001"), "[0]00200001") << "a question for the tries left";
  EXPECT_EQ(shown("0020000100"), "[0]0020000100");
  EXPECT_EQ(shown("00A4000002 3F00"), "[0]00a40000023f00");
  EXPECT_EQ(shown("0CDA010113 8711"), "[0]0cda0101138711") << "ciphertext";
  EXPECT_EQ(shown("00DA018E02 0102"), "[0]00da018e020102");
  EXPECT_EQ(shown(""), "[0]");
}

TEST(AnswerIsSecret, DecipheredTextAndAgreedSecretsAre) {
  EXPECT_TRUE(answer_is_secret(hex("002A808602AABB"), hex("01029000")));
  EXPECT_FALSE(answer_is_secret(hex("002A808602AABB"), hex("6982"))) << "nothing but a status word";
  EXPECT_FALSE(answer_is_secret(hex("002A9E9A02AABB"), hex("01029000"))) << "a signature";
  EXPECT_TRUE(answer_is_secret(hex("00860000027C00"), hex("0102039000")));
  EXPECT_FALSE(answer_is_secret(hex("10860000027C00"), hex("7C02800090 00"))) << "a step of PACE";
}

class ApduRecordFile : public testing::Test {
 protected:
  ApduRecordFile() {
    std::string name = (files::temp_directory_path() / "karta-record-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~ApduRecordFile() override { files::remove_all(folder); }
  std::string path() const { return (folder / "trace.jsonl").string(); }
  std::string text() const {
    std::ifstream in(path());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> out;
    std::istringstream in(text());
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  files::path folder;
};

TEST_F(ApduRecordFile, WritesOneObjectALine) {
  auto record = ApduRecord::open(path(), false);
  ASSERT_TRUE(record);
  record->event(2, "insert", hex("3B00"));
  record->exchange(2, hex("00A4000C023F00"), hex("9000"), microseconds(120), microseconds(7));
  record->exchange(1, hex("00B0000000"), hex("0102039000"), microseconds(1), microseconds(2));
  const auto all = lines();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0]["trace"], "karta-apdu");
  EXPECT_EQ(all[0]["version"], 1);
  EXPECT_EQ(all[1]["event"], "insert");
  EXPECT_EQ(all[1]["atr"], "3B00");
  EXPECT_EQ(all[2]["card"], 2);
  EXPECT_EQ(all[2]["command"], "00A4000C023F00");
  EXPECT_EQ(all[2]["response"], "");
  EXPECT_EQ(all[2]["sw"], "9000");
  EXPECT_EQ(all[2]["gap_us"], 120);
  EXPECT_EQ(all[2]["us"], 7);
  EXPECT_EQ(all[3]["response"], "010203");
  struct stat state {};
  ASSERT_EQ(::stat(path().c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600u);
}

TEST_F(ApduRecordFile, HoldsNoPinUnlessAskedTo) {
  const Bytes verify = hex("0020000108 31323334ffffffff");
  {
    auto record = ApduRecord::open(path(), false);
    ASSERT_TRUE(record);
    record->exchange(1, verify, hex("9000"), microseconds(0), microseconds(0));
  }
  EXPECT_EQ(text().find("31323334"), std::string::npos);
  EXPECT_EQ(lines()[1]["command"], "0020000108");
  EXPECT_EQ(lines()[1]["hidden_at"], 5);
  EXPECT_EQ(lines()[1]["hidden_bytes"], 8);
  auto record = ApduRecord::open(path(), true);
  ASSERT_TRUE(record);
  record->exchange(1, verify, hex("9000"), microseconds(0), microseconds(0));
  EXPECT_NE(text().find("31323334"), std::string::npos);
}

TEST_F(ApduRecordFile, HidesDecipheredTextToItsLastPiece) {
  auto record = ApduRecord::open(path(), false);
  ASSERT_TRUE(record);
  record->exchange(1, hex("002A808602AABB"), hex("C0FFEE6110"), microseconds(0), microseconds(0));
  record->exchange(2, hex("00C0000010"), hex("1111119000"), microseconds(0), microseconds(0));
  record->exchange(1, hex("00C0000010"), hex("C0FFEE6108"), microseconds(0), microseconds(0));
  record->exchange(1, hex("00C0000008"), hex("C0FFEE9000"), microseconds(0), microseconds(0));
  record->exchange(1, hex("00C0000008"), hex("2222229000"), microseconds(0), microseconds(0));
  EXPECT_EQ(text().find("C0FFEE"), std::string::npos) << text();
  EXPECT_NE(text().find("111111"), std::string::npos) << "another card's";
  EXPECT_NE(text().find("222222"), std::string::npos) << "another answer's";
  EXPECT_EQ(lines()[1]["hidden_response_bytes"], 3);
}

TEST_F(ApduRecordFile, HoldsWhatACommandCostAndKeysOnlyWhereAsked) {
  SeededRandom random(7);
  auto card = SoftCard::blank(new_serial(random));
  ASSERT_TRUE(card);
  const Bytes initialize = hex("8050000008010203040506070800");
  for (const bool secrets : {false, true}) {
    auto record = ApduRecord::open(path(), secrets);
    ASSERT_TRUE(record);
    RecordedCard recorded(3, **card, *record);
    recorded.power_on();
    const Bytes answer = to_bytes(recorded.process(initialize));
    EXPECT_EQ(answer.size(), 34u);
    recorded.power_off();
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[1]["event"], "power-on");
  EXPECT_FALSE(all[1]["atr"].get<std::string>().empty());
  const auto& plain = all[2];
  EXPECT_EQ(plain["card"], 3);
  EXPECT_EQ(plain["command"], to_hex_upper(initialize));
  EXPECT_GE(plain["counts"]["nvm_writes"], 1) << "the sequence counter is durable";
  EXPECT_GE(plain["counts"]["aes_keys"], 1);
  EXPECT_FALSE(plain.contains("keys"));
  EXPECT_EQ(all[3]["event"], "power-off");
  const auto& keyed = all[6];
  ASSERT_TRUE(keyed.contains("keys"));
  EXPECT_EQ(keyed["keys"][0], "404142434445464748494A4B4C4D4E4F") << "a blank card's key, loaded first";
}

TEST_F(ApduRecordFile, SaysWhereItCannotWrite) {
  const auto record = ApduRecord::open((folder / "missing" / "x").string(), false);
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace karta::sim
