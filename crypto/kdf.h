// Key derivation: from one secret many, each bound to a purpose; and HMAC, which much of it is made of.
#pragma once

#include "base/secret.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

/// HMAC (RFC 2104; with Streebog RFC 7836 §4.1) of the parts one after another, row_of(hash).octets long.
SecretBytes hmac(Hash hash, ByteView key, std::initializer_list<ByteView> parts);

/// NIST SP 800-108 §4.1, counter mode with AES-CMAC, `octets` (1 to 4,080) octets long. The fixed input is
///   label || 00 || L (two octets, in bits) || i (one octet, from 01) || context
/// which is the order of GlobalPlatform Amendment D §4.1.5. `key` is an AES key.
SecretBytes cmac_counter_kdf(const SecretBytes& key, ByteView label, ByteView context, std::size_t octets);

/// ANSI X9.63 (BSI TR-03111 §4.3.3): H(secret || 00000001 || info) || H(secret || 00000002 || info) ..., cut to
/// `octets`.
SecretBytes x963_kdf(Hash hash, const SecretBytes& secret, ByteView info, std::size_t octets);

}  // namespace karta::crypto
