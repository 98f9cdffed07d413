// The coprocessor against Botan: what one makes the other must accept, and both must agree on shared secrets.
#include "firmware-sim/host/coprocessor.h"

#include <botan/auto_rng.h>
#include <botan/bigint.h>
#include <botan/ecdh.h>
#include <botan/ecdsa.h>
#include <botan/numthry.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace karta::sim {
namespace {

using os::Curve;
using os::HalStatus;

struct RsaKey {
  explicit RsaKey(std::size_t bits)
      : modulus(bits / 8), p(bits / 16), q(bits / 16), dp(bits / 16), dq(bits / 16), u(bits / 16) {}
  os::RsaCrt<os::ByteSpan> spans() { return {modulus, p, q, dp, dq, u}; }
  os::RsaCrt<os::ByteView> views() const { return {modulus, p, q, dp, dq, u}; }
  Bytes modulus, p, q, dp, dq, u;
};

Botan::BigInt number(const Bytes& octets) { return Botan::BigInt(octets.data(), octets.size()); }

class EcCoprocessor : public testing::TestWithParam<std::pair<Curve, const char*>> {
 protected:
  Curve curve() const { return GetParam().first; }
  Botan::EC_Group group() const { return Botan::EC_Group(GetParam().second); }
  Bytes scalar = Bytes(field_bytes(GetParam().first));
  Bytes point = Bytes(point_bytes(GetParam().first));
  Coprocessor chip;
  Botan::AutoSeeded_RNG random;
};

INSTANTIATE_TEST_SUITE_P(Curves, EcCoprocessor,
                         testing::Values(std::pair(Curve::p256, "secp256r1"), std::pair(Curve::p384, "secp384r1"),
                                         std::pair(Curve::p521, "secp521r1")),
                         [](const auto& row) { return std::string(row.param.second); });

TEST_P(EcCoprocessor, SignsWhatAnotherImplementationVerifies) {
  ASSERT_EQ(chip.ec_generate(curve(), scalar, point), HalStatus::ok);
  const Botan::ECDSA_PublicKey key(group(), group().OS2ECP(point));
  Botan::PK_Verifier verifier(key, "Raw");
  for (std::size_t digest_bytes : {20u, 32u, 48u, 64u}) {
    const Bytes digest(digest_bytes, 0xA7);
    Bytes raw(2 * scalar.size());
    ASSERT_EQ(chip.ec_sign(curve(), scalar, digest, raw), HalStatus::ok);
    EXPECT_TRUE(verifier.verify_message(digest, raw)) << digest_bytes;
    raw.back() ^= 1;
    EXPECT_FALSE(verifier.verify_message(digest, raw)) << digest_bytes;
  }
}

TEST_P(EcCoprocessor, AgreesOnTheSameSecretAsAnotherImplementation) {
  ASSERT_EQ(chip.ec_generate(curve(), scalar, point), HalStatus::ok);
  const Botan::ECDH_PrivateKey other(random, group());
  const auto other_point = other.public_value();
  Bytes x(scalar.size());
  ASSERT_EQ(chip.ec_agree(curve(), scalar, other_point, x), HalStatus::ok);
  const Botan::PK_Key_Agreement agreement(other, random, "Raw");
  const auto expected = agreement.derive_key(x.size(), point).bits_of();
  EXPECT_EQ(x, Bytes(expected.begin(), expected.end()));
}

TEST_P(EcCoprocessor, RecomputesThePublicPoint) {
  ASSERT_EQ(chip.ec_generate(curve(), scalar, point), HalStatus::ok);
  Bytes again(point.size());
  ASSERT_EQ(chip.ec_public_point(curve(), scalar, again), HalStatus::ok);
  EXPECT_EQ(again, point);
}

TEST_P(EcCoprocessor, RefusesScalarsOutsideTheGroup) {
  Bytes raw(2 * scalar.size());
  EXPECT_EQ(chip.ec_sign(curve(), scalar, Bytes(32, 1), raw), HalStatus::refused) << "zero";
  Botan::BigInt::encode_1363(scalar.data(), scalar.size(), group().get_order());
  EXPECT_EQ(chip.ec_sign(curve(), scalar, Bytes(32, 1), raw), HalStatus::refused) << "the order";
  EXPECT_EQ(chip.ec_public_point(curve(), scalar, point), HalStatus::refused);
}

TEST_P(EcCoprocessor, RefusesPointsOffTheCurve) {
  ASSERT_EQ(chip.ec_generate(curve(), scalar, point), HalStatus::ok);
  EXPECT_EQ(chip.ec_check_point(curve(), point), HalStatus::ok);
  Bytes x(scalar.size());
  Bytes bad = point;
  bad.back() ^= 1;
  EXPECT_EQ(chip.ec_check_point(curve(), bad), HalStatus::refused);
  EXPECT_EQ(chip.ec_agree(curve(), scalar, bad, x), HalStatus::refused);
  bad = point;
  bad[0] = 0x00;
  EXPECT_EQ(chip.ec_check_point(curve(), bad), HalStatus::refused);
  EXPECT_EQ(chip.ec_check_point(curve(), Bytes(1, 0x00)), HalStatus::refused) << "the identity";
  EXPECT_EQ(chip.ec_check_point(curve(), Bytes(point.size(), 0x00)), HalStatus::refused);
  EXPECT_EQ(chip.ec_check_point(curve(), Bytes(point.size(), 0xFF)), HalStatus::refused);
}

TEST(RsaCoprocessor, GeneratesAKeyThatAnotherImplementationFindsSound) {
  Coprocessor chip;
  Botan::AutoSeeded_RNG random;
  RsaKey key(1024);
  ASSERT_EQ(chip.rsa_generate(key.spans()), HalStatus::ok);
  const Botan::RSA_PrivateKey other(number(key.p), number(key.q), 65537);
  EXPECT_EQ(other.get_n(), number(key.modulus));
  EXPECT_EQ(other.get_d1(), number(key.dp));
  EXPECT_EQ(other.get_d2(), number(key.dq));
  EXPECT_EQ(other.get_c(), number(key.u));
  EXPECT_TRUE(other.check_key(random, true));
}

TEST(RsaCoprocessor, ComputesThePrivateOperation) {
  Coprocessor chip;
  Botan::AutoSeeded_RNG random;
  const Botan::RSA_PrivateKey other(random, 2048);
  RsaKey key(2048);
  Botan::BigInt::encode_1363(key.modulus.data(), key.modulus.size(), other.get_n());
  Botan::BigInt::encode_1363(key.p.data(), key.p.size(), other.get_p());
  Botan::BigInt::encode_1363(key.q.data(), key.q.size(), other.get_q());
  Botan::BigInt::encode_1363(key.dp.data(), key.dp.size(), other.get_d1());
  Botan::BigInt::encode_1363(key.dq.data(), key.dq.size(), other.get_d2());
  Botan::BigInt::encode_1363(key.u.data(), key.u.size(), other.get_c());
  Bytes in(256), out(256);
  random.randomize(in.data(), in.size());
  in[0] = 0;
  for (int times = 0; times < 2; ++times) {  // prepared, then from the register
    ASSERT_EQ(chip.rsa_private(key.views(), 65537, in, out), HalStatus::ok);
    EXPECT_EQ(Botan::power_mod(number(out), 65537, other.get_n()), number(in));
  }
  chip.forget_keys();
  ASSERT_EQ(chip.rsa_private(key.views(), 65537, in, out), HalStatus::ok);
  EXPECT_EQ(Botan::power_mod(number(out), 65537, other.get_n()), number(in));
}

TEST(RsaCoprocessor, RefusesInputNotBelowTheModulusAndKeysThatAreNone) {
  Coprocessor chip;
  RsaKey key(1024);
  ASSERT_EQ(chip.rsa_generate(key.spans()), HalStatus::ok);
  Bytes out(128);
  EXPECT_EQ(chip.rsa_private(key.views(), 65537, key.modulus, out), HalStatus::refused);
  EXPECT_EQ(chip.rsa_private(key.views(), 65537, Bytes(128, 0xFF), out), HalStatus::refused);
  EXPECT_EQ(chip.rsa_private(key.views(), 65537, Bytes(127, 1), out), HalStatus::refused);
  RsaKey bad = key;
  bad.q[5] ^= 1;
  EXPECT_EQ(chip.rsa_private(bad.views(), 65537, Bytes(128, 1), out), HalStatus::refused);
}

TEST(RsaCoprocessor, NeverGivesOutTheResultOfAFaultyHalf) {
  Coprocessor chip;
  RsaKey key(1024);
  ASSERT_EQ(chip.rsa_generate(key.spans()), HalStatus::ok);
  RsaKey bad = key;
  bad.dp[10] ^= 1;
  const Bytes in(128, 1);
  Bytes right(128), out(128);
  ASSERT_EQ(chip.rsa_private(key.views(), 65537, in, right), HalStatus::ok);
  // Either it says so, or it fell back to an operation that is right: a wrong power together with a right one would
  // factor the modulus.
  if (chip.rsa_private(bad.views(), 65537, in, out) == HalStatus::ok) {
    EXPECT_EQ(out, right);
  }
}

TEST(RsaCoprocessor, RefusesSizesItDoesNotKnow) {
  Coprocessor chip;
  RsaKey small(512), odd(1152);
  EXPECT_EQ(chip.rsa_generate(small.spans()), HalStatus::refused);
  EXPECT_EQ(chip.rsa_generate(odd.spans()), HalStatus::refused);
}

TEST(Coprocessor, PassesItsSelfTest) {
  Coprocessor chip;
  EXPECT_EQ(chip.self_test(), HalStatus::ok);
  EXPECT_EQ(chip.self_test(), HalStatus::ok);
}

}  // namespace
}  // namespace karta::sim
