// PKCS #8 (RFC 5958): private keys under a passphrase, PBES2 of RFC 8018.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

namespace karta::crypto {

/// EncryptedPrivateKeyInfo, opened; the result is what decrypted, unparsed. PBKDF2 with HMAC-SHA-1/256/384/512 and
/// AES-128/192/256-CBC. Fails with malformed, unsupported, limit (iterations beyond `most_iterations`), or wrong_pin if
/// the padding is off: the passphrase is wrong or the octets are damaged.
Result<SecretBytes> open_encrypted_pkcs8(ByteView der, const SecretBytes& passphrase, std::uint32_t most_iterations);

/// EncryptedPrivateKeyInfo of `private_key_info` with HMAC-SHA-256 and AES-256-CBC. `salt` is 16 octets or more, `iv`
/// 16; both fresh.
Result<Bytes> seal_encrypted_pkcs8(const SecretBytes& private_key_info, const SecretBytes& passphrase,
                                   std::uint32_t iterations, ByteView salt, ByteView iv);

}  // namespace karta::crypto
