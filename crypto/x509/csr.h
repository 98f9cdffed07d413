// CertificationRequest (PKCS #10, RFC 2986): a key that asks for a certificate, with proof that its owner has it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/signer.h"
#include "crypto/x509/general_name.h"
#include "crypto/x509/name.h"

namespace karta::crypto {

struct CertificationRequest {
  static constexpr std::size_t kMostOctets = 64 * 1024;

  Name subject;
  PublicKey public_key;
  std::vector<GeneralName>
      subject_alternative_names;  ///< from the extensionRequest attribute; other wishes are dropped

  /// Strict DER, nothing after it; the request's own signature is verified. Fails with malformed, unsupported,
  /// invalid_signature.
  static Result<CertificationRequest> from_der(ByteView der);
  /// The only "CERTIFICATE REQUEST" (or "NEW CERTIFICATE REQUEST") block, or DER.
  static Result<CertificationRequest> from_file_octets(ByteView pem_or_der);
};

/// A request for the signer's own key, DER.
Result<Bytes> sign_certification_request(const Name& subject, const std::vector<GeneralName>& alternative_names,
                                         Signer& signer);

}  // namespace karta::crypto
