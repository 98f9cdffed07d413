// SignedObject: what certificates, CRLs and certification requests are alike: a body, the algorithm, the signature
// (SIGNED{} of X.509; RFC 5280 §4.1.1 and §5.1.1, RFC 2986 §4.2).
#pragma once

#include <optional>
#include <string>

#include "base/der.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

struct SignedObject {
  Tlv body;            ///< what is signed: a SEQUENCE
  ByteView algorithm;  ///< AlgorithmIdentifier, whole: the body may have to repeat it
  std::string algorithm_oid;
  std::optional<AlgorithmId> known;  ///< empty if the algorithm has no row
  std::optional<unsigned> pss_salt_octets;
  ByteView signature;
};

/// Names for error messages: "certificate", "tbsCertificate".
struct SignedObjectNames {
  std::string_view whole, body;
};

/// SEQUENCE { body, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }, strict DER, nothing after it. Views
/// alias `der`. An algorithm without a row is no error here; parameters its standard does not allow are.
Result<SignedObject> read_signed_object(ByteView der, const SignedObjectNames& names);

}  // namespace karta::crypto
