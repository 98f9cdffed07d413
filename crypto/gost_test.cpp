#include <botan/gost_3410.h>
#include <botan/hash.h>
#include <botan/numthry.h>
#include <botan/pubkey.h>
#include <botan/system_rng.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/der.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/gost_key.h"
#include "crypto/kdf.h"
#include "crypto/key.h"
#include "crypto/openssl_handles.h"
#include "crypto/signer.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using nlohmann::json;
using testing::must;

json vectors(const std::string& name) {
  std::ifstream in(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/" + name);
  return json::parse(in)["entries"];
}

Bytes octets(const json& value) { return must(from_hex(value.get<std::string>())); }
SecretBytes secret(const json& value) { return SecretBytes(octets(value)); }

Bytes reversed(ByteView view) { return {view.rbegin(), view.rend()}; }

Bytes both(const json& x, const json& y) { return concat({octets(x), octets(y)}); }

/// From x || y of little-endian numbers, as the tables of RFC 7836 print points, to big-endian ones; its own inverse.
Bytes turned(ByteView point) {
  const std::size_t half = point.size() / 2;
  return concat({reversed(point.first(half)), reversed(point.subspan(half))});
}

Hash hash_with(std::size_t digest_octets) { return digest_octets == 32 ? Hash::streebog256 : Hash::streebog512; }

// --- Streebog and what is built on it ---

// R 50.1.111-2016
Bytes pbkdf2(ByteView password, ByteView salt, unsigned iterations, std::size_t length) {
  Bytes out;
  for (std::uint8_t block = 1; out.size() < length; ++block) {
    const Bytes number = {0, 0, 0, block};
    Bytes u = to_bytes(hmac(Hash::streebog512, password, {salt, number}).expose_secret()), sum = u;
    for (unsigned i = 1; i < iterations; ++i) {
      u = to_bytes(hmac(Hash::streebog512, password, {u}).expose_secret());
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] ^= u[j];
    }
    append(out, sum);
  }
  out.resize(length);
  return out;
}

// RFC 7836 §4.5: KDF_TREE_GOSTR3411_2012_256 with R = 1; with L = 256 it is KDF_GOSTR3411_2012_256.
Bytes kdf_tree(ByteView key, ByteView label, ByteView seed, std::uint16_t bits) {
  Bytes out;
  const Bytes zero = {0}, length = {static_cast<std::uint8_t>(bits >> 8), static_cast<std::uint8_t>(bits)};
  for (std::uint8_t i = 1; out.size() * 8 < bits; ++i) {
    const Bytes number = {i};
    append(out, hmac(Hash::streebog256, key, {number, label, zero, seed, length}).expose_secret());
  }
  return out;
}

TEST(Gost, StreebogAndItsKeyDerivationsGiveThePublishedAnswers) {
  std::map<std::string, int> seen;
  for (const json& one : vectors("gost_streebog_kdf.json")) {
    const auto id = one["id"].get<std::string>();
    if (one.contains("digest")) {
      EXPECT_EQ(digest(hash_with(one["bits"].get<std::size_t>() / 8), octets(one["message"])), octets(one["digest"]))
          << id;
      ++seen["digest"];
    } else if (one.contains("mac")) {
      const Bytes expected = octets(one["mac"]);
      EXPECT_TRUE(hmac(hash_with(expected.size()), octets(one["key"]), {octets(one["message"])}).equals(expected))
          << id;
      ++seen["mac"];
    } else if (one.contains("dk")) {
      EXPECT_EQ(pbkdf2(octets(one["password"]), octets(one["salt"]), one["iterations"], one["dk_len"]),
                octets(one["dk"]))
          << id;
      ++seen["dk"];
    } else if (one.contains("k_out")) {
      EXPECT_EQ(kdf_tree(octets(one["k_in"]), octets(one["label"]), octets(one["seed"]), 256), octets(one["k_out"]));
      ++seen["kdf"];
    } else if (one.contains("k1")) {
      EXPECT_EQ(kdf_tree(octets(one["k_in"]), octets(one["label"]), octets(one["seed"]), 512),
                concat({octets(one["k1"]), octets(one["k2"])}));
      ++seen["kdf"];
    } else {
      ADD_FAILURE() << "a vector of a new kind: " << id;
    }
  }
  EXPECT_EQ(seen, (std::map<std::string, int>{{"digest", 5}, {"mac", 2}, {"dk", 5}, {"kdf", 2}}));
}

TEST(Gost, StreebogOfEveryLengthAndCutIsWhatBotanComputes) {
  SeededRandom random(3411);
  for (const auto& [hash, name] : {std::pair{Hash::streebog256, "Streebog-256"}, {Hash::streebog512, "Streebog-512"}}) {
    for (std::size_t length = 0; length < 260; ++length) {
      const Bytes message = random.bytes(length);
      const auto botan = Botan::HashFunction::create_or_throw(name);
      botan->update(message.data(), message.size());
      const auto expected = botan->final();
      EXPECT_EQ(digest(hash, message), Bytes(expected.begin(), expected.end())) << name << " of " << length;

      Hasher hasher(hash);
      const std::size_t cut = length == 0 ? 0 : random.below(length);
      hasher.update(ByteView(message).first(cut));
      Hasher copy = hasher.clone();
      for (Hasher* one : {&hasher, &copy}) {
        one->update(ByteView(message).subspan(cut));
        EXPECT_EQ(one->finish(), Bytes(expected.begin(), expected.end())) << name << " of " << cut << " and the rest";
      }
    }
  }
}

// --- curves ---

using OpensslGroup = std::unique_ptr<EC_GROUP, OpensslFree<EC_GROUP_free>>;
using OpensslPoint = std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_free>>;

/// The same curve in OpenSSL's arithmetic, from the numbers of the vectors' file.
struct Peer {
  OpensslGroup group;
  std::size_t octets;

  explicit Peer(const json& set) : octets(set["p"].get<std::string>().size() / 2) {
    const auto number = [&](const char* name) {
      const Bytes value = crypto::octets(set[name]);
      return BignumPtr(BN_bin2bn(value.data(), static_cast<int>(value.size()), nullptr));
    };
    group.reset(EC_GROUP_new_curve_GFp(number("p").get(), number("a").get(), number("b").get(), nullptr));
    const BignumPtr cofactor(BN_new());
    BN_set_word(cofactor.get(), set["cofactor"].get<unsigned>());
    const OpensslPoint generator(EC_POINT_new(group.get()));
    EC_POINT_set_affine_coordinates(group.get(), generator.get(), number("x").get(), number("y").get(), nullptr);
    EC_GROUP_set_generator(group.get(), generator.get(), number("q").get(), cofactor.get());
  }
  OpensslPoint point(ByteView x_and_y) const {
    const Bytes coded = concat({Bytes{0x04}, x_and_y});
    OpensslPoint out(EC_POINT_new(group.get()));
    EXPECT_EQ(EC_POINT_oct2point(group.get(), out.get(), coded.data(), coded.size(), nullptr), 1);
    return out;
  }
  Bytes encode(const EC_POINT* point) const {
    Bytes out(1 + 2 * octets);
    EXPECT_EQ(EC_POINT_point2oct(group.get(), point, POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(), nullptr),
              out.size());
    out.erase(out.begin());
    return out;
  }
  Bytes multiply(ByteView scalar, const EC_POINT* point) const {
    const BignumPtr number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr));
    const OpensslPoint out(EC_POINT_new(group.get()));
    EXPECT_EQ(EC_POINT_mul(group.get(), out.get(), point == nullptr ? number.get() : nullptr, point,
                           point == nullptr ? nullptr : number.get(), nullptr),
              1);
    return encode(out.get());
  }
  Bytes plus(ByteView left, ByteView right) const {
    const OpensslPoint out(EC_POINT_new(group.get()));
    EXPECT_EQ(EC_POINT_add(group.get(), out.get(), point(left).get(), point(right).get(), nullptr), 1);
    return encode(out.get());
  }
  Bytes minus(ByteView left, ByteView right) const {
    const OpensslPoint negative = point(right);
    EXPECT_EQ(EC_POINT_invert(group.get(), negative.get(), nullptr), 1);
    return plus(left, encode(negative.get()));
  }
};

const std::map<std::string, GostCurve> kExamples = {{"1.2.643.2.2.35.0", GostCurve::example_256},
                                                    {"1.2.643.7.1.2.1.2.0", GostCurve::example_512}};

std::optional<GostCurve> curve_of(const std::string& oid) {
  for (const GostParameterSetRow& row : kGostParameterSets) {
    if (row.oid == oid) return row.curve;
  }
  const auto found = kExamples.find(oid);
  return found == kExamples.end() ? std::nullopt : std::optional(found->second);
}

/// The set of this name in gost_param_sets.json.
json parameter_set(const std::string& id) {
  for (const json& set : vectors("gost_param_sets.json")) {
    const auto name = set["id"].get<std::string>();
    // One file spells the example's name as RFC 7091 does.
    if (name == id ||
        (id == "id-tc26-gost-3410-12-512-paramSetTest" && name == "id-tc26-gost-3410-2012-512-paramSetTest")) {
      return set;
    }
  }
  ADD_FAILURE() << "no parameter set " << id;
  return {};
}

const GostGroup& group_of(const std::string& id) {
  return GostGroup::of(curve_of(parameter_set(id)["oid"].get<std::string>()).value_or(GostCurve::example_256));
}

TEST(Gost, EveryParameterSetHasItsNumbers) {
  std::size_t known = 0;
  for (const json& set : vectors("gost_param_sets.json")) {
    const auto curve = curve_of(set["oid"]);
    ASSERT_TRUE(curve) << set["id"];
    const GostCurveRow& row = row_of(*curve);
    EXPECT_EQ(row.p, set["p"]) << set["id"];
    EXPECT_EQ(row.a, set["a"]) << set["id"];
    EXPECT_EQ(row.b, set["b"]) << set["id"];
    EXPECT_EQ(row.q, set["q"]) << set["id"];
    EXPECT_EQ(row.x, set["x"]) << set["id"];
    EXPECT_EQ(row.y, set["y"]) << set["id"];
    EXPECT_EQ(row.cofactor, set["cofactor"]) << set["id"];
    EXPECT_EQ(row.field_bits, row.p.size() * 4) << set["id"];
    EXPECT_TRUE(GostGroup::of(*curve).check_point(both(set["x"], set["y"]))) << set["id"];
    ++known;
  }
  EXPECT_EQ(known, kGostParameterSets.size() + kExamples.size());
  for (const GostParameterSetRow& row : kGostParameterSets) {
    EXPECT_EQ(row_of(row.type).key_bits, row_of(row.curve).field_bits) << row.oid;
  }
}

TEST(Gost, MultiplesAreThoseOfOpenssl) {
  SeededRandom random(3410);
  for (const json& set : vectors("gost_param_sets.json")) {
    const Peer peer(set);
    const GostGroup& group = GostGroup::of(*curve_of(set["oid"]));
    const Bytes order = group.order();
    Bytes last = order;
    last.at(last.size() - 1) -= 1;
    Bytes one(order.size()), sixteen(order.size());
    one.at(one.size() - 1) = 1;
    sixteen.at(one.size() - 1) = 16;
    std::vector<Bytes> scalars = {one, sixteen, last};
    for (int i = 0; i < 6; ++i) scalars.push_back(to_bytes(generate_gost_scalar(group, random).expose_secret()));
    for (const Bytes& scalar : scalars) {
      const Bytes point = group.multiply_generator(SecretBytes::copy_of(scalar));
      EXPECT_EQ(point, peer.multiply(scalar, nullptr)) << set["id"] << " " << to_hex(scalar);
      EXPECT_TRUE(group.check_point(point));
      const SecretBytes factor = SecretBytes(random.bytes(group.octets()));
      const auto product = group.multiply(factor, point);
      ASSERT_TRUE(product);
      EXPECT_TRUE(product->equals(peer.multiply(factor.expose_secret(), peer.point(point).get()))) << set["id"];
    }
    EXPECT_FALSE(group.multiply(SecretBytes::copy_of(order), both(set["x"], set["y"]))) << "q times anything";
    EXPECT_FALSE(group.is_scalar(SecretBytes::copy_of(order)));
    EXPECT_FALSE(group.is_scalar(SecretBytes(order.size())));
    EXPECT_TRUE(group.is_scalar(SecretBytes::copy_of(last)));
  }
}

TEST(Gost, PointsElsewhereAreRefused) {
  for (const json& set : vectors("gost_param_sets.json")) {
    const GostGroup& group = GostGroup::of(*curve_of(set["oid"]));
    Bytes point = both(set["x"], set["y"]);
    point.at(point.size() - 1) ^= 1;
    EXPECT_FALSE(group.check_point(point)) << set["id"];
    EXPECT_FALSE(group.check_point(ByteView(point).first(group.octets()))) << set["id"];
    EXPECT_FALSE(group.check_point(Bytes(2 * group.octets()))) << set["id"];
    EXPECT_FALSE(group.check_point(Bytes(2 * group.octets(), 0xFF))) << set["id"];
    if (set["cofactor"] == 1) continue;
    // A point of the curve outside the subgroup: the first x from 1 on whose point, found by OpenSSL, q does not end.
    const Peer peer(set);
    const BignumPtr x(BN_new());
    int outside = 0;
    for (unsigned i = 1; i < 40; ++i) {
      BN_set_word(x.get(), i);
      const OpensslPoint found(EC_POINT_new(peer.group.get()));
      if (EC_POINT_set_compressed_coordinates(peer.group.get(), found.get(), x.get(), 0, nullptr) != 1) continue;
      const OpensslPoint product(EC_POINT_new(peer.group.get()));
      EC_POINT_mul(peer.group.get(), product.get(), nullptr, found.get(), EC_GROUP_get0_order(peer.group.get()),
                   nullptr);
      const bool inside = EC_POINT_is_at_infinity(peer.group.get(), product.get()) == 1;
      outside += inside ? 0 : 1;
      EXPECT_EQ(group.check_point(peer.encode(found.get())).has_value(), inside) << set["id"] << " x = " << i;
    }
    EXPECT_GT(outside, 0);
    ERR_clear_error();
  }
}

// --- signatures ---

// RFC 7091 §7
TEST(Gost, SignaturesOfTheStandardsExamples) {
  for (const json& one : vectors("gost_r3410_sign.json")) {
    const GostGroup& group = group_of(one["curve"]);
    const Bytes hashed = reversed(octets(one["alpha"]));
    const Bytes point = group.multiply_generator(secret(one["d"]));
    EXPECT_EQ(point, both(one["q_x"], one["q_y"])) << one["id"];
    const auto signature = group.sign(secret(one["d"]), secret(one["k"]), hashed);
    ASSERT_TRUE(signature);
    EXPECT_EQ(*signature, both(one["s"], one["r"])) << one["id"];
    EXPECT_TRUE(group.verify(point, hashed, *signature));
    for (std::size_t at = 0; at < signature->size(); at += 5) {
      Bytes changed = *signature;
      changed[at] ^= 0x10;
      EXPECT_FALSE(group.verify(point, hashed, changed)) << at;
    }
  }
}

constexpr KeyType kGostTypes[] = {KeyType::gost_256_a, KeyType::gost_256_b, KeyType::gost_256_c, KeyType::gost_256_d,
                                  KeyType::gost_512_a, KeyType::gost_512_b, KeyType::gost_512_c};

class EveryGostType : public ::testing::TestWithParam<KeyType> {};
INSTANTIATE_TEST_SUITE_P(Gost, EveryGostType, ::testing::ValuesIn(kGostTypes), [](const auto& one) {
  std::string name(row_of(one.param).name);
  std::erase(name, '-');
  return name;
});

TEST_P(EveryGostType, NoncesHangOnKeyAndDigestAndFreshness) {
  const GostGroup& group = gost_group(GetParam());
  SeededRandom random(1);
  const SecretBytes key = generate_gost_scalar(group, random);
  const Bytes point = group.multiply_generator(key);
  const Bytes first = random.bytes(group.octets()), second = random.bytes(group.octets()), fresh = random.bytes(32);
  const Bytes once = gost_sign(group, key, first, {});
  EXPECT_EQ(once, gost_sign(group, key, first, {}));
  const Bytes other = gost_sign(group, key, second, {}), again = gost_sign(group, key, first, fresh);
  EXPECT_TRUE(group.verify(point, first, once));
  EXPECT_TRUE(group.verify(point, second, other));
  EXPECT_TRUE(group.verify(point, first, again));
  EXPECT_FALSE(group.verify(point, second, once));
  // r, the second half, is the nonce's: no two may be alike.
  const auto r = [&](const Bytes& signature) { return to_bytes(ByteView(signature).last(group.octets())); };
  EXPECT_NE(r(once), r(other));
  EXPECT_NE(r(once), r(again));
}

TEST_P(EveryGostType, DigestsThatCountAsZeroOrExceedTheOrderVerify) {
  const GostGroup& group = gost_group(GetParam());
  SeededRandom random(2);
  const SecretBytes key = generate_gost_scalar(group, random);
  const Bytes point = group.multiply_generator(key);
  for (const Bytes& hashed : {Bytes(group.octets()), Bytes(group.octets(), 0xFF), reversed(group.order())}) {
    EXPECT_TRUE(group.verify(point, hashed, gost_sign(group, key, hashed, {})));
  }
  const Bytes hashed(group.octets(), 0x55);
  EXPECT_FALSE(group.verify(point, hashed, Bytes(2 * group.octets())));
  EXPECT_FALSE(group.verify(point, hashed, concat({group.order(), group.order()})));
  EXPECT_FALSE(group.verify(point, hashed, Bytes(2 * group.octets(), 0xFF)));
  EXPECT_FALSE(group.verify(point, hashed, Bytes(group.octets())));
  EXPECT_FALSE(group.verify(point, hashed, {}));
}

TEST_P(EveryGostType, SignaturesAreThoseOfBotan) {
  const GostCurveRow& curve = [&]() -> const GostCurveRow& {
    for (const GostParameterSetRow& row : kGostParameterSets) {
      if (row.type == GetParam()) return row_of(row.curve);
    }
    std::abort();
  }();
  const auto number = [](std::string_view hex) { return Botan::BigInt("0x" + std::string(hex)); };
  // Botan's own names for these curves are not to be trusted: explicit numbers.
  const Botan::EC_Group group(number(curve.p), number(curve.a), number(curve.b), number(curve.x), number(curve.y),
                              number(curve.q), curve.cofactor);
  Botan::System_RNG random;
  const Botan::GOST_3410_PrivateKey theirs(random, group);
  // Raw: its EMSA1 cuts digests to the bits of the order, as ECDSA does and GOST does not; on the curves with cofactor
  // 4 that makes another signature.
  const std::string scheme = "Raw";
  const std::size_t half = curve.field_bits / 8;
  const Bytes message = to_bytes(as_bytes("signed twice"));
  const AlgorithmId algorithm = default_algorithm(GetParam());
  const Bytes hashed = digest(row_of(algorithm).hash, message);

  // Theirs by ours.
  Botan::PK_Signer signer(theirs, random, scheme);
  const auto made = signer.sign_message(hashed.data(), hashed.size(), random);
  const auto x = Botan::BigInt::encode_1363(theirs.public_point().get_affine_x(), half);
  const auto y = Botan::BigInt::encode_1363(theirs.public_point().get_affine_y(), half);
  const Bytes point = concat({reversed({x.data(), x.size()}), reversed({y.data(), y.size()})});
  const PublicKey public_key = must(PublicKey::from_point(GetParam(), point));
  EXPECT_TRUE(public_key.verify(algorithm, message, Bytes(made.begin(), made.end())));

  // Ours by theirs, with the same key.
  const auto scalar = Botan::BigInt::encode_1363(theirs.private_value(), half);
  const SecretBytes info = encode_gost_private_key(encode_gost_key_algorithm(GetParam()),
                                                   SecretBytes::copy_of({scalar.data(), scalar.size()}));
  const PrivateKey ours = must(PrivateKey::from_der(info.expose_secret()));
  EXPECT_TRUE(ours.public_key() == public_key);
  const Bytes signature = must(ours.sign(algorithm, message));
  // It compares x with r without reducing x by q: right on curves with cofactor 1 only. Of the
  // others the gost engine is the judge (tests/interop/gost.sh).
  if (curve.cofactor != 1) return;
  Botan::PK_Verifier verifier(theirs, scheme);
  EXPECT_TRUE(verifier.verify_message(hashed.data(), hashed.size(), signature.data(), signature.size()));
}

TEST_P(EveryGostType, SignsWithItsOwnLengthOnly) {
  const PrivateKey& key = testing::test_key(GetParam());
  const bool short_key = row_of(GetParam()).key_bits == 256;
  EXPECT_EQ(algorithms_of(key.public_key()), std::vector{short_key ? AlgorithmId::gost_256 : AlgorithmId::gost_512});
  EXPECT_FALSE(key.sign(short_key ? AlgorithmId::gost_512 : AlgorithmId::gost_256, as_bytes("message")));
}

// --- keys as files and certificates hold them ---

Bytes spki_of(std::string_view key_oid, const Bytes& parameters, ByteView point) {
  return der::sequence({der::sequence({der::oid(key_oid), parameters}), der::bit_string(der::octet_string(point))});
}

TEST(Gost, PublicKeysOfEveryWritingAreReadAndOthersRefused) {
  const auto point_of = [](KeyType type) {
    const ByteView key = testing::test_key(type).public_key().key_octets();
    return to_bytes(key.last(row_of(type).key_bits / 4));
  };
  const Bytes digest_256 = der::oid(row_of(Hash::streebog256).oid),
              digest_512 = der::oid(row_of(Hash::streebog512).oid);
  for (const GostParameterSetRow& row : kGostParameterSets) {
    const bool is_256 = row_of(row.type).key_bits == 256;
    const std::string_view key_oid = is_256 ? kGost256KeyOid : kGost512KeyOid;
    const Bytes set = der::oid(row.oid), point = point_of(row.type);
    for (const Bytes& parameters : {der::sequence({set}), der::sequence({set, is_256 ? digest_256 : digest_512})}) {
      const PublicKey key = must(PublicKey::from_spki(spki_of(key_oid, parameters, point)));
      EXPECT_EQ(key.type(), row.type) << row.oid;
      EXPECT_EQ(key.spki(), spki_of(key_oid, parameters, point)) << "the octets stay what they were";
    }
    const auto refused = [&](const Bytes& spki) {
      const auto key = PublicKey::from_spki(spki);
      return !key && key.error().kind == ErrorKind::malformed;
    };
    EXPECT_TRUE(refused(spki_of(key_oid, der::sequence({set, is_256 ? digest_512 : digest_256}), point)));
    EXPECT_TRUE(refused(spki_of(is_256 ? kGost512KeyOid : kGost256KeyOid, der::sequence({set}), point)));
    EXPECT_TRUE(refused(spki_of(key_oid, der::sequence({set, is_256 ? digest_256 : digest_512, set}), point)));
    EXPECT_TRUE(refused(spki_of(key_oid, der::null(), point)));
    EXPECT_TRUE(refused(spki_of(key_oid, {}, point)));
    EXPECT_TRUE(refused(spki_of(key_oid, der::sequence({set}), ByteView(point).first(point.size() - 1))));
    Bytes moved = point;
    moved[0] ^= 1;
    EXPECT_TRUE(refused(spki_of(key_oid, der::sequence({set}), moved)));
  }
  // Curves of the standard's examples are for examples.
  EXPECT_EQ(PublicKey::from_spki(
                spki_of(kGost256KeyOid, der::sequence({der::oid("1.2.643.2.2.35.0")}), point_of(KeyType::gost_256_a)))
                .error()
                .kind,
            ErrorKind::unsupported);
}

TEST(Gost, OneKeyIsNotOnAnothersCurve) {
  // What happens where a library takes paramSetA's name for another curve: the point must not fit.
  const ByteView point = testing::test_key(KeyType::gost_256_a).public_key().key_octets().last(64);
  for (const KeyType type : {KeyType::gost_256_b, KeyType::gost_256_c, KeyType::gost_256_d}) {
    EXPECT_FALSE(PublicKey::from_point(type, point)) << row_of(type).name;
  }
}

TEST_P(EveryGostType, PrivateKeysOfEveryWritingAreRead) {
  const GostGroup& group = gost_group(GetParam());
  SeededRandom random(4);
  const SecretBytes scalar = generate_gost_scalar(group, random);
  const Bytes algorithm = encode_gost_key_algorithm(GetParam());
  const PublicKey expected = must(PublicKey::from_spki(encode_gost_spki(algorithm, group.multiply_generator(scalar))));
  const Bytes little = reversed(scalar.expose_secret());
  const auto info = [&](ByteView private_key) {
    return der::sequence({der::integer(0), algorithm, der::octet_string(private_key)});
  };
  // Masked: two masks M1 and M2, and K / (M1 M2).
  const SecretBytes m1 = generate_gost_scalar(group, random), m2 = generate_gost_scalar(group, random);
  const Botan::BigInt q(group.order().data(), group.octets());
  const auto big = [](const SecretBytes& number) {
    return Botan::BigInt(number.expose_secret().data(), number.size());
  };
  const Botan::BigInt masked = big(scalar) * Botan::inverse_mod(big(m1) * big(m2) % q, q) % q;
  const auto masked_octets = Botan::BigInt::encode_1363(masked, group.octets());
  const Bytes container = concat({reversed({masked_octets.data(), masked_octets.size()}), reversed(m1.expose_secret()),
                                  reversed(m2.expose_secret())});
  for (const Bytes& one : {info(little), info(der::octet_string(little)),
                           info(der::unsigned_integer(scalar.expose_secret())), info(container)}) {
    EXPECT_TRUE(must(PrivateKey::from_der(one)).public_key() == expected) << to_hex(one);
  }
  for (const Bytes& one :
       {info(Bytes(group.octets())), info(reversed(group.order())), info(ByteView(little).first(little.size() - 1)),
        info(Bytes(8 * group.octets(), 1)), info(der::octet_string(ByteView(little).first(8))), info({})}) {
    EXPECT_FALSE(PrivateKey::from_der(one)) << to_hex(one);
  }
}

TEST(Gost, ACryptoProNameStaysWithTheKey) {
  SeededRandom random(5);
  const GostGroup& group = gost_group(KeyType::gost_256_b);
  const Bytes algorithm =
      der::sequence({der::oid(kGost256KeyOid),
                     der::sequence({der::oid("1.2.643.2.2.36.0"), der::oid(row_of(Hash::streebog256).oid)})});
  const SecretBytes info = encode_gost_private_key(algorithm, generate_gost_scalar(group, random));
  const PrivateKey key = must(PrivateKey::from_der(info.expose_secret()));
  EXPECT_EQ(key.public_key().type(), KeyType::gost_256_b);
  EXPECT_TRUE(key.expose_secret_der().equals(info.expose_secret()));
  der::Reader outer(key.public_key().spki());
  EXPECT_EQ(to_bytes(must(must(outer.enter(der::kSequence)).any()).whole), algorithm);
}

// --- key agreement and passwords: the vectors of what the card will speak, on the arithmetic it will stand on ---

// RFC 7836 §4.3: KEK = H(x || y) of (cofactor * UKM * d) * Q, everything little-endian.
TEST(Gost, KeyAgreementOfTheStandardsExamples) {
  for (const json& one : vectors("gost_vko.json")) {
    const json set = parameter_set(one["curve"]);
    const GostGroup& group = group_of(one["curve"]);
    const Bytes ukm = octets(one["ukm"]);
    const Botan::BigInt factor = [&] {
      const Bytes number = reversed(ukm);
      return Botan::BigInt(number.data(), number.size()) * set["cofactor"].get<unsigned>();
    }();
    for (const auto& [mine, yours] : {std::pair{"priv_a", "pub_b"}, {"priv_b", "pub_a"}}) {
      const Bytes scalar = reversed(octets(one[mine]));
      const Botan::BigInt product =
          Botan::BigInt(scalar.data(), scalar.size()) * factor % Botan::BigInt(group.order().data(), group.octets());
      const auto reduced = Botan::BigInt::encode_1363(product, group.octets());
      const SecretBytes shared =
          must(group.multiply(SecretBytes::copy_of({reduced.data(), reduced.size()}), turned(octets(one[yours]))));
      const Bytes expected = octets(one["kek"]);
      EXPECT_EQ(digest(hash_with(expected.size()), turned(shared.expose_secret())), expected) << one["id"];
    }
  }
}

// RFC 8133 and R 50.1.115-2016: both sides from the password to the confirmed key. Sums of points are OpenSSL's.
TEST(Gost, PasswordAuthenticatedAgreementOfTheStandardsExamples) {
  Bytes f, salt;
  int done = 0;
  for (const json& one : vectors("gost_sespake.json")) {
    if (one["id"] == "f-pw") {
      salt = octets(one["salt"]);
      f = pbkdf2(octets(one["pw"]), salt, one["iterations"], 64);
      EXPECT_EQ(f, octets(one["f"]));
      continue;
    }
    const json set = parameter_set(one["curve"]);
    const GostGroup& group = group_of(one["curve"]);
    const Peer peer(set);
    const std::size_t n = group.octets();
    const Bytes order = group.order();
    const Botan::BigInt q(order.data(), order.size());
    const auto secret_of = [&](const Botan::BigInt& number) {
      const auto octets_of = Botan::BigInt::encode_1363(number % q, n);
      return SecretBytes::copy_of({octets_of.data(), octets_of.size()});
    };
    const auto number = [](ByteView big) { return Botan::BigInt(big.data(), big.size()); };
    const auto point = [&](const json& pair) { return both(pair[0], pair[1]); };
    const json& q_ind = one["q_ind"].is_array() ? one["q_ind"][0] : one["q_ind"];
    const Bytes q_1 = both(q_ind["x"], q_ind["y"]);
    ASSERT_TRUE(group.check_point(q_1)) << one["id"];
    const Bytes f_number = reversed(ByteView(f).first(n));
    const Bytes q_pw = to_bytes(must(group.multiply(secret_of(number(f_number)), q_1)).expose_secret());
    EXPECT_EQ(q_pw, point(one["q_pw"])) << one["id"];

    const Botan::BigInt alpha = number(octets(one["alpha"])), beta = number(octets(one["beta"]));
    const Bytes alpha_p = group.multiply_generator(secret_of(alpha)),
                beta_p = group.multiply_generator(secret_of(beta));
    const Bytes u1 = peer.minus(alpha_p, q_pw), u2 = peer.plus(beta_p, q_pw);
    EXPECT_EQ(u1, point(one["u1"])) << one["id"];
    EXPECT_EQ(u2, point(one["u2"])) << one["id"];
    const unsigned cofactor = set["cofactor"];
    const auto key_from = [&](const Botan::BigInt& scalar, const Bytes& other) {
      const SecretBytes shared = must(group.multiply(secret_of(scalar * cofactor), other));
      return digest(Hash::streebog256, turned(shared.expose_secret()));
    };
    const Bytes key = key_from(alpha, peer.minus(u2, q_pw));
    EXPECT_EQ(key, octets(one["k"])) << one["id"];
    EXPECT_EQ(key_from(beta, peer.plus(u1, q_pw)), key) << one["id"];

    const Bytes nobody(4), ind = {1}, mark_a = {1}, mark_b = {2};
    const auto mac = [&](const Bytes& mark) {
      return to_bytes(hmac(Hash::streebog256, key, {mark, nobody, ind, salt, turned(u1), turned(u2)}).expose_secret());
    };
    EXPECT_EQ(mac(mark_a), octets(one["mac_a"])) << one["id"];
    EXPECT_EQ(mac(mark_b), octets(one["mac_b"])) << one["id"];
    ++done;
  }
  EXPECT_EQ(done, 14);
}

}  // namespace
}  // namespace karta::crypto
