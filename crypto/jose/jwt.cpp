#include "crypto/jose/jwt.h"

#include <algorithm>

namespace karta::crypto {
namespace {

tl::unexpected<Error> bad(const char* name) {
  return fail(ErrorKind::malformed, "JWT: \"" + std::string(name) + "\" is not what RFC 7519 says");
}

Result<std::string> optional_text(const JsonObject& members, const char* name) {
  if (!members.has(name)) return std::string();
  auto text = members.text(name);
  if (!text || text->empty()) return bad(name);
  return std::move(*text);
}

Result<std::optional<Time>> optional_time(const JsonObject& members, const char* name) {
  if (!members.has(name)) return std::optional<Time>();
  const auto seconds = members.numeric_date(name);
  if (!seconds) return bad(name);
  return std::optional<Time>(Time(std::chrono::seconds(*seconds)));
}

}  // namespace

bool JwtClaims::is_for(std::string_view audience) const {
  return std::find(aud.begin(), aud.end(), audience) != aud.end();
}

Result<JwtClaims> parse_claims(std::string_view payload) {
  JwtClaims out;
  out.members = TRY(JsonObject::parse(payload));
  out.iss = TRY(optional_text(out.members, "iss"));
  out.sub = TRY(optional_text(out.members, "sub"));
  out.jti = TRY(optional_text(out.members, "jti"));
  out.nonce = TRY(optional_text(out.members, "nonce"));
  if (out.members.has("aud")) {
    if (auto one = out.members.text("aud")) {
      out.aud.push_back(std::move(*one));
    } else if (auto several = out.members.texts("aud")) {
      out.aud = std::move(*several);
    } else {
      return bad("aud");
    }
  }
  out.exp = TRY(optional_time(out.members, "exp"));
  out.nbf = TRY(optional_time(out.members, "nbf"));
  out.iat = TRY(optional_time(out.members, "iat"));
  return out;
}

Status check_times(const JwtClaims& claims, Time now, std::chrono::seconds skew) {
  if (claims.exp && *claims.exp + skew <= now) {
    return fail(ErrorKind::untrusted, "JWT: it ended at " + format_time(*claims.exp));
  }
  for (const auto& from : {claims.nbf, claims.iat}) {
    if (from && *from > now + skew) {
      return fail(ErrorKind::untrusted, "JWT: it begins at " + format_time(*from) + ", later than now",
                  "are the clocks of both machines right?");
    }
  }
  return {};
}

}  // namespace karta::crypto
