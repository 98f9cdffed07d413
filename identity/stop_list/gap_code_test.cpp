#include "identity/stop_list/gap_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace karta::identity {
namespace {

std::uint32_t number(RandomSource& random, std::uint32_t below) {
  const Bytes octets = random.bytes(8);
  std::uint64_t value = 0;
  for (const std::uint8_t octet : octets) value = value << 8 | octet;
  return static_cast<std::uint32_t>(value % below);
}

// Each number below `size` with chance per_mille / 1000.
std::vector<std::uint32_t> scattered(std::uint32_t size, std::uint32_t per_mille, std::uint64_t seed) {
  SeededRandom random(seed);
  const Bytes octets = random.bytes(std::size_t{size} * 2);
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (load_be16(ByteView(octets).subspan(std::size_t{i} * 2)) % 1000 < per_mille) out.push_back(i);
  }
  return out;
}

Result<std::vector<std::uint32_t>> decode(ByteView code, std::uint32_t size, std::uint32_t count) {
  std::vector<std::uint32_t> out;
  TRY(decode_gaps(code, size, count, [&](std::uint32_t member) {
    out.push_back(member);
    return true;
  }));
  return out;
}

double log2_choose(double n, double k) {
  return (std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1)) / std::log(2.0);
}

TEST(GapCode, EverySetOfSmallSizesComesBack) {
  for (std::uint32_t size = 0; size <= 11; ++size) {
    for (std::uint32_t set = 0; set < 1u << size; ++set) {
      std::vector<std::uint32_t> members;
      for (std::uint32_t i = 0; i < size; ++i) {
        if ((set >> i & 1) != 0) members.push_back(i);
      }
      Bytes code;
      encode_gaps(members, size, code);
      const auto back = decode(code, size, static_cast<std::uint32_t>(members.size()));
      ASSERT_TRUE(back) << size << " " << set;
      ASSERT_EQ(*back, members) << size << " " << set;
    }
  }
}

TEST(GapCode, ScatteredSetsOfEveryDensityComeBack) {
  for (const std::uint32_t size : {1u, 2u, 63u, 64u, 1000u, 65'537u, kMostInShard - 1, kMostInShard}) {
    for (const std::uint32_t per_mille : {0u, 1u, 3u, 10u, 50u, 300u, 500u, 900u, 999u, 1000u}) {
      const auto members = scattered(size, per_mille, size + per_mille);
      Bytes code;
      encode_gaps(members, size, code);
      const auto back = decode(code, size, static_cast<std::uint32_t>(members.size()));
      ASSERT_TRUE(back) << size << " " << per_mille;
      ASSERT_EQ(*back, members) << size << " " << per_mille;
    }
  }
}

// Sets that chance would not make: the longest gaps there are, runs, both ends.
TEST(GapCode, LopsidedSetsComeBack) {
  std::vector<std::vector<std::uint32_t>> sets = {
      {0}, {kMostInShard - 1}, {0, kMostInShard - 1}, {5, kMostInShard - 2, kMostInShard - 1}};
  std::vector<std::uint32_t> run;
  for (std::uint32_t i = 0; i < 40'000; ++i) run.push_back(i);
  sets.push_back(run);
  run.push_back(kMostInShard - 1);
  sets.push_back(run);
  for (std::uint32_t& member : run) member = kMostInShard - 1 - member;
  std::sort(run.begin(), run.end());
  sets.push_back(run);
  for (const auto& members : sets) {
    Bytes code;
    encode_gaps(members, kMostInShard, code);
    const auto back = decode(code, kMostInShard, static_cast<std::uint32_t>(members.size()));
    ASSERT_TRUE(back) << members.size();
    ASSERT_EQ(*back, members) << members.size();
  }
}

// What the shipped lists are judged by: a shard's code, its four octets of state included, beside log2 C(n, k).
TEST(GapCode, StaysWithinTwoThousandthsOfTheInformationBound) {
  for (const std::uint32_t per_mille : {1u, 2u, 5u, 10u, 50u, 100u, 300u}) {
    const auto members = scattered(kMostInShard, per_mille, per_mille);
    Bytes code;
    encode_gaps(members, kMostInShard, code);
    const double bound = log2_choose(kMostInShard, static_cast<double>(members.size())) / 8;
    EXPECT_LT(static_cast<double>(code.size()), bound * 1.002 + 4) << per_mille << " per mille, bound " << bound;
    EXPECT_GT(static_cast<double>(code.size()), bound * 0.99) << per_mille;
  }
}

TEST(GapCode, FrequenciesCoverTheScaleWithoutHoles) {
  for (const std::uint32_t size : {2u, 100u, kMostInShard}) {
    for (std::uint32_t members = 1; members < size; members = members * 2 + 1) {
      const GapModel model(size, members);
      ASSERT_EQ(model.start(0), 0u);
      ASSERT_EQ(model.start(GapModel::kSymbols), 65'536u);
      for (unsigned symbol = 0; symbol < GapModel::kSymbols; ++symbol) {
        ASSERT_GE(model.frequency(symbol), 1u) << size << " " << members << " " << symbol;
        ASSERT_EQ(model.symbol_at(model.start(symbol)), symbol);
        ASSERT_EQ(model.symbol_at(model.start(symbol + 1) - 1), symbol);
      }
    }
  }
}

// The worked example of docs/stop-list.md.
TEST(GapCode, TheDocumentsExample) {
  const std::vector<std::uint32_t> members = {3, 70, 71, 500};
  Bytes code;
  encode_gaps(members, 1000, code);
  EXPECT_EQ(to_hex(code), "23c038010700be3a");
}

// Cut, lengthened or changed codes: an error, or another set; never a member outside, out of order or too many.
TEST(GapCode, DamageIsFoundOrHarmless) {
  const auto members = scattered(4096, 20, 77);
  Bytes code;
  encode_gaps(members, 4096, code);
  SeededRandom random(9);
  unsigned refused = 0, tried = 0;
  const auto judge = [&](ByteView damaged) {
    ++tried;
    std::uint32_t handed = 0, next = 0;
    const auto status =
        decode_gaps(damaged, 4096, static_cast<std::uint32_t>(members.size()), [&](std::uint32_t member) {
          EXPECT_GE(member, next);
          EXPECT_LT(member, 4096u);
          next = member + 1;
          ++handed;
          return true;
        });
    EXPECT_LE(handed, members.size());
    if (!status) ++refused;
  };
  for (std::size_t cut = 0; cut < code.size(); ++cut) judge(ByteView(code).first(cut));
  Bytes longer = code;
  longer.insert(longer.end(), {0, 0});
  judge(longer);
  EXPECT_EQ(refused, tried);  // every cut and every tail
  for (int i = 0; i < 2000; ++i) {
    Bytes damaged = code;
    damaged[number(random, static_cast<std::uint32_t>(damaged.size()))] ^=
        static_cast<std::uint8_t>(1u << number(random, 8));
    judge(damaged);
  }
  EXPECT_GT(refused, tried / 3);  // low bits carry no redundancy; the signature guards them
}

}  // namespace
}  // namespace karta::identity
