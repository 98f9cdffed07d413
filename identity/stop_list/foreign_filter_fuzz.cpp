// Any octets as a filter of foreign certificates: parse, look up.
#include <cstdlib>

#include "identity/stop_list/foreign_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::identity;
  const ByteView file(data, size);
  const auto filter = ForeignFilter::parse(file);
  // Nobody is trusted: it must never verify, and be refused for that reason only where it parses.
  const auto signer = ForeignFilter::signer(file, {}, Time{});
  if (signer || (filter && signer.error().kind != ErrorKind::untrusted)) std::abort();
  if (!filter) return 0;
  for (ForeignKey key = 1; key != 0; key <<= 1) {
    if (filter->may_list(key) && filter->count() == 0) std::abort();
    (void)filter->may_list(~key);
  }
  return 0;
}
