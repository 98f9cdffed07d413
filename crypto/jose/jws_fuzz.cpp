// Fuzz target: a JWS and its claims. Whatever is read has a known algorithm, and nothing verifies under a key whose
// private half was thrown away.
#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // RFC 7517 appendix A.1, the first key; its private half is in no corpus.
  static const Jwk key = *parse_jwk(
      R"({"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})");
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto claims_alone = parse_claims(input);
  const auto jws = Jws::parse(input);
  if (!jws) return 0;
  KARTA_CHECK(find_jose_algorithm(jws->header().alg) == jws->algorithm());
  KARTA_CHECK(!jws->verify(key.key));
  if (jws->header().jwk) (void)jws->verify(*jws->header().jwk);
  if (const auto claims = parse_claims(jws->payload_text())) {
    (void)check_times(*claims, Time(std::chrono::seconds(1'800'000'000)));
    for (const std::string& name : claims->members.names()) KARTA_CHECK(claims->json(name).has_value());
    const auto again = JsonObject::parse(claims->members.dump());
    KARTA_CHECK(again.has_value() && again->dump() == claims->members.dump());
  }
  return 0;
}
