#include "identity/openid/client_keys.h"

#include "base/bytes.h"
#include "crypto/jose/jwk.h"

namespace karta::identity {
namespace {

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "x5c " + what); }

}  // namespace

Result<std::vector<crypto::Certificate>> certificates_of_jwks(std::string_view jwks) {
  const crypto::JsonObject set = TRY(crypto::JsonObject::parse(jwks));
  std::vector<crypto::Certificate> out;
  const auto keys = set.objects("keys");
  if (!keys) return fail(ErrorKind::malformed, "\"keys\" is missing");
  for (const crypto::JsonObject& one : *keys) {
    if (!one.has("x5c")) continue;
    const auto chain = one.texts("x5c");
    if (!chain || chain->empty()) return bad("must be an array of certificates");
    const auto der = from_base64(chain->front());
    if (!der) return bad("must hold base64 of DER");
    auto certificate = crypto::Certificate::from_der(*der);
    if (!certificate) return bad("holds what is no certificate: " + certificate.error().message);
    const auto key = certificate->public_key();
    const auto jwk = crypto::parse_jwk(one);
    if (!key || !jwk || !equal(key->spki(), jwk->key.spki())) return bad("is of another key than the JWK it stands in");
    out.push_back(std::move(*certificate));
  }
  return out;
}

Result<std::string> jwks_of_certificates(const std::vector<crypto::Certificate>& certificates) {
  std::string out;
  for (const crypto::Certificate& one : certificates) {
    const auto key = TRY(one.public_key());
    const std::string kid = TRY(crypto::jwk_thumbprint(key));
    std::string written = TRY(crypto::write_jwk(key, kid));
    written.pop_back();  // the brace
    out += (out.empty() ? "" : ",") + written + ",\"x5c\":[\"" + to_base64(one.der()) + "\"]}";
  }
  return "{\"keys\":[" + out + "]}";
}

}  // namespace karta::identity
