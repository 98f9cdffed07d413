// CardContent: what the registry knows of a citizen, as the identity application holds it.
#pragma once

#include <optional>

#include "card/health.h"
#include "card/personalise.h"
#include "card/transit.h"
#include "identity/citizen.h"
#include "identity/portrait.h"

namespace karta::issuing {

/// Data groups of the citizen that `profile` names and the registry knows. `issued` and `expires` are days.
card::IdentityData identity_data_of(const identity::Citizen& citizen, const card::IdentityProfile& profile,
                                    identity::Date issued, identity::Date expires);

/// The portrait, where `profile` names that data group.
void add_portrait(card::IdentityData& data, const card::IdentityProfile& profile, const identity::Portrait& portrait);

/// What terminals may ask the card to compare. An unknown region: nothing to compare a place with.
card::ComparisonData comparison_data_of(const identity::Citizen& citizen, identity::Date expires);

/// The insurance record; nothing where the registry knows no insurance number.
std::optional<card::InsuranceRecord> insurance_of(const identity::Citizen& citizen);

/// The transit product of a new card: the citizen's concession on `day` with the pass it gives, the rest of the slots
/// empty. Of several concessions the one that lasts longest.
card::TransitPass transit_pass_of(const identity::Citizen& citizen, const card::TransitProfile& profile,
                                  identity::Date day);
/// The same concession put into a pass that a card has: what was bought stays.
void apply_concession(card::TransitPass& pass, const identity::Citizen& citizen, const card::TransitProfile& profile,
                      identity::Date day);

/// Data group 18: country (ISO 3166-1 numeric, four digits) and region (two), as digits in half octets; empty where the
/// region is not known.
Bytes community_of(const identity::Citizen& citizen);

}  // namespace karta::issuing
