#include "identity/status_index.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <bit>

namespace karta::identity {
namespace {

constexpr unsigned kRounds = 8;

/// The round function: `half_bits` bits of HMAC-SHA-256(seed, round ‖ half ‖ size).
std::uint32_t round_value(ByteView seed, unsigned round, std::uint32_t size, std::uint32_t half, unsigned half_bits) {
  std::array<std::uint8_t, 9> input{};
  input[0] = static_cast<std::uint8_t>(round);
  for (unsigned i = 0; i < 4; ++i) {
    input[1 + i] = static_cast<std::uint8_t>(half >> (24 - 8 * i));
    input[5 + i] = static_cast<std::uint8_t>(size >> (24 - 8 * i));
  }
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  KARTA_CHECK(HMAC(EVP_sha256(), seed.data(), static_cast<int>(seed.size()), input.data(), input.size(), mac.data(),
                   &length) != nullptr);
  const std::uint32_t word =
      std::uint32_t{mac[0]} << 24 | std::uint32_t{mac[1]} << 16 | std::uint32_t{mac[2]} << 8 | std::uint32_t{mac[3]};
  return word & ((1u << half_bits) - 1);
}

}  // namespace

std::uint32_t permute_in_block(ByteView seed, std::uint32_t size, std::uint32_t ordinal) {
  KARTA_CHECK(seed.size() == kStatusSeedOctets && size >= 1 && size <= kStatusBlockMaxSize && ordinal < size);
  if (size == 1) return 0;
  const auto bits = static_cast<unsigned>(std::bit_width(size - 1));
  const unsigned half_bits = (bits + 1) / 2;
  const std::uint32_t mask = (1u << half_bits) - 1;
  std::uint32_t value = ordinal;
  do {  // the network permutes at most four times `size` values, so a few turns bring it back inside
    std::uint32_t left = value >> half_bits, right = value & mask;
    for (unsigned round = 0; round < kRounds; ++round) {
      const std::uint32_t mixed = left ^ round_value(seed, round, size, right, half_bits);
      left = right;
      right = mixed;
    }
    value = left << half_bits | right;
  } while (value >= size);
  return value;
}

}  // namespace karta::identity
