#include "crypto/ecdsa_tables.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <thread>
#include <vector>

#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/openssl_handles.h"
#include "crypto/signer.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using testing::must;
using GroupPtr = std::unique_ptr<EC_GROUP, OpensslFree<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_free>>;

constexpr EcdsaTables::Limits kAtOnce{.uses = 0, .pause = std::chrono::milliseconds(0), .tables = 4};

/// OpenSSL's own verdict.
bool plain_verdict(ByteView point, ByteView digest, ByteView signature) {
  const PublicKey key = must(PublicKey::from_point(KeyType::p256, point));
  const std::uint8_t* at = key.spki().data();
  const PkeyPtr pkey(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki().size())));
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey.get(), nullptr));
  KARTA_CHECK(EVP_PKEY_verify_init(context.get()) == 1);
  const int verified = EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(), digest.size());
  ERR_clear_error();
  return verified == 1;
}

/// The verdict by table, which must be OpenSSL's.
bool verdict(EcdsaTables& tables, ByteView point, ByteView digest, ByteView signature) {
  const auto by_table = tables.verify(point, digest, signature);
  EXPECT_TRUE(by_table.has_value());
  EXPECT_EQ(by_table.value_or(false), plain_verdict(point, digest, signature));
  return by_table.value_or(false);
}

/// Numbers and points for signatures that no signer makes.
struct Curve {
  GroupPtr group{EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)};
  const BIGNUM* order = EC_GROUP_get0_order(group.get());

  static BignumPtr number(std::uint64_t value) {
    BignumPtr out(BN_new());
    BN_set_word(out.get(), value);
    return out;
  }
  static Bytes octets(const BIGNUM* number) {
    Bytes out(32);
    KARTA_CHECK(BN_bn2binpad(number, out.data(), 32) == 32);
    return out;
  }
  BignumPtr product(const BIGNUM* a, const BIGNUM* b) const {
    BignumPtr out(BN_new());
    const std::unique_ptr<BN_CTX, OpensslFree<BN_CTX_free>> context(BN_CTX_new());
    KARTA_CHECK(BN_mod_mul(out.get(), a, b, order, context.get()) == 1);
    return out;
  }
  BignumPtr inverse(const BIGNUM* a) const { return BignumPtr(BN_mod_inverse(nullptr, a, order, nullptr)); }
  BignumPtr minus(const BIGNUM* a) const {
    BignumPtr out(BN_new());
    BN_sub(out.get(), order, a);
    return out;
  }
  /// a * G + b * `other`.
  Bytes point(const BIGNUM* a, const EC_POINT* other, const BIGNUM* b) const {
    const PointPtr sum(EC_POINT_new(group.get()));
    KARTA_CHECK(EC_POINT_mul(group.get(), sum.get(), a, other, b, nullptr) == 1);
    Bytes out(65);
    KARTA_CHECK(EC_POINT_point2oct(group.get(), sum.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(),
                                   nullptr) == out.size());
    return out;
  }
};

Bytes signature_of(const BIGNUM* r, const BIGNUM* s) {
  return must(encode_ecdsa_signature(concat({Curve::octets(r), Curve::octets(s)})));
}

TEST(EcdsaTables, SayWhatOpensslSaysOfManySignatures) {
  EcdsaTables tables(kAtOnce);
  SystemRandom random;
  for (int key_number = 0; key_number < 3; ++key_number) {
    const PrivateKey key = must(PrivateKey::generate(KeyType::p256));
    const ByteView point = key.public_key().key_octets();
    for (int i = 0; i < 40; ++i) {
      const Bytes digest = random.bytes(32);
      const Bytes signature = must(key.sign_digest(AlgorithmId::ecdsa_sha256, digest));
      EXPECT_TRUE(verdict(tables, point, digest, signature));
      EXPECT_FALSE(verdict(tables, point, random.bytes(32), signature));
    }
  }
  EXPECT_EQ(tables.size(), 3u);
}

TEST(EcdsaTables, NoOctetOfASignatureOrDigestMayChange) {
  EcdsaTables tables(kAtOnce);
  const PrivateKey key = must(PrivateKey::generate(KeyType::p256));
  const ByteView point = key.public_key().key_octets();
  const Bytes digest = crypto::digest(Hash::sha256, as_bytes("what is signed"));
  const Bytes signature = must(key.sign_digest(AlgorithmId::ecdsa_sha256, digest));
  for (std::size_t i = 0; i < signature.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = signature;
      changed[i] ^= static_cast<std::uint8_t>(1 << bit);
      EXPECT_FALSE(verdict(tables, point, digest, changed)) << i << " " << bit;
    }
    EXPECT_FALSE(verdict(tables, point, digest, ByteView(signature).first(i)));
  }
  for (std::size_t i = 0; i < digest.size(); ++i) {
    Bytes changed = digest;
    changed[i] ^= 1;
    EXPECT_FALSE(verdict(tables, point, changed, signature));
  }
  EXPECT_FALSE(verdict(tables, point, digest, concat({signature, Bytes{0}})));
  // Longer digests count by their first 32 octets (SEC 1 §4.1.4).
  EXPECT_TRUE(verdict(tables, point, concat({digest, Bytes{1, 2, 3}}), signature));
}

TEST(EcdsaTables, NumbersOutOfRangeAreNoSignature) {
  EcdsaTables tables(kAtOnce);
  const Curve curve;
  const PrivateKey key = must(PrivateKey::generate(KeyType::p256));
  const ByteView point = key.public_key().key_octets();
  const Bytes digest = crypto::digest(Hash::sha256, as_bytes("what is signed"));
  const Bytes plain = must(decode_ecdsa_signature(must(key.sign_digest(AlgorithmId::ecdsa_sha256, digest)), 32));
  const BignumPtr r(BN_bin2bn(plain.data(), 32, nullptr)), s(BN_bin2bn(plain.data() + 32, 32, nullptr));
  const BignumPtr zero = Curve::number(0), one = Curve::number(1);
  EXPECT_TRUE(verdict(tables, point, digest, signature_of(r.get(), s.get())));
  EXPECT_TRUE(verdict(tables, point, digest, signature_of(r.get(), curve.minus(s.get()).get())));  // ECDSA is so
  for (const BIGNUM* const bad : {static_cast<const BIGNUM*>(zero.get()), curve.order}) {
    EXPECT_FALSE(verdict(tables, point, digest, signature_of(bad, s.get())));
    EXPECT_FALSE(verdict(tables, point, digest, signature_of(r.get(), bad)));
    EXPECT_FALSE(verdict(tables, point, digest, signature_of(bad, bad)));
  }
  EXPECT_FALSE(verdict(tables, point, digest, signature_of(one.get(), one.get())));
}

TEST(EcdsaTables, PointsThatMeetAreAddedRight) {
  EcdsaTables tables(kAtOnce);
  const Curve curve;
  const BignumPtr zero = Curve::number(0), one = Curve::number(1);
  const Bytes generator = curve.point(one.get(), nullptr, nullptr);
  const Bytes opposite = curve.point(curve.minus(one.get()).get(), nullptr, nullptr);
  // A digest of zero: nothing of the generator is in the sum. R = (r/s) Q.
  const PrivateKey key = must(PrivateKey::generate(KeyType::p256));
  const Bytes nothing(32, 0);
  EXPECT_TRUE(verdict(tables, key.public_key().key_octets(), nothing,
                      must(key.sign_digest(AlgorithmId::ecdsa_sha256, nothing))));
  // Of the generator as a key, with e = r, both halves are the same point: R = 2 (r/s) G. For R = k G: s = 2r/k.
  const BignumPtr k = Curve::number(0x1234567), two = Curve::number(2);
  const Bytes x = to_bytes(ByteView(curve.point(k.get(), nullptr, nullptr)).subspan(1, 32));
  const BignumPtr r(BN_bin2bn(x.data(), 32, nullptr));
  ASSERT_LT(BN_cmp(r.get(), curve.order), 0);
  const BignumPtr s = curve.product(curve.product(two.get(), r.get()).get(), curve.inverse(k.get()).get());
  EXPECT_TRUE(verdict(tables, generator, Curve::octets(r.get()), signature_of(r.get(), s.get())));
  // Of its opposite they cancel out: the sum is no point with coordinates.
  EXPECT_FALSE(verdict(tables, opposite, Curve::octets(r.get()), signature_of(r.get(), s.get())));
}

TEST(EcdsaTables, AnAbscissaBeyondTheOrderIsReduced) {
  EcdsaTables tables(kAtOnce);
  const Curve curve;
  // R with x = n + r, which is below p: the first such point. Q = (sR - eG) / r.
  PointPtr found(EC_POINT_new(curve.group.get()));
  BignumPtr x(BN_dup(curve.order));
  std::uint64_t r_value = 0;
  do {
    ++r_value;
    BN_add_word(x.get(), 1);
  } while (EC_POINT_set_compressed_coordinates(curve.group.get(), found.get(), x.get(), 0, nullptr) != 1);
  ERR_clear_error();
  const BignumPtr r = Curve::number(r_value), s = Curve::number(987654321), e = Curve::number(123456789);
  const BignumPtr by_r = curve.inverse(r.get());
  const Bytes key = curve.point(curve.product(curve.minus(e.get()).get(), by_r.get()).get(), found.get(),
                                curve.product(s.get(), by_r.get()).get());
  EXPECT_TRUE(verdict(tables, key, Curve::octets(e.get()), signature_of(r.get(), s.get())));
  // x itself is no r: it is not below the order.
  EXPECT_FALSE(verdict(tables, key, Curve::octets(e.get()), signature_of(x.get(), s.get())));
}

TEST(EcdsaTables, OnlyKeysThatComeAgainGetATableAndTheLongestUnusedGivesWay) {
  EcdsaTables tables({.uses = 3, .pause = std::chrono::milliseconds(0), .tables = 2});
  const Bytes digest = crypto::digest(Hash::sha256, as_bytes("what is signed"));
  std::vector<PrivateKey> keys;
  for (int i = 0; i < 3; ++i) keys.push_back(must(PrivateKey::generate(KeyType::p256)));
  const auto use = [&](const PrivateKey& key) {
    return tables.verify(key.public_key().key_octets(), digest,
                         must(key.sign_digest(AlgorithmId::ecdsa_sha256, digest)));
  };
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(use(keys[0]).has_value());
  EXPECT_EQ(tables.size(), 0u);
  EXPECT_EQ(use(keys[0]), true);
  for (int i = 0; i < 4; ++i) use(keys[1]);
  EXPECT_EQ(use(keys[0]), true);
  EXPECT_EQ(tables.size(), 2u);
  for (int i = 0; i < 4; ++i) use(keys[2]);
  EXPECT_EQ(tables.size(), 2u);
  EXPECT_EQ(use(keys[2]), true);
  EXPECT_EQ(use(keys[0]), true);
  EXPECT_FALSE(use(keys[1]).has_value());
}

TEST(EcdsaTables, AreMadeWithPauses) {
  EcdsaTables tables({.uses = 0, .pause = std::chrono::hours(1), .tables = 4});
  const Bytes digest(32, 7);
  const PrivateKey first = must(PrivateKey::generate(KeyType::p256)),
                   second = must(PrivateKey::generate(KeyType::p256));
  const Bytes signature = must(first.sign_digest(AlgorithmId::ecdsa_sha256, digest));
  EXPECT_EQ(tables.verify(first.public_key().key_octets(), digest, signature), true);
  EXPECT_FALSE(tables.verify(second.public_key().key_octets(), digest, signature).has_value());
  EXPECT_EQ(tables.size(), 1u);
}

TEST(EcdsaTables, SeveralThreadsVerifyWithOneTable) {
  EcdsaTables tables({.uses = 5, .pause = std::chrono::milliseconds(0), .tables = 2});
  const PrivateKey key = must(PrivateKey::generate(KeyType::p256));
  const Bytes digest(32, 9);
  const Bytes signature = must(key.sign_digest(AlgorithmId::ecdsa_sha256, digest));
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (int& one : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Bytes shown = digest;
        shown[0] ^= static_cast<std::uint8_t>(i % 2);
        const auto verdict = tables.verify(key.public_key().key_octets(), shown, signature);
        if (verdict && *verdict != (i % 2 == 0)) ++one;
      }
    });
  }
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
  EXPECT_EQ(tables.size(), 1u);
}

}  // namespace
}  // namespace karta::crypto
