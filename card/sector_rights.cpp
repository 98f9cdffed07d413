#include "card/sector_rights.h"

#include <array>

#include "base/tlv.h"

namespace karta::card {
namespace {

constexpr Tag kDiscretionaryData = 0x53;

constexpr auto kRights = std::to_array<SectorRightRow>({
    {SectorRight::read_insurance, "read-insurance", "read the insurance record"},
    {SectorRight::read_emergency, "read-emergency", "read emergency data"},
    {SectorRight::read_entitlements, "read-entitlements", "read entitlements to medicines"},
    {SectorRight::redeem_entitlements, "redeem-entitlements", "redeem entitlements"},
    {SectorRight::grant_entitlements, "grant-entitlements", "grant entitlements"},
    {SectorRight::write_insurance, "write-insurance", "write the insurance record"},
    {SectorRight::write_emergency, "write-emergency", "write emergency data"},
    {SectorRight::read_transit, "read-transit", "read transit products and journal"},
    {SectorRight::sell_transit, "sell-transit", "sell transit products"},
});

}  // namespace

std::span<const SectorRightRow> sector_right_rows() { return kRights; }

const SectorRightRow* find_sector_right(std::string_view name) {
  for (const SectorRightRow& row : kRights) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::vector<std::string> names_of_sector_rights(SectorRights rights) {
  std::vector<std::string> names;
  for (unsigned bit = 0; bit < 16; ++bit) {
    if ((rights >> bit & 1) == 0) continue;
    std::string name = "sector-bit-" + std::to_string(bit);
    for (const SectorRightRow& row : kRights) {
      if (static_cast<unsigned>(row.right) == bit) name = row.name;
    }
    names.push_back(std::move(name));
  }
  return names;
}

SectorRights all_sector_rights() {
  SectorRights rights = 0;
  for (const SectorRightRow& row : kRights) rights = static_cast<SectorRights>(rights | right_bit(row.right));
  return rights;
}

Bytes encode_sector_rights(SectorRights rights) {
  Bytes bits;
  append_be16(bits, rights);
  return make_tlv(kDiscretionaryData, bits);
}

Result<SectorRights> parse_sector_rights(ByteView extension_content) {
  if (extension_content.empty()) return SectorRights{0};
  TlvCursor cursor(extension_content, TlvLimits::der());
  const Tlv bits = TRY(cursor.expect(kDiscretionaryData));
  TRY(cursor.finish());
  if (bits.value.size() != 2) {
    return fail(ErrorKind::malformed, "sector rights of " + std::to_string(bits.value.size()) + " octets, not two");
  }
  return SectorRights{load_be16(bits.value)};
}

}  // namespace karta::card
