// KeyRing: the master keys of one application's ledgers, shared by the readers of a daemon: one transaction at a time
// where one security module serves several, opened when first needed and again after a module was unplugged.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "card/reader.h"
#include "card/transaction_keys.h"
#include "daemon/config.h"

namespace karta::daemon {

/// Where the masters are: "sam:READER", a PKCS #11 URI, or a sealed file.
struct KeyRingConfig {
  std::string keys;
  std::filesystem::path secret_file;  ///< PIN or passphrase
};
/// `keys` with passphrase_file or credential, from a mode's table.
Result<KeyRingConfig> read_key_ring(service::ConfigTable& table);

class KeyRing {
 public:
  /// `readers` and `random` outlive it.
  KeyRing(KeyRingConfig config, std::string application, card::ReaderList& readers, RandomSource& random);

  /// The keys for one transaction: nobody else has them meanwhile.
  class Lease {
   public:
    card::TransactionKeys& keys() { return *ring_->keys_; }
    /// They failed: the next lease opens them anew.
    void spoil() { ring_->keys_.reset(); }

   private:
    friend class KeyRing;
    explicit Lease(KeyRing& ring) : ring_(&ring), lock_(ring.mutex_) {}
    KeyRing* ring_;
    std::unique_lock<std::mutex> lock_;
  };
  /// For a look at a configuration: opens keys that are in a file; modules and tokens are left to whoever uses them.
  Status check();
  /// Waits for its turn. Fails as opening the module, token or file does.
  Result<Lease> lease();

 private:
  Status open();
  Status open_with(const SecretBytes& secret);

  KeyRingConfig config_;
  std::string application_;
  card::ReaderList& readers_;
  RandomSource& random_;
  std::mutex mutex_;
  std::unique_ptr<card::CardConnection> module_;
  std::unique_ptr<card::Channel> channel_;
  std::unique_ptr<card::TransactionKeys> keys_;
  std::optional<SecretBytes> wrong_;  // a PIN that was: not presented again, or the module would be blocked by it
};

}  // namespace karta::daemon
