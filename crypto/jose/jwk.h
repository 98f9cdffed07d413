// JWK: a public key as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2). Public keys only: a JWK that holds private or
// symmetric parts is refused, so that nobody's secret is taken for something to be shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/jose/json_object.h"
#include "crypto/key.h"

namespace karta::crypto {

struct Jwk {
  PublicKey key;
  std::string kid, alg, use;  ///< empty: absent
};

/// EC (P-256, P-384, P-521), RSA (2048 to 16384 bits), OKP (Ed25519). Fails with malformed, unsupported (another key
/// type, curve), not_permitted (private or symmetric parts), limit.
Result<Jwk> parse_jwk(std::string_view json);
Result<Jwk> parse_jwk(const JsonObject& object);

/// The keys of {"keys": [...]} that can be used here; those of unknown type or curve are passed over (RFC 7517 §5), any
/// other fault fails the set. At most kMostKeys.
struct JwkSet {
  static constexpr std::size_t kMostKeys = 64;
  std::vector<Jwk> keys;
  /// The key of this kid; of a set of one, an empty kid finds it. Null: none, or more than one.
  const Jwk* find(std::string_view kid) const;
};
Result<JwkSet> parse_jwk_set(std::string_view json);

/// The JWK; empty kid, alg and use are left out. Fails with unsupported for keys JOSE has no name for.
Result<std::string> write_jwk(const PublicKey& key, std::string_view kid = {}, std::string_view alg = {},
                              std::string_view use = {});
/// {"keys": [...]}
Result<std::string> write_jwk_set(const std::vector<Jwk>& keys);

/// RFC 7638 with SHA-256, base64url. Fails with unsupported for keys JOSE has no name for.
Result<std::string> jwk_thumbprint(const PublicKey& key);

}  // namespace karta::crypto
