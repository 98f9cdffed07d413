#include "firmware-sim/os/bytes.h"

namespace karta::os {

void wipe(ByteSpan data) {
  volatile u8* p = data.data();
  for (std::size_t i = 0; i < data.size(); ++i) p[i] = 0;
}

bool equal_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  volatile u8 difference = 0;  // volatile: the loop must not be turned into an early-out comparison
  for (std::size_t i = 0; i < a.size(); ++i) difference = static_cast<u8>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

bool equal(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

void copy(ByteSpan to, ByteView from) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
}

}  // namespace karta::os
