#include "service/rate_limit.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace karta::service {
namespace {

using std::chrono::seconds;

const Time kStart = Time(seconds(1'800'000'000));

/// How many of `count` turns asked for at `now` are given.
int given(RateLimit& limit, std::string_view key, int count, Time now) {
  int out = 0;
  for (int i = 0; i < count; ++i) out += limit.take(key, now).count() == 0 ? 1 : 0;
  return out;
}

TEST(RateLimitTest, ABurstThenOneAnInterval) {
  RateLimit limit({.burst = 5, .interval = seconds(10)});
  EXPECT_EQ(given(limit, "a", 100, kStart), 5);
  EXPECT_EQ(limit.take("a", kStart), seconds(10));
  EXPECT_EQ(limit.take("a", kStart + seconds(9)), seconds(1));
  EXPECT_EQ(given(limit, "a", 100, kStart + seconds(10)), 1);
  EXPECT_EQ(given(limit, "a", 100, kStart + seconds(29)), 1);
  EXPECT_EQ(given(limit, "b", 100, kStart + seconds(29)), 5) << "another key's are its own";
  // Never more than the burst, however long nothing was taken.
  EXPECT_EQ(given(limit, "a", 100, kStart + seconds(3600)), 5);
}

TEST(RateLimitTest, SeveralASecond) {
  RateLimit limit({.burst = 2, .interval = std::chrono::milliseconds(200)});
  EXPECT_EQ(given(limit, "a", 10, kStart), 2);
  EXPECT_EQ(limit.take("a", kStart), seconds(1)) << "whole seconds";
  int all = 0;
  for (int i = 1; i <= 10; ++i) all += given(limit, "a", 10, kStart + seconds(i));
  EXPECT_EQ(all, 20);
}

TEST(RateLimitTest, StrangersFillNoMemory) {
  RateLimit limit({.burst = 2, .interval = seconds(10)}, 100);
  EXPECT_EQ(limit.take("early", kStart), seconds(0));
  int others = 0;
  for (int i = 0; i < 1000; ++i) others += given(limit, "key " + std::to_string(i), 1, kStart);
  EXPECT_EQ(limit.keys(), 100u);
  EXPECT_EQ(others, 99 + 2) << "those without a place of their own share one key's turns";
  EXPECT_EQ(given(limit, "early", 9, kStart), 1) << "who was there keeps his own";
  EXPECT_EQ(given(limit, "late", 9, kStart + seconds(20)), 2) << "those that have all their turns back make room";
  EXPECT_LT(limit.keys(), 100u);
}

TEST(RateLimitTest, KeysThatComeOnceAreForgottenOnTheWay) {
  RateLimit limit({.burst = 30, .interval = seconds(10)});
  std::size_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    EXPECT_EQ(limit.take("key " + std::to_string(i), kStart + seconds(i / 10)).count(), 0);
    most = std::max(most, limit.keys());
  }
  // A hundred of them have not had their turn back at any time.
  EXPECT_LE(most, 512u);
}

TEST(RateLimitTest, AClockThatWasSetBackShutsNobodyOutForGood) {
  RateLimit limit({.burst = 1, .interval = seconds(10)});
  EXPECT_EQ(limit.take("a", kStart), seconds(0));
  EXPECT_EQ(limit.take("a", kStart - seconds(86'400)), seconds(10));
}

TEST(NetworkOfTest, ASubscriberIsOneNetwork) {
  EXPECT_EQ(network_of("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(network_of("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(network_of("2001:db8:1:2:3:4:5:6"), network_of("2001:db8:1:2::1"));
  EXPECT_NE(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:3::1"));
  EXPECT_EQ(network_of("fe80::1%eth0"), network_of("fe80::2"));
  EXPECT_EQ(network_of("unix"), "unix");
}

TEST(NetworkOfTest, NetworksOfOneHolderAreOneSite) {
  EXPECT_EQ(site_of("2001:db8:1:2::1"), site_of("2001:db8:1:ffff::9"));
  EXPECT_NE(site_of("2001:db8:1::1"), site_of("2001:db8:2::1"));
  EXPECT_EQ(site_of("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(site_of("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(site_of("unix"), "unix");
}

}  // namespace
}  // namespace karta::service
