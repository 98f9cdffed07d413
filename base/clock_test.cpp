#include "base/clock.h"

#include <gtest/gtest.h>

namespace karta {
namespace {

TEST(Clock, TextGoesThereAndBack) {
  const Time time = *parse_time("2026-11-21T08:30:59Z");
  EXPECT_EQ(time.time_since_epoch().count(), 1795249859);  // date -u -d 2026-11-21T08:30:59Z +%s
  EXPECT_EQ(format_time(time), "2026-11-21T08:30:59Z");
  EXPECT_EQ(format_time(*parse_time("1950-02-28")), "1950-02-28T00:00:00Z");
}

TEST(Clock, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026", "2026-02-30", "2026-13-01", "2026-11-21T24:00:00Z", "2026-11-21T08:30:59",
                           "2026-11-21 08:30:59Z", "2026-11-21T08:60:00Z", "20x6-11-21", "2026/11/21"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(Clock, FixedClockAdvancesOnlyWhenTold) {
  FixedClock clock(*parse_time("2026-01-01"));
  EXPECT_EQ(clock.now(), clock.now());
  clock.advance(std::chrono::seconds(86400));
  EXPECT_EQ(format_time(clock.now()), "2026-01-02T00:00:00Z");
}

}  // namespace
}  // namespace karta
