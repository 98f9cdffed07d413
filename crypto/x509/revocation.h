// Revocation: whether a certificate of a path was revoked at a moment, judged from CRLs and OCSP answers at hand
// (RFC 5280 §6.3, RFC 6960 §3.2). Nothing is fetched.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/crl.h"
#include "crypto/x509/ocsp.h"

namespace karta::crypto {

enum class RevocationStatus : std::uint8_t {
  good,
  revoked,
  unknown,    ///< nothing at hand says
  not_asked,  ///< an anchor, an OCSP responder that need not be checked
};
std::string_view name_of(RevocationStatus status);

struct RevocationResult {
  RevocationStatus status = RevocationStatus::unknown;
  std::string source;  ///< "CRL 12 of \"CN=...\"": what the status rests on; empty if unknown
  std::string reason;  ///< in words: when and why revoked, or why each thing at hand does not serve
  std::optional<Time> revoked_at;
  std::optional<CrlReason> revocation_reason;
  std::optional<Time> this_update, next_update;
};

/// What is known about revocation: lists and answers, found by issuer.
class RevocationData {
 public:
  void add(Crl crl);
  void add(OcspResponse response);
  /// One CRL (DER or PEM) or one OCSP answer (DER).
  Status add_file_octets(ByteView octets);

  const std::vector<Crl>& crls_of(const Name& issuer) const;
  const std::vector<OcspResponse>& ocsp() const { return ocsp_; }
  bool empty() const { return crls_.empty() && ocsp_.empty(); }

 private:
  std::map<Bytes, std::vector<Crl>> crls_;  // by canonical name
  std::vector<OcspResponse> ocsp_;
};

/// What check_revocation asks of whoever builds paths.
struct RevocationContext {
  Time at{};
  /// Certificates that may have signed a CRL, by subject; those of the path itself need not be among them.
  std::function<std::vector<Certificate>(const Name& subject)> certificates;
  /// Signatures go through here, so that whoever builds paths remembers those on lists and bounds their number.
  std::function<Status(const Crl&, const PublicKey&)> verify_crl = verify_crl_signature;
  std::function<Status(const OcspResponse&, const PublicKey&)> verify_ocsp = verify_ocsp_signature;
  /// Succeeds if a path leads from `signer`, which signed a CRL or, if `for_ocsp`, an OCSP answer, to the anchor of the
  /// path in question.
  std::function<Status(const Certificate& signer, bool for_ocsp)> vouch;
};

/// The state of `path[position]`, whose issuer is the next of `path` (end-entity first, anchor last). OCSP answers are
/// tried first, then CRLs: an answer of either that says "revoked" counts. At a moment in the past a list issued later
/// serves too, and a revocation that came after the moment does not count against it.
RevocationResult check_revocation(const std::vector<Certificate>& path, std::size_t position,
                                  const RevocationData& data, const RevocationContext& context);

}  // namespace karta::crypto
