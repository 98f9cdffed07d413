// RSA's public operation and the encodings a card leaves to its terminal (RFC 8017 §5.1, §7).
#pragma once

#include "base/random.h"
#include "base/secret.h"
#include "crypto/key.h"

namespace karta::crypto {

/// RSAEP and RSAVP1: `block` to the public exponent, as long as the modulus. `block` has at most as many octets.
/// Fails with `usage` for other keys, `invalid_signature` for a number that is not below the modulus.
Result<Bytes> rsa_public_operation(const PublicKey& key, ByteView block);

/// EM = 00 01 FF.. 00 || data (§9.2 step 5). Fails with `limit` where fewer than eight octets of FF would be left.
Result<Bytes> emsa_pkcs1_encode(ByteView data, std::size_t octets);

/// EME-PKCS1-v1_5 (§7.2.1): 00 02 || random, none of it 00 || 00 || message.
Result<Bytes> eme_pkcs1_encode(ByteView message, std::size_t octets, RandomSource& random);

/// EME-OAEP (§7.1.1, §7.1.2) with MGF1 of `mask_hash`. Decoding fails with `malformed`, the same for every fault.
Result<Bytes> eme_oaep_encode(Hash hash, Hash mask_hash, ByteView label, ByteView message, std::size_t octets,
                              RandomSource& random);
Result<SecretBytes> eme_oaep_decode(Hash hash, Hash mask_hash, ByteView label, ByteView block);

}  // namespace karta::crypto
