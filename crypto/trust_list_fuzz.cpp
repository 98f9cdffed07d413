// Fuzz target: a trust list, the JSON alone and the signed file. What is read is written and read again the same;
// nothing is opened that the root below did not sign.
#include "crypto/trust_list.h"

#include "crypto/validation/validate.h"

using namespace karta;
using namespace karta::crypto;

namespace {

// The root of no one: a certificate whose private key was thrown away (tests/corpus/trust_list).
constexpr std::string_view kRoot = R"(-----BEGIN CERTIFICATE-----
MIIByzCCAXGgAwIBAgICEjQwCgYIKoZIzj0EAwIwPDELMAkGA1UEBhMCWFgxDzAN
BgNVBAoMBlNhbXBsZTEcMBoGA1UEAwwTUm9vdCBvZiBUcnVzdCBMaXN0czAeFw0y
NjExMjIwNjAzMjBaFw0zNjExMTkwNjAzMjBaMDwxCzAJBgNVBAYTAlhYMQ8wDQYD
VQQKDAZTYW1wbGUxHDAaBgNVBAMME1Jvb3Qgb2YgVHJ1c3QgTGlzdHMwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATnCuIFNYDstuIj7Y10wxASOb6+CtRqyy7gUfLq
T/Th6Id3m9obLg48RTwulSor6Z2bKIJOPJbw0euj+O750UIHo2MwYTAdBgNVHQ4E
FgQUpbDzFNzBtpGer1k1i2IXCfuKS8YwHwYDVR0jBBgwFoAUpbDzFNzBtpGer1k1
i2IXCfuKS8YwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZI
zj0EAwIDSAAwRQIhAI6qEmJuqSHphGuOzpPjPFroTHh9BVmA1VNmOT3gW1oAAiA/
L09G8VLjk9xUzvgRl2x7ZQN85CtJlcG0EghFnol8bg==
-----END CERTIFICATE-----
)";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Certificate> roots = *Certificate::many_from_file_octets(as_bytes(kRoot));
  const ByteView input(data, size);
  const Time at = roots.front().not_before() + std::chrono::hours(24);
  const auto list = TrustList::from_json(as_text(input));
  if (list) {
    const std::string written = list->to_json();
    const auto again = TrustList::from_json(written);
    KARTA_CHECK(again.has_value() && again->to_json() == written);
    const TrustMaterial material = trust_material(*list, list->issued_at);
    KARTA_CHECK(material.anchors.size() + material.timestamp_anchors.size() <= list->entries.size());
  }
  const auto opened = open_trust_list(input, roots, at);
  KARTA_CHECK(!opened || opened->next_update > opened->issued_at);
  return 0;
}
