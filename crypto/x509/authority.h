// Authority: a certification authority in a folder: its certificate, what it issued, what it revoked, its CRLs.
//
//   ca.toml          what this authority is (AuthorityConfig)
//   certificate.pem  its certificate;  chain.pem: those of the CAs above it
//   key.pem          its key, encrypted; absent where the key lives in an HSM
//   journal.jsonl    one line an event, synced before the event counts: the memory of the authority
//   issued/SERIAL.pem, crl/NUMBER.crl
//   earlier/N/       certificate and key of generation N, after a roll-over
//
// Several programs may work on one folder: each change is made under a lock, on the journal as it stands then.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/signer.h"
#include "crypto/x509/authority_ledger.h"
#include "crypto/x509/crl.h"
#include "crypto/x509/issue.h"
#include "crypto/x509/ocsp.h"

namespace karta::crypto {

struct AuthorityConfig {
  std::string name;             ///< for people
  std::string key = "key.pem";  ///< a file of the folder (or an absolute path), or a PKCS #11 URI (RFC 7512)
  std::string certificate = "certificate.pem";
  std::uint64_t crl_hours = 24 * 7;
  std::uint64_t delta_hours = 24;
};

class Authority {
 public:
  static constexpr std::size_t kMostJournalOctets = std::size_t{1} << 30;  ///< some three million certificates

  /// Makes `folder`, which must not exist, with everything inside at once. `key_pem` may be empty (an HSM's key).
  static Status create(const std::filesystem::path& folder, const AuthorityConfig& config,
                       const Certificate& certificate, const std::vector<Certificate>& chain, std::string_view key_pem);
  /// Opens a folder that has a ca.toml.
  static Result<Authority> open(const std::filesystem::path& folder);
  /// Opens the authority of `config`, whose journal, lists and copies stand in `folder` (made if need be): for one
  /// whose key and certificate lie elsewhere, as an issuing centre's do.
  static Result<Authority> open(const std::filesystem::path& folder, AuthorityConfig config);
  /// The same for one whose memory is `ledger`: the journal of the folder has its roll-overs only.
  static Result<Authority> open(const std::filesystem::path& folder, AuthorityConfig config,
                                std::shared_ptr<AuthorityLedger> ledger);

  const AuthorityConfig& config() const { return config_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path key_path() const;
  const Certificate& certificate() const { return certificate_; }
  /// The authority's certificate and those above it.
  std::vector<Bytes> chain() const;

  /// Issues, keeps a copy and writes the journal. As issue_certificate.
  Result<Certificate> issue(const CertificateProfile& profile, const CertificateRequest& request, Signer& signer,
                            const Clock& clock, RandomSource& random);
  /// Revokes a certificate of this authority, whether the journal knows it or not. A certificate on hold may be revoked
  /// for good, or released with removeFromCRL; any other second revocation fails with already_exists. `serial` is a
  /// magnitude.
  Status revoke(ByteView serial, CrlReason reason, const Clock& clock);

  /// Signs the next list, keeps it in crl/ and writes the journal.
  Result<Crl> issue_crl(const CrlPlan& plan, Signer& signer, const Clock& clock);

  /// The list issued last of this kind (plan.delta, plan.ca_certificates); nothing if there was none.
  Result<std::optional<Crl>> last_crl(const CrlPlan& plan) const;

  /// What an OCSP responder answers for a serial number (INTEGER content octets): unknown where the authority issued
  /// none such.
  Result<OcspState> state_of(ByteView serial) const;
  /// Every certificate, in order of issue where that is known.
  Status for_each_issued(const std::function<Status(const IssuedCertificate&)>& use) const;

  /// Puts a new certificate (and key, unless both are empty) in the place of the present ones, which move to earlier/.
  /// `links` are certificates that join the generations; they are kept in chain.pem's place as roll-over.pem. A key is
  /// either a file's content or the URI of one in a token, which ca.toml names from then on; an authority without a
  /// ca.toml of its own (an issuing centre's) takes the former only (unsupported).
  struct NewKey {
    std::string_view pem = {};
    std::string_view uri = {};
  };
  Status replace(const Certificate& certificate, const NewKey& key, const std::vector<Certificate>& links,
                 const Clock& clock);

 private:
  Authority(std::filesystem::path folder, AuthorityConfig config, Certificate certificate)
      : folder_(std::move(folder)), config_(std::move(config)), certificate_(std::move(certificate)) {}
  Status load_journal();
  /// Runs `change` under the lock on a journal read anew; the lines it returns are appended and synced.
  template <class Change>
  Status locked(Change change);
  Status apply(std::string_view line);

  std::filesystem::path folder_;
  AuthorityConfig config_;
  Certificate certificate_;
  std::vector<Bytes> above_;
  std::vector<IssuedCertificate> issued_;
  std::map<Bytes, std::size_t> by_serial_;
  std::uint64_t crl_number_ = 0;
  std::map<std::string, std::uint64_t> base_numbers_;  // of the last complete list, by scope
  std::map<std::string, std::uint64_t> last_numbers_;  // of the last list, by file name without its number
  std::uint64_t generation_ = 1;
  std::shared_ptr<AuthorityLedger> ledger_;  // null: the journal
};

/// The self-signed certificates that carry trust from one key of a CA to the next (RFC 4210 §4.4): old key by new, new
/// key by old. Both CAs bear one name.
struct RollOverLinks {
  Certificate old_with_new, new_with_old;
};
Result<RollOverLinks> roll_over_links(const CertificateProfile& profile, const Certificate& old_certificate,
                                      Signer& old_signer, const Certificate& new_certificate, Signer& new_signer,
                                      const Clock& clock, RandomSource& random);

/// Profiles that come with karta, as TOML.
struct BuiltInProfile {
  std::string_view name;
  std::string_view text;
};
std::span<const BuiltInProfile> built_in_profiles();

}  // namespace karta::crypto
