// GOST keys: how keys of GOST R 34.10-2012 stand in SubjectPublicKeyInfo (RFC 9215) and PKCS #8 (R 1323565.1.023-2018,
// RFC 9548), and how they sign.
//
// For key.cpp; everybody else has PublicKey and PrivateKey, which do not show the kind. The numbers of a point stand
// little-endian in ASN.1 and big-endian in gost_curve.h.
#pragma once

#include "base/random.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/gost_curve.h"

namespace karta::crypto {

/// A parameter set and the key type it makes. Certificates of before 2019 name the same curves by CryptoPro's OIDs.
struct GostParameterSetRow {
  std::string_view oid;
  KeyType type;
  GostCurve curve;
  /// RFC 9215 §4.2: digestParamSet is written with the CryptoPro sets and left out with those of TC 26.
  bool with_digest;
};

inline constexpr auto kGostParameterSets = std::to_array<GostParameterSetRow>({
    {row_of(KeyType::gost_256_a).oid, KeyType::gost_256_a, GostCurve::tc26_256_a, false},
    {row_of(KeyType::gost_256_b).oid, KeyType::gost_256_b, GostCurve::crypto_pro_a, false},
    {row_of(KeyType::gost_256_c).oid, KeyType::gost_256_c, GostCurve::crypto_pro_b, false},
    {row_of(KeyType::gost_256_d).oid, KeyType::gost_256_d, GostCurve::crypto_pro_c, false},
    {row_of(KeyType::gost_512_a).oid, KeyType::gost_512_a, GostCurve::tc26_512_a, false},
    {row_of(KeyType::gost_512_b).oid, KeyType::gost_512_b, GostCurve::tc26_512_b, false},
    {row_of(KeyType::gost_512_c).oid, KeyType::gost_512_c, GostCurve::tc26_512_c, false},
    {"1.2.643.2.2.35.1", KeyType::gost_256_b, GostCurve::crypto_pro_a, true},  // CryptoPro-A
    {"1.2.643.2.2.35.2", KeyType::gost_256_c, GostCurve::crypto_pro_b, true},  // CryptoPro-B
    {"1.2.643.2.2.35.3", KeyType::gost_256_d, GostCurve::crypto_pro_c, true},  // CryptoPro-C
    {"1.2.643.2.2.36.0", KeyType::gost_256_b, GostCurve::crypto_pro_a, true},  // CryptoPro-XchA
    {"1.2.643.2.2.36.1", KeyType::gost_256_d, GostCurve::crypto_pro_c, true},  // CryptoPro-XchB
});

/// The group of a GOST key type.
const GostGroup& gost_group(KeyType type);

/// True for the two key algorithms of GOST R 34.10-2012.
bool is_gost_key(std::string_view algorithm_oid);

/// The parameter set of a GOST key's AlgorithmIdentifier. digestParamSet may stand or be absent with any set, and must
/// be the hash of the key's length. Fails with malformed or unsupported.
Result<const GostParameterSetRow*> read_gost_parameters(const AlgorithmIdentifier& algorithm);

/// The point x || y, big-endian, of a subjectPublicKey; checked to be of the group.
Result<Bytes> read_gost_point(const GostParameterSetRow& set, ByteView key);

/// SubjectPublicKeyInfo of a point, big-endian; `algorithm` is its AlgorithmIdentifier.
Bytes encode_gost_spki(ByteView algorithm, ByteView point);
/// AlgorithmIdentifier of a key type, as karta writes it.
Bytes encode_gost_key_algorithm(KeyType type);

/// The scalar, big-endian, of a privateKey: little-endian octets, bare, wrapped in an OCTET STRING or followed by masks
/// that multiply; or an INTEGER. Fails with malformed unless 0 < scalar < q.
Result<SecretBytes> read_gost_scalar(const GostParameterSetRow& set, ByteView private_key);
/// PrivateKeyInfo with the bare little-endian octets.
SecretBytes encode_gost_private_key(ByteView algorithm, const SecretBytes& scalar);

/// Uniform in [1, q).
SecretBytes generate_gost_scalar(const GostGroup& group, RandomSource& random);

/// Signs a Streebog digest: s || r. The nonce is HMAC_Streebog-512 under the key, of the digest, a counter and `fresh`
/// randomness, cut to the bits of q and tried anew unless below it. It hangs on key and digest, so that a weak random
/// source cannot give the key away (RFC 6979 has the reasons), and on the randomness, which makes faults and side
/// channels harder to use. An empty `fresh` leaves that out: the same digest then has the same signature.
Bytes gost_sign(const GostGroup& group, const SecretBytes& scalar, ByteView digest, ByteView fresh);

}  // namespace karta::crypto
