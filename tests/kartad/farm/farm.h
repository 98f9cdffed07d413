// The farm: cards at gates, pulled, cut inside COMMIT, with readers that go and a daemon that is killed, until trips on
// cards, journals, openings and settlement are compared to the last one.
#pragma once

#include <cstdint>

namespace karta::test {

/// Fails the test where anything disagrees. Prints its seed; KARTA_FARM_SEED repeats one, as far as threads let it.
void run_farm(std::uint64_t taps, unsigned kills);

}  // namespace karta::test
