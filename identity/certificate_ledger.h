// CertificateLedger: what an issuing centre's authority remembers, in the registry: the one truth about its
// certificates that `karta ca`, the issuing station and the server all ask and change. Certificates on cards and others
// alike.
#pragma once

#include <memory>

#include "crypto/x509/authority_ledger.h"
#include "identity/registry.h"

namespace karta::identity {

/// One connection; belongs to one thread at a time.
class CertificateLedger final : public crypto::AuthorityLedger {
 public:
  /// The ledger of the authority with this name (Name::to_text()). `registry` is the ledger's own; `cause` stands in
  /// the event log beside what is revoked through it.
  CertificateLedger(Registry registry, std::string issuer, Cause cause);
  ~CertificateLedger() override;

  Status add(const crypto::Certificate& certificate, std::string_view profile) override;
  /// A citizen's certificate gets its event in the same transaction.
  Status revoke(ByteView serial, crypto::CrlReason reason) override;
  Result<crypto::OcspState> state_of(ByteView serial) override;
  Result<std::uint64_t> revision() override;
  Result<crypto::Crl> issue_crl(const crypto::CrlPlan& plan, const crypto::Certificate& issuer,
                                crypto::Signer& signer) override;
  Result<std::optional<crypto::Crl>> last_crl(const crypto::CrlPlan& plan) override;
  Result<bool> changed_since(std::uint64_t crl_number) override;
  /// Certificates of cards are named by card and kind: no personal datum leaves this way.
  Status for_each(const std::function<Status(const crypto::IssuedCertificate&)>& use) override;

 private:
  Registry registry_;
  std::string issuer_;
  Cause cause_;
  std::optional<std::int64_t> data_version_;  // what revision_ was learnt under
  std::uint64_t revision_ = 0;
};

/// Opens the registry for it. `clock` must outlive the ledger. `serves`: it answers requests, so that nothing but lists
/// of all certificates may take long (service::kServingDatabase).
Result<std::shared_ptr<CertificateLedger>> open_certificate_ledger(std::string_view registry_url, std::string issuer,
                                                                   Cause cause, const Clock& clock,
                                                                   bool serves = false);

}  // namespace karta::identity
