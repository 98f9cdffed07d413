// SectorRights: what a terminal may do in the health and transit applications: bits in an extension of its
// certificates, of verifiers' and authorities' too, and of what it announces in PACE (docs/transactions.md).
//
//   73 { 06 kSectorRightsOid, 53 02 bits }
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::card {

/// Beside the OID of document signing (1) under the arc of the status index, docs/certificates.md.
inline constexpr std::string_view kSectorRightsOid =
    "1.2.840.113556.1.8000.2554.32106.26952.44991.18976.45155.14854104.125000.2";

/// Bit 0 the lowest of the two octets.
using SectorRights = std::uint16_t;
enum class SectorRight : std::uint8_t {
  read_insurance = 0,
  read_emergency = 1,
  read_entitlements = 2,
  redeem_entitlements = 3,
  grant_entitlements = 4,
  write_insurance = 5,
  write_emergency = 6,
  read_transit = 7,
  sell_transit = 8,
};
constexpr SectorRights right_bit(SectorRight right) {
  return static_cast<SectorRights>(1u << static_cast<unsigned>(right));
}

struct SectorRightRow {
  SectorRight right;
  std::string_view name;   ///< in options, profiles and reports: "read-insurance"
  std::string_view words;  ///< for people
};
/// Every right, by bit.
std::span<const SectorRightRow> sector_right_rows();
const SectorRightRow* find_sector_right(std::string_view name);
/// Names of the bits set, the lowest first; a bit without a name reads "sector-bit-9".
std::vector<std::string> names_of_sector_rights(SectorRights rights);
/// All bits with a name.
SectorRights all_sector_rights();

/// The extension's content behind its OID: 53 02 bits.
Bytes encode_sector_rights(SectorRights rights);
/// Empty content: no rights. Fails with `malformed` on any other form.
Result<SectorRights> parse_sector_rights(ByteView extension_content);

}  // namespace karta::card
