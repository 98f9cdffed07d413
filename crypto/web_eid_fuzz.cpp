// Fuzz target: a web-eid token. Nothing verifies under a key whose private half was thrown away.
#include "crypto/web_eid.h"

#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Jwk key = *parse_jwk(
      R"({"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})");
  const auto token = parse_web_eid_token({reinterpret_cast<const char*>(data), size});
  if (!token) return 0;
  KARTA_CHECK(is_web_eid_algorithm(token->algorithm));
  KARTA_CHECK(!verify_web_eid(*token, key.key, "https://id.example", "nonce"));
  return 0;
}
