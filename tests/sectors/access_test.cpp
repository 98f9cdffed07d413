// Who may do what in the health and transit applications, cell by cell, allow and deny: rows are deeds, columns every
// way to stand before the card. What each cell must be is written down here by hand, from docs/applications.md.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/be32.h"
#include "card/clinic_visit.h"
#include "card/issuer_channel.h"
#include "card/transit.h"
#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::kCan;
using test::kPin;
using test::kPuk;

enum class Deed {
  read_insurance,
  write_insurance,
  read_emergency,
  write_emergency,
  read_entitlements,
  read_redemptions,  // the ledger's journal
  write_entitlements,
  open_entitlements_debit,
  open_entitlements_credit,
  read_transit,
  read_taps,
  write_transit,
  open_transit_debit,
  open_transit_credit,
};
constexpr std::pair<Deed, const char*> kDeeds[] = {
    {Deed::read_insurance, "read the insurance record"},
    {Deed::write_insurance, "write the insurance record"},
    {Deed::read_emergency, "read emergency data"},
    {Deed::write_emergency, "write emergency data"},
    {Deed::read_entitlements, "read entitlements"},
    {Deed::read_redemptions, "read the journal of redemptions"},
    {Deed::write_entitlements, "write entitlements"},
    {Deed::open_entitlements_debit, "open entitlements for debit"},
    {Deed::open_entitlements_credit, "open entitlements for credit"},
    {Deed::read_transit, "read the transit product"},
    {Deed::read_taps, "read the journal of taps"},
    {Deed::write_transit, "write the transit product"},
    {Deed::open_transit_debit, "open transit for debit"},
    {Deed::open_transit_credit, "open transit for credit"},
};

using Deeds = std::set<Deed>;
const Deeds kGateOnly = {Deed::open_transit_debit};

// Opening without keys is allowed and shows nothing: what matters is who gets that far.
const std::map<std::string, Deeds> kRoles = {
    {"clinic",
     {Deed::read_insurance, Deed::read_emergency, Deed::write_emergency, Deed::read_entitlements,
      Deed::read_redemptions, Deed::write_entitlements, Deed::open_entitlements_credit, Deed::open_transit_debit}},
    {"ambulance", {Deed::read_insurance, Deed::read_emergency, Deed::open_transit_debit}},
    {"pharmacy",
     {Deed::read_entitlements, Deed::read_redemptions, Deed::open_entitlements_debit, Deed::open_transit_debit}},
    {"transit", {Deed::read_transit, Deed::read_taps, Deed::open_transit_debit}},
    {"counter",
     {Deed::read_insurance, Deed::write_insurance, Deed::read_transit, Deed::read_taps, Deed::write_transit,
      Deed::open_transit_debit, Deed::open_transit_credit}},
    {"age-check", kGateOnly},
    {"official", kGateOnly},
};
// The issuer writes, and reads nothing that belongs to a sector.
const Deeds kIssuer = {Deed::write_insurance,    Deed::write_emergency,          Deed::write_entitlements,
                       Deed::write_transit,      Deed::open_entitlements_credit, Deed::open_transit_debit,
                       Deed::open_transit_credit};

class SectorAccess : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    card = std::make_unique<IdentityCard>();
    card->change_transport_pin();
  }
  static void TearDownTestSuite() { card.reset(); }

  StatusWord status(Channel& channel, const CommandApdu& command) {
    const auto answer = channel.transmit(command);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? answer->status : StatusWord{0};
  }
  StatusWord update(Channel& channel, std::uint16_t file) {
    const StatusWord selected = status(channel, select_file(file, SelectReturn::nothing));
    if (!selected.ok()) return selected;
    // The layout's own first octet: what stands there anyway.
    return status(channel, update_binary(0, Bytes{file == kEfEmergency ? std::uint8_t{0x7E} : std::uint8_t{0x01}}));
  }
  StatusWord open(Channel& channel, LedgerKey kind) {
    return status(channel, {0x80, 0x32, static_cast<std::uint8_t>(kind), 0x00, Bytes(16, 1), kShortResponse});
  }
  StatusWord records(Channel& channel) {
    return status(channel, {0x00, 0xB2, 0x01, kLedgerShortId << 3 | 0x05, {}, kExtendedResponse});
  }
  StatusWord attempt(Channel& channel, Deed deed) {
    const bool transit = deed >= Deed::read_transit;
    const ByteView aid = transit ? ByteView(kTransitAid) : ByteView(kHealthAid);
    const StatusWord selected = status(channel, select_application(aid, SelectReturn::nothing));
    if (!selected.ok()) return selected;
    switch (deed) {
      case Deed::read_insurance:
        return status(channel, read_binary_short_id(kInsuranceShortId, 200));
      case Deed::write_insurance:
        return update(channel, kEfInsurance);
      case Deed::read_emergency:
        return status(channel, read_binary_short_id(kEmergencyShortId, 200));
      case Deed::write_emergency:
        return update(channel, kEfEmergency);
      case Deed::read_entitlements:
      case Deed::read_transit:
        return status(channel, read_binary_short_id(kLedgerShortId, 200));
      case Deed::read_redemptions:
      case Deed::read_taps:
        return records(channel);
      case Deed::write_entitlements:
      case Deed::write_transit:
        return update(channel, kEfLedger);
      case Deed::open_entitlements_debit:
      case Deed::open_transit_debit:
        return open(channel, LedgerKey::debit);
      case Deed::open_entitlements_credit:
      case Deed::open_transit_credit:
        return open(channel, LedgerKey::credit);
    }
    return StatusWord{0};
  }
  void check(Channel& channel, const std::string& standing, const Deeds& allowed) {
    SCOPED_TRACE(standing);
    for (const auto& [deed, words] : kDeeds) {
      SCOPED_TRACE(words);
      const StatusWord got = attempt(channel, deed);
      // 6A83: the journal has no entry yet, and would be shown.
      const bool given = got.ok() || got.warning() || got == StatusWord{0x6A83};
      EXPECT_EQ(given, allowed.contains(deed)) << to_string(got);
      if (!given) {
        EXPECT_TRUE(got == kSwSecurityStatus || got == kSwNotFound || got == kSwReferenceNotFound) << to_string(got);
      }
      ++(given ? allowed_cells : denied_cells);
    }
  }

  static std::unique_ptr<IdentityCard> card;
  static std::size_t allowed_cells, denied_cells;
};
std::unique_ptr<IdentityCard> SectorAccess::card;
std::size_t SectorAccess::allowed_cells = 0, SectorAccess::denied_cells = 0;

TEST_F(SectorAccess, Behaviour20_EveryDeedFromEveryStanding) {
  for (const auto interface : {os::Interface::contact, os::Interface::contactless}) {
    const std::string where = interface == os::Interface::contact ? "contact, " : "contactless, ";
    card->put(interface);
    check(*card->plain, where + "plain", kGateOnly);
    for (const auto& [password, value] :
         {std::pair{PacePassword::can, kCan}, std::pair{PacePassword::pin, kPin}, std::pair{PacePassword::puk, kPuk}}) {
      card->put(interface);
      SecureMessagingChannel channel(*card->plain);
      const SecretBytes digits = test::secret(value);
      ASSERT_TRUE(open_pace(channel, {password, &digits, nullptr, {}}, card->random));
      check(channel, where + "PACE with " + std::string(name_of(password)), kGateOnly);
    }
    for (const auto& [role, deeds] : kRoles) {
      card->put(interface);
      const UnlockedTerminal terminal = card->terminal(role);
      const SecretBytes can = test::secret(kCan);
      auto identity =
          IdentityApplication::open(*card->plain, card->request(terminal, PacePassword::can, can), card->random);
      ASSERT_TRUE(identity) << role << ": " << identity.error().message;
      check(identity->channel(), where + "PACE and EAC as " + role, deeds);
      identity->close();
    }
  }
  // The issuer, under the card's own keys.
  card->put(os::Interface::contact);
  const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
  IssuerChannelRequest request;
  request.profile = &card->profile.card_manager;
  request.master = &master;
  const auto issuer = open_issuer_channel(*card->plain, request, card->random);
  ASSERT_TRUE(issuer) << issuer.error().message;
  check(**issuer, "SCP03", kIssuer);
  RecordProperty("allowed", static_cast<int>(allowed_cells));
  RecordProperty("denied", static_cast<int>(denied_cells));
  std::printf("access to health and transit: %zu cells allowed, %zu denied\n", allowed_cells, denied_cells);
  EXPECT_EQ(allowed_cells + denied_cells, (2 * (1 + 3 + kRoles.size()) + 1) * std::size(kDeeds));
}

// Rights are what the chain and the announcement have in common: fewer announced, fewer given; more are none.
TEST_F(SectorAccess, Behaviour25_WhatIsNotAnnouncedIsNotGiven) {
  const UnlockedTerminal clinic = card->terminal("clinic");
  const SecretBytes can = test::secret(kCan);
  IdentityRequest request = card->request(clinic, PacePassword::can, can);
  request.sector_rights = right_bit(SectorRight::read_emergency);
  card->put(os::Interface::contactless);
  auto visit = visit_clinic(*card->plain, request, card->random);
  ASSERT_TRUE(visit) << visit.error().message;
  EXPECT_EQ(visit->insurance.state, DataGroupState::refused);
  EXPECT_EQ(visit->emergency.state, DataGroupState::read);
  EXPECT_EQ(attempt(visit->identity.channel(), Deed::read_insurance), kSwSecurityStatus) << "the card says so too";
  visit->identity.close();
}

// The keys of a ledger are no files to read, and nothing else takes them.
TEST_F(SectorAccess, Behaviour30_LedgerKeysAreNotRead) {
  card->put(os::Interface::contact);
  const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
  IssuerChannelRequest request;
  request.profile = &card->profile.card_manager;
  request.master = &master;
  const auto issuer = open_issuer_channel(*card->plain, request, card->random);
  ASSERT_TRUE(issuer);
  for (const ByteView aid : {ByteView(kHealthAid), ByteView(kTransitAid)}) {
    for (const std::uint16_t key : {0x00E1, 0x00E2, 0x00E3}) {
      ASSERT_TRUE(status(**issuer, select_application(aid, SelectReturn::nothing)).ok());
      ASSERT_TRUE(status(**issuer, select_file(key, SelectReturn::nothing)).ok()) << key;
      EXPECT_FALSE(status(**issuer, read_binary(0, 16)).ok());
      EXPECT_FALSE(status(**issuer, get_data(0x018A, 16)).ok());
    }
  }
}

}  // namespace
}  // namespace karta::card
