// Fuzz target: a request object as a browser brings it. None is heard: the root is of no one, its private key was
// thrown away.
#include "daemon/citizen/agent_request.h"

using namespace karta;
using namespace karta::daemon;

namespace {

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
  static const std::vector<AgentProvider> providers{
      {"https://id.example", *crypto::Certificate::many_from_file_octets(as_bytes(kRoot))}};
  const Time now = providers.front().roots.front().not_before() + std::chrono::hours(24);
  const auto request = read_agent_request({reinterpret_cast<const char*>(data), size}, providers, now);
  KARTA_CHECK(!request);
  return 0;
}
