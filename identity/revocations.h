// Revocations: the one place where the registry keeps that a certificate was revoked, put on hold or released, whatever
// it was issued for. Private to the registry and its ledger; functions run inside a transaction of their caller.
#pragma once

#include "crypto/x509/authority_ledger.h"
#include "service/database.h"

namespace karta::identity {

/// A row: the last step a certificate took.
struct Revocation {
  crypto::CrlReason reason = crypto::CrlReason::unspecified;
  Time changed_at{};
  std::uint64_t changed_after = 0;  ///< number of the CRL before
  std::optional<Time> not_after;    ///< of the certificate, where it is known
  bool is_ca = false;
  bool by_card = false;  ///< its card was suspended, revoked or replaced

  bool held() const { return reason == crypto::CrlReason::certificate_hold; }
  bool released() const { return reason == crypto::CrlReason::remove_from_crl; }
  crypto::IssuedCertificate as_issued(ByteView serial) const;
};

struct RevocationStep {
  std::string issuer;
  ByteView serial;  ///< content octets, as in every table
  crypto::CrlReason reason = crypto::CrlReason::unspecified;
  std::optional<std::int64_t> not_after = {};
  bool is_ca = false;
  bool by_card = false;
};

Result<std::optional<Revocation>> find_revocation(service::Database& database, std::string_view issuer,
                                                  ByteView serial);
/// Writes the step down as it is; whether it may be taken is the caller's to know.
Status record_revocation(service::Database& database, const RevocationStep& step, Time now);

}  // namespace karta::identity
