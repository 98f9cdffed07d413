#include "base/secret.h"

#include <cstring>

namespace karta {

void wipe(MutableByteView octets) {
  if (!octets.empty()) explicit_bzero(octets.data(), octets.size());
}

bool equal_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe(octets_);
    octets_ = std::move(other.octets_);
    other.octets_.clear();
  }
  return *this;
}

}  // namespace karta
