#include <gtest/gtest.h>

#include "tests/kartad/farm/farm.h"

namespace karta::test {

TEST(FarmSlow, TripsOnCardsOpeningsJournalAndSettlementAgree) {
  run_farm({.taps = 10'000, .kills = 120, .restarts = 50});
}

}  // namespace karta::test
