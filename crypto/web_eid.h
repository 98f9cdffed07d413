// web-eid:1.0: the proof that a card's authentication key was used for one origin and one nonce (the format
// specification of Web eID, version 2).
//
//   { "unverifiedCertificate": base64 DER, "algorithm": "ES256", "signature": base64,
//     "format": "web-eid:1.0", "appVersion": URL }
//
// What is signed is hash(origin) || hash(nonce), hashed once more as every signature hashes its message; the hash is
// the algorithm's own. The nonce is hashed as the text it is sent as, never decoded. ECDSA signatures are r || s (RFC
// 7518 §3.4), base64 is the standard alphabet with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/key.h"

namespace karta::crypto {

inline constexpr std::string_view kWebEidFormat = "web-eid:1.0";

/// The token as it was read; nothing in it is trusted until verify_web_eid and a path of the certificate have said so.
struct WebEidToken {
  static constexpr std::size_t kMostOctets = 16u << 10;
  Bytes certificate;  ///< DER, one whole certificate; not parsed
  AlgorithmId algorithm = AlgorithmId::ecdsa_sha256;
  Bytes signature;  ///< as JOSE has it: r || s for ECDSA
  std::string app_version;
};

/// The algorithms the specification allows: ES*, PS*, RS* of RFC 7518 §3.3 to §3.5.
bool is_web_eid_algorithm(AlgorithmId algorithm);
/// The one a key of this type makes the token with: the curve's own hash, PS256 or RS256 as `pss` says. Empty: none
/// (brainpool curves, Ed25519, GOST: the format has no name for them).
std::optional<AlgorithmId> web_eid_algorithm(const PublicKey& key, bool pss = false);

/// The digest to sign: H(H(origin) || H(nonce)), row_of(algorithm).hash.
Bytes web_eid_hash(AlgorithmId algorithm, std::string_view origin, std::string_view nonce);

/// The token as JSON. `signature` is what a Signer returns: DER for ECDSA. Fails with unsupported, malformed.
Result<std::string> write_web_eid_token(ByteView certificate, const PublicKey& key, AlgorithmId algorithm,
                                        ByteView signature);
/// Fails with malformed, unsupported (another format than web-eid:1.x, an algorithm it has not), limit.
Result<WebEidToken> parse_web_eid_token(std::string_view json);

/// Succeeds if `key`, which the caller took from the token's certificate, signed for this origin and nonce. The
/// certificate's path, its state and its purpose are the caller's to check. Fails with not_permitted (the algorithm is
/// not this key's), invalid_signature.
Status verify_web_eid(const WebEidToken& token, const PublicKey& key, std::string_view origin, std::string_view nonce);

}  // namespace karta::crypto
