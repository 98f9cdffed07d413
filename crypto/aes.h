// AES as card protocols use it: CBC over whole blocks, CMAC, and the padding that goes with them.
//
// Keys are 16, 24 or 32 octets; anything else is a fault of the caller and ends the program (`is_aes_key` asks first).
#pragma once

#include <array>
#include <initializer_list>

#include "base/secret.h"

namespace karta::crypto {

inline constexpr std::size_t kAesBlock = 16;
using AesBlock = std::array<std::uint8_t, kAesBlock>;

/// True for the three lengths AES has.
constexpr bool is_aes_key(std::size_t octets) { return octets == 16 || octets == 24 || octets == 32; }

/// One block, ECB (FIPS 197). For initial vectors made of counters; not for messages.
AesBlock aes_encrypt_block(const SecretBytes& key, const AesBlock& block);

/// CBC without padding (SP 800-38A §6.2): `blocks` is a whole number of blocks, and so is the answer.
Bytes aes_cbc_encrypt(const SecretBytes& key, const AesBlock& iv, ByteView blocks);
Bytes aes_cbc_decrypt(const SecretBytes& key, const AesBlock& iv, ByteView blocks);

/// CMAC (SP 800-38B, RFC 4493) over the parts one after another; all 16 octets.
AesBlock aes_cmac(const SecretBytes& key, std::initializer_list<ByteView> parts);

/// Padding method 2 of ISO/IEC 9797-1: 80, then 00 up to a whole block. Always adds something.
void pad_iso9797(Bytes& message, std::size_t block = kAesBlock);
/// The length of the message under that padding; fails (`malformed`) where there is none.
Result<std::size_t> unpadded_iso9797(ByteView padded);

}  // namespace karta::crypto
