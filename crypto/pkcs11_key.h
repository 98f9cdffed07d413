// Pkcs11Signer: a key in a PKCS #11 device (an HSM, SoftHSM2, a card through its module), signing for a CA or a
// service.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "crypto/signer.h"

namespace karta::crypto {

/// Which key of which device: a PKCS #11 URI (RFC 7512). Understood: token, object, id, slot-id in the path,
/// module-path in the query; others are refused, for a key chosen by half a description is the wrong one some day. A
/// PIN in a URI is refused: it would stand in configuration files and process lists.
struct Pkcs11Uri {
  std::string module_path;  ///< required
  std::string token;        ///< label; empty: any
  std::string object;       ///< label of the key; empty: any
  Bytes id;                 ///< CKA_ID; empty: any
  std::optional<unsigned long> slot_id;

  /// "pkcs11:token=CA;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so". Fails with usage.
  static Result<Pkcs11Uri> parse(std::string_view text);
};

/// True if `text` begins as a PKCS #11 URI.
bool is_pkcs11_uri(std::string_view text);

class Pkcs11Signer final : public Signer {
 public:
  /// Loads the module, finds the one token and the one key pair, logs in with `pin`. Fails with not_found, wrong_pin,
  /// pin_blocked, usage (several match), unsupported (a key that has no row), io.
  static Result<std::unique_ptr<Pkcs11Signer>> open(const Pkcs11Uri& uri, const SecretBytes& pin,
                                                    std::vector<Bytes> certificate_chain = {});
  /// Makes a key pair that never leaves the token, labelled uri.object (required), with a random id unless uri has one;
  /// already_exists if there is such a key.
  static Result<std::unique_ptr<Pkcs11Signer>> generate(const Pkcs11Uri& uri, const SecretBytes& pin, KeyType type);
  ~Pkcs11Signer() override;

  const PublicKey& public_key() const override;
  const std::vector<Bytes>& certificate_chain() const override;
  const std::vector<AlgorithmId>& algorithms() const override;
  Result<Bytes> sign(AlgorithmId algorithm, ByteView digest) override;
  Result<Bytes> sign_message(AlgorithmId algorithm, ByteView message) override;
  void set_certificate_chain(std::vector<Bytes> chain);

  class Session;

 private:
  explicit Pkcs11Signer(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
  std::vector<Bytes> certificate_chain_;
  std::vector<AlgorithmId> algorithms_;
};

}  // namespace karta::crypto
