#include "identity/status_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace karta::identity {
namespace {

Bytes seed(std::uint64_t from) { return SeededRandom(from).bytes(kStatusSeedOctets); }

TEST(StatusIndex, PermutesEveryBlockSize) {
  for (const std::uint32_t size :
       {1u, 2u, 3u, 4u, 5u, 7u, 16u, 17u, 63u, 100u, 255u, 256u, 257u, 1000u, 1024u, 4097u}) {
    for (std::uint64_t from = 0; from < 3; ++from) {
      std::vector<bool> met(size);
      for (std::uint32_t ordinal = 0; ordinal < size; ++ordinal) {
        const std::uint32_t place = permute_in_block(seed(from), size, ordinal);
        ASSERT_LT(place, size);
        EXPECT_FALSE(met[place]) << "size " << size << " ordinal " << ordinal;
        met[place] = true;
      }
    }
  }
}

TEST(StatusIndex, LargestBlockStaysInside) {
  for (const std::uint32_t ordinal : {0u, 1u, kStatusBlockMaxSize / 2, kStatusBlockMaxSize - 1}) {
    EXPECT_LT(permute_in_block(seed(1), kStatusBlockMaxSize, ordinal), kStatusBlockMaxSize);
  }
}

TEST(StatusIndex, TheSeedDecidesTheOrder) {
  std::size_t same = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    same += permute_in_block(seed(1), 1000, i) == permute_in_block(seed(2), 1000, i) ? 1 : 0;
  }
  EXPECT_LT(same, 12u);  // one in a thousand is what chance gives
  // The same seed in a block of another size is another order too.
  same = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    same += permute_in_block(seed(1), 1000, i) == permute_in_block(seed(1), 1001, i) ? 1 : 0;
  }
  EXPECT_LT(same, 12u);
}

TEST(StatusIndex, OrderOfIssueDoesNotShow) {
  // Correlation between ordinal and place, and how often neighbours stay neighbours: what chance gives.
  constexpr std::uint32_t kSize = 2048;
  const Bytes key = seed(7);
  double sum = 0;
  std::size_t neighbours = 0, ascents = 0;
  std::uint32_t before = 0;
  const double mean = (kSize - 1) / 2.0;
  for (std::uint32_t i = 0; i < kSize; ++i) {
    const std::uint32_t place = permute_in_block(key, kSize, i);
    sum += (i - mean) * (place - mean);
    if (i > 0) {
      neighbours += std::max(place, before) - std::min(place, before) == 1 ? 1 : 0;
      ascents += place > before ? 1 : 0;
    }
    before = place;
  }
  const double variance = (double{kSize} * kSize - 1) / 12;
  EXPECT_LT(std::abs(sum / kSize / variance), 4 / std::sqrt(double{kSize}));
  EXPECT_LT(neighbours, 12u);  // two are expected
  EXPECT_NEAR(static_cast<double>(ascents), kSize / 2.0, 4 * std::sqrt(kSize / 12.0));
}

TEST(StatusIndex, IsTheSameOnEveryMachineAndInEveryVersion) {
  // The registry keeps seed and ordinal only: another permutation would hand out an index twice. Worked out with
  // Python's hmac and hashlib from the description in the header.
  Bytes key(kStatusSeedOctets);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < 10; ++i) order.push_back(permute_in_block(key, 10, i));
  EXPECT_EQ(order, (std::vector<std::uint32_t>{6, 3, 8, 2, 9, 4, 0, 5, 7, 1}));
  EXPECT_EQ(permute_in_block(key, 1'000'000, 123'456), 845'830u);
}

}  // namespace
}  // namespace karta::identity
