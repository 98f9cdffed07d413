#include "firmware-sim/host/coprocessor.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/secret.h"

namespace karta::sim {
namespace {

using os::Curve;
using os::HalStatus;

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
template <class T, auto release>
using Owned = std::unique_ptr<T, Release<release>>;

using Number = Owned<BIGNUM, BN_clear_free>;
using Scratch = Owned<BN_CTX, BN_CTX_free>;
using Group = Owned<EC_GROUP, EC_GROUP_free>;
using Point = Owned<EC_POINT, EC_POINT_clear_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using CipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using MacMethod = Owned<EVP_MAC, EVP_MAC_free>;
using MacContext = Owned<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using EcdsaSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

constexpr HalStatus answer(bool ok) { return ok ? HalStatus::ok : HalStatus::failed; }

Number number_from(os::ByteView octets) {
  Number out(BN_secure_new());
  if (out && BN_bin2bn(octets.data(), static_cast<int>(octets.size()), out.get()) == nullptr) out.reset();
  if (out) BN_set_flags(out.get(), BN_FLG_CONSTTIME);
  return out;
}

bool number_to(const BIGNUM* number, os::ByteSpan out) {
  return number != nullptr && BN_bn2binpad(number, out.data(), static_cast<int>(out.size())) >= 0;
}

struct CurveRow {
  Curve curve;
  int nid;
  const char* name;
};
constexpr auto kCurves = std::to_array<CurveRow>({
    {Curve::p256, NID_X9_62_prime256v1, "P-256"},
    {Curve::p384, NID_secp384r1, "P-384"},
    {Curve::p521, NID_secp521r1, "P-521"},
    {Curve::brainpool_p256r1, NID_brainpoolP256r1, "brainpoolP256r1"},
    {Curve::brainpool_p384r1, NID_brainpoolP384r1, "brainpoolP384r1"},
    {Curve::brainpool_p512r1, NID_brainpoolP512r1, "brainpoolP512r1"},
});

const CurveRow* row_of(Curve curve) {
  const auto found =
      std::find_if(kCurves.begin(), kCurves.end(), [&](const CurveRow& row) { return row.curve == curve; });
  return found == kCurves.end() ? nullptr : &*found;
}

// Groups are constant and dear to make: one each for the whole program.
const EC_GROUP* group_of(Curve curve) {
  static const auto groups = [] {
    std::array<Group, kCurves.size()> made;
    for (std::size_t i = 0; i < made.size(); ++i) made[i].reset(EC_GROUP_new_by_curve_name(kCurves[i].nid));
    return made;
  }();
  const CurveRow* row = row_of(curve);
  return row == nullptr ? nullptr : groups[static_cast<std::size_t>(row - kCurves.data())].get();
}

// A scalar in 1..n-1, or nothing.
Number scalar_from(const EC_GROUP* group, os::ByteView octets) {
  Number scalar = number_from(octets);
  if (!scalar || BN_is_zero(scalar.get()) || BN_cmp(scalar.get(), EC_GROUP_get0_order(group)) >= 0) return nullptr;
  return scalar;
}

bool point_to(const EC_GROUP* group, const EC_POINT* point, os::ByteSpan out, BN_CTX* scratch) {
  return EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(), scratch) == out.size();
}

// A point of full order given uncompressed, or nothing. All curves have cofactor 1: on the curve and not the
// identity is enough, and OpenSSL's decoder refuses what is not on the curve.
Point point_from(const EC_GROUP* group, os::ByteView octets, BN_CTX* scratch) {
  if (octets.empty() || octets[0] != 0x04) return nullptr;
  Point point(EC_POINT_new(group));
  if (!point || EC_POINT_oct2point(group, point.get(), octets.data(), octets.size(), scratch) != 1 ||
      EC_POINT_is_at_infinity(group, point.get()) == 1) {
    return nullptr;
  }
  return point;
}

// A random number in 1..n-1; false where `out` cannot hold it.
bool random_scalar(const EC_GROUP* group, os::ByteSpan out) {
  const Number value(BN_secure_new());
  if (!value) return false;
  do {
    if (BN_priv_rand_range(value.get(), EC_GROUP_get0_order(group)) != 1) return false;
  } while (BN_is_zero(value.get()));
  return number_to(value.get(), out);
}

const EVP_MD* method_of(os::Digest digest) {
  switch (digest) {
    case os::Digest::sha1:
      return EVP_sha1();
    case os::Digest::sha224:
      return EVP_sha224();
    case os::Digest::sha256:
      return EVP_sha256();
    case os::Digest::sha384:
      return EVP_sha384();
    case os::Digest::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

Key make_key(const char* type, OSSL_PARAM_BLD* builder, int selection = EVP_PKEY_KEYPAIR) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

// OpenSSL wants d as well, of which the CRT form is a remainder: d = e^-1 mod lcm(p-1, q-1).
Key make_rsa_key(const os::RsaCrt<os::ByteView>& key, os::u32 public_exponent) {
  const Number n = number_from(key.modulus), p = number_from(key.prime_p), q = number_from(key.prime_q);
  const Number dp = number_from(key.exponent_p), dq = number_from(key.exponent_q), u = number_from(key.coefficient);
  const Number e(BN_new()), p1(BN_secure_new()), q1(BN_secure_new()), gcd(BN_secure_new()), phi(BN_secure_new()),
      lambda(BN_secure_new()), d(BN_secure_new()), product(BN_secure_new());
  const Scratch scratch(BN_CTX_secure_new());
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!n || !p || !q || !dp || !dq || !u || !e || !p1 || !q1 || !gcd || !phi || !lambda || !d || !product || !scratch ||
      !builder) {
    return nullptr;
  }
  // Stated by the caller, so checked: with other primes OpenSSL would silently fall back to the plain exponent.
  if (BN_mul(product.get(), p.get(), q.get(), scratch.get()) != 1 || BN_cmp(product.get(), n.get()) != 0)
    return nullptr;
  BN_set_flags(lambda.get(), BN_FLG_CONSTTIME);
  if (BN_set_word(e.get(), public_exponent) != 1 || BN_sub(p1.get(), p.get(), BN_value_one()) != 1 ||
      BN_sub(q1.get(), q.get(), BN_value_one()) != 1 || BN_gcd(gcd.get(), p1.get(), q1.get(), scratch.get()) != 1 ||
      BN_mul(phi.get(), p1.get(), q1.get(), scratch.get()) != 1 ||
      BN_div(lambda.get(), nullptr, phi.get(), gcd.get(), scratch.get()) != 1 ||
      BN_mod_inverse(d.get(), e.get(), lambda.get(), scratch.get()) == nullptr) {
    return nullptr;
  }
  const bool pushed = OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_D, d.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_FACTOR1, p.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_FACTOR2, q.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_EXPONENT1, dp.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_EXPONENT2, dq.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_COEFFICIENT1, u.get()) == 1;
  return pushed ? make_key("RSA", builder.get()) : nullptr;
}

Key make_ec_key(const CurveRow& row, const BIGNUM* scalar, os::ByteView point) {
  const Builder builder(OSSL_PARAM_BLD_new());
  const bool pushed =
      builder && OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, row.name, 0) == 1 &&
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar) == 1 &&
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1;
  return pushed ? make_key("EC", builder.get()) : nullptr;
}

Key make_ec_public_key(const CurveRow& row, os::ByteView point) {
  const Builder builder(OSSL_PARAM_BLD_new());
  const bool pushed =
      builder && OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, row.name, 0) == 1 &&
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1;
  return pushed ? make_key("EC", builder.get(), EVP_PKEY_PUBLIC_KEY) : nullptr;
}

}  // namespace

// The last keys used, prepared. A register is found again by the whole private key, compared in constant time.
struct Coprocessor::Registers {
  struct Register {
    SecretBytes material;
    Key key;
  };
  std::array<Register, 4> prepared;
  std::size_t next = 0;
  std::optional<HalStatus> self_test;

  template <class Make>
  EVP_PKEY* find_or_make(SecretBytes material, Make make) {
    for (Register& candidate : prepared) {
      if (candidate.key && candidate.material.equals(material.expose_secret())) return candidate.key.get();
    }
    Key made = make();
    if (!made) return nullptr;
    Register& chosen = prepared[next];
    next = (next + 1) % prepared.size();
    chosen.material = std::move(material);
    chosen.key = std::move(made);
    return chosen.key.get();
  }
};

Coprocessor::Coprocessor() : registers_(std::make_unique<Registers>()) {}
Coprocessor::~Coprocessor() = default;

void Coprocessor::forget_keys() {
  for (auto& each : registers_->prepared) each = {};
}

HalStatus Coprocessor::rsa_generate(const os::RsaCrt<os::ByteSpan>& key) {
  const std::size_t bits = key.modulus.size() * 8;
  if (bits < 1024 || bits > 4096 || bits % 256 != 0) return HalStatus::refused;
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* generated = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), static_cast<int>(bits)) != 1 ||
      EVP_PKEY_generate(context.get(), &generated) != 1) {
    return HalStatus::failed;
  }
  const Key made(generated);
  const auto part = [&](const char* name, os::ByteSpan out) {
    BIGNUM* value = nullptr;
    if (EVP_PKEY_get_bn_param(made.get(), name, &value) != 1) return false;
    const Number owned(value);
    return number_to(value, out);
  };
  return answer(part(OSSL_PKEY_PARAM_RSA_N, key.modulus) && part(OSSL_PKEY_PARAM_RSA_FACTOR1, key.prime_p) &&
                part(OSSL_PKEY_PARAM_RSA_FACTOR2, key.prime_q) && part(OSSL_PKEY_PARAM_RSA_EXPONENT1, key.exponent_p) &&
                part(OSSL_PKEY_PARAM_RSA_EXPONENT2, key.exponent_q) &&
                part(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, key.coefficient));
}

HalStatus Coprocessor::rsa_private(const os::RsaCrt<os::ByteView>& key, os::u32 public_exponent, os::ByteView in,
                                   os::ByteSpan out) {
  if (in.size() != key.modulus.size() || out.size() != key.modulus.size()) return HalStatus::refused;
  // Equally long big-endian numbers compare as strings do.
  if (!std::lexicographical_compare(in.begin(), in.end(), key.modulus.begin(), key.modulus.end())) {
    return HalStatus::refused;
  }
  Bytes exponent(4);
  os::write_u32(exponent.data(), public_exponent);
  SecretBytes material(
      concat({key.modulus, key.prime_p, key.prime_q, key.exponent_p, key.exponent_q, key.coefficient, exponent}));
  EVP_PKEY* prepared =
      registers_->find_or_make(std::move(material), [&] { return make_rsa_key(key, public_exponent); });
  if (prepared == nullptr) return HalStatus::refused;
  const KeyContext context(EVP_PKEY_CTX_new(prepared, nullptr));
  std::size_t size = out.size();
  return answer(context && EVP_PKEY_decrypt_init(context.get()) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1 &&
                EVP_PKEY_decrypt(context.get(), out.data(), &size, in.data(), in.size()) == 1 && size == out.size());
}

HalStatus Coprocessor::ec_generate(Curve curve, os::ByteSpan scalar, os::ByteSpan point) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr) return HalStatus::refused;
  if (!random_scalar(group, scalar)) return HalStatus::refused;
  return ec_public_point(curve, scalar, point);
}

HalStatus Coprocessor::ec_public_point(Curve curve, os::ByteView scalar, os::ByteSpan point) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || scalar.size() != field_bytes(curve) || point.size() != point_bytes(curve)) {
    return HalStatus::refused;
  }
  const Number value = scalar_from(group, scalar);
  if (!value) return HalStatus::refused;
  const Scratch scratch(BN_CTX_secure_new());
  const Point product(EC_POINT_new(group));
  return answer(scratch && product &&
                EC_POINT_mul(group, product.get(), value.get(), nullptr, nullptr, scratch.get()) == 1 &&
                point_to(group, product.get(), point, scratch.get()));
}

HalStatus Coprocessor::ec_check_point(Curve curve, os::ByteView point) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || point.size() != point_bytes(curve)) return HalStatus::refused;
  const Scratch scratch(BN_CTX_new());
  if (!scratch) return HalStatus::failed;
  return point_from(group, point, scratch.get()) ? HalStatus::ok : HalStatus::refused;
}

HalStatus Coprocessor::ec_sign(Curve curve, os::ByteView scalar, os::ByteView digest, os::ByteSpan raw) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || digest.empty() || scalar.size() != field_bytes(curve) || raw.size() != 2 * scalar.size()) {
    return HalStatus::refused;
  }
  const Number value = scalar_from(group, scalar);
  if (!value) return HalStatus::refused;
  const Bytes curve_octet = {static_cast<std::uint8_t>(curve)};
  EVP_PKEY* prepared = registers_->find_or_make(SecretBytes(concat({curve_octet, scalar})), [&]() -> Key {
    std::array<std::uint8_t, os::kMaxPointBytes> point{};
    const os::ByteSpan public_point = os::ByteSpan(point).first(point_bytes(curve));
    if (ec_public_point(curve, scalar, public_point) != HalStatus::ok) return nullptr;
    return make_ec_key(*row_of(curve), value.get(), public_point);
  });
  if (prepared == nullptr) return HalStatus::failed;
  const KeyContext context(EVP_PKEY_CTX_new(prepared, nullptr));
  std::array<std::uint8_t, 160> der{};  // P-521: two integers of 67 octets and their headers
  std::size_t size = der.size();
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(), digest.size()) != 1) {
    return HalStatus::failed;
  }
  const unsigned char* at = der.data();
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  return answer(signature && number_to(ECDSA_SIG_get0_r(signature.get()), raw.first(scalar.size())) &&
                number_to(ECDSA_SIG_get0_s(signature.get()), raw.last(scalar.size())));
}

HalStatus Coprocessor::ec_agree(Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan x) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || scalar.size() != field_bytes(curve) || point.size() != point_bytes(curve) ||
      x.size() != field_bytes(curve)) {
    return HalStatus::refused;
  }
  const Scratch scratch(BN_CTX_secure_new());
  if (!scratch) return HalStatus::failed;
  const Number value = scalar_from(group, scalar);
  const Point other = point_from(group, point, scratch.get());
  if (!value || !other) return HalStatus::refused;
  const Point product(EC_POINT_new(group));
  const Number coordinate(BN_secure_new());
  return answer(product && coordinate &&
                EC_POINT_mul(group, product.get(), nullptr, other.get(), value.get(), scratch.get()) == 1 &&
                EC_POINT_get_affine_coordinates(group, product.get(), coordinate.get(), nullptr, scratch.get()) == 1 &&
                number_to(coordinate.get(), x));
}

HalStatus Coprocessor::ec_multiply(Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan product) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || scalar.size() != field_bytes(curve) || point.size() != point_bytes(curve) ||
      product.size() != point_bytes(curve)) {
    return HalStatus::refused;
  }
  const Scratch scratch(BN_CTX_secure_new());
  if (!scratch) return HalStatus::failed;
  const Number value = scalar_from(group, scalar);
  const Point base = point_from(group, point, scratch.get());
  if (!value || !base) return HalStatus::refused;
  const Point result(EC_POINT_new(group));
  return answer(result && EC_POINT_mul(group, result.get(), nullptr, base.get(), value.get(), scratch.get()) == 1 &&
                point_to(group, result.get(), product, scratch.get()));
}

HalStatus Coprocessor::ec_generate_on(Curve curve, os::ByteView generator, os::ByteSpan scalar, os::ByteSpan point) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || !random_scalar(group, scalar)) return HalStatus::refused;
  return ec_multiply(curve, scalar, generator, point);
}

HalStatus Coprocessor::ec_map(Curve curve, os::ByteView nonce, os::ByteView scalar, os::ByteView point,
                              os::ByteSpan generator) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || nonce.empty() || nonce.size() > 64 || scalar.size() != field_bytes(curve) ||
      point.size() != point_bytes(curve) || generator.size() != point_bytes(curve)) {
    return HalStatus::refused;
  }
  const Scratch scratch(BN_CTX_secure_new());
  if (!scratch) return HalStatus::failed;
  const Number s = number_from(nonce);
  const Number value = scalar_from(group, scalar);
  const Point other = point_from(group, point, scratch.get());
  if (!s || !value || !other) return HalStatus::refused;
  // Two single multiplications: OpenSSL's sum of two products does not run in constant time.
  const Point agreed(EC_POINT_new(group)), masked(EC_POINT_new(group)), sum(EC_POINT_new(group));
  if (!agreed || !masked || !sum ||
      EC_POINT_mul(group, agreed.get(), nullptr, other.get(), value.get(), scratch.get()) != 1 ||
      EC_POINT_mul(group, masked.get(), s.get(), nullptr, nullptr, scratch.get()) != 1 ||
      EC_POINT_add(group, sum.get(), agreed.get(), masked.get(), scratch.get()) != 1) {
    return HalStatus::failed;
  }
  if (EC_POINT_is_at_infinity(group, sum.get()) == 1) return HalStatus::refused;
  return answer(point_to(group, sum.get(), generator, scratch.get()));
}

HalStatus Coprocessor::ec_verify(Curve curve, os::ByteView point, os::ByteView digest, os::ByteView raw) {
  const EC_GROUP* group = group_of(curve);
  if (group == nullptr || digest.empty() || point.size() != point_bytes(curve) ||
      raw.size() != 2 * field_bytes(curve)) {
    return HalStatus::refused;
  }
  const Scratch scratch(BN_CTX_new());
  const Point key_point = scratch ? point_from(group, point, scratch.get()) : nullptr;
  if (!key_point) return HalStatus::refused;
  const EcdsaSignature signature(ECDSA_SIG_new());
  Number r = number_from(raw.first(raw.size() / 2)), s = number_from(raw.last(raw.size() / 2));
  const Key key = make_ec_public_key(*row_of(curve), point);
  if (!signature || !r || !s || !key || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return HalStatus::failed;
  }
  static_cast<void>(r.release());  // the signature owns them now
  static_cast<void>(s.release());
  std::array<std::uint8_t, 160> der{};
  unsigned char* at = der.data();
  const int size = i2d_ECDSA_SIG(signature.get(), &at);
  const KeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (size <= 0 || !context || EVP_PKEY_verify_init(context.get()) != 1) return HalStatus::failed;
  return EVP_PKEY_verify(context.get(), der.data(), static_cast<std::size_t>(size), digest.data(), digest.size()) == 1
             ? HalStatus::ok
             : HalStatus::refused;
}

HalStatus Coprocessor::digest(os::Digest digest, os::ByteViews message, os::ByteSpan out) {
  const EVP_MD* method = method_of(digest);
  if (method == nullptr || out.size() != digest_bytes(digest)) return HalStatus::refused;
  const DigestContext context(EVP_MD_CTX_new());
  bool good = context && EVP_DigestInit_ex(context.get(), method, nullptr) == 1;
  for (const os::ByteView& part : message) {
    good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  return answer(good && EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
}

namespace {

// AES without padding; `iv`: null in a mode that has none.
HalStatus cipher_blocks(const EVP_CIPHER* method, os::Cipher cipher, os::ByteView key, const std::uint8_t* iv,
                        os::ByteView in, os::ByteSpan out) {
  if (method == nullptr || in.size() % os::kAesBlockBytes != 0 || in.size() != out.size()) return HalStatus::refused;
  const CipherContext context(EVP_CIPHER_CTX_new());
  int done = 0;
  return answer(
      context &&
      EVP_CipherInit_ex(context.get(), method, nullptr, key.data(), iv, cipher == os::Cipher::encrypt ? 1 : 0) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
      EVP_CipherUpdate(context.get(), out.data(), &done, in.data(), static_cast<int>(in.size())) == 1 &&
      static_cast<std::size_t>(done) == in.size());
}

}  // namespace

HalStatus Coprocessor::aes_cbc(os::Cipher cipher, os::ByteView key, os::ByteView iv, os::ByteView in,
                               os::ByteSpan out) {
  if (iv.size() != os::kAesBlockBytes) return HalStatus::refused;
  const EVP_CIPHER* method = key.size() == 16   ? EVP_aes_128_cbc()
                             : key.size() == 24 ? EVP_aes_192_cbc()
                             : key.size() == 32 ? EVP_aes_256_cbc()
                                                : nullptr;
  return cipher_blocks(method, cipher, key, iv.data(), in, out);
}

HalStatus Coprocessor::aes_blocks(os::ByteView key, os::ByteView in, os::ByteSpan out) {
  const EVP_CIPHER* method = key.size() == 16   ? EVP_aes_128_ecb()
                             : key.size() == 24 ? EVP_aes_192_ecb()
                             : key.size() == 32 ? EVP_aes_256_ecb()
                                                : nullptr;
  return cipher_blocks(method, os::Cipher::encrypt, key, nullptr, in, out);
}

HalStatus Coprocessor::aes_cmac(os::ByteView key, os::ByteViews message, os::ByteSpan out) {
  const char* method = key.size() == 16   ? "AES-128-CBC"
                       : key.size() == 24 ? "AES-192-CBC"
                       : key.size() == 32 ? "AES-256-CBC"
                                          : nullptr;
  if (method == nullptr || out.size() != os::kAesBlockBytes) return HalStatus::refused;
  static const MacMethod cmac(EVP_MAC_fetch(nullptr, "CMAC", nullptr));
  const MacContext context(cmac ? EVP_MAC_CTX_new(cmac.get()) : nullptr);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, const_cast<char*>(method), 0),
      OSSL_PARAM_construct_end()};
  bool good = context && EVP_MAC_init(context.get(), key.data(), key.size(), parameters) == 1;
  for (const os::ByteView& part : message) {
    good = good && EVP_MAC_update(context.get(), part.data(), part.size()) == 1;
  }
  std::size_t size = 0;
  return answer(good && EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1 && size == out.size());
}

HalStatus Coprocessor::self_test() {
  if (registers_->self_test) return *registers_->self_test;
  const auto run = [&]() -> HalStatus {
    // P-256: twice the generator (SEC 2, and NIST's point multiplication examples for k = 2).
    constexpr std::array<std::uint8_t, 32> kTwiceGeneratorX = {
        0x7C, 0xF2, 0x7B, 0x18, 0x8D, 0x03, 0x4F, 0x7E, 0x8A, 0x52, 0x38, 0x03, 0x04, 0xB5, 0x1A, 0xC3,
        0xC0, 0x89, 0x69, 0xE2, 0x77, 0xF2, 0x1B, 0x35, 0xA6, 0x0B, 0x48, 0xFC, 0x47, 0x66, 0x99, 0x78};
    std::array<std::uint8_t, 32> two{};
    two.back() = 2;
    std::array<std::uint8_t, 65> point{};
    if (ec_public_point(Curve::p256, two, point) != HalStatus::ok ||
        !std::equal(kTwiceGeneratorX.begin(), kTwiceGeneratorX.end(), point.begin() + 1)) {
      return HalStatus::failed;
    }
    // Agreement seen from both sides.
    std::array<std::uint8_t, 32> scalar{}, here{}, there{};
    std::array<std::uint8_t, 65> own{};
    if (ec_generate(Curve::p256, scalar, own) != HalStatus::ok ||
        ec_agree(Curve::p256, scalar, point, here) != HalStatus::ok ||
        ec_agree(Curve::p256, two, own, there) != HalStatus::ok || here != there) {
      return HalStatus::failed;
    }
    return HalStatus::ok;
  };
  registers_->self_test = run();
  return *registers_->self_test;
}

}  // namespace karta::sim
