#include "cli/sector_output.h"

#include "cli/console.h"
#include "identity/citizen.h"

namespace karta::cli {
namespace {

using card::right_bit;
using card::SectorRight;

std::string concession_name(std::uint8_t number) {
  for (const identity::ConcessionKindRow& row : identity::concession_kinds()) {
    if (static_cast<std::uint8_t>(row.kind) == number) return std::string(row.name);
  }
  return number == 0 ? "none" : "ground " + std::to_string(number);
}

std::string period(const card::CardDay& from, const card::CardDay& until) {
  if (!from && !until) return "without end";
  return card::to_string(from) + " to " + card::to_string(until);
}

std::string zones_text(std::uint16_t zones) {
  if (zones == 0xFFFF) return "all zones";
  std::string text = "zones";
  for (unsigned zone = 0; zone < 16; ++zone) {
    if ((zones >> zone & 1) != 0) text += " " + std::to_string(zone);
  }
  return text;
}

template <class Record>
std::string why_not(const card::HealthReading<Record>& reading, const char* right) {
  if (reading.state == card::DataGroupState::refused) return std::string("refused: the role has no right ") + right;
  return reading.state == card::DataGroupState::absent ? "the card has none" : "denied by the card";
}

Json day_json(const card::CardDay& day) { return day ? Json(card::to_string(day)) : Json(); }

}  // namespace

Result<SectorFindings> read_sectors(card::IdentityApplication& identity) {
  SectorFindings findings;
  findings.rights = identity.sector_rights();
  const auto may = [&](SectorRight right) { return (findings.rights & right_bit(right)) != 0; };
  auto health = card::HealthApplication::open(identity.channel());
  if (!health && health.error().kind != ErrorKind::not_found) return fail(health.error());
  findings.has_health = health.has_value();
  if (health) {
    findings.insurance = card::read_insurance(*health, findings.rights);
    findings.emergency = card::read_emergency(*health, findings.rights);
    if (may(SectorRight::read_entitlements)) findings.entitlements = TRY(health->entitlements());
  }
  auto transit = card::TransitApplication::open(identity.channel());
  if (!transit && transit.error().kind != ErrorKind::not_found) return fail(transit.error());
  findings.has_transit = transit.has_value();
  if (transit && may(SectorRight::read_transit)) findings.transit = TRY(transit->read());
  return findings;
}

std::string text_of(const card::TransitEntry& entry) {
  constexpr const char* kEvents[] = {"nothing", "entry", "exit", "inspection", "sale"};
  return format_time(card::time_of_moment(entry.moment)) + "  " + kEvents[static_cast<std::size_t>(entry.event)] +
         ", gate " + std::to_string(entry.terminal) + " number " + std::to_string(entry.number) + ", zone " +
         std::to_string(entry.zone) + ", product " + std::to_string(entry.slot + 1) +
         (entry.reduced ? ", reduced" : "");
}

std::string text_of(const card::HealthEntry& entry) {
  constexpr const char* kDeeds[] = {"nothing", "redeemed", "granted"};
  return format_time(card::time_of_moment(entry.moment)) + "  " + kDeeds[static_cast<std::size_t>(entry.deed)] + " " +
         std::to_string(entry.packages) + " of entitlement " + std::to_string(entry.slot + 1) + ", terminal " +
         to_hex(entry.terminal) + " number " + std::to_string(entry.number) +
         (entry.prescription != 0 ? ", prescription " + std::to_string(entry.prescription) : "");
}

Json json_of(const card::TransitEntry& entry) {
  return {{"event", static_cast<unsigned>(entry.event)},
          {"terminal", entry.terminal},
          {"number", entry.number},
          {"at", format_time(card::time_of_moment(entry.moment))},
          {"product", entry.slot + 1},
          {"zone", entry.zone},
          {"reduced", entry.reduced},
          {"concession_day", entry.concession_day},
          {"concession_month", entry.concession_month},
          {"spent_day", entry.spent_day}};
}

void show_sectors(const SectorFindings& findings) {
  if (findings.has_health) {
    const auto& insurance = findings.insurance;
    print("insurance " + (insurance.record ? insurance.record->enp + ", " + insurance.record->insurer + ", " +
                                                 period(insurance.record->from, insurance.record->until)
                                           : why_not(insurance, "read-insurance")));
    const auto& emergency = findings.emergency;
    if (!emergency.record) {
      print("emergency " + why_not(emergency, "read-emergency"));
    } else {
      print("emergency blood group " + std::string(card::name_of(emergency.record->blood_group)));
      for (const auto& one : emergency.record->allergies) print("          allergy    " + one.words + "  " + one.code);
      for (const auto& one : emergency.record->conditions) print("          condition  " + one.words + "  " + one.code);
      for (const auto& one : emergency.record->contacts)
        print("          contact    " + one.name + "  " + one.telephone);
    }
    if (!findings.entitlements) {
      print("medicines refused: the role has no right read-entitlements");
    } else {
      for (const auto& [slot, left] : findings.entitlements->slots) {
        if (slot.empty()) continue;
        print("medicine  " + slot.medicine + ", package " + std::to_string(slot.package) + ": " + std::to_string(left) +
              " left, " + period(slot.from, slot.until));
      }
      for (const card::HealthEntry& entry : findings.entitlements->journal) print("          " + text_of(entry));
    }
  }
  if (!findings.has_transit) return;
  if (!findings.transit) {
    print("transit   refused: the role has no right read-transit");
    return;
  }
  const auto& reading = *findings.transit;
  print("transit   concession " + concession_name(reading.pass.concession) +
        (reading.pass.concession_until ? " until " + card::to_string(reading.pass.concession_until) : std::string()));
  for (std::size_t i = 0; i < reading.pass.products.size(); ++i) {
    const card::TransitProduct& product = reading.pass.products[i];
    if (product.empty()) continue;
    print("          product " + std::to_string(i + 1) + ": " + std::string(card::name_of(product.kind)) + ", " +
          zones_text(product.zones) + ", " + period(product.from, product.until) +
          (product.kind == card::ProductKind::period ? "" : ", " + std::to_string(reading.counters[i]) + " left"));
  }
  for (const card::TransitEntry& entry : reading.journal) print("          " + text_of(entry));
}

void add_sectors(Json& document, const SectorFindings& findings) {
  Json& health = document["health"] = Json();
  if (findings.has_health) {
    health = Json::object();
    health["insurance"] = {{"state", card::name_of(findings.insurance.state)}};
    if (const auto& record = findings.insurance.record) {
      health["insurance"]["enp"] = record->enp;
      health["insurance"]["insurer"] = record->insurer;
      health["insurance"]["from"] = day_json(record->from);
      health["insurance"]["until"] = day_json(record->until);
    }
    health["emergency"] = {{"state", card::name_of(findings.emergency.state)}};
    if (const auto& data = findings.emergency.record) {
      Json& emergency = health["emergency"];
      emergency["blood_group"] = card::name_of(data->blood_group);
      for (const char* list : {"allergies", "conditions", "contacts"}) emergency[list] = Json::array();
      for (const auto& one : data->allergies)
        emergency["allergies"].push_back({{"words", one.words}, {"code", one.code}});
      for (const auto& one : data->conditions) {
        emergency["conditions"].push_back({{"words", one.words}, {"code", one.code}});
      }
      for (const auto& one : data->contacts) {
        emergency["contacts"].push_back({{"name", one.name}, {"telephone", one.telephone}});
      }
    }
    health["entitlements"] = Json();
    if (findings.entitlements) {
      health["entitlements"] = Json::array();
      for (const auto& [slot, left] : findings.entitlements->slots) {
        if (slot.empty()) continue;
        health["entitlements"].push_back({{"medicine", slot.medicine},
                                          {"package", slot.package},
                                          {"from", day_json(slot.from)},
                                          {"until", day_json(slot.until)},
                                          {"left", left}});
      }
    }
  }
  Json& transit = document["transit"] = Json();
  if (!findings.transit) return;
  transit = Json::object();
  transit["concession"] = concession_name(findings.transit->pass.concession);
  transit["concession_until"] = day_json(findings.transit->pass.concession_until);
  transit["products"] = Json::array();
  for (std::size_t i = 0; i < findings.transit->pass.products.size(); ++i) {
    const card::TransitProduct& product = findings.transit->pass.products[i];
    if (product.empty()) continue;
    transit["products"].push_back({{"kind", card::name_of(product.kind)},
                                   {"zones", product.zones},
                                   {"from", day_json(product.from)},
                                   {"until", day_json(product.until)},
                                   {"counter", findings.transit->counters[i]}});
  }
  transit["sequence"] = findings.transit->sequence;
  transit["journal"] = Json::array();
  for (const card::TransitEntry& entry : findings.transit->journal) transit["journal"].push_back(json_of(entry));
}

}  // namespace karta::cli
