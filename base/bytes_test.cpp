#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/secret.h"

namespace karta {
namespace {

TEST(Bytes, HexGoesThereAndBack) {
  const Bytes octets = {0x00, 0x7F, 0x80, 0xFF};
  EXPECT_EQ(to_hex(octets), "007f80ff");
  EXPECT_EQ(to_hex_upper(octets, " "), "00 7F 80 FF");
  EXPECT_EQ(*from_hex("00 7f:80FF"), octets);
  EXPECT_TRUE(from_hex("")->empty());
}

TEST(Bytes, HexNamesThePlaceOfAFault) {
  EXPECT_EQ(from_hex("00g0").error().message, "not a hexadecimal digit at position 3");
  EXPECT_EQ(from_hex("000").error().message, "half an octet of hexadecimal at position 3");
}

// RFC 4648 §10.
TEST(Bytes, Base64ReadsWhatItWritesAndNothingElse) {
  for (const std::string_view text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    const auto back = from_base64(to_base64(as_bytes(text)));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(as_text(*back), text);
  }
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z=9v", "Zm9v\n", "Zm 9v", "====", "Zm-v"}) {
    EXPECT_EQ(from_base64(text).error().kind, ErrorKind::malformed) << text;
  }
}

TEST(Bytes, Base64MatchesRfc4648) {
  EXPECT_EQ(to_base64(as_bytes("")), "");
  EXPECT_EQ(to_base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(to_base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(to_base64(as_bytes("foo")), "Zm9v");
  EXPECT_EQ(to_base64(as_bytes("foobar")), "Zm9vYmFy");
}

TEST(Bytes, EqualSeesLengths) {
  EXPECT_TRUE(equal(as_bytes("ab"), as_bytes("ab")));
  EXPECT_FALSE(equal(as_bytes("ab"), as_bytes("abc")));
}

TEST(Secret, MovesAndLeavesNothingBehind) {
  SecretBytes pin = SecretBytes::copy_of("123456");
  SecretBytes taken = std::move(pin);
  EXPECT_TRUE(pin.empty());  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_TRUE(taken.equals(as_bytes("123456")));
  EXPECT_FALSE(taken.equals(as_bytes("123457")));
  EXPECT_FALSE(taken.equals(as_bytes("12345")));
  taken = SecretBytes(2);
  EXPECT_EQ(taken.size(), 2u);
}

TEST(Secret, WipeLeavesZeros) {
  Bytes octets = {1, 2, 3};
  wipe(octets);
  EXPECT_EQ(octets, (Bytes{0, 0, 0}));
}

}  // namespace
}  // namespace karta
