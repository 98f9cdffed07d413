// SectorOutput: the health and transit applications as `karta card read`, `karta health` and `karta transit` show them.
#pragma once

#include <optional>

#include "card/clinic_visit.h"
#include "card/transit.h"
#include "cli/json_output.h"

namespace karta::cli {

/// What a role gets of the applications beside its data groups.
struct SectorFindings {
  card::SectorRights rights = 0;
  bool has_health = false, has_transit = false;
  card::HealthReading<card::InsuranceRecord> insurance;
  card::HealthReading<card::EmergencyData> emergency;
  std::optional<card::HealthApplication::EntitlementReading> entitlements;  ///< empty: no right
  std::optional<card::TransitApplication::Reading> transit;                 ///< empty: no right
};
Result<SectorFindings> read_sectors(card::IdentityApplication& identity);
void show_sectors(const SectorFindings& findings);
void add_sectors(Json& document, const SectorFindings& findings);

std::string text_of(const card::TransitEntry& entry);
std::string text_of(const card::HealthEntry& entry);
Json json_of(const card::TransitEntry& entry);

}  // namespace karta::cli
