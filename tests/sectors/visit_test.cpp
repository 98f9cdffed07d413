// A clinic's visit, an ambulance, a pharmacy, a counter: what each gets of the health application, and in how many
// commands.
#include <gtest/gtest.h>

#include "card/clinic_visit.h"
#include "tests/eac/identity_card.h"
#include "tests/sectors/wire.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::kCan;

const Time kNow = crypto::testing::test_time();
const std::chrono::year_month_day kToday = std::chrono::floor<std::chrono::days>(kNow);

class VisitTest : public ::testing::Test {
 protected:
  Result<ClinicVisit> visit(std::string_view role) {
    terminal = card.terminal(role);
    card.put(os::Interface::contactless);
    return visit_clinic(*card.plain, card.request(terminal, PacePassword::can, can), card.random);
  }
  // Packages of the first entitlement, as a clinic grants them.
  void grant(std::uint32_t packages) {
    auto clinic = visit("clinic");
    ASSERT_TRUE(clinic) << clinic.error().message;
    auto health = HealthApplication::open(clinic->identity.channel());
    ASSERT_TRUE(health) << health.error().message;
    auto ledger = health->open_for_granting(keys);
    ASSERT_TRUE(ledger) << ledger.error().message;
    HealthEntry entry;
    entry.deed = HealthEntry::Deed::granted;
    entry.terminal = Bytes(8, 0x0C);
    entry.number = ++number;
    LedgerChange change{ledger->state().counters, entry.encode()};
    change.counters[0] += packages;
    const auto receipt = ledger->commit(change);
    ASSERT_TRUE(receipt) << receipt.error().message;
    ASSERT_TRUE(ledger->ratify());
    clinic->identity.close();
  }
  Result<LedgerReceipt> redeem(std::uint8_t packages, LedgerState* seen = nullptr) {
    terminal = card.terminal("pharmacy");
    card.put(os::Interface::contactless);
    auto identity =
        TRY(IdentityApplication::open(*card.plain, card.request(terminal, PacePassword::can, can), card.random));
    auto health = TRY(HealthApplication::open(identity.channel()));
    auto ledger = TRY(health.open_for_redeeming(keys));
    if (seen != nullptr) *seen = ledger.state();
    const auto slot = find_entitlement(ledger.state(), "A10BA02", 0, kToday);
    if (!slot) return fail(ErrorKind::not_permitted, "no such entitlement, or nothing left");
    HealthEntry entry;
    entry.terminal = Bytes(8, 0x0A);
    entry.number = ++number;
    entry.moment = moment_number(kNow);
    entry.prescription = 77;
    const LedgerChange change = TRY(redemption(ledger.state(), *slot, packages, kToday, entry));
    auto receipt = TRY(ledger.commit(change));
    TRY(ledger.ratify());
    return receipt;
  }

  IdentityCard card;
  SecretBytes can = test::secret(kCan);
  UnlockedTerminal terminal;
  MasterTransactionKeys keys{test::ledger_masters(test::kHealthMasters), card.random};
  std::uint32_t number = 0;
};

TEST_F(VisitTest, AClinicReadsInsuranceAndEmergencyDataInTwoCommandsMore) {
  const auto before = card.sim.count();
  auto clinic = visit("clinic");
  ASSERT_TRUE(clinic) << clinic.error().message;
  const auto spent = card.sim.count() - before;
  ASSERT_EQ(clinic->insurance.state, DataGroupState::read);
  EXPECT_EQ(clinic->insurance.record->enp, "0000000000000000");
  EXPECT_EQ(clinic->insurance.record->insurer, "Sample Insurer");
  ASSERT_EQ(clinic->emergency.state, DataGroupState::read);
  EXPECT_EQ(clinic->emergency.record->blood_group, BloodGroup::ab_negative);
  ASSERT_EQ(clinic->emergency.record->allergies.size(), 1u);
  EXPECT_EQ(clinic->emergency.record->allergies[0].words, "penicillin");
  EXPECT_EQ(clinic->emergency.record->contacts[0].name, "Sample Contact");
  const std::size_t room = clinic->identity.channel().limits().response_data;
  const std::uint64_t opening = 16 + card.card_security.size() / room + 1;
  EXPECT_EQ(spent.commands, opening + 2);
}

// 223 octets come in one command; longer data in two, and what lies behind them is not read.
TEST_F(VisitTest, EmergencyDataOfAnyLengthInAtMostTwoCommands) {
  for (const std::size_t findings : {0u, 2u, 3u, 4u, 6u, 7u, 8u}) {
    SCOPED_TRACE(findings);
    EmergencyData data;
    data.blood_group = BloodGroup::a_positive;
    for (std::size_t i = 0; i < findings; ++i) {
      data.conditions.push_back({std::string(40 + i, static_cast<char>('a' + i)), "Z" + std::to_string(i)});
    }
    const auto octets = data.encode();
    ASSERT_TRUE(octets) << octets.error().message;
    ASSERT_LE(octets->size(), 512u);
    auto clinic = visit("clinic");
    ASSERT_TRUE(clinic) << clinic.error().message;
    auto health = HealthApplication::open(clinic->identity.channel());
    ASSERT_TRUE(health) << health.error().message;
    const Status wrote = health->write_emergency(data);
    ASSERT_TRUE(wrote) << wrote.error().message;
    const auto before = card.sim.count();
    const auto read = health->emergency();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, data);
    const auto spent = card.sim.count() - before;
    EXPECT_EQ(spent.commands, octets->size() <= 223 ? 1u : 2u) << octets->size();
    EXPECT_LT(spent.octets_back, (octets->size() <= 223 ? 223 : octets->size()) + 2 * 60);
    clinic->identity.close();
  }
}

TEST_F(VisitTest, RolesGetTheirOwn) {
  auto ambulance = visit("ambulance");
  ASSERT_TRUE(ambulance) << ambulance.error().message;
  EXPECT_EQ(ambulance->insurance.state, DataGroupState::read);
  EXPECT_EQ(ambulance->emergency.state, DataGroupState::read);
  auto pharmacy = visit("pharmacy");
  ASSERT_TRUE(pharmacy) << pharmacy.error().message;
  EXPECT_EQ(pharmacy->insurance.state, DataGroupState::refused);
  EXPECT_EQ(pharmacy->emergency.state, DataGroupState::refused);
  auto counter = visit("counter");
  ASSERT_TRUE(counter) << counter.error().message;
  EXPECT_EQ(counter->insurance.state, DataGroupState::read);
  EXPECT_EQ(counter->emergency.state, DataGroupState::refused);
}

TEST_F(VisitTest, APrescriptionIsRedeemedOnceForEachPackage) {
  EXPECT_FALSE(redeem(1)) << "nothing is granted yet";
  grant(2);
  LedgerState seen;
  const auto first = redeem(1, &seen);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(seen.last_credit);
  EXPECT_EQ(first->sequence, 2u);
  const auto both = redeem(2);
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("1 packages are left, not 2"), std::string::npos) << both.error().message;
  ASSERT_TRUE(redeem(1));
  EXPECT_FALSE(redeem(1));
  // What the clinic sees: the slot, what is left, and who took what.
  auto clinic = visit("clinic");
  ASSERT_TRUE(clinic);
  auto health = HealthApplication::open(clinic->identity.channel());
  ASSERT_TRUE(health);
  const auto reading = health->entitlements();
  ASSERT_TRUE(reading) << reading.error().message;
  EXPECT_EQ(reading->slots[0].entitlement.medicine, "A10BA02");
  EXPECT_EQ(reading->slots[0].left, 0u);
  ASSERT_EQ(reading->journal.size(), 3u);
  EXPECT_EQ(reading->journal[0].deed, HealthEntry::Deed::redeemed);
  EXPECT_EQ(reading->journal[0].prescription, 77u);
  EXPECT_EQ(reading->journal[2].deed, HealthEntry::Deed::granted);
  // A clinic reads entitlements and takes nothing off them.
  EXPECT_FALSE(health->open_for_redeeming(keys));
}

TEST_F(VisitTest, ADoctorWritesEmergencyDataACounterTheInsurance) {
  auto clinic = visit("clinic");
  ASSERT_TRUE(clinic);
  auto health = HealthApplication::open(clinic->identity.channel());
  ASSERT_TRUE(health);
  EmergencyData data;
  data.blood_group = BloodGroup::o_positive;
  data.conditions = {{"epilepsy", "G40"}};
  const Status wrote = health->write_emergency(data);
  ASSERT_TRUE(wrote) << wrote.error().message;
  EXPECT_EQ(health->emergency().value(), data);
  const InsuranceRecord moved{.enp = "0000000000000000", .insurer = "Another Insurer", .from = kToday, .until = {}};
  EXPECT_EQ(health->write_insurance(moved).error().kind, ErrorKind::not_permitted);
  auto counter = visit("counter");
  ASSERT_TRUE(counter);
  auto there = HealthApplication::open(counter->identity.channel());
  ASSERT_TRUE(there);
  const Status written = there->write_insurance(moved);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(there->insurance().value(), moved);
  EXPECT_EQ(there->write_emergency(data).error().kind, ErrorKind::not_permitted);
}

}  // namespace
}  // namespace karta::card
