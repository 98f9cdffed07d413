#include "identity/requests/signed_document.h"

#include "crypto/cms/sign.h"
#include "crypto/digest.h"

namespace karta::identity {

Result<Bytes> sign_document(crypto::Signer& signer, std::string_view json, Time signing_time) {
  crypto::MemoryContent content(as_bytes(json));
  crypto::CmsSignOptions options;
  options.form = crypto::CmsForm::enveloping;
  options.signing_time = signing_time;
  return crypto::sign_cms(signer, content, options);
}

Result<SignedDocument> open_document(ByteView cms, const crypto::TrustMaterial& trust,
                                     const crypto::ValidationEvidence* evidence, Time at) {
  if (cms.size() > kMostSignedOctets) {
    return fail(ErrorKind::limit,
                "the signed document is larger than " + std::to_string(kMostSignedOctets) + " octets");
  }
  crypto::ValidateOptions options;
  options.at = at;
  options.keep_content = true;
  options.evidence = evidence;
  const crypto::Report report = crypto::verify_cms(cms, nullptr, trust, options);
  const crypto::SignatureReport& first = report.signatures.front();
  if (!report.passed() || !report.content || report.signatures.size() != 1 || first.chain.empty()) {
    const crypto::Finding* const fault = first.first_fault();
    const ErrorKind kind = first.integrity == crypto::Integrity::broken       ? ErrorKind::invalid_signature
                           : first.integrity == crypto::Integrity::unparsable ? ErrorKind::malformed
                           : report.passed()                                  ? ErrorKind::malformed
                                                                              : ErrorKind::untrusted;
    // The commonest way to it: the certificate's file holds the department's own alone.
    const bool alone = kind == ErrorKind::untrusted && first.chain.size() <= 1;
    return fail(kind,
                fault != nullptr ? "the signature does not hold: " + fault->message
                                 : std::string("it is to be one signature with its content inside"),
                alone ? "sign with a certificate file that holds those above it, too, up to the root" : "");
  }
  // Its own certificate is the one that stands first in the path.
  return SignedDocument{std::string(as_text(*report.content)), first.chain.front()};
}

Bytes hash_of_document(ByteView cms) { return crypto::digest(crypto::Hash::sha256, cms); }

}  // namespace karta::identity
