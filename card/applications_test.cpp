// The layouts of docs/applications.md, octet by octet, and what breaks them.
#include <gtest/gtest.h>

#include "card/domain_profile.h"
#include "card/health.h"
#include "card/terminal_role.h"
#include "card/transit.h"

namespace karta::card {
namespace {

using std::chrono::year;

TEST(CardTime, CountsDaysAndSecondsFrom2000) {
  EXPECT_EQ(day_number(CardDay(year(2000) / 1 / 2)).value(), 1);
  EXPECT_EQ(day_number({}).value(), 0);
  EXPECT_EQ(day_number(CardDay(year(2026) / 11 / 22)).value(), 9822);
  EXPECT_EQ(day_of_number(9822), CardDay(year(2026) / 11 / 22));
  EXPECT_EQ(day_of_number(0xFFFF), CardDay(year(2179) / 6 / 6));
  for (const auto day : {year(2000) / 1 / 1, year(1999) / 12 / 31, year(2179) / 6 / 7}) {
    EXPECT_EQ(day_number(CardDay(day)).error().kind, ErrorKind::usage);
  }
  const Time moment = *parse_time("2026-11-22T05:10:21Z");
  EXPECT_EQ(time_of_moment(moment_number(moment)), moment);
  EXPECT_EQ(moment_number(*parse_time("1999-01-01")), 0u);
}

TEST(Health, InsuranceRecordOctetByOctet) {
  const InsuranceRecord record{
      .enp = "1234567890123456", .insurer = "Sample", .from = year(2000) / 1 / 2, .until = year(2026) / 11 / 22};
  const auto octets = record.encode();
  ASSERT_TRUE(octets);
  EXPECT_EQ(to_hex_upper(*octets), "0112345678901234560001265E0653616D706C65");
  Bytes file = *octets;
  file.resize(128);
  EXPECT_EQ(InsuranceRecord::parse(file).value(), record);
  EXPECT_EQ(InsuranceRecord::parse(Bytes(128, 0)).error().kind, ErrorKind::not_found);
  for (std::size_t length = 1; length < octets->size(); ++length) {
    EXPECT_FALSE(InsuranceRecord::parse(ByteView(*octets).first(length))) << length;
  }
  for (const auto& [at, value] :
       {std::pair<std::size_t, std::uint8_t>{0, 2}, {3, 0xA4}, {13, 81}, {15, 0x07}, {60, 1}}) {
    Bytes broken = file;
    broken[at] = value;
    EXPECT_EQ(InsuranceRecord::parse(broken).error().kind, ErrorKind::malformed) << at;
  }
  EXPECT_FALSE((InsuranceRecord{.enp = "123", .insurer = "", .from = {}, .until = {}}.encode()));
  EXPECT_FALSE((InsuranceRecord{.enp = record.enp, .insurer = std::string(81, 'x'), .from = {}, .until = {}}.encode()));
}

TEST(Health, EmergencyDataOctetByOctet) {
  EmergencyData data;
  data.blood_group = BloodGroup::a_positive;
  data.allergies = {{"nuts", ""}};
  data.contacts = {{"X", "1"}};
  const auto octets = data.encode();
  ASSERT_TRUE(octets);
  EXPECT_EQ(to_hex_upper(*octets), "7E18800101810104A2080C046E7574730C00A4060C01580C0131");
  Bytes file = *octets;
  file.resize(512);
  EXPECT_EQ(EmergencyData::parse(file).value(), data);
  EXPECT_EQ(EmergencyData::parse(Bytes(512, 0)).error().kind, ErrorKind::not_found);
  for (const auto& [at, value] :
       {std::pair<std::size_t, std::uint8_t>{4, 2}, {7, 9}, {8, 0xA5}, {10, 0x13}, {11, 0x00}, {40, 1}}) {
    Bytes broken = file;
    broken[at] = value;
    EXPECT_FALSE(EmergencyData::parse(broken)) << at;
  }
  data.allergies.resize(kMostFindings + 1, {"x", ""});
  EXPECT_EQ(data.encode().error().kind, ErrorKind::usage);
  for (const char* name : {"O-", "AB+", "unknown"}) EXPECT_EQ(name_of(*find_blood_group(name)), name);
  EXPECT_FALSE(find_blood_group("C+"));
}

TEST(Health, EntitlementsOctetByOctet) {
  Entitlements all;
  all.slots = {{"A10BA02", 4711, {}, year(2026) / 11 / 22}, {}};
  const auto octets = all.encode();
  ASSERT_TRUE(octets);
  EXPECT_EQ(to_hex_upper(*octets), "014131304241303200000012670000265E" + std::string(32, '0'));
  EXPECT_EQ(Entitlements::parse(*octets, 2)->slots, all.slots);
  EXPECT_FALSE(Entitlements::parse(*octets, 3));
  EXPECT_TRUE(Entitlements::parse(Bytes(33, 0), 2)) << "a new ledger";
  for (const std::size_t at : {0u, 1u, 8u}) {
    Bytes broken = *octets;
    broken[at] = 0x61;
    EXPECT_FALSE(Entitlements::parse(broken, 2)) << at;
  }
  HealthEntry entry;
  entry.deed = HealthEntry::Deed::redeemed;
  entry.terminal = Bytes(8, 0x0A);
  entry.number = 5;
  entry.moment = 6;
  entry.slot = 1;
  entry.packages = 2;
  entry.prescription = 77;
  EXPECT_EQ(to_hex_upper(entry.encode()), "010A0A0A0A0A0A0A0A000000050000000601020000004D00");
  EXPECT_EQ(HealthEntry::parse(entry.encode()).value(), entry);
  EXPECT_FALSE(HealthEntry::parse(Bytes(24, 9)));
}

TEST(Transit, PassAndEntryOctetByOctet) {
  TransitPass pass;
  pass.status_index = 0x0102030405;
  pass.concession = 8;
  pass.concession_until = year(2026) / 11 / 22;
  pass.products.push_back({ProductKind::period, 0x0006, year(2000) / 1 / 2, {}});
  pass.products.push_back({ProductKind::none, 0, {}, {}});
  const auto octets = pass.encode();
  ASSERT_TRUE(octets);
  EXPECT_EQ(to_hex_upper(*octets), "01010203040508265E01000600010000" + std::string(14, '0'));
  EXPECT_EQ(TransitPass::parse(*octets, 2).value(), pass);
  EXPECT_FALSE(TransitPass::parse(*octets, 1));
  Bytes broken = *octets;
  broken[9] = 4;
  EXPECT_FALSE(TransitPass::parse(broken, 2));
  broken = *octets;
  broken[18] = 1;
  EXPECT_FALSE(TransitPass::parse(broken, 2)) << "an empty product with zones";
  TransitEntry entry;
  entry.event = TransitEntry::Event::entry;
  entry.terminal = 7;
  entry.number = 8;
  entry.moment = 9;
  entry.slot = 1;
  entry.zone = 2;
  entry.reduced = true;
  entry.concession_day = 3;
  entry.concession_month = 4;
  entry.spent_day = 0x050607;
  EXPECT_EQ(to_hex_upper(entry.encode()), "0100000007000000080000000921010304050607");
  EXPECT_EQ(TransitEntry::parse(entry.encode()).value(), entry);
  pass.status_index = kMostStatusIndex + 1;
  EXPECT_FALSE(pass.encode());
}

TEST(SectorRights, TheTablesRolesAndTheExtension) {
  EXPECT_EQ(to_hex_upper(encode_sector_rights(0x0103)), "53020103");
  EXPECT_EQ(parse_sector_rights(encode_sector_rights(0x0103)).value(), 0x0103);
  EXPECT_EQ(parse_sector_rights({}).value(), 0);
  for (const char* wrong : {"530103", "5302010300", "54020103", "5303010300"}) {
    EXPECT_FALSE(parse_sector_rights(*from_hex(wrong))) << wrong;
  }
  EXPECT_EQ(all_sector_rights(), 0x01FF);
  const std::pair<const char*, SectorRights> roles[] = {
      {"clinic", 0x0057},  {"ambulance", 0x0003}, {"pharmacy", 0x000C}, {"transit", 0x0080},
      {"counter", 0x01A1}, {"age-check", 0},      {"official", 0}};
  for (const auto& [role, rights] : roles) EXPECT_EQ(find_terminal_role(role)->sector_rights, rights) << role;
  for (const SectorRightRow& row : sector_right_rows()) EXPECT_EQ(find_sector_right(row.name), &row);
}

}  // namespace
}  // namespace karta::card
