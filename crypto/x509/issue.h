// Issuing: turns a profile and a request into a signed certificate.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/profile.h"

namespace karta::crypto {

struct CertificateRequest {
  /// The attributes asked for, without the profile's fixed ones (repeating one of those with the same value is fine).
  Name subject;
  PublicKey public_key;
  Bytes serial = {};                    ///< big-endian magnitude; empty: 16 random octets
  std::optional<Time> not_before = {};  ///< absent: now
  std::optional<Time> not_after = {};   ///< absent: not_before + the profile's days; never later than that
  std::optional<std::uint64_t> status_index = {};
  std::vector<GeneralName> subject_alternative_names = {};
};

/// Signs a certificate for `request`. The dates are cut to the issuer's. Checks that `signer` holds `issuer`'s key,
/// that `issuer` may issue (CA, keyCertSign, path length, dates), that key and subject fit the profile. Fails with
/// usage (request against profile), not_permitted (issuer may not), untrusted (issuer expired), or as the signer does.
/// The signature is verified before it is returned.
Result<Certificate> issue_certificate(const CertificateProfile& profile, const CertificateRequest& request,
                                      const Certificate& issuer, Signer& signer, const Clock& clock,
                                      RandomSource& random);

/// A root: `request.public_key` must be the signer's own; the profile must say ca = true.
Result<Certificate> self_signed(const CertificateProfile& profile, const CertificateRequest& request, Signer& signer,
                                const Clock& clock, RandomSource& random);

/// A certificate of a CA for another key of its own (RFC 5280 §3.2, self-issued): what a roll-over of keys needs.
/// `subject` must be `issuer`'s name, and the profile that of a CA.
Result<Certificate> issue_self_issued(const CertificateProfile& profile, const Name& subject, const PublicKey& key,
                                      const Certificate& issuer, Signer& signer, const Clock& clock,
                                      RandomSource& random);

}  // namespace karta::crypto
