// What PACE and chip authentication have in common once a secret is agreed: keys derived from it, and the tokens that
// prove they are known (BSI TR-03110-3 A.2.3 and A.2.4; ICAO Doc 9303-11 sections 9.7.1 and 9.7.4).
#pragma once

#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/status_word.h"

namespace karta::os {

constexpr u8 kDeriveEncryption = 1;
constexpr u8 kDeriveMac = 2;
constexpr u8 kDerivePassword = 3;

constexpr std::size_t kTokenBytes = 8;

// key = leading octets of H(secret || nonce || counter), H being SHA-1 for keys of 16 octets and SHA-256 for those of
// 24 and 32, counter four octets. `nonce` may be empty.
Sw derive_key(Hal& hal, ByteView secret, ByteView nonce, u8 counter, ByteSpan key);

// token = the first eight octets of CMAC(key, 7F49 {06 protocol, 86 point}).
Sw authentication_token(Hal& hal, ByteView key, ByteView protocol, ByteView point, ByteSpan token);

// A protocol of a family (0.4.0.127.0.7.2.2.family): the object identifier's content is 04 00 7F 00 07 02 02, family,
// variant, number. Families: 2 terminal authentication, 3 chip authentication, 4 PACE, 5 restricted identification.
struct Protocol {
  u8 family = 0;
  u8 variant = 0;
  u8 number = 0;  // 0 where the identifier ends before it
};
bool parse_protocol(ByteView oid, Protocol& out);
// Octets of the AES key of PACE's and chip authentication's numbers 2, 3, 4: 16, 24, 32; else 0.
constexpr std::size_t aes_key_bytes(u8 number) { return number >= 2 && number <= 4 ? 8U * number : 0; }

}  // namespace karta::os
