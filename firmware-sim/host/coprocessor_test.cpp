// The coprocessor against Botan: what one makes the other must accept, and both must agree on shared secrets.
#include "firmware-sim/host/coprocessor.h"

#include <botan/auto_rng.h>
#include <botan/bigint.h>
#include <botan/cipher_mode.h>
#include <botan/ecdh.h>
#include <botan/ecdsa.h>
#include <botan/hash.h>
#include <botan/mac.h>
#include <botan/numthry.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

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

Bytes number_octets(std::uint8_t value, std::size_t octets) {
  Bytes out(octets, 0);
  out.back() = value;
  return out;
}

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
                                         std::pair(Curve::p521, "secp521r1"),
                                         std::pair(Curve::brainpool_p256r1, "brainpool256r1"),
                                         std::pair(Curve::brainpool_p384r1, "brainpool384r1"),
                                         std::pair(Curve::brainpool_p512r1, "brainpool512r1")),
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

TEST_P(EcCoprocessor, VerifiesWhatAnotherImplementationSigns) {
  const Botan::ECDSA_PrivateKey key(random, group());
  const Botan::PointGFp public_point = key.public_point();
  const auto encoded = public_point.encode(Botan::PointGFp::UNCOMPRESSED);
  const Bytes digest(32, 0x3C);
  Botan::PK_Signer signer(key, random, "Raw");
  const auto signature = signer.sign_message(digest, random);
  Bytes raw(signature.begin(), signature.end());
  const Bytes own(encoded.begin(), encoded.end());
  EXPECT_EQ(chip.ec_verify(curve(), own, digest, raw), HalStatus::ok);
  Bytes other = digest;
  other[0] ^= 1;
  EXPECT_EQ(chip.ec_verify(curve(), own, other, raw), HalStatus::refused);
  raw[3] ^= 1;
  EXPECT_EQ(chip.ec_verify(curve(), own, digest, raw), HalStatus::refused);
  EXPECT_EQ(chip.ec_verify(curve(), own, digest, Bytes(raw.size(), 0)), HalStatus::refused);
  EXPECT_EQ(chip.ec_verify(curve(), own, digest, Bytes(raw.size(), 0xFF)), HalStatus::refused);
  EXPECT_EQ(chip.ec_verify(curve(), Bytes(own.size(), 4), digest, raw), HalStatus::refused);
}

// Generic mapping: G' = s G + a B, the same from both sides; and a key pair on G' agrees like any other.
TEST_P(EcCoprocessor, MapsTheGeneratorLikeAnotherImplementation) {
  const Bytes nonce(16, 0x5D);
  Bytes other_scalar(scalar.size()), other_point(point.size()), here(point.size()), there(point.size());
  ASSERT_EQ(chip.ec_generate(curve(), scalar, point), HalStatus::ok);
  ASSERT_EQ(chip.ec_generate(curve(), other_scalar, other_point), HalStatus::ok);
  ASSERT_EQ(chip.ec_map(curve(), nonce, scalar, other_point, here), HalStatus::ok);
  ASSERT_EQ(chip.ec_map(curve(), nonce, other_scalar, point, there), HalStatus::ok);
  EXPECT_EQ(here, there);
  const Botan::PointGFp expected =
      group().get_base_point() * number(nonce) + group().OS2ECP(other_point) * number(scalar);
  const auto encoded = expected.encode(Botan::PointGFp::UNCOMPRESSED);
  EXPECT_EQ(here, Bytes(encoded.begin(), encoded.end()));

  Bytes a(scalar.size()), b(scalar.size()), a_point(point.size()), b_point(point.size()), x(scalar.size()),
      y(scalar.size());
  ASSERT_EQ(chip.ec_generate_on(curve(), here, a, a_point), HalStatus::ok);
  ASSERT_EQ(chip.ec_generate_on(curve(), here, b, b_point), HalStatus::ok);
  ASSERT_EQ(chip.ec_agree(curve(), a, b_point, x), HalStatus::ok);
  ASSERT_EQ(chip.ec_agree(curve(), b, a_point, y), HalStatus::ok);
  EXPECT_EQ(x, y);
  const auto on_mapped = (group().OS2ECP(here) * number(a)).encode(Botan::PointGFp::UNCOMPRESSED);
  EXPECT_EQ(a_point, Bytes(on_mapped.begin(), on_mapped.end()));

  Bytes off = other_point;
  off.back() ^= 1;
  EXPECT_EQ(chip.ec_map(curve(), nonce, scalar, off, here), HalStatus::refused);
  EXPECT_EQ(chip.ec_generate_on(curve(), off, a, a_point), HalStatus::refused);
  EXPECT_EQ(chip.ec_map(curve(), {}, scalar, other_point, here), HalStatus::refused);
}

// A nonce and a point that cancel each other out: no generator at all.
TEST_P(EcCoprocessor, RefusesAMappingOntoTheIdentity) {
  Bytes one(scalar.size(), 0), base(point.size()), minus = base;
  one.back() = 1;
  ASSERT_EQ(chip.ec_public_point(curve(), one, base), HalStatus::ok);
  const auto encoded = (-group().get_base_point()).encode(Botan::PointGFp::UNCOMPRESSED);
  minus.assign(encoded.begin(), encoded.end());
  Bytes mapped(point.size());
  EXPECT_EQ(chip.ec_map(curve(), Bytes{7}, number_octets(7, scalar.size()), minus, mapped), HalStatus::refused);
  EXPECT_EQ(chip.ec_map(curve(), Bytes{8}, number_octets(7, scalar.size()), minus, mapped), HalStatus::ok);
  EXPECT_EQ(mapped, base);
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

// RFC 7027 appendix A.
TEST(CoprocessorVectors, BrainpoolAgreements) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/brainpool_ecdh.json");
  const auto entries = nlohmann::json::parse(file).at("entries");
  Coprocessor chip;
  int seen = 0;
  for (const auto& entry : entries) {
    const auto octets = [&](const char* name) { return *from_hex(entry.at(name).get<std::string>()); };
    const std::string id = entry.at("id");
    const Curve curve = id == "brainpoolP256r1"   ? Curve::brainpool_p256r1
                        : id == "brainpoolP384r1" ? Curve::brainpool_p384r1
                                                  : Curve::brainpool_p512r1;
    Bytes point(point_bytes(curve)), x(field_bytes(curve));
    ASSERT_EQ(chip.ec_public_point(curve, octets("d_a"), point), HalStatus::ok) << id;
    EXPECT_EQ(point, octets("q_a")) << id;
    ASSERT_EQ(chip.ec_agree(curve, octets("d_a"), octets("q_b"), x), HalStatus::ok) << id;
    EXPECT_EQ(x, octets("z")) << id;
    ASSERT_EQ(chip.ec_agree(curve, octets("d_b"), octets("q_a"), x), HalStatus::ok) << id;
    EXPECT_EQ(x, octets("z")) << id;
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

TEST(SymmetricCoprocessor, CiphersAndDigestsLikeAnotherImplementation) {
  Coprocessor chip;
  const Bytes iv(16, 0x11), message(48, 0xA5);
  for (const std::size_t key_octets : {16U, 24U, 32U}) {
    const Bytes key(key_octets, 0x42);
    const std::string name = "AES-" + std::to_string(8 * key_octets) + "/CBC/NoPadding";
    const auto cipher = Botan::Cipher_Mode::create_or_throw(name, Botan::ENCRYPTION);
    cipher->set_key(key);
    cipher->start(iv);
    Botan::secure_vector<std::uint8_t> expected(message.begin(), message.end());
    cipher->finish(expected);
    Bytes out(message);
    ASSERT_EQ(chip.aes_cbc(os::Cipher::encrypt, key, iv, out, out), HalStatus::ok);  // in place
    EXPECT_TRUE(std::equal(out.begin(), out.end(), expected.begin(), expected.end()));
    ASSERT_EQ(chip.aes_cbc(os::Cipher::decrypt, key, iv, out, out), HalStatus::ok);
    EXPECT_EQ(out, message);

    const auto cmac =
        Botan::MessageAuthenticationCode::create_or_throw("CMAC(AES-" + std::to_string(8 * key_octets) + ")");
    cmac->set_key(key);
    const auto mac = cmac->process(message);
    Bytes own(16);
    const os::ByteView parts[] = {os::ByteView(message).first(5), {}, os::ByteView(message).subspan(5)};
    ASSERT_EQ(chip.aes_cmac(key, parts, own), HalStatus::ok);
    EXPECT_TRUE(std::equal(own.begin(), own.end(), mac.begin(), mac.end()));
  }
  const std::pair<os::Digest, const char*> digests[] = {{os::Digest::sha1, "SHA-1"},
                                                        {os::Digest::sha224, "SHA-224"},
                                                        {os::Digest::sha256, "SHA-256"},
                                                        {os::Digest::sha384, "SHA-384"},
                                                        {os::Digest::sha512, "SHA-512"}};
  for (const auto& [digest, name] : digests) {
    const auto hash = Botan::HashFunction::create_or_throw(name);
    const auto expected = hash->process(message);
    Bytes own(os::digest_bytes(digest));
    const os::ByteView parts[] = {os::ByteView(message).first(31), os::ByteView(message).subspan(31)};
    ASSERT_EQ(chip.digest(digest, parts, own), HalStatus::ok) << name;
    EXPECT_TRUE(std::equal(own.begin(), own.end(), expected.begin(), expected.end())) << name;
  }
}

TEST(SymmetricCoprocessor, OtherSizesAreRefused) {
  Coprocessor chip;
  Bytes block(16), short_block(15), odd(17);
  const os::ByteView message[] = {block};
  EXPECT_EQ(chip.aes_cbc(os::Cipher::encrypt, odd, block, block, block), HalStatus::refused);
  EXPECT_EQ(chip.aes_cbc(os::Cipher::encrypt, block, short_block, block, block), HalStatus::refused);
  EXPECT_EQ(chip.aes_cbc(os::Cipher::encrypt, block, block, odd, odd), HalStatus::refused);
  EXPECT_EQ(chip.aes_cmac(odd, message, block), HalStatus::refused);
  EXPECT_EQ(chip.aes_cmac(block, message, short_block), HalStatus::refused);
  EXPECT_EQ(chip.digest(os::Digest::sha256, message, block), HalStatus::refused);
}

}  // namespace
}  // namespace karta::sim
