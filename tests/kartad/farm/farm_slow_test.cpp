#include <gtest/gtest.h>

#include "tests/kartad/farm/farm.h"

namespace karta::test {

TEST(FarmSlow, TripsOnCardsOpeningsJournalAndSettlementAgree) { run_farm(10'000, 120); }

}  // namespace karta::test
