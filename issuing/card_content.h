// CardContent: what the registry knows of a citizen, as the identity application holds it.
#pragma once

#include "card/personalise.h"
#include "identity/citizen.h"

namespace karta::issuing {

/// Data groups of the citizen that `profile` names and the registry knows. `issued` and `expires` are days.
card::IdentityData identity_data_of(const identity::Citizen& citizen, const card::IdentityProfile& profile,
                                    identity::Date issued, identity::Date expires);

/// What terminals may ask the card to compare. An unknown region: nothing to compare a place with.
card::ComparisonData comparison_data_of(const identity::Citizen& citizen, identity::Date expires);

/// Data group 18: country (ISO 3166-1 numeric, four digits) and region (two), as digits in half octets; empty where the
/// region is not known.
Bytes community_of(const identity::Citizen& citizen);

}  // namespace karta::issuing
