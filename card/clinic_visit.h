// ClinicVisit: what a clinic's or an ambulance's terminal does when a citizen comes: the whole of EAC, then insurance
// and emergency data as far as the role's rights go.
#pragma once

#include "card/health.h"
#include "card/identity_application.h"

namespace karta::card {

/// A record, or why it is not there.
template <class Record>
struct HealthReading {
  DataGroupState state = DataGroupState::absent;
  std::optional<Record> record = {};
  std::optional<Error> why = {};  ///< denied: what the card, or the way to it, said
};

struct ClinicVisit {
  IdentityApplication identity;  ///< open: data groups and pseudonym can be asked for, then close()
  HealthReading<InsuranceRecord> insurance;
  HealthReading<EmergencyData> emergency;
};

/// Opens as IdentityApplication::open does, and costs two commands more: SELECT of the health application in place of
/// the identity application's, and one for each record there is a right to. `below` must outlive the visit.
Result<ClinicVisit> visit_clinic(Channel& below, const IdentityRequest& request, RandomSource& random);

/// A record of an application that is open, as a reading: refused without the right, denied, absent.
HealthReading<InsuranceRecord> read_insurance(HealthApplication& health, SectorRights rights);
HealthReading<EmergencyData> read_emergency(HealthApplication& health, SectorRights rights);

}  // namespace karta::card
