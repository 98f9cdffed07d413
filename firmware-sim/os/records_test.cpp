// Record files: READ, UPDATE and APPEND RECORD, and what a cut leaves of them.
#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

class RecordTest : public CardTest {
 protected:
  void make(const std::string& kind, u8 octets, u8 records, const std::string& rules = "0000FF") {
    expect(create("8206" + kind + "4100" + to_hex(Memory{octets}) + "00" + to_hex(Memory{records}) + "83024401 8603" +
                  rules + "8801 28"),  // short identifier 5
           0x9000);
  }
  u16 append(const Memory& record) { return run(apdu("00E20000", record)).sw; }
  u16 update(u8 number, const Memory& record) { return run(apdu("00DC" + to_hex(Memory{number}) + "04", record)).sw; }
  Answer read(u8 number) { return run(Memory{0x00, 0xB2, number, 0x04, 0x00}); }
  // All records there are.
  std::vector<Memory> all() {
    std::vector<Memory> out;
    for (u8 n = 1; n != 0; ++n) {
      const Answer answer = read(n);
      if (answer.sw != 0x9000) {
        EXPECT_EQ(answer.sw, 0x6A83);
        break;
      }
      out.push_back(answer.data);
    }
    return out;
  }
};

TEST_F(RecordTest, LinearFixedRecordsAppendReadAndUpdate) {
  make("02", 5, 3);
  EXPECT_EQ(all().size(), 0U);
  EXPECT_EQ(update(1, text("AAAAA")), 0x6A83);
  for (const char* record : {"AAAAA", "BBBBB", "CCCCC"}) EXPECT_EQ(append(text(record)), 0x9000);
  EXPECT_EQ(append(text("DDDDD")), 0x6A84);
  EXPECT_EQ(append(text("DDDD")), 0x6700);
  EXPECT_EQ(update(2, text("bbbbb")), 0x9000);
  EXPECT_EQ(update(2, text("bbbbbb")), 0x6700);
  EXPECT_EQ(update(4, text("ddddd")), 0x6A83);
  EXPECT_EQ(all(), (std::vector<Memory>{text("AAAAA"), text("bbbbb"), text("CCCCC")}));
  EXPECT_EQ(run("00B2020500").data, text("bbbbbCCCCC"));
  EXPECT_EQ(run("00B2012C00").data, text("AAAAA")) << "by short identifier";
  restart();
  EXPECT_EQ(run("00B2032C00").data, text("CCCCC")) << "in the MF, and durable";
}

TEST_F(RecordTest, LinearVariableRecordsKeepTheirLengths) {
  make("04", 200, 6);
  const std::vector<Memory> records = {Memory(1, 0x11),   Memory(200, 0x22), Memory(77, 0x33),
                                       Memory(200, 0x44), Memory(13, 0x55),  Memory(199, 0x66)};
  for (const Memory& record : records) EXPECT_EQ(append(record), 0x9000);
  EXPECT_EQ(all(), records);
  EXPECT_EQ(append(Memory(1, 0)), 0x6A84);
  EXPECT_EQ(update(2, Memory(9, 0x99)), 0x9000);
  EXPECT_EQ(read(2).data, Memory(9, 0x99));
  EXPECT_EQ(update(2, Memory(201, 0x99)), 0x6700);
  EXPECT_EQ(update(2, {}), 0x6700);
  EXPECT_EQ(read(3).data, records[2]);
}

TEST_F(RecordTest, CyclicRecordsCountFromTheNewestAndTheOldestGoes) {
  make("06", 40, 7);
  for (u8 i = 1; i <= 20; ++i) {
    ASSERT_EQ(append(Memory(40, i)), 0x9000);
    const std::vector<Memory> now = all();
    ASSERT_EQ(now.size(), std::min<std::size_t>(i, 7));
    for (std::size_t n = 0; n < now.size(); ++n) EXPECT_EQ(now[n], Memory(40, static_cast<u8>(i - n)));
  }
  EXPECT_EQ(update(3, Memory(40, 0xAA)), 0x9000);
  EXPECT_EQ(read(3).data, Memory(40, 0xAA));
  EXPECT_EQ(read(4).data, Memory(40, 17));
}

TEST_F(RecordTest, TheLargestFilesFitAndReadToTheLast) {
  make("02", 255, 100);
  for (u8 i = 0; i < 100; ++i) ASSERT_EQ(append(Memory(255, i)), 0x9000);
  for (u8 i = 0; i < 100; ++i) ASSERT_EQ(read(static_cast<u8>(i + 1)).data, Memory(255, i));
  const Answer rest = run(hex("00B20105000000"));
  EXPECT_EQ(rest.sw, 0x9000);
  EXPECT_EQ(rest.data.size(), 2040U) << "those that fit whole";
}

TEST_F(RecordTest, FormAndKindAreJudged) {
  make("02", 5, 3);
  append(text("AAAAA"));
  expect("00B2000400", 0x6A86);
  expect("00B2010300", 0x6A86);
  expect("00B201FC00", 0x6A86);
  expect("00B20104", 0x6700);
  expect("00B2012400", 0x6A82);  // short identifier 4
  expect("00DC010505 4141414141", 0x6A86);
  expect("00E2010005 4141414141", 0x6A86);
  expect("00E2000405 4141414141", 0x6A86);
  expect("00B0000000", 0x6981);
  expect("00D6000001 00", 0x6981);
  create_ef("4402", 20);
  expect("00B2010400", 0x6981);
  expect("00E2000001 00", 0x6981);
  expect("00A40000", 0x9000);
  expect("00B2010400", 0x6986);
}

TEST_F(RecordTest, CreateTakesTheFormsOf7816) {
  expect(create("82 05 02 41 0010 04 83024401 8603000000"), 0x9000);
  const Answer fcp = run("00A40004 024401 00");
  EXPECT_NE(to_hex(fcp.data).find("80020040"), std::string::npos);
  EXPECT_NE(to_hex(fcp.data).find("8206024100100004"), std::string::npos);
  expect(create("8002 0030 82 04 06 41 0010 83024402 8603000000"), 0x9000);  // 48 octets of sixteen
  for (u8 i = 0; i < 4; ++i) EXPECT_EQ(append(Memory(16, i)), 0x9000);
  EXPECT_EQ(all().size(), 3U);
  const char* wrong[] = {"8201 02 83024403",
                         "8202 0241 83024403",
                         "8203 024110 83024403",
                         "8206 024100000001 83024403",
                         "8206 024101000001 83024403",
                         "8206 0241001000FF 83024403",
                         "8204 02410010 83024403",
                         "8002000F 8204 02410010 83024403",
                         "80020011 8206 024100100001 83024403",
                         "8206 014100100001 83024403"};
  for (const char* fcp_text : wrong) expect(create(std::string(fcp_text) + "8603000000"), 0x6A80);
}

TEST_F(RecordTest, RulesOfReadingAndUpdatingHold) {
  select_esign();
  put_pin(1, "123456", "12345678");
  make("06", 4, 2, "110FFF");
  append(text("AAAA"));
  const u16 counter = change_counter();
  append(text("BBBB"));
  EXPECT_EQ(change_counter(), counter + 1);
  update(1, text("CCCC"));
  EXPECT_EQ(change_counter(), counter + 2);
  expect("0044000002 3F00", 0x9000);
  restart();
  select_esign();
  expect("00B2012C00", 0x6982);
  expect("00DC012C04 44444444", 0x6982);
  expect("00E2002804 44444444", 0x6982);
  ASSERT_EQ(verify(1, "123456"), 0x9000);
  EXPECT_EQ(run("00B2012C00").data, text("CCCC"));
  expect("00DC012C04 44444444", 0x9000);
  expect("00E2002804 45454545", 0x9000);
  EXPECT_EQ(run("00B2012D00").data, text("EEEEDDDD"));
  restart(Interface::contactless);
  expect("00B2012C00", 0x6A82);  // not free: not there
  expect("00E2002804 44444444", 0x6982);
}

TEST_F(RecordTest, InTheIssuersSessionAppendHasClass04) {
  make("02", 4, 2);
  Scp03Host host(initial_keys());
  ASSERT_EQ(host.open(*card, 0x33), 0x9000);
  EXPECT_EQ(host.exchange(*card, "00A4000C024401").sw, 0x9000);
  EXPECT_EQ(host.exchange(*card, apdu("00E20000", text("ABCD"))).sw, 0x9000);
  EXPECT_EQ(host.exchange(*card, "00B2010400").data, text("ABCD"));
  EXPECT_EQ(host.exchange(*card, apdu("80E20000", text("ABCD"))).sw, 0x6A86) << "STORE DATA";
}

// Behaviour 48: records that lie across two pages change whole or not at all, with the file's count of them.
TEST_F(RecordTest, Behaviour48_ATornAppendOrUpdateIsThereOrNot) {
  make("06", 100, 4);
  for (u8 i = 1; i <= 6; ++i) append(Memory(100, i));
  const std::vector<Memory> before = all();
  const Memory memory = chip.memory;
  struct Step {
    Memory command;
    std::vector<Memory> after;
  };
  std::vector<Memory> appended = before;
  appended.insert(appended.begin(), Memory(100, 0xAA));
  appended.pop_back();
  std::vector<Memory> updated = before;
  updated[2] = Memory(100, 0xBB);
  const Step steps[] = {{apdu("00E20028", Memory(100, 0xAA)), appended},
                        {apdu("00DC032C", Memory(100, 0xBB)), updated}};
  std::size_t cuts = 0;
  for (const Step& step : steps) {
    for (const Cut how : kCuts) {
      for (std::size_t at = 1;; ++at) {
        chip.memory = memory;
        restart();
        chip.cut_power_at(at, how);
        run(step.command);
        const bool cut = !chip.powered;
        restart();
        expect("00A4000C02 4401", 0x9000);
        const std::vector<Memory> now = all();
        EXPECT_TRUE(now == step.after || (cut && now == before)) << at;
        if (!cut) break;
        ++cuts;
      }
    }
  }
  EXPECT_GT(cuts, 16U);
}

}  // namespace
}  // namespace karta::os
