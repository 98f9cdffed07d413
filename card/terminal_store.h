// TerminalStore: a folder of CV certificates with their keys: a country's authority, its verifiers, its terminals.
//
//   HOLDER.cvcert            a certificate by its holder's reference: RUKCVCA00001.cvcert
//   OLD-NEW.cvcert           a link: the new authority under the old one's key
//   HOLDER.key.pem           its key, "ENCRYPTED PRIVATE KEY", readable by the owner only
//   sector-NAME.pub          a sector's public key for pseudonyms, SubjectPublicKeyInfo
//   sector-NAME.key.pem      its private key, which belongs off line: who has it could join pseudonyms
//
// The newest of a line (the highest sequence number) is the present one. Nothing is overwritten.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "card/cv_certificate.h"
#include "card/restricted_identification.h"
#include "card/terminal_authentication.h"
#include "card/terminal_role.h"

namespace karta::card {

struct CvIssueOptions {
  crypto::KeyType key = crypto::KeyType::p256;
  unsigned days = 0;  ///< 0: the kind's own (kCvcaDays, kDvDays, kTerminalDays)
  std::uint32_t key_file_iterations = crypto::PrivateKey::kIterations;  ///< of PBKDF2; tests may take less
  std::optional<SectorRights> sector_rights = {};                       ///< of a terminal, instead of the role's
};
inline constexpr unsigned kCvcaDays = 1095, kDvDays = 365, kTerminalDays = 30;
/// The curve of sector keys, and so of a card's keys for restricted identification.
inline constexpr crypto::KeyType kSectorCurve = crypto::KeyType::brainpool_p256r1;

/// A terminal's certificates with its key unlocked.
struct UnlockedTerminal {
  TerminalCredentials credentials;
  std::unique_ptr<crypto::Signer> signer;
};

/// A verifier's certificate with its key unlocked, and what a card is shown before the terminals it signs.
struct UnlockedVerifier {
  CvCertificate certificate;
  std::vector<CvCertificate> above;  ///< links from the oldest on, the verifier's certificate last
  std::unique_ptr<crypto::Signer> signer;
};

/// What a terminal's certificate is to say.
struct TerminalGrant {
  CvPublicKey key;
  std::string holder;  ///< its reference
  Rights rights = 0;
  SectorRights sector_rights = 0;
  std::optional<SectorKey> sector = {};  ///< whose pseudonyms it may ask for
  CvDate effective{}, expiration{};      ///< cut to the verifier's end
};
/// Fails with `untrusted` where the verifier has expired at the first day, `usage` where the key is on another curve.
Result<CvCertificate> sign_terminal(const UnlockedVerifier& verifier, const TerminalGrant& grant);

class TerminalStore {
 public:
  explicit TerminalStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Makes the folder, an authority for authentication terminals and a verifier below it, for `country` (two capitals).
  Status create(std::string_view country, const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);

  /// A certificate with a fresh key for `role`, by the present verifier; `rights` replaces the role's. The keys of all
  /// lie under one passphrase. Fails with `untrusted` where verifier or authority have expired.
  Result<CvCertificate> issue_terminal(const TerminalRole& role, std::optional<Rights> rights,
                                       const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);
  /// The same for a key whose request came from elsewhere: the holder asked for, the role's rights.
  Result<CvCertificate> issue_terminal(const CvRequest& request, const TerminalRole& role, std::optional<Rights> rights,
                                       const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);
  /// A new verifier by the present authority.
  Result<CvCertificate> issue_verifier(const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);
  /// A certificate by the present authority for another region's or an unofficial verifier, whose request came from
  /// there. Fails with `usage` (a key on another curve), `already_exists` (the reference is taken here).
  Result<CvCertificate> issue_verifier(const CvRequest& request, std::optional<Rights> rights,
                                       const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);
  /// A new authority: its own certificate, and the link that makes cards accept it. Verifiers follow with
  /// issue_verifier().
  struct Rollover {
    CvCertificate authority, link;
  };
  Result<Rollover> roll_over(const CvIssueOptions& options, const SecretBytes& passphrase, CvDate today);

  /// Every certificate of the folder. Fails on one that does not parse, naming the file.
  Result<std::vector<CvCertificate>> all() const;
  /// Self-signed authorities, oldest first.
  Result<std::vector<CvCertificate>> anchors() const;
  /// The present authority: what new cards are given.
  Result<CvCertificate> authority() const;
  /// The present verifier of this authority's own.
  Result<CvCertificate> verifier() const;
  /// The same, ready to sign. `signer`: its key where that is in a token; null: the sealed file.
  Result<UnlockedVerifier> unlock_verifier(const SecretBytes& passphrase,
                                           std::unique_ptr<crypto::Signer> signer = nullptr) const;
  /// The newest certificate of a role with all above it, links included; ready for authenticate_terminal().
  Result<UnlockedTerminal> unlock(const TerminalRole& role, const SecretBytes& passphrase) const;
  /// The chain alone.
  Result<std::vector<CvCertificate>> chain(const TerminalRole& role) const;

  /// The public key of a sector; made if it is not there (then `passphrase` seals the private half).
  Result<SectorKey> make_sector(std::string_view name, const CvIssueOptions& options, const SecretBytes& passphrase);
  Result<SectorKey> sector(std::string_view name) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  Result<std::unique_ptr<crypto::SoftwareSigner>> key_of(const std::string& holder,
                                                         const SecretBytes& passphrase) const;
  Status save(const CvCertificate& certificate, const std::string& name) const;
  Status save_key(const crypto::PrivateKey& key, const std::string& holder, const CvIssueOptions& options,
                  const SecretBytes& passphrase) const;
  Result<CvCertificate> grant(const CvPublicKey& key, std::string holder, const TerminalRole& role,
                              std::optional<Rights> rights, const CvIssueOptions& options,
                              const SecretBytes& passphrase, CvDate today);
  Result<std::vector<CvCertificate>> way_to(const CvCertificate& last) const;
  Result<std::string> next_holder(std::string_view country, std::string_view mnemonic) const;

  std::filesystem::path folder_;
};

/// The ending of certificate files.
inline constexpr std::string_view kCvSuffix = ".cvcert";
/// A certificate from a file of octets or of hexadecimal text.
Result<CvCertificate> read_cv_certificate(const std::filesystem::path& file);

}  // namespace karta::card
