// Validation of a CMS signature (EN 319 102-1 §5.5 and §5.6): the building blocks in their order, each in a file of its
// own, at the best signature time.
//
// Never fails: whatever the file is, there is a report. Nothing is fetched: what is known about revocation stands in
// the signature or is given; where nothing says, a passing signature carries a note.
#pragma once

#include <vector>

#include "crypto/cms/signed_data.h"
#include "crypto/content.h"
#include "crypto/validation/policy.h"
#include "crypto/validation/report.h"
#include "crypto/x509/path.h"

namespace karta::crypto {

/// The last moment an anchor was trusted (EN 319 102-1 §5.2.6: the sunset date of a trust anchor).
struct AnchorEnd {
  Bytes fingerprint;  ///< Certificate::fingerprint()
  Time until{};
};

struct TrustMaterial {
  std::vector<Certificate> anchors = {};
  std::vector<Certificate> intermediates = {};      ///< beside those in the signature
  std::vector<Certificate> timestamp_anchors = {};  ///< trusted for time-stamps only, beside `anchors`
  std::vector<AnchorEnd> ends = {};                 ///< of anchors whose trust ended, or will
  std::optional<Time> due = {};  ///< when the list they come from was to be replaced by its next; absent: no list
};

/// Certificates and revocation data at hand, from the file or given.
struct ValidationEvidence {
  std::vector<Certificate> certificates = {};
  std::vector<Crl> crls = {};
  std::vector<OcspResponse> ocsp = {};

  /// One CRL (DER or PEM) or one OCSP answer (DER).
  Status add_revocation(ByteView octets);
};

struct ValidateOptions {
  Time at{};                                        ///< the moment of validation: now, unless one knows better
  bool keep_content = false;                        ///< copy the enveloped content into the report
  const ValidationPolicy* policy = nullptr;         ///< must outlive the call; nullptr: the default
  const ValidationEvidence* evidence = nullptr;     ///< given by the caller
  const ValidationEvidence* in_document = nullptr;  ///< from the document around the signature (a PDF's DSS)
  const PathVerifier* paths = nullptr;  ///< to share what was verified; nullptr: made from the trust material
  std::optional<Time> existed_at = {};  ///< a later time-stamp proves the signature existed then
  bool pades = false;                   ///< levels are PAdES, and the time stands in the PDF
};

/// `signature` is one DER or BER ContentInfo (cms_of_file unwraps PEM). `detached` is the content beside it, read once,
/// or nullptr. Content inside *and* beside is refused.
Report verify_cms(ByteView signature, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options);

/// The same for a file that was read before, streamed or not.
Report verify_cms(const SignedData& data, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options);

/// The same where the content was hashed before. Plain signatures (without attributes) of Ed25519 keys cannot be
/// checked this way.
Report verify_cms_digest(ByteView signature, const DigestOf& digest, const TrustMaterial& trust,
                         const ValidateOptions& options);

/// The report of a CMS file that does not parse.
Report unreadable_cms(const Error& error);

/// A document time-stamp over a content with these digests: a SignatureReport of role timestamp.
SignatureReport verify_document_timestamp(ByteView token, const DigestOf& digest, const TrustMaterial& trust,
                                          const ValidateOptions& options);

}  // namespace karta::crypto
