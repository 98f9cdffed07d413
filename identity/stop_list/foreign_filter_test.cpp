#include "identity/stop_list/foreign_filter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "crypto/testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;

struct Issuer {
  crypto::testing::TestCentre centre;
  std::vector<crypto::Certificate> signers{centre.ca};
};
Issuer& issuer() {
  static Issuer the_issuer;
  return the_issuer;
}
ForeignFilterHead head() {
  return {.epoch = 3, .this_update = test_time(), .next_update = test_time() + std::chrono::hours(192), .issuer = "A"};
}
std::vector<ForeignKey> keys_of(std::size_t count, std::uint64_t seed) {
  SeededRandom random(seed);
  std::vector<ForeignKey> keys(count);
  for (ForeignKey& key : keys) key = random.below(~std::uint64_t{0});
  return keys;
}

TEST(ForeignFilter, ListsEveryKeyAndFewOthers) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{10}, std::size_t{100},
                                  std::size_t{1'000}, std::size_t{50'000}, std::size_t{300'000}}) {
    const auto keys = keys_of(count, count);
    const Bytes file = must(sign_foreign_filter(must(encode_foreign_filter(head(), keys)), issuer().centre.ca_signer));
    const ForeignFilter filter = must(ForeignFilter::parse(file));
    EXPECT_EQ(filter.count(), count);
    for (const ForeignKey key : keys) ASSERT_TRUE(filter.may_list(key)) << count;
    std::size_t mistaken = 0;
    constexpr std::size_t kAsked = 1'000'000;
    for (const ForeignKey key : keys_of(kAsked, 77)) mistaken += filter.may_list(key) ? 1 : 0;
    // 15.3 are expected; more than 40 would happen once in 10^7 runs with other seeds.
    EXPECT_LT(mistaken, 40u) << count;
    if (count >= 50'000) {
      EXPECT_LT(static_cast<double>(file.size()) * 8 / static_cast<double>(count), 20.0);
    }
  }
}

TEST(ForeignFilter, KeysMayRepeatAndNoneListsNothing) {
  auto keys = keys_of(1'000, 5);
  auto twice = keys;
  twice.insert(twice.end(), keys.begin(), keys.end());
  EXPECT_EQ(must(encode_foreign_filter(head(), keys)), must(encode_foreign_filter(head(), twice)));
  const Bytes empty = must(sign_foreign_filter(must(encode_foreign_filter(head(), {})), issuer().centre.ca_signer));
  const ForeignFilter none = must(ForeignFilter::parse(empty));
  for (const ForeignKey key : keys) EXPECT_FALSE(none.may_list(key));
}

TEST(ForeignFilter, KeysStandForIssuerAndSerial) {
  const crypto::Certificate& certificate = issuer().centre.citizen_certificate;
  const ForeignKey key = foreign_key(certificate);
  const Bytes longer = concat({Bytes{0}, certificate.serial()});
  EXPECT_EQ(foreign_key(certificate.issuer(), longer), key);
  EXPECT_NE(foreign_key(certificate.subject(), certificate.serial()), key);
  // Another encoding of the same name: letters of another case stand for all of them.
  const auto one = must(crypto::name_from_text("CN=Test Root,C=XX"));
  const auto other = must(crypto::name_from_text("CN=TEST  root,C=XX"));
  EXPECT_EQ(foreign_key(one, certificate.serial()), foreign_key(other, certificate.serial()));
}

TEST(ForeignFilter, AnyFlippedBitIsRefused) {
  const Bytes file =
      must(sign_foreign_filter(must(encode_foreign_filter(head(), keys_of(20, 9))), issuer().centre.ca_signer));
  EXPECT_TRUE(ForeignFilter::signer(file, issuer().signers, test_time()));
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes changed = file;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << (bit % 8)));
    ASSERT_FALSE(ForeignFilter::signer(changed, issuer().signers, test_time())) << bit;
  }
  for (std::size_t length = 0; length < file.size(); ++length)
    ASSERT_FALSE(ForeignFilter::parse(ByteView(file).first(length))) << length;
  EXPECT_FALSE(ForeignFilter::signer(file, {issuer().centre.root}, test_time()));
  EXPECT_FALSE(ForeignFilter::signer(file, issuer().signers, test_time() + std::chrono::hours(24 * 36'500)));
}

}  // namespace
}  // namespace karta::identity
