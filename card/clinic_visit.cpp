#include "card/clinic_visit.h"

namespace karta::card {
namespace {

template <class Record>
HealthReading<Record> reading_of(SectorRights rights, SectorRight needed, HealthApplication& health,
                                 Result<Record> (HealthApplication::*read)()) {
  if ((rights & right_bit(needed)) == 0) return {DataGroupState::refused};
  auto record = (health.*read)();
  if (record) return {DataGroupState::read, std::move(*record)};
  if (record.error().kind == ErrorKind::not_found) return {DataGroupState::absent};
  return {DataGroupState::denied, {}, std::move(record).error()};
}

}  // namespace

HealthReading<InsuranceRecord> read_insurance(HealthApplication& health, SectorRights rights) {
  return reading_of(rights, SectorRight::read_insurance, health, &HealthApplication::insurance);
}

HealthReading<EmergencyData> read_emergency(HealthApplication& health, SectorRights rights) {
  return reading_of(rights, SectorRight::read_emergency, health, &HealthApplication::emergency);
}

Result<ClinicVisit> visit_clinic(Channel& below, const IdentityRequest& request, RandomSource& random) {
  IdentityRequest health_first = request;
  health_first.select_later = true;
  auto identity = TRY(IdentityApplication::open(below, health_first, random));
  ClinicVisit visit{std::move(identity), {}, {}};
  auto health = TRY(HealthApplication::open_records(visit.identity.channel()));
  visit.insurance = read_insurance(health, visit.identity.sector_rights());
  visit.emergency = read_emergency(health, visit.identity.sector_rights());
  return visit;
}

}  // namespace karta::card
