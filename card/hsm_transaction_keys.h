// HsmTransactionKeys: master keys of ledgers in a PKCS #11 token, as AES secret keys labelled "APPLICATION-KIND"
// ("transit-debit"), which never leave it.
//
// The token makes each ledger's key by CKM_AES_CMAC over the derivation's input; a checksum is what that mechanism
// gives out, so the key of the one ledger under work is in this process while its transaction lasts, and nothing else.
// Who takes over such a terminal learns the keys of the cards it meets; the masters and all other cards stay safe. A
// security module (SAM) keeps those inside too.
#pragma once

#include "card/transaction_keys.h"
#include "crypto/pkcs11_key.h"

namespace karta::card {

class HsmTransactionKeys final : public DerivingTransactionKeys {
 public:
  /// Loads the module, finds the token (object and id of the URI are not used), logs in. Fails with `not_found`,
  /// `wrong_pin`, `pin_blocked`, `io`; `unsupported` where the token has no CKM_AES_CMAC.
  static Result<std::unique_ptr<HsmTransactionKeys>> open(const crypto::Pkcs11Uri& uri, std::string_view application,
                                                          const SecretBytes& pin, RandomSource& random);
  ~HsmTransactionKeys() override;

 private:
  class Session;
  HsmTransactionKeys(std::unique_ptr<Session> session, std::string application, RandomSource& random);
  Result<SecretBytes> derive(LedgerKey kind, ByteView serial) override;

  std::unique_ptr<Session> session_;
  std::string application_;
};

}  // namespace karta::card
