// JWS: a signed text in the compact serialisation (RFC 7515 §7.1), asymmetric algorithms only.
//
// What is refused at the door: alg "none" and the MAC algorithms (no row of the table has them), "crit" and "b64" (RFC
// 7515 §4.1.11, RFC 7797), a header member twice, any character that is not base64url. The algorithm of a token never
// decides by itself: verify() takes the list of those the caller allows, and the key must be of that algorithm's type
// and curve. Keys and certificates in the header are data; whom to trust is the caller's question.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/jose/json_object.h"
#include "crypto/signer.h"

namespace karta::crypto {

struct JwsHeader {
  std::string alg, kid, typ;     ///< RFC 7515 §4.1; empty: absent
  std::vector<Bytes> x5c;        ///< DER certificates, the signer's first (§4.1.6)
  std::optional<PublicKey> jwk;  ///< §4.1.3
};

/// What karta itself signs with and accepts unless told otherwise.
inline constexpr AlgorithmId kJoseAlgorithms[] = {AlgorithmId::ecdsa_sha256, AlgorithmId::ecdsa_sha384,
                                                  AlgorithmId::rsa_pss_sha256, AlgorithmId::ed25519};

/// The algorithm of this "alg" of JOSE. "none", HS256 and the like: an empty optional.
std::optional<AlgorithmId> find_jose_algorithm(std::string_view alg);
/// True if a key of this type and curve makes `algorithm` in JOSE: ES256 with P-256 only (RFC 7518 §3.4), RSA of 2048
/// bits and more (§3.3).
bool fits_jose(const PublicKey& key, AlgorithmId algorithm);
/// The first of kJoseAlgorithms for this key, if there is one.
std::optional<AlgorithmId> jose_algorithm_of(const PublicKey& key);

class Jws {
 public:
  static constexpr std::size_t kMostOctets = 16u << 10, kMostCertificates = 8;

  /// Fails with malformed, limit (longer than `most`), unsupported ("crit", an unknown algorithm), not_permitted (a
  /// private key in the header).
  static Result<Jws> parse(std::string_view text, std::size_t most = kMostOctets);

  const JwsHeader& header() const { return header_; }
  /// All members of the header.
  const JsonObject& header_object() const { return header_object_; }
  AlgorithmId algorithm() const { return algorithm_; }
  /// The octets that were signed, once verify() has said so.
  ByteView payload() const { return payload_; }
  std::string_view payload_text() const { return as_text(payload_); }

  /// Succeeds if `key` made the signature with an algorithm of `allowed`. Fails with not_permitted (algorithm not
  /// allowed, or not of this key), invalid_signature.
  Status verify(const PublicKey& key, std::span<const AlgorithmId> allowed = kJoseAlgorithms) const;

 private:
  JwsHeader header_;
  JsonObject header_object_;
  AlgorithmId algorithm_ = AlgorithmId::ecdsa_sha256;
  std::string signing_input_;
  Bytes payload_, signature_;
};

/// The compact serialisation. `header.alg` is set from `algorithm`. Fails as the signer does; with usage if the
/// signer's key is not of `algorithm`.
Result<std::string> sign_jws(const JwsHeader& header, std::string_view payload, Signer& signer, AlgorithmId algorithm);

}  // namespace karta::crypto
