// Fuzz target: a JWK and a JWK set. What is read is written and read again as the same key, with the same thumbprint.
#include "crypto/jose/jwk.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto jwk = parse_jwk(input)) {
    const auto written = write_jwk(jwk->key, jwk->kid, jwk->alg, jwk->use);
    KARTA_CHECK(written.has_value());
    const auto again = parse_jwk(*written);
    KARTA_CHECK(again.has_value() && again->key == jwk->key && again->kid == jwk->kid && again->alg == jwk->alg);
    KARTA_CHECK(*jwk_thumbprint(again->key) == *jwk_thumbprint(jwk->key));
  }
  if (const auto set = parse_jwk_set(input)) {
    KARTA_CHECK(set->keys.size() <= JwkSet::kMostKeys);
    for (const Jwk& one : set->keys) (void)set->find(one.kid);
  }
  return 0;
}
