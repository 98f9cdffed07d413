#include "identity/journal/clock_guard.h"

#include <gtest/gtest.h>

namespace karta::identity {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Time kStart{seconds(1'790'000'000)};

class ClockGuardTest : public testing::Test {
 protected:
  ClockGuard guard(std::optional<Time> latest = {}) {
    return ClockGuard(latest, {}, [this] { return up_; });
  }
  seconds up_{1000};
};

TEST_F(ClockGuardTest, AClockThatRunsIsFine) {
  ClockGuard clock = guard(kStart);
  for (int i = 1; i < 1000; ++i) {
    up_ += minutes(10);
    const auto look = clock.look(kStart + i * minutes(10));
    EXPECT_EQ(look.state, ClockState::fine);
    EXPECT_FALSE(look.jump);
    EXPECT_FALSE(look.changed);
  }
  EXPECT_EQ(clock.latest(), kStart + 999 * minutes(10));
}

TEST_F(ClockGuardTest, SetBackAcrossARestart) {
  ClockGuard clock = guard(kStart);
  const auto look = clock.look(kStart - hours(24));
  EXPECT_EQ(look.state, ClockState::back);
  ASSERT_TRUE(look.jump);
  EXPECT_EQ(look.jump->expected, kStart);
  EXPECT_EQ(clock.latest(), kStart);
  // Told once, and fine again once it is set right.
  EXPECT_FALSE(clock.look(kStart - hours(24)).jump);
  up_ += seconds(5);
  const auto right = clock.look(kStart + minutes(3));
  EXPECT_EQ(right.state, ClockState::fine);
  EXPECT_TRUE(right.changed);
  EXPECT_TRUE(right.jump);
}

TEST_F(ClockGuardTest, TenYearsAheadInARunAndBack) {
  ClockGuard clock = guard();
  EXPECT_EQ(clock.look(kStart).state, ClockState::fine);
  up_ += seconds(60);
  const auto look = clock.look(kStart + hours(24 * 3652));
  EXPECT_EQ(look.state, ClockState::leapt);
  ASSERT_TRUE(look.jump);
  EXPECT_EQ(look.jump->expected, kStart + seconds(60));
  EXPECT_EQ(clock.latest(), kStart) << "nobody lived through those years";
  up_ += seconds(60);
  EXPECT_EQ(clock.look(kStart + seconds(120)).state, ClockState::fine);
}

TEST_F(ClockGuardTest, TenYearsAheadAcrossARestart) {
  ClockGuard clock = guard(kStart);
  EXPECT_EQ(clock.look(kStart + hours(24 * 3652)).state, ClockState::leapt);
}

TEST_F(ClockGuardTest, WhatIsSignedNearbyEndsALeap) {
  // A terminal taken out of store after two years: the clock is right, and a list made yesterday shows it.
  const Time now = kStart + hours(24 * 730);
  ClockGuard clock = guard(kStart);
  EXPECT_EQ(clock.look(now).state, ClockState::leapt);
  clock.vouch(now - hours(24));
  EXPECT_EQ(clock.look(now).state, ClockState::fine);
  EXPECT_EQ(clock.latest(), now);
}

TEST_F(ClockGuardTest, WhatIsSignedLaterShowsAClockThatIsBehind) {
  ClockGuard clock = guard();
  EXPECT_EQ(clock.look(Time(seconds(100))).state, ClockState::fine) << "1970, first start: nothing says otherwise";
  clock.vouch(kStart);
  EXPECT_EQ(clock.look(Time(seconds(101))).state, ClockState::back);
  EXPECT_EQ(clock.look(kStart + minutes(1)).state, ClockState::fine);
}

TEST_F(ClockGuardTest, AClockThatRanAheadAndWasSetRightIsConfirmed) {
  ClockGuard clock = guard(kStart + hours(50));
  EXPECT_EQ(clock.look(kStart).state, ClockState::back);
  clock.confirm(kStart, kStart + hours(50));
  EXPECT_EQ(clock.look(kStart).state, ClockState::back) << "the authority does not say so";
  clock.confirm(kStart, kStart + seconds(30));
  EXPECT_EQ(clock.look(kStart).state, ClockState::fine);
  EXPECT_EQ(clock.latest(), kStart);
}

TEST_F(ClockGuardTest, SmallStepsAreNeitherToldNorCountTwice) {
  ClockGuard clock = guard();
  (void)clock.look(kStart);
  up_ += seconds(30);
  EXPECT_FALSE(clock.look(kStart).jump) << "half a minute back";
  up_ += minutes(5);
  const auto look = clock.look(kStart + minutes(1));
  EXPECT_TRUE(look.jump) << "four and a half more";
  EXPECT_EQ(look.state, ClockState::fine);
}

}  // namespace
}  // namespace karta::identity
