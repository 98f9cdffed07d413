// Identification of the signing certificate (EN 319 102-1 §5.2.3).
#include <algorithm>

#include "crypto/cms/attributes.h"
#include "crypto/digest.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

/// Certificates tried where several answer to what names the signer: honest files have one.
constexpr std::size_t kMostCandidates = 8;

struct Candidate {
  Certificate certificate;
  std::optional<std::size_t> offset;  // in the file; empty: given
};

bool names(const CmsSigner& signer, const Certificate& certificate) {
  return signer.subject_key_id.empty()
             ? certificate.issuer().der() == signer.issuer && certificate.serial() == signer.serial
             : certificate.subject_key_id() == signer.subject_key_id;
}

std::vector<Candidate> candidates_of(const SignatureUnderValidation& signature) {
  std::vector<Candidate> out;
  const auto add = [&](const Certificate& one, std::optional<std::size_t> offset) {
    const bool there =
        std::any_of(out.begin(), out.end(), [&](const Candidate& other) { return other.certificate == one; });
    if (!there && out.size() < kMostCandidates && names(signature.signer, one)) out.push_back({one, offset});
  };
  for (const BagEntry& entry : signature.context.bag()) {
    if (entry.certificate) add(*entry.certificate, entry.offset);
  }
  const TrustMaterial& trust = signature.context.trust();
  for (const Certificate& one : trust.intermediates) add(one, std::nullopt);
  for (const Certificate& one : trust.anchors) add(one, std::nullopt);
  if (const ValidationEvidence* const around = signature.context.options().in_document) {
    for (const Certificate& one : around->certificates) add(one, std::nullopt);
  }
  return out;
}

/// A key identifier may be shared: by certificates of one key, and by those somebody made to look so. The signature
/// value says whose key it was; of two certificates for that key nothing unsigned can tell which was meant.
std::size_t choose_without_reference(SignatureUnderValidation& signature, const std::vector<Candidate>& named) {
  if (named.size() == 1 || !signature.algorithm || !signature.signer.signed_attributes) return 0;
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < named.size(); ++i) {
    const auto key = named[i].certificate.public_key();
    if (key && key->verify(signature.algorithm->id, signature.signer.signed_attributes->der, signature.signer.signature,
                           signature.algorithm->pss_salt_octets)) {
      fitting.push_back(i);
    }
  }
  if (fitting.size() > 1) {
    signature.find(Severity::warning, "signer-ambiguous",
                   std::to_string(fitting.size()) +
                       " certificates fit the signature, and no signed attribute says which one the signer meant",
                   signature.signer.offset);
  }
  return fitting.empty() ? 0 : fitting.front();
}

void mismatch(SignatureUnderValidation& signature, const std::string& message) {
  signature.fault(SubIndication::no_signing_certificate_found, "signing-certificate-mismatch", message,
                  signature.reference->offset, std::string(cms::kSigningCertificateV2Oid));
}

Candidate choose(SignatureUnderValidation& signature, const std::vector<Candidate>& named) {
  if (!signature.reference) return named[choose_without_reference(signature, named)];
  const CertificateReference& reference = *signature.reference;
  const auto matching = std::find_if(named.begin(), named.end(), [&](const Candidate& one) {
    return digest(reference.hash, one.certificate.der()) == reference.digest;
  });
  if (matching == named.end()) {
    const auto& offset = named.front().offset;
    mismatch(signature, "the certificate" + (offset ? " at offset " + std::to_string(*offset) : std::string()) +
                            " is not the one the signer vouched for (signing-certificate attribute)");
    return named.front();
  }
  const Certificate& found = matching->certificate;
  const bool issuer_fits = reference.issuer.empty() || reference.issuer == found.issuer().der();
  const bool serial_fits = reference.serial.empty() || reference.serial == found.serial();
  if (!issuer_fits || !serial_fits) {
    mismatch(signature, "issuer or serial number in the signing-certificate attribute are not the certificate's");
  }
  return *matching;
}

}  // namespace

void identify_signing_certificate(SignatureUnderValidation& signature) {
  signature.enter(BuildingBlock::signing_certificate);
  const std::vector<Candidate> named = candidates_of(signature);
  if (named.empty()) {
    signature.fault(SubIndication::no_signing_certificate_found, "no-signing-certificate",
                    "the signer's certificate is neither in the signature nor among those given",
                    signature.signer.offset);
    return;
  }
  const Candidate chosen = choose(signature, named);
  signature.certificate = chosen.certificate;
  SignatureReport& report = signature.report;
  report.signer = chosen.certificate.subject().to_text();
  report.signer_display = chosen.certificate.subject().display();
  report.chain = {chosen.certificate};
  if (auto key = chosen.certificate.public_key()) {
    signature.key = std::move(*key);
    report.key = signature.key->type_name();
  } else {
    signature.fault(SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
                    "the signer's key: " + key.error().message, chosen.offset);
  }
}

}  // namespace karta::crypto
