// The first octets of a connection from a balancer: what is read of them does not depend on how they arrive.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "service/proxy_header.h"

using namespace karta;
using namespace karta::service;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView all{data, size};
  const auto whole = read_proxy_header(all);
  if (whole && !*whole && size >= kMostProxyLineOctets) std::abort();
  if (whole && *whole) {
    if ((**whole).octets < 15 || (**whole).octets > 16 + 65'535) std::abort();
    const auto& client = (**whole).client;
    if (client && IpAddress::from_text(client->text()) != client) std::abort();
  }
  // Octet by octet: awaited as long as nothing is wrong, then the same, whatever comes behind.
  bool refused = false, read = false;
  for (std::size_t arrived = 0; arrived <= std::min(size, kMostProxyLineOctets + 1); ++arrived) {
    const auto part = read_proxy_header(all.first(arrived));
    if (refused && part) std::abort();
    refused = !part;
    if (refused && whole) std::abort();
    if (read && (!part || !*part)) std::abort();
    if (part && *part) {
      read = true;
      if (!whole || !*whole || (**whole).octets != (**part).octets || (**whole).client != (**part).client) std::abort();
    }
  }
  return 0;
}
