// SigningKey: what karta-sign signs with: a key of the card in the reader, of a PKCS #11 token, or in a file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/program.h"
#include "cli/secret_input.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"

namespace karta::cli {

struct KeyArguments {
  std::string key = "everyday";           ///< of a card: "everyday" or "qualified"; else a PKCS #11 URI or a file
  std::string reader;                     ///< for a card
  std::vector<std::string> certificates;  ///< for any other key: files with its certificate and its issuers'
  SecretOptions secret;

  bool of_card() const { return key == "everyday" || key == "qualified"; }
};
void add_key_options(CLI::App& app, KeyArguments& arguments);

/// The key in an encrypted PKCS #8 file or a PKCS #11 token, its passphrase or PIN asked for. `whose` is for the
/// prompt.
Result<std::unique_ptr<crypto::Signer>> open_signer(const std::string& key, const std::string& whose,
                                                    std::vector<Bytes> certificate_chain, SecretInput& input);

class SigningKey {
 public:
  /// Fails with no_card and the like, wrong_pin, not_found (no certificate for the key), usage.
  static Result<std::unique_ptr<SigningKey>> open(const KeyArguments& given);
  virtual ~SigningKey() = default;

  virtual crypto::Signer& signer() = 0;
  /// The file that is signed next: a card's PIN prompt names it.
  virtual void set_subject(const std::string&) {}
  /// The signer's own.
  const crypto::Certificate& certificate() const { return *certificate_; }

 protected:
  std::optional<crypto::Certificate> certificate_;
};

}  // namespace karta::cli
