// The farm: cards at gates behind a real pcscd, pulled, cut inside COMMIT, with readers that go, a pcscd that is
// killed and a kartad that is, until trips on cards, journals, openings and settlement are compared to the last one.
// Runs inside tools/private-pcscd with the driver farm_reader.
#pragma once

#include <cstdint>

namespace karta::test {

struct FarmPlan {
  std::uint64_t taps = 0;
  unsigned kills = 0;     ///< of kartad
  unsigned restarts = 0;  ///< of pcscd
};

/// Fails the test where anything disagrees, or where the troubles did not happen. The seed is always the same;
/// KARTA_FARM_SEED gives another. Threads decide which card meets which trouble.
void run_farm(const FarmPlan& plan);

}  // namespace karta::test
