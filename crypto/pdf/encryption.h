// Encryption of PDF files (ISO 32000-1 §7.6, ISO 32000-2 §7.6): what is needed to add to an encrypted file.
//
// qpdf opens the file with the password and derives its key; strings and streams are ciphered here, so that an update
// can be appended without rewriting the rest.
#pragma once

#include <memory>

#include "base/secret.h"
#include "crypto/pdf/update.h"

namespace karta::crypto::pdf {

/// The cipher of an encrypted file. Fails with not_permitted (the password does not open it), unsupported
/// (public-key security, an unknown cipher), malformed. What the file's permission bits forbid is not looked at.
Result<std::shared_ptr<const ObjectCipher>> open_cipher(ByteView file, const SecretBytes& password);

}  // namespace karta::crypto::pdf
