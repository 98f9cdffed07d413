#include <gtest/gtest.h>

#include "tests/kartad/farm/farm.h"

namespace karta::test {

TEST(Farm, TripsOnCardsOpeningsJournalAndSettlementAgree) { run_farm(2'000, 25); }

}  // namespace karta::test
