// Validation of a CMS signature (EN 319 102-1 §5.3, basic signatures): format, signing certificate, hash, signature
// value, constraints, path.
//
// Never fails: whatever the file is, there is a report. Revocation is not looked at by this level; each passing
// signature carries a note that says so.
#pragma once

#include <vector>

#include "crypto/content.h"
#include "crypto/validation/report.h"

namespace karta::crypto {

struct TrustMaterial {
  std::vector<Certificate> anchors = {};
  std::vector<Certificate> intermediates = {};  ///< beside those in the signature
};

struct ValidateOptions {
  Time at{};                  ///< the moment of validation: now, unless one knows better
  bool keep_content = false;  ///< copy the enveloped content into the report
};

/// `signature` is one DER or BER ContentInfo (cms_of_file unwraps PEM). `detached` is the content beside it, read once,
/// or nullptr. Content inside *and* beside is refused.
Report verify_cms(ByteView signature, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options);

}  // namespace karta::crypto
