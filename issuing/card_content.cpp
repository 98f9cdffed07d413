#include "issuing/card_content.h"

#include <algorithm>

namespace karta::issuing {
namespace {

// Data groups by number, TR-03110-4 §2.2.2; 6, 16 and 19 are of national use (card/identity_data.cpp).
enum Group : unsigned {
  kDocumentType = 1,
  kIssuingState = 2,
  kExpiry = 3,
  kGivenNames = 4,
  kFamilyNames = 5,
  kPatronymic = 6,
  kBirthDate = 8,
  kSex = 11,
  kNationalNumbers = 12,
  kIssueDate = 15,
  kInsuranceNumber = 16,
  kCommunity = 18,
  kTaxpayerNumber = 19,
};

std::string eight_digits(identity::Date date) {
  std::string text = identity::format_date(date);  // 2026-11-21
  text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
  return text;
}

}  // namespace

Bytes community_of(const identity::Citizen& citizen) {
  const std::string& region = citizen.region;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (region.size() != 2 || !digit(region[0]) || !digit(region[1])) return {};
  return {0x06, 0x43, static_cast<std::uint8_t>((region[0] - '0') << 4 | (region[1] - '0'))};  // 643: Russia
}

card::IdentityData identity_data_of(const identity::Citizen& citizen, const card::IdentityProfile& profile,
                                    identity::Date issued, identity::Date expires) {
  card::IdentityData data;
  const auto text = [&](unsigned number, const std::string& value) {
    if (!value.empty()) data[number] = value;
  };
  text(kDocumentType, "ID");
  text(kIssuingState, profile.issuing_state);
  data[kExpiry] = card::PartialDate::of(expires);
  text(kGivenNames, citizen.given);
  text(kFamilyNames, citizen.family);
  text(kPatronymic, citizen.patronymic);
  data[kBirthDate] = card::PartialDate::of(citizen.birth_date);
  if (citizen.sex != identity::Sex::not_stated) text(kSex, citizen.sex == identity::Sex::male ? "M" : "F");
  data[kNationalNumbers] = card::NationalNumbers{{std::string(card::kSnilsOid), citizen.snils.digits()}};
  data[kIssueDate] = card::PartialDate::of(issued);
  if (citizen.enp) text(kInsuranceNumber, citizen.enp->text());
  if (Bytes community = community_of(citizen); !community.empty()) data[kCommunity] = std::move(community);
  if (citizen.inn) text(kTaxpayerNumber, citizen.inn->text());
  return data;
}

static_assert(identity::kMostPortraitOctets == card::kMostPortraitOctets, "what the registry takes fits the card");

void add_portrait(card::IdentityData& data, const card::IdentityProfile& profile, const identity::Portrait& portrait) {
  if (profile.has(card::kPortraitGroup)) data[card::kPortraitGroup] = portrait.jpeg();
}

card::ComparisonData comparison_data_of(const identity::Citizen& citizen, identity::Date expires) {
  return {eight_digits(citizen.birth_date), eight_digits(expires), community_of(citizen)};
}

std::optional<card::InsuranceRecord> insurance_of(const identity::Citizen& citizen) {
  if (!citizen.enp) return std::nullopt;
  card::InsuranceRecord record;
  record.enp = citizen.enp->text();
  record.insurer = citizen.insurer;
  // A card has room for 80 octets; whole characters.
  constexpr std::size_t kMostInsurer = 80;
  std::size_t end = std::min(record.insurer.size(), kMostInsurer);
  while (end > 0 && end < record.insurer.size() && (static_cast<unsigned char>(record.insurer[end]) & 0xC0) == 0x80) {
    --end;
  }
  record.insurer.resize(end);
  return record;
}

void apply_concession(card::TransitPass& pass, const identity::Citizen& citizen, const card::TransitProfile& profile,
                      identity::Date day) {
  const identity::Concession* best = nullptr;
  for (const identity::Concession& one : citizen.concessions) {
    if (day < one.valid_from || (one.valid_until && *one.valid_until < day)) continue;
    const bool longer =
        best != nullptr && best->valid_until && (!one.valid_until || *best->valid_until < *one.valid_until);
    if (best == nullptr || longer) best = &one;
  }
  pass.concession = best == nullptr ? std::uint8_t{0} : static_cast<std::uint8_t>(best->kind);
  pass.concession_until = best == nullptr ? card::CardDay{} : card::CardDay(best->valid_until);
  // The pass of a concession is the first product; it goes with it.
  card::TransitProduct& first = pass.products.front();
  if (profile.concession_zones == 0) return;
  first = best == nullptr
              ? card::TransitProduct{}
              : card::TransitProduct{card::ProductKind::period, profile.concession_zones, {}, pass.concession_until};
}

card::TransitPass transit_pass_of(const identity::Citizen& citizen, const card::TransitProfile& profile,
                                  identity::Date day) {
  card::TransitPass pass;
  pass.products.resize(profile.ledger.counters);
  apply_concession(pass, citizen, profile, day);
  return pass;
}

}  // namespace karta::issuing
