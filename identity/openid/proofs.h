// Proofs: what a client shows to be itself: a signed assertion (RFC 7523), a DPoP proof (RFC 9449), a certificate
// (RFC 8705), a signed request object (RFC 9101). Signatures, names and times are judged here; whether a proof has been
// shown before is the store's question (`seen`).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"
#include "identity/openid/client.h"
#include "identity/openid/oauth_error.h"

namespace karta::identity {

/// A proof to be remembered until it is too old to be shown again.
struct SeenProof {
  Bytes hash;  ///< SHA-256 of who showed it and its jti
  Time until{};
};

/// FAPI 2.0 Security Profile §5.3.2.1: clocks may differ by so much.
inline constexpr std::chrono::seconds kClockSkew{10};
/// Assertions and request objects live at most so long, whatever they say.
inline constexpr std::chrono::minutes kMostProofLife{10};
/// A DPoP proof is good for so long after its `iat`.
inline constexpr std::chrono::seconds kDpopLife{60};

struct LoadedClient {
  Client client;
  crypto::JwkSet keys;
};

/// A client's assertion, read but not believed: who it says it is decides which keys it is verified with.
struct Assertion {
  crypto::Jws jws;
  crypto::JwtClaims claims;
};
OauthResult<Assertion> read_assertion(std::string_view text);
/// `audiences`: those accepted; FAPI clients must name the first, alone.
OauthResult<SeenProof> verify_assertion(const LoadedClient& client, const Assertion& assertion,
                                        const std::vector<std::string>& audiences, Time now);

/// The certificate a TLS client showed is the one the client is registered with. `der`: one the listener has verified;
/// with self_signed_tls_client_auth whatever was shown there (HttpRequest::shown_certificate).
OauthStatus check_certificate(const Client& client, ByteView der, Time now);
/// base64url of its SHA-256: "x5t#S256".
std::string certificate_thumbprint(ByteView der);

/// The request object's claims: signed by the client, for us, in time.
OauthResult<crypto::JwtClaims> verify_request_object(const LoadedClient& client, std::string_view object,
                                                     std::string_view issuer, Time now);

struct DpopProof {
  std::string jkt;    ///< thumbprint of its key
  std::string nonce;  ///< empty: none
  SeenProof seen;
};
/// `url`s: those it may be for, without query. `access_token`: the proof must be for it (ath); empty: none.
OauthResult<DpopProof> verify_dpop(std::string_view proof, std::string_view method,
                                   const std::vector<std::string>& urls, std::string_view access_token, Time now);

}  // namespace karta::identity
