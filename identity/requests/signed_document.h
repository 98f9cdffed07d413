// SignedDocument: a JSON document inside a CAdES-B-B signature (enveloping CMS, DER), as departments send them to each
// other. Any CMS program verifies one: `openssl cms -verify`.
#pragma once

#include <string>
#include <string_view>

#include "crypto/signer.h"
#include "crypto/validation/validate.h"

namespace karta::identity {

/// The certificate and everything around the JSON, beside it.
inline constexpr std::size_t kMostSignedOctets = 64 * 1024;

/// One DER ContentInfo by `signer`, who has its certificate.
Result<Bytes> sign_document(crypto::Signer& signer, std::string_view json, Time signing_time);

struct SignedDocument {
  std::string json;
  crypto::Certificate signer;
};

/// Opens `cms`: one signature, whole, by a certificate with a path to an anchor of `trust`, and not known to be
/// revoked, at `at`. `evidence` (may be null) holds further CRLs. Errors: limit, malformed (no signature file, a
/// detached one, or one of several signers), invalid_signature, untrusted.
Result<SignedDocument> open_document(ByteView cms, const crypto::TrustMaterial& trust,
                                     const crypto::ValidationEvidence* evidence, Time at);

/// What an answer and a receipt refer to a document by.
Bytes hash_of_document(ByteView cms);

}  // namespace karta::identity
