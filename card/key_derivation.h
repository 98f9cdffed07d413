// Key derivation: session keys and password keys of PACE and EAC (ICAO 9303-11 §9.7.1, TR-03110-3 A.2.3).
#pragma once

#include "base/secret.h"

namespace karta::card {

/// The counter that goes behind the shared secret.
enum class DerivedKey : std::uint8_t { encryption = 1, mac = 2, password = 3 };

/// H(secret || nonce || counter), cut to the key: SHA-1 for 128 bits, SHA-256 for 192 and 256. `nonce` is empty but in
/// chip authentication version 2. `key_octets` is 16, 24 or 32.
SecretBytes derive_key(ByteView secret, ByteView nonce, DerivedKey which, std::size_t key_octets);

}  // namespace karta::card
