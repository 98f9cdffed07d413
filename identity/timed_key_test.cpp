#include "identity/timed_key.h"

#include <gtest/gtest.h>

#include "base/base64url.h"
#include "crypto/digest.h"

namespace karta::identity {
namespace {

Time at(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

TEST(TimedKey, ASecretBeginsWithItsTimeAndIsNeverTheSame) {
  SystemRandom random;
  const std::string secret = new_timed_secret(at(0x69000102), random);
  ASSERT_EQ(secret.size(), kTimedSecretLetters);
  const auto octets = from_base64url(secret);
  ASSERT_TRUE(octets);
  EXPECT_EQ(to_hex(ByteView(*octets).first(4)), "69000102");
  EXPECT_NE(secret, new_timed_secret(at(0x69000102), random));
}

TEST(TimedKey, ItsKeyIsItsTimeAndItsHash) {
  SystemRandom random;
  const std::string secret = new_timed_secret(at(0x69000102), random);
  const Bytes key = key_of_secret(secret);
  const Bytes hash = crypto::digest(crypto::Hash::sha256, as_bytes(secret));
  EXPECT_EQ(to_hex(key), "69000102" + to_hex(ByteView(hash).first(28)));
  // Another secret of the same second, and the same text with another time, have other keys.
  EXPECT_NE(key, key_of_secret(new_timed_secret(at(0x69000102), random)));
  std::string other = secret;
  other[0] = other[0] == 'A' ? 'B' : 'A';
  EXPECT_NE(to_hex(key).substr(8), to_hex(key_of_secret(other)).substr(8));
}

TEST(TimedKey, OfAnyOtherTextItIsAHash) {
  for (const std::string& text : {std::string(), std::string("code"), std::string(43, 'A'), std::string(48, '!')}) {
    EXPECT_EQ(key_of_secret(text), crypto::digest(crypto::Hash::sha256, as_bytes(text))) << text;
  }
}

TEST(TimedKey, KeysAreOrderedByTime) {
  const Bytes low(32, 0), high(32, 0xFF);
  EXPECT_LT(timed_key(at(1000), high), timed_key(at(1001), low));
  EXPECT_LT(timed_key(at(999), high), first_key_of(at(1000)));
  EXPECT_LE(first_key_of(at(1000)), timed_key(at(1000), low));
  EXPECT_EQ(timed_key(at(1000), low).size(), 32u);
}

TEST(TimedKey, IdsAreOrderedToo) {
  SystemRandom random;
  const std::string first = new_timed_id(at(0x68FFFFFF), random), second = new_timed_id(at(0x69000000), random);
  EXPECT_EQ(first.size(), 32u);
  EXPECT_LT(first, second);
}

}  // namespace
}  // namespace karta::identity
