// Standardised domain parameters: the curves PACE, chip authentication and restricted identification name by number.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "crypto/algorithm.h"

namespace karta::card {

struct DomainParameters {
  std::uint8_t id;
  crypto::KeyType curve;
};

// TR-03110-3 table A.4, ICAO 9303-11 table 6. The 1024- and 2048-bit groups (0 to 2) and curves below 256 bits (8 to
// 11) have no row: karta does not use them; 14 (brainpoolP320r1) has no key type.
inline constexpr auto kDomainParameters = std::to_array<DomainParameters>({
    {12, crypto::KeyType::p256},
    {13, crypto::KeyType::brainpool_p256r1},
    {15, crypto::KeyType::p384},
    {16, crypto::KeyType::brainpool_p384r1},
    {17, crypto::KeyType::brainpool_p512r1},
    {18, crypto::KeyType::p521},
});

/// The curve numbered `id`. Fails with `unsupported` for numbers without a row.
Result<crypto::KeyType> curve_of_domain_parameters(std::uint64_t id);
/// The number of `curve`; 0 for curves without one.
std::uint8_t domain_parameters_of(crypto::KeyType curve);

}  // namespace karta::card
