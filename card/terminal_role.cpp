#include "card/terminal_role.h"

namespace karta::card {
namespace {

constexpr Rights read(std::initializer_list<unsigned> data_groups) {
  Rights rights = 0;
  for (const unsigned group : data_groups) rights |= right_bit(right_to_read(group));
  return rights;
}
constexpr Rights write(std::initializer_list<unsigned> data_groups) {
  Rights rights = 0;
  for (const unsigned group : data_groups) rights |= right_bit(right_to_write(group));
  return rights;
}
constexpr Rights rights(std::initializer_list<unsigned> bits) {
  Rights all = 0;
  for (const unsigned bit : bits) all |= right_bit(bit);
  return all;
}

constexpr SectorRights sector(std::initializer_list<SectorRight> list) {
  unsigned all = 0;
  for (const SectorRight right : list) all |= right_bit(right);
  return static_cast<SectorRights>(all);
}

using enum SectorRight;

// Each place gets what its work needs and no more: names, birth and portrait tell patients apart, a pharmacy checks a
// prescription's name and number, a gate needs nothing but a pseudonym.
constexpr auto kRoles = std::to_array<TerminalRole>({
    {"clinic", "a clinic's reception", "CLINIC",
     read({3, 4, 5, 6, 8, 11, 12, 14, 16}) | rights({kRightCanAllowed, kRightRestrictedId}), "health",
     sector({read_insurance, read_emergency, read_entitlements, grant_entitlements, write_emergency})},
    {"ambulance", "an ambulance crew", "AMBULNC", read({4, 5, 6, 8, 11, 14, 16}) | rights({kRightCanAllowed}), "",
     sector({read_insurance, read_emergency})},
    {"pharmacy", "a pharmacy", "PHARMCY", read({4, 5, 6, 16}) | rights({kRightCanAllowed, kRightRestrictedId}),
     "health", sector({read_entitlements, redeem_entitlements})},
    {"transit", "a transit gate or validator", "TRANSIT", rights({kRightCanAllowed, kRightRestrictedId}), "transit",
     sector({read_transit})},
    {"counter", "a public service counter", "COUNTER",
     read({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}) | write({17, 18, 21}) |
         rights({kRightCanAllowed, kRightPinManagement, kRightInstallCertificate, kRightRestrictedId,
                 kRightAgeVerification, kRightCommunityVerification}),
     "services", sector({read_insurance, write_insurance, read_transit, sell_transit})},
    {"age-check", "a shop or machine that asks for an age only", "AGECHK",
     rights({kRightCanAllowed, kRightAgeVerification}), ""},
    {"official", "police and other officials who establish identity", "OFFICL",
     read({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 17, 18}) | rights({kRightCanAllowed, kRightAgeVerification}),
     ""},
});

}  // namespace

std::span<const TerminalRole> terminal_roles() { return kRoles; }

const TerminalRole* find_terminal_role(std::string_view name) {
  for (const TerminalRole& role : kRoles) {
    if (role.name == name) return &role;
  }
  return nullptr;
}

}  // namespace karta::card
