#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace karta {
namespace {

TEST(Random, SystemDrawsDiffer) {
  SystemRandom random;
  EXPECT_NE(random.bytes(16), random.bytes(16));
}

TEST(Random, SeededRepeats) {
  SeededRandom a(7), b(7), c(8);
  const Bytes first = a.bytes(20);
  EXPECT_EQ(first, b.bytes(20));
  EXPECT_NE(first, c.bytes(20));
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  SeededRandom random(1);
  std::array<int, 10> seen{};
  for (int i = 0; i < 10000; ++i) ++seen.at(random.below(10));
  for (int count : seen) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, DigitsAreDigits) {
  SeededRandom random(2);
  const SecretBytes pin = random.digits(10);
  EXPECT_EQ(pin.size(), 10u);
  for (char c : pin.expose_secret_text()) EXPECT_TRUE(c >= '0' && c <= '9');
}

}  // namespace
}  // namespace karta
