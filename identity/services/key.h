// ServiceKey: a key a service signs with, opened once, from which every thread gets a signer of its own.
#pragma once

#include <memory>

#include "base/secret.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "identity/key_config.h"

namespace karta::identity {

/// The first line of a file that nobody else may read. Errors: not_found, not_permitted (open to others),
/// configuration.
Result<SecretBytes> read_secret_file(const std::filesystem::path& file);

class ServiceKey {
 public:
  /// Reads certificates and secret, opens the key, and checks that it is that of the first certificate (unless it has
  /// none). Errors:
  /// not_found, not_permitted (a secret open to others), wrong_pin, configuration (key and certificate are strangers).
  static Result<ServiceKey> open(const KeyConfig& config);

  const std::vector<crypto::Certificate>& certificates() const { return certificates_; }
  /// A signer for one thread. A key in a token is opened in a session of its own.
  Result<std::unique_ptr<crypto::Signer>> signer() const;
  /// PKCS #8 in the clear, for TLS; empty for a key in a token.
  SecretBytes expose_secret_der() const { return private_key_.clone(); }

 private:
  std::vector<crypto::Certificate> certificates_;
  SecretBytes private_key_;  // PrivateKeyInfo, or
  std::string uri_;
  SecretBytes pin_;
};

}  // namespace karta::identity
