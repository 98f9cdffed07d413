// AuthorityLedger: what a certification authority remembers: the certificates it issued, what became of them, and its
// CRLs. One truth: whoever asks or changes anything of it, a command, a server, several of each, does it here.
//
// An authority in a folder keeps a journal file (authority.h); an issuing centre's authorities keep theirs in the
// registry, where the certificates of cards are.
#pragma once

#include <functional>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/crl.h"
#include "crypto/x509/ocsp.h"

namespace karta::crypto {

/// One certificate the authority issued or was told of.
struct IssuedCertificate {
  Bytes serial;  ///< magnitude
  std::string subject;
  std::string profile;
  Time issued_at{};
  Time not_after{};
  bool is_ca = false;
  std::optional<Time> revoked_at;
  CrlReason reason = CrlReason::unspecified;
  bool released = false;            ///< was on hold, and is good again
  std::uint64_t changed_after = 0;  ///< number of the CRL before the last change

  OcspState state() const;
};
/// A certificate on hold may be revoked for good or released (removeFromCRL: usage error otherwise); any other second
/// revocation is already_exists. `one` is null where nothing is known of the certificate.
Status check_revocation_step(ByteView magnitude, const IssuedCertificate* one, CrlReason reason);

/// Which list is wanted.
struct CrlPlan {
  bool delta = false;                           ///< what changed since the last complete list of the same kind
  std::optional<bool> ca_certificates = {};     ///< true: of CAs only; false: of others only; absent: one list of all
  std::optional<std::uint64_t> hours = {};      ///< until the next; absent: as the authority is configured
  bool with_expired = false;                    ///< keep certificates that expired since
  std::uint64_t kept_hours = 24 * 7;            ///< RFC 5280 §3.3: how long an entry outlives its certificate
  std::vector<std::string> freshest_urls = {};  ///< where deltas to this list are
  std::optional<std::string> distribution_point = {};  ///< the URI this partition stands at
};
/// "all", "ca", "user": what the numbers of complete lists are kept by.
std::string_view scope_of(const CrlPlan& plan);

class AuthorityLedger {
 public:
  virtual ~AuthorityLedger() = default;

  /// Before it leaves: already_exists if the serial number is taken.
  virtual Status add(const Certificate& certificate, std::string_view profile) = 0;
  /// As Authority::revoke. `serial` is a magnitude.
  virtual Status revoke(ByteView serial, CrlReason reason) = 0;
  /// What an OCSP responder answers for a serial number (INTEGER content octets).
  virtual Result<OcspState> state_of(ByteView serial) = 0;
  /// A number that is another one after any change of a certificate's state and after any new list, whoever made it:
  /// what was learnt under one revision is true as long as the revision stays. Ask for it first, then learn.
  virtual Result<std::uint64_t> revision() = 0;
  /// Signs the next list and keeps it; plan.hours must be given. Fails with not_found where a delta has no complete
  /// list to build on.
  virtual Result<Crl> issue_crl(const CrlPlan& plan, const Certificate& issuer, Signer& signer) = 0;
  /// The list issued last of this kind; nothing if there was none.
  virtual Result<std::optional<Crl>> last_crl(const CrlPlan& plan) = 0;
  /// True if a certificate's state changed since the list of this number was made.
  virtual Result<bool> changed_since(std::uint64_t crl_number) = 0;
  /// Every certificate, in order of issue where that is known.
  virtual Status for_each(const std::function<Status(const IssuedCertificate&)>& use) = 0;
};

/// Signs the list that `plan` describes; number, base and entries are the ledger's to give.
Result<Crl> sign_planned_crl(const CrlPlan& plan, std::uint64_t number, std::optional<std::uint64_t> base,
                             std::vector<CrlContent::Revoked> revoked, Time now, const Certificate& issuer,
                             Signer& signer);
/// The number of a list made here: it fits.
std::uint64_t number_of(const Crl& crl);
/// True if `one` stands on a list of this plan made now. `base` is the number of the list a delta builds on.
bool belongs_on(const CrlPlan& plan, const IssuedCertificate& one, std::uint64_t base, Time now);

}  // namespace karta::crypto
