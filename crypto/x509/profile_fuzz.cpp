// Fuzz target: certificate profiles in TOML.
#include "crypto/x509/profile.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto profile = CertificateProfile::from_toml(as_text({data, size}), "seed");
  if (profile) {
    KARTA_CHECK(!profile->name.empty() && profile->validity_days > 0 && !profile->key_types.empty());
  } else {
    KARTA_CHECK(profile.error().message.starts_with("seed:"));
  }
  return 0;
}
