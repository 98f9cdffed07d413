// AlgorithmIdentifier (RFC 5280 §4.1.1.2): rows of the algorithm table as they stand in certificates and CMS.
#pragma once

#include <optional>
#include <string>

#include "base/der.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

struct AlgorithmIdentifier {
  std::string oid;      ///< dotted
  ByteView parameters;  ///< the whole TLV, aliased; empty if absent
};

/// Reads one AlgorithmIdentifier; any algorithm, any one parameter.
Result<AlgorithmIdentifier> read_algorithm_identifier(der::Reader& reader);

struct SignatureAlgorithm {
  AlgorithmId id;
  std::optional<unsigned> pss_salt_octets;  ///< PSS only, exact
};

/// The row of a signature algorithm. Fails with unsupported if there is none, malformed if its parameters are not what
/// its standard says (RFC 4055 §3.1 and §5, RFC 5758 §3.2, RFC 8410 §3, RFC 9215 §2).
Result<SignatureAlgorithm> signature_algorithm_of(std::string_view oid, ByteView parameters);

/// The same for SignerInfo of CMS, where RSA and GOST keys may stand with the key's own OID (RFC 3370 §3.2; RFC 4490 §3
/// and what programs write after it): the hash is then that of the digest algorithm. `names_hash` of the answer tells.
struct CmsSignatureAlgorithm {
  SignatureAlgorithm algorithm;
  bool names_hash = true;
};
Result<CmsSignatureAlgorithm> cms_signature_algorithm_of(std::string_view oid, ByteView parameters, Hash digest);

/// The row of a digest algorithm, its parameters absent or NULL (RFC 5754 §2).
Result<Hash> hash_of(std::string_view oid, ByteView parameters);

/// AlgorithmIdentifiers, DER. PSS: MGF1 with the same hash, salt as long as the digest.
Bytes encode_signature_algorithm(AlgorithmId id);
Bytes encode_digest_algorithm(Hash hash);

}  // namespace karta::crypto
