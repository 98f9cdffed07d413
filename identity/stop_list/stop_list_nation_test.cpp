// A nation's stop-list: 150 million indexes, every one of them looked up; a flipped bit anywhere is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "crypto/testing.h"
#include "identity/stop_list/stop_table.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;

constexpr std::uint64_t kCards = 150'000'000;

class NationsStopList : public ::testing::TestWithParam<double> {
 protected:
  /// As chance scatters them.
  static std::vector<std::uint64_t> dead(double share) {
    std::mt19937_64 random(150);
    std::geometric_distribution<std::uint64_t> gap(share);
    std::vector<std::uint64_t> out;
    for (std::uint64_t at = gap(random); at < kCards; at += 1 + gap(random)) out.push_back(at);
    return out;
  }
  static Bytes file_of(const std::vector<std::uint64_t>& indexes, crypto::testing::TestCentre& centre) {
    const StopListHead head{.kind = StopListKind::full,
                            .epoch = 1,
                            .this_update = test_time(),
                            .next_update = test_time() + std::chrono::hours(24 * 8),
                            .issuer = "Region A",
                            .base_epoch = 0,
                            .base = {}};
    return must(sign_stop_list(must(encode_stop_list(head, {{0, kCards}}, indexes)), centre.ca_signer));
  }
};

TEST_P(NationsStopList, EveryIndexIsAnsweredAsItStands) {
  crypto::testing::TestCentre centre;
  const auto indexes = dead(GetParam());
  const Bytes file = file_of(indexes, centre);
  const StopList list = must(StopList::parse(file));
  ASSERT_TRUE(list.verify({centre.ca}, test_time()));
  const StopTable table = must(StopTable::unfold(list));
  std::uint64_t wrong = 0;
  auto next = indexes.begin();
  for (std::uint64_t index = 0; index < kCards; ++index) {
    const bool stopped = next != indexes.end() && *next == index;
    if (stopped) ++next;
    if (table.find(index) != (stopped ? CardVerdict::stopped : CardVerdict::good)) ++wrong;
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(next, indexes.end());
  for (std::uint64_t beyond = kCards; beyond < kCards + 4096; ++beyond) {
    ASSERT_EQ(table.find(beyond), CardVerdict::unknown) << beyond;
  }
  // In place: each shard in turn hands out what was put in, and single looks agree with the table.
  std::size_t at = 0;
  ASSERT_TRUE(list.for_each([&](std::uint64_t index) { wrong += at >= indexes.size() || indexes[at++] != index; }));
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(at, indexes.size());
  std::mt19937_64 random(151);
  for (unsigned i = 0; i < 500; ++i) {
    const std::uint64_t index = random() % kCards;
    EXPECT_EQ(must(list.find(index)), table.find(index)) << index;
  }
}

// In head, batches, directory, codes and signature; the places are drawn anew over the whole file.
TEST_P(NationsStopList, NoBitCanChange) {
  crypto::testing::TestCentre centre;
  Bytes file = file_of(dead(GetParam()), centre);
  std::mt19937_64 random(152);
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < 128; ++i) places.push_back(i);                   // head and directory's beginning
  for (std::size_t i = 1; i <= 96; ++i) places.push_back(file.size() - i);     // signature and its algorithm
  for (unsigned i = 0; i < 80; ++i) places.push_back(random() % file.size());  // codes
  for (const std::size_t place : places) {
    const auto bit = static_cast<std::uint8_t>(1u << random() % 8);
    file[place] ^= bit;
    const auto list = StopList::parse(file);
    EXPECT_FALSE(list && list->verify({centre.ca}, test_time())) << place << " of " << file.size();
    file[place] ^= bit;
  }
  const auto whole = StopList::parse(file);
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->verify({centre.ca}, test_time()));
}

INSTANTIATE_TEST_SUITE_P(Shares, NationsStopList, ::testing::Values(0.001, 0.01, 0.05),
                         [](const auto& one) { return "OneIn" + std::to_string(std::lround(1 / one.param)); });

}  // namespace
}  // namespace karta::identity
