#include <gtest/gtest.h>

#include "tests/kartad/farm/farm.h"

namespace karta::test {

TEST(Farm, TripsOnCardsOpeningsJournalAndSettlementAgree) { run_farm({.taps = 2'000, .kills = 25, .restarts = 12}); }

}  // namespace karta::test
