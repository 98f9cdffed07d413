// Centre: an issuing centre on disk: its configuration, certificate authorities, profiles and registry.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "card/key_set_file.h"
#include "card/profile.h"
#include "crypto/algorithm.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/profile.h"
#include "identity/registry.h"
#include "issuing/centre_config.h"

namespace karta::issuing {

struct CentreOptions {
  std::string name = "karta issuing centre";
  std::string country = "RU";
  std::string database = {};  ///< URL of the registry's store, which must be empty; none: a file in the folder
  crypto::KeyType root_key = crypto::KeyType::p384;
  crypto::KeyType issuing_key = crypto::KeyType::p256;
  std::uint32_t key_file_iterations = crypto::PrivateKey::kIterations;  ///< of PBKDF2; tests may take less
};

/// What can be known to fail before a passphrase is asked for: the folder, the names of the authorities, the country.
Status check_new_centre(const std::filesystem::path& folder, const CentreOptions& options);

/// Makes a whole centre in `folder`, which must not exist or be empty: karta.toml, root and issuing CA, profiles,
/// registry, document signer, master key of the cards, the terminals' authority, a folder for letters. Everything is
/// made beside `folder` first and moved there at once, so that a failure leaves nothing behind. `passphrase` (at least
/// kShortestPassphrase octets) encrypts every key.
Status create_centre(const std::filesystem::path& folder, const CentreOptions& options, const SecretBytes& passphrase,
                     const Clock& clock, RandomSource& random);
inline constexpr std::size_t kShortestPassphrase = 8;

/// What issuing a card takes, unlocked: all under the one passphrase of `karta init`.
struct IssuingKeys {
  std::unique_ptr<crypto::Signer> ca;               ///< certifies the holder's keys
  std::unique_ptr<crypto::Signer> document_signer;  ///< signs EF.CardSecurity
  SecretBytes card_master;                          ///< card::diversify()
  card::TransactionMasters transactions;            ///< of the cards' ledgers
  /// The keys of a new card's ledger with this serial, where the masters are in a module; empty: from `transactions`.
  std::function<Result<card::LedgerMasters>(std::string_view application, ByteView serial)> derive_ledger_keys = {};
};

class Centre {
 public:
  /// `clock` and `random` must outlive it.
  static Result<Centre> open(const std::filesystem::path& folder, const Clock& clock, RandomSource& random);

  const CentreConfig& config() const { return config_; }
  identity::Registry& registry() { return *registry_; }
  const crypto::Certificate& root() const { return root_; }
  const crypto::Certificate& issuing() const { return issuing_; }

  /// The issuing CA's key, ready to sign; `wrong_pin` on a wrong passphrase.
  Result<std::unique_ptr<crypto::Signer>> unlock_issuing_ca(const SecretBytes& passphrase) const;
  /// All of them; `wrong_pin` on a wrong passphrase.
  Result<IssuingKeys> unlock(const SecretBytes& passphrase) const;
  /// The master key alone: to administer cards after issue.
  Result<SecretBytes> unlock_card_master(const SecretBytes& passphrase) const;
  /// The masters of the cards' ledgers: for small centres; larger ones have them in a security module.
  Result<card::TransactionMasters> unlock_transaction_masters(const SecretBytes& passphrase) const;
  /// The CVCA certificate new cards trust: 7F21.
  Result<Bytes> terminal_trust_anchor() const;
  /// The file NAME.toml of the certificate profiles.
  Result<crypto::CertificateProfile> certificate_profile(std::string_view name) const;
  /// The file NAME.toml of the card profiles.
  Result<card::CardProfile> card_profile(std::string_view name) const;

 private:
  Centre(CentreConfig config, crypto::Certificate root, crypto::Certificate issuing, identity::Registry registry)
      : config_(std::move(config)),
        root_(std::move(root)),
        issuing_(std::move(issuing)),
        registry_(std::make_unique<identity::Registry>(std::move(registry))) {}

  CentreConfig config_;
  crypto::Certificate root_;
  crypto::Certificate issuing_;
  std::unique_ptr<identity::Registry> registry_;
};

}  // namespace karta::issuing
