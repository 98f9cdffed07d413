// JWT claims: who says what to whom, and until when (RFC 7519 §4.1). Reading alone: the signature around them is JWS.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/jose/json_object.h"

namespace karta::crypto {

struct JwtClaims {
  std::string iss, sub, jti, nonce;  ///< empty: absent
  std::vector<std::string> aud;      ///< one or several
  std::optional<Time> exp, nbf, iat;
  JsonObject members;  ///< all claims, those above among them

  // The other claims; see JsonObject.
  bool has(std::string_view name) const { return members.has(name); }
  std::optional<std::string> text(std::string_view name) const { return members.text(name); }
  std::optional<std::int64_t> integer(std::string_view name) const { return members.integer(name); }
  std::optional<bool> boolean(std::string_view name) const { return members.boolean(name); }
  std::optional<std::vector<std::string>> texts(std::string_view name) const { return members.texts(name); }
  std::optional<std::string> json(std::string_view name) const { return members.json(name); }
  bool is_for(std::string_view audience) const;
};

/// Fails with malformed: no object, a claim twice, a registered claim of the wrong type. `jti`, `iss` and the like that
/// are there but empty are malformed, so that empty always means absent.
Result<JwtClaims> parse_claims(std::string_view payload);

/// Checks the times that are there; a caller that needs one asks for it first. Fails with untrusted: ended (`exp` not
/// after now), not valid yet (`nbf`, `iat` in the future). `skew` is how far the other's clock may be off.
Status check_times(const JwtClaims& claims, Time now, std::chrono::seconds skew = std::chrono::seconds(60));

}  // namespace karta::crypto
