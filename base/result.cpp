#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace karta {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "error: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace karta
