// The public key a card's signatures are checked with, by OpenSSL and from a file: nothing of the module takes part.
#pragma once

#include <memory>
#include <string>

#include "tests/pkcs11_stress/module.h"

namespace karta::pkcs11_stress {

class PublicKey {
 public:
  explicit PublicKey(const std::string& pem_file);
  bool rsa() const;
  /// SHA-256 with PKCS #1 v1.5, or ECDSA as PKCS #11 gives it: r and s side by side. May be called from any thread.
  bool verifies(const Octets& text, const Octets& signature) const;

 private:
  std::shared_ptr<void> key_;  // EVP_PKEY
};

}  // namespace karta::pkcs11_stress
