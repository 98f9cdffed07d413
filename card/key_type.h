// CardKeyType: the key types a MyEID-profile card knows, one row each. Names are those of profile files and of
// crypto's key-type table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace karta::card {

enum class KeyFamily : std::uint8_t { rsa, ec };

struct CardKeyType {
  std::string_view name;  ///< "p256", "rsa-2048"
  KeyFamily family;
  unsigned bits;                 ///< modulus, or field
  std::uint8_t file_descriptor;  ///< CREATE FILE, data object 82: 11 RSA, 22 EC
  std::string_view curve_oid;    ///< dotted; empty for RSA

  /// Octets of a field element or of the modulus.
  constexpr std::size_t octets() const { return (bits + 7) / 8; }
};

std::span<const CardKeyType> card_key_types();
/// nullptr where there is none.
const CardKeyType* find_card_key_type(std::string_view name);
const CardKeyType* find_card_key_type(KeyFamily family, unsigned bits);

}  // namespace karta::card
