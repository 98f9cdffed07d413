#include "crypto/ec_arithmetic.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>

#include <algorithm>

#include "crypto/openssl_handles.h"

namespace karta::crypto {
namespace {

using GroupPtr = std::unique_ptr<EC_GROUP, OpensslFree<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_clear_free>>;
using BnCtxPtr = std::unique_ptr<BN_CTX, OpensslFree<BN_CTX_free>>;

tl::unexpected<Error> bad_point(const char* why) {
  ERR_clear_error();
  return fail(ErrorKind::malformed, std::string("a point of an elliptic curve ") + why);
}

Result<GroupPtr> group_of(KeyType curve) {
  const KeyTypeRow& row = row_of(curve);
  if (row.family != KeyFamily::ec) {
    return fail(ErrorKind::unsupported, "\"" + std::string(row.name) + "\" is no elliptic curve of this arithmetic");
  }
  GroupPtr group(EC_GROUP_new_by_curve_name(OBJ_sn2nid(std::string(row.openssl_name).c_str())));
  if (group == nullptr) return openssl_failed("elliptic curve");
  return group;
}

// One curve and what OpenSSL wants beside it.
struct Arithmetic {
  GroupPtr group;
  BnCtxPtr context;
  std::size_t octets;

  static Result<Arithmetic> of(KeyType curve) {
    GroupPtr group = TRY(group_of(curve));
    BnCtxPtr context(BN_CTX_secure_new());
    if (context == nullptr) return openssl_failed("elliptic curve");
    return Arithmetic{std::move(group), std::move(context), coordinate_octets(curve)};
  }

  Result<PointPtr> new_point() const {
    PointPtr point(EC_POINT_new(group.get()));
    if (point == nullptr) return openssl_failed("elliptic curve");
    return point;
  }

  // EC_POINT_oct2point checks the range of the coordinates and the curve's equation.
  Result<PointPtr> decode(ByteView octets_in) const {
    if (octets_in.size() != 1 + 2 * octets || octets_in[0] != 0x04) {
      return bad_point("is not in the uncompressed form of its curve");
    }
    PointPtr point = TRY(new_point());
    if (EC_POINT_oct2point(group.get(), point.get(), octets_in.data(), octets_in.size(), context.get()) != 1) {
      return bad_point("is not on its curve");
    }
    if (EC_POINT_is_at_infinity(group.get(), point.get()) == 1) return bad_point("is the identity");
    return point;
  }

  Result<Bytes> encode(const EC_POINT* point) const {
    if (EC_POINT_is_at_infinity(group.get(), point) == 1) return bad_point("came out as the identity");
    Bytes out(1 + 2 * octets);
    if (EC_POINT_point2oct(group.get(), point, POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(), context.get()) !=
        out.size()) {
      return openssl_failed("elliptic curve");
    }
    return out;
  }

  // Reduced first, so that the multiplication is OpenSSL's constant-time ladder over scalars of fixed length.
  Result<BignumPtr> scalar_of(const SecretBytes& octets_in) const {
    const ByteView view = octets_in.expose_secret();
    BignumPtr number(BN_secure_new());
    if (number == nullptr || BN_bin2bn(view.data(), static_cast<int>(view.size()), number.get()) == nullptr) {
      return openssl_failed("elliptic curve");
    }
    BN_set_flags(number.get(), BN_FLG_CONSTTIME);
    return number;
  }

  Result<PointPtr> multiply(const BIGNUM* scalar, const EC_POINT* point) const {
    PointPtr product = TRY(new_point());
    if (EC_POINT_mul(group.get(), product.get(), nullptr, point, scalar, context.get()) != 1) {
      return openssl_failed("elliptic curve");
    }
    return product;
  }
};

Result<Bytes> padded(const BIGNUM* number, std::size_t octets) {
  Bytes out(octets);
  if (BN_bn2binpad(number, out.data(), static_cast<int>(octets)) < 0) return openssl_failed("elliptic curve");
  return out;
}

bool same_number(ByteView a, ByteView b) {
  const auto trim = [](ByteView octets) {
    while (!octets.empty() && octets[0] == 0) octets = octets.subspan(1);
    return octets;
  };
  return equal(trim(a), trim(b));
}

}  // namespace

Status check_ec_point(KeyType curve, ByteView point) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  TRY(on.decode(point));
  return {};
}

Result<Bytes> ec_generator(KeyType curve) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  return on.encode(EC_GROUP_get0_generator(on.group.get()));
}

Result<EcKeyPair> ec_pair_of(KeyType curve, ByteView generator, const SecretBytes& scalar) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  const BignumPtr number = TRY(on.scalar_of(scalar));
  if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(on.group.get())) >= 0) {
    return fail(ErrorKind::malformed, "a private scalar is out of range");
  }
  PointPtr base;
  if (!generator.empty()) base = TRY(on.decode(generator));
  const PointPtr product =
      TRY(on.multiply(number.get(), base == nullptr ? EC_GROUP_get0_generator(on.group.get()) : base.get()));
  EcKeyPair pair;
  pair.point = TRY(on.encode(product.get()));
  pair.scalar = SecretBytes(on.octets);
  if (BN_bn2binpad(number.get(), pair.scalar.expose_secret_mutable().data(), static_cast<int>(on.octets)) < 0) {
    return openssl_failed("elliptic curve");
  }
  return pair;
}

Result<EcKeyPair> generate_ec_pair(KeyType curve, ByteView generator, RandomSource& random) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  const BIGNUM* const order = EC_GROUP_get0_order(on.group.get());
  const auto order_octets = static_cast<std::size_t>(BN_num_bytes(order));
  // Rejection sampling over the bits of the order: uniform, and fewer than two rounds on average.
  const unsigned spare = static_cast<unsigned>(order_octets * 8) - static_cast<unsigned>(BN_num_bits(order));
  for (;;) {
    SecretBytes candidate = random.secret(order_octets);
    candidate.expose_secret_mutable()[0] &= static_cast<std::uint8_t>(0xFF >> spare);
    const BignumPtr number = TRY(on.scalar_of(candidate));
    if (BN_is_zero(number.get()) || BN_cmp(number.get(), order) >= 0) continue;
    return ec_pair_of(curve, generator, candidate);
  }
}

Result<SecretBytes> ec_multiply(KeyType curve, const SecretBytes& scalar, ByteView point) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  const BignumPtr number = TRY(on.scalar_of(scalar));
  const PointPtr other = TRY(on.decode(point));
  const PointPtr product = TRY(on.multiply(number.get(), other.get()));
  Bytes octets = TRY(on.encode(product.get()));
  return SecretBytes(std::move(octets));
}

Result<SecretBytes> ec_agree(KeyType curve, const SecretBytes& scalar, ByteView point) {
  const SecretBytes product = TRY(ec_multiply(curve, scalar, point));
  return SecretBytes::copy_of(product.expose_secret().subspan(1, coordinate_octets(curve)));
}

Result<Bytes> ec_map_generic(KeyType curve, const SecretBytes& nonce, ByteView shared) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  const BignumPtr number = TRY(on.scalar_of(nonce));
  const PointPtr h = TRY(on.decode(shared));
  const PointPtr multiple = TRY(on.multiply(number.get(), EC_GROUP_get0_generator(on.group.get())));
  const PointPtr sum = TRY(on.new_point());
  if (EC_POINT_add(on.group.get(), sum.get(), multiple.get(), h.get(), on.context.get()) != 1) {
    return openssl_failed("elliptic curve");
  }
  return on.encode(sum.get());
}

Result<CurveNumbers> numbers_of(KeyType curve) {
  const Arithmetic on = TRY(Arithmetic::of(curve));
  const BignumPtr p(BN_new()), a(BN_new()), b(BN_new());
  if (p == nullptr || a == nullptr || b == nullptr ||
      EC_GROUP_get_curve(on.group.get(), p.get(), a.get(), b.get(), on.context.get()) != 1) {
    return openssl_failed("elliptic curve");
  }
  CurveNumbers numbers;
  numbers.prime = TRY(padded(p.get(), on.octets));
  numbers.a = TRY(padded(a.get(), on.octets));
  numbers.b = TRY(padded(b.get(), on.octets));
  numbers.generator = TRY(on.encode(EC_GROUP_get0_generator(on.group.get())));
  const BIGNUM* const order = EC_GROUP_get0_order(on.group.get());
  numbers.order = TRY(padded(order, static_cast<std::size_t>(BN_num_bytes(order))));
  const BIGNUM* const cofactor = EC_GROUP_get0_cofactor(on.group.get());
  numbers.cofactor = TRY(padded(cofactor, static_cast<std::size_t>(BN_num_bytes(cofactor))));
  return numbers;
}

Result<KeyType> curve_of(const ExplicitCurve& parameters) {
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family != KeyFamily::ec) continue;
    const CurveNumbers known = TRY(numbers_of(row.id));
    if (same_number(parameters.prime, known.prime) && same_number(parameters.a, known.a) &&
        same_number(parameters.b, known.b) && equal(parameters.generator, known.generator) &&
        same_number(parameters.order, known.order) && same_number(parameters.cofactor, known.cofactor)) {
      return row.id;
    }
  }
  return fail(ErrorKind::unsupported, "the domain parameters are those of no curve that karta uses");
}

}  // namespace karta::crypto
