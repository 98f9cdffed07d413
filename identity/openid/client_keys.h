// ClientKeys: the certificates among a client's registered keys (RFC 8705 §2.2.2): `x5c` of its JWK Set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/x509/certificate.h"

namespace karta::identity {

/// The certificates of a JWK Set, each the first of an `x5c` (RFC 7517 §4.7). Keys without one are passed over. Fails
/// with malformed: an `x5c` that is no array of base64 DER, or whose first certificate is of another key than its JWK.
Result<std::vector<crypto::Certificate>> certificates_of_jwks(std::string_view jwks);

/// The JWK Set of `certificates`: a key each, with its thumbprint as `kid` and the certificate in `x5c`. Fails with
/// unsupported for a key JOSE has no name for.
Result<std::string> jwks_of_certificates(const std::vector<crypto::Certificate>& certificates);

}  // namespace karta::identity
