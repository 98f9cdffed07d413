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

card::ComparisonData comparison_data_of(const identity::Citizen& citizen, identity::Date expires) {
  return {eight_digits(citizen.birth_date), eight_digits(expires), community_of(citizen)};
}

}  // namespace karta::issuing
