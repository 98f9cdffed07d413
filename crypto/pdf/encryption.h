// Encryption of PDF files (ISO 32000-1 §7.6, ISO 32000-2 §7.6): the standard security handler, as far as adding to an
// encrypted file needs it: the file's key from a password, and strings and streams ciphered with it.
#pragma once

#include <memory>

#include "base/secret.h"
#include "crypto/pdf/update.h"

namespace karta::crypto::pdf {

/// The cipher of an encrypted document: RC4 of 40 to 128 bits, AES-128, AES-256 (revisions 2 to 6). `password` is the
/// user's or the owner's, UTF-8; the empty one is tried too. Fails with not_permitted (neither opens it), unsupported
/// (public-key security, an unknown cipher), malformed. What the permission bits forbid is not looked at.
Result<std::shared_ptr<const ObjectCipher>> open_cipher(const Document& document, const SecretBytes& password);

}  // namespace karta::crypto::pdf
