// Fuzz target: pictures as people hand them in. What is accepted is read again as it is kept, and stays the same.
#include <cstdlib>

#include "identity/portrait.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using karta::identity::Portrait;
  const auto once = Portrait::from_jpeg({data, size});
  if (!once) return 0;
  const auto again = Portrait::from_jpeg(once->jpeg());
  if (!again || again->jpeg() != once->jpeg() || again->width() != once->width()) std::abort();
  return 0;
}
