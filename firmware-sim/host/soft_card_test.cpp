#include "firmware-sim/host/soft_card.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace karta::sim {
namespace {

namespace files = std::filesystem;

const CardSerial kSerial = {0xF0, 0x4B, 0, 0, 0, 0, 0, 0, 0, 42};

// GET DATA of the MyEID profile's card description: version, serial, change counter.
const Bytes kGetCardInfo = {0x00, 0xCA, 0x01, 0xA0, 0x00};
const Bytes kSelectSignatureApplication = {0x00, 0xA4, 0x04, 0x00, 0x0C, 0xA0, 0x00, 0x00, 0x00,
                                           0x63, 0x50, 0x4B, 0x43, 0x53, 0x2D, 0x31, 0x35};

std::uint16_t status_word(ByteView response) { return response.size() < 2 ? 0 : load_be16(response.last(2)); }

// The serial number that the card itself tells.
Bytes serial_of(SoftCard& card) {
  EXPECT_EQ(status_word(card.process(kSelectSignatureApplication)) >> 8, 0x90);
  const Bytes response = to_bytes(card.process(kGetCardInfo));
  EXPECT_EQ(response.size(), 22u) << to_hex(response);
  return response.size() == 22 ? Bytes(response.begin() + 8, response.begin() + 18) : Bytes();
}

class SoftCardFile : public testing::Test {
 protected:
  SoftCardFile() {
    std::string name = (files::temp_directory_path() / "karta-card-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~SoftCardFile() override { files::remove_all(folder); }
  std::string path() const { return (folder / "a.card").string(); }
  files::path folder;
};

TEST(SoftCard, IsSilentWithoutPower) {
  auto card = SoftCard::blank(kSerial);
  ASSERT_TRUE(card) << card.error().message;
  EXPECT_TRUE((*card)->process(kGetCardInfo).empty());
  EXPECT_FALSE((*card)->atr().empty()) << "readers ask for it before they switch the card on";
  (*card)->power_on();
  EXPECT_TRUE((*card)->is_on());
  EXPECT_FALSE((*card)->process(kGetCardInfo).empty());
  (*card)->power_off();
  EXPECT_TRUE((*card)->process(kGetCardInfo).empty());
}

TEST(SoftCard, ShowsTheContactlessAnswerToContactlessReaders) {
  auto contact = SoftCard::blank(kSerial);
  auto contactless = SoftCard::blank(kSerial, {.interface = os::Interface::contactless});
  ASSERT_TRUE(contact && contactless);
  EXPECT_NE(to_bytes((*contact)->atr()), to_bytes((*contactless)->atr()));
  const Bytes atr = to_bytes((*contactless)->atr());
  EXPECT_EQ(to_hex(atr).find(to_hex(as_bytes("OsEID"))), std::string::npos);
  EXPECT_NE(to_hex(to_bytes((*contact)->atr())).find(to_hex(as_bytes("OsEID"))), std::string::npos);
}

TEST_F(SoftCardFile, SurvivesARestart) {
  ASSERT_TRUE(SoftCard::create(path(), {.serial = kSerial, .contactless = false}));
  for (int start = 0; start < 2; ++start) {
    auto card = SoftCard::open(path());
    ASSERT_TRUE(card) << card.error().message;
    (*card)->power_on();
    EXPECT_EQ(serial_of(**card), Bytes(kSerial.begin(), kSerial.end()));
  }
}

TEST(SoftCard, GivesNoAnswerWhenThePowerFails) {
  // PUT DATA: PIN 1 "1234", PUK "12345678", three tries: writes to memory.
  Bytes set_pin = {0x00, 0xDA, 0x01, 0x01, 0x13};
  append(set_pin, as_bytes("1234\xFF\xFF\xFF\xFF"
                           "12345678"));
  append(set_pin, Bytes{3, 3, 0});
  const auto fresh = [] {
    auto card = SoftCard::blank(kSerial);
    (*card)->power_on();
    (*card)->process(kSelectSignatureApplication);
    return std::move(*card);
  };
  auto card = fresh();
  EXPECT_EQ(status_word(card->process(set_pin)), 0x9000);
  const std::uint64_t writes = card->meter().command().nvm_writes + card->meter().command().nvm_erases;
  ASSERT_GT(writes, 0u);
  for (std::uint64_t at = 0; at <= writes + 1; ++at) {
    card = fresh();
    card->cut_power_at({.command = 2, .write = at});
    EXPECT_FALSE(card->process(kGetCardInfo).empty()) << "not yet";
    EXPECT_TRUE(card->process(set_pin).empty()) << "cut at write " << at;
    EXPECT_FALSE(card->is_on());
    card->power_on();
    EXPECT_TRUE(card->is_on()) << "cut at write " << at;
    EXPECT_EQ(serial_of(*card), Bytes(kSerial.begin(), kSerial.end()));
  }
}

TEST(NewSerial, TellsCardsApartInTheLowEightOctets) {
  SeededRandom random(5);
  const CardSerial a = new_serial(random), b = new_serial(random);
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 2, b.begin()));
  EXPECT_FALSE(std::equal(a.begin() + 2, a.end(), b.begin() + 2));
}

TEST(ParseSerial, PadsOnTheLeftAndSaysWhatIsNoSerial) {
  const auto serial = parse_serial("123");
  ASSERT_TRUE(serial);
  EXPECT_EQ((*serial)[8], 0x01);
  EXPECT_EQ((*serial)[9], 0x23);
  EXPECT_EQ((*serial)[0], 0x00);
  EXPECT_FALSE(parse_serial(""));
  EXPECT_FALSE(parse_serial("xyz"));
  EXPECT_FALSE(parse_serial("000102030405060708090A"));
}

}  // namespace
}  // namespace karta::sim
