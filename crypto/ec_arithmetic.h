// Elliptic-curve arithmetic for card protocols: points checked at the door, multiples, PACE's generic mapping.
//
// Points are octets, uncompressed: 04 || X || Y of the curve's length (TR-03111 §3.2). Every function that takes a
// point refuses one that is not on the curve, is the identity, or is coded otherwise; all curves of the table have
// cofactor 1, so that a point on the curve is in the group.
#pragma once

#include "base/random.h"
#include "base/secret.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

/// Octets of one coordinate of an EC row: 32 for p256, 66 for p521.
constexpr std::size_t coordinate_octets(KeyType curve) { return (row_of(curve).key_bits + 7u) / 8u; }

/// A private scalar and its multiple of some generator; lives for one exchange.
struct EcKeyPair {
  SecretBytes scalar;  ///< big-endian, coordinate_octets long
  Bytes point;
};

/// Succeeds for a point of `curve` as said above. Fails with `malformed`, or `unsupported` where `curve` is no EC row.
Status check_ec_point(KeyType curve, ByteView point);

/// The curve's own generator.
Result<Bytes> ec_generator(KeyType curve);

/// A fresh pair: scalar uniform in [1, order), point = scalar * `generator` (empty: the curve's own).
Result<EcKeyPair> generate_ec_pair(KeyType curve, ByteView generator, RandomSource& random);
/// The pair of a scalar that is known already (a stored key, a published example). Fails with `malformed` unless
/// 0 < scalar < order.
Result<EcKeyPair> ec_pair_of(KeyType curve, ByteView generator, const SecretBytes& scalar);

/// scalar * point, as a point. Fails with `malformed` where that is the identity or an input is out of range.
Result<SecretBytes> ec_multiply(KeyType curve, const SecretBytes& scalar, ByteView point);

/// TR-03111 §4.3.1 (ECKA): the x coordinate of scalar * point, coordinate_octets long.
Result<SecretBytes> ec_agree(KeyType curve, const SecretBytes& scalar, ByteView point);

/// TR-03110-3 A.3.5.1, ICAO 9303-11 §4.4.3.3.1 (generic mapping): nonce * G + H, the mapped generator. `shared` is H.
/// Fails with `malformed` where the sum is the identity.
Result<Bytes> ec_map_generic(KeyType curve, const SecretBytes& nonce, ByteView shared);

/// The curve whose prime, coefficients, generator and order are these magnitudes (TR-03110-3 D.3.3), cofactor 1.
/// Fails with `unsupported` for curves without a row.
struct ExplicitCurve {
  ByteView prime, a, b, generator, order, cofactor;
};
Result<KeyType> curve_of(const ExplicitCurve& parameters);
/// The same numbers of a row: prime, a and b coordinate_octets long, generator as a point, order without leading zeros.
struct CurveNumbers {
  Bytes prime, a, b, generator, order, cofactor;
};
Result<CurveNumbers> numbers_of(KeyType curve);

}  // namespace karta::crypto
