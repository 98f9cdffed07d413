// EMSA-PSS (RFC 8017 §9.1) with every choice PKCS #11 leaves to the program: the hash, the hash of the mask, the salt's
// length. The card or OpenSSL does the RSA; this makes and checks the block.
#pragma once

#include <optional>

#include "base/random.h"
#include "crypto/algorithm.h"

namespace karta::pkcs11 {

struct PssChoice {
  crypto::Hash hash = crypto::Hash::sha256;
  crypto::Hash mask_hash = crypto::Hash::sha256;
  std::size_t salt_octets = 32;
};

/// The block, as long as the modulus. Fails with `limit` where the modulus is too short for hash and salt.
Result<Bytes> pss_encode(const PssChoice& choice, ByteView digest, unsigned modulus_bits, RandomSource& random);
/// Whether `block`, as long as the modulus, is a PSS block of `digest` with exactly this choice.
bool pss_fits(const PssChoice& choice, ByteView digest, unsigned modulus_bits, ByteView block);

}  // namespace karta::pkcs11
