#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

namespace karta {

Bytes RandomSource::bytes(std::size_t count) {
  Bytes out(count);
  fill(out);
  return out;
}

SecretBytes RandomSource::secret(std::size_t count) {
  SecretBytes out(count);
  fill(out.expose_secret_mutable());
  return out;
}

std::uint64_t RandomSource::below(std::uint64_t bound) {
  KARTA_CHECK(bound != 0);
  // Values under 2^64 mod bound would make the low residues likelier: draw again.
  const std::uint64_t reject_under = (0 - bound) % bound;
  for (;;) {
    std::uint64_t value = 0;
    fill({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
    if (value >= reject_under) return value % bound;
  }
}

SecretBytes RandomSource::digits(std::size_t count) {
  SecretBytes out(count);
  for (std::uint8_t& digit : out.expose_secret_mutable()) digit = static_cast<std::uint8_t>('0' + below(10));
  return out;
}

void SystemRandom::fill(MutableByteView out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    KARTA_CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

void SeededRandom::fill(MutableByteView out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    mixed ^= mixed >> 31;
    out[i] = static_cast<std::uint8_t>(mixed >> (8 * (i % 8)));
  }
}

}  // namespace karta
