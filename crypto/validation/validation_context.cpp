#include "crypto/validation/validation_context.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/digest.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

const ValidationPolicy kDefaultPolicy;

// CertificateList, or [1] { otherRevInfoFormat OBJECT IDENTIFIER, otherRevInfo ANY } with an OCSPResponse (RFC 5940).
Status read_revocation(ByteView whole, ValidationEvidence& out) {
  if (whole[0] == der::kSequence) {
    out.crls.push_back(TRY(Crl::from_der(whole)));
    return {};
  }
  der::Reader outer(whole);
  der::Reader reader = TRY(outer.enter(der::context(1)));
  const std::string oid = der::oid_to_text(TRY(reader.oid()));
  if (oid != cms::kOcspRevocationInfoOid) return fail(ErrorKind::unsupported, "revocation data of type " + oid);
  const Tlv answer = TRY(reader.any());
  out.ocsp.push_back(TRY(OcspResponse::from_der(answer.whole)));
  return {};
}

Bytes fingerprint_of(const OcspResponse& answer) { return digest(Hash::sha256, answer.der()); }

}  // namespace

ValidationContext::ValidationContext(const SignedData* data, const TrustMaterial& trust, const ValidateOptions& options)
    : trust_(trust), options_(options), policy_(options.policy != nullptr ? *options.policy : kDefaultPolicy) {
  if (options.paths == nullptr) own_paths_.emplace(trust.anchors, trust.intermediates);
  paths_ = options.paths != nullptr ? options.paths : &*own_paths_;
  // The file's own come first: of two that serve, the one the signer chose is named.
  if (data != nullptr) read_file(*data);
  if (options.in_document != nullptr) {
    const ValidationEvidence& around = *options.in_document;
    has_own_revocation_ = has_own_revocation_ || !around.crls.empty() || !around.ocsp.empty();
    add(around, options.existed_at.value_or(options.at));
  }
  if (options.evidence != nullptr) add(*options.evidence, options.at);
  evidence_.certificates.insert(evidence_.certificates.end(), trust.intermediates.begin(), trust.intermediates.end());
}

void ValidationContext::read_file(const SignedData& data) {
  for (const CmsCertificate& one : data.certificates) {
    BagEntry entry{.offset = one.offset, .certificate = {}, .fault = {}};
    if (!one.x509) {
      entry.fault = "it is no X.509 certificate";
    } else if (auto parsed = paths_->parse(one.whole)) {
      entry.certificate = std::move(*parsed);
      evidence_.certificates.push_back(*entry.certificate);
    } else {
      entry.fault = parsed.error().message;
    }
    bag_.push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < data.revocation.size(); ++i) {
    ValidationEvidence one;
    if (const Status read = read_revocation(data.revocation[i].whole, one); !read) {
      remarks_.push_back({Severity::note, "revocation-data-unreadable",
                          "revocation data was left out: " + read.error().message, data.revocation[i].offset});
      continue;
    }
    of_the_file_[i] = one.crls.empty() ? fingerprint_of(one.ocsp.front()) : one.crls.front().fingerprint();
    has_own_revocation_ = true;
    add(one, options_.at);
  }
}

void ValidationContext::add(const ValidationEvidence& more, Time existed) {
  const auto prove = [&](const Bytes& fingerprint) {
    const auto [at, fresh] = existed_.emplace(fingerprint, existed);
    if (!fresh) at->second = std::min(at->second, existed);
  };
  for (const Crl& one : more.crls) {
    revocation_.add(one);
    prove(one.fingerprint());
  }
  for (const OcspResponse& one : more.ocsp) {
    revocation_.add(one);
    prove(fingerprint_of(one));
  }
  evidence_.crls.insert(evidence_.crls.end(), more.crls.begin(), more.crls.end());
  evidence_.ocsp.insert(evidence_.ocsp.end(), more.ocsp.begin(), more.ocsp.end());
  evidence_.certificates.insert(evidence_.certificates.end(), more.certificates.begin(), more.certificates.end());
}

void ValidationContext::prove_existence(std::size_t position, Time when) {
  const auto found = of_the_file_.find(position);
  if (found == of_the_file_.end()) return;
  Time& known = existed_.at(found->second);
  known = std::min(known, when);
}

PathResult ValidationContext::path(const Certificate& leaf, Purpose purpose, Time at, RevocationMode mode) const {
  PathOptions options;
  options.at = at;
  options.purpose = purpose;
  options.revocation = mode;
  options.revocation_data = &revocation_;
  return paths_->verify(leaf, evidence_.certificates, options);
}

PathResult ValidationContext::path_with_older_data(const Certificate& leaf, Purpose purpose, Time at,
                                                   RevocationMode mode, Time proven_by) const {
  RevocationData older;
  for (const Crl& one : evidence_.crls) {
    if (existed_.at(one.fingerprint()) <= proven_by) older.add(one);
  }
  for (const OcspResponse& one : evidence_.ocsp) {
    if (existed_.at(fingerprint_of(one)) <= proven_by) older.add(one);
  }
  PathOptions options;
  options.at = at;
  options.purpose = purpose;
  options.revocation = mode;
  options.revocation_data = &older;
  return paths_->verify(leaf, evidence_.certificates, options);
}

const PathVerifier& ValidationContext::paths_for_timestamps() const {
  if (trust_.timestamp_anchors.empty()) return *paths_;
  if (!timestamp_paths_) {
    std::vector<Certificate> anchors = trust_.anchors;
    anchors.insert(anchors.end(), trust_.timestamp_anchors.begin(), trust_.timestamp_anchors.end());
    timestamp_paths_.emplace(std::move(anchors), trust_.intermediates);
  }
  return *timestamp_paths_;
}

PathResult ValidationContext::timestamp_path(const Certificate& leaf, const std::vector<Certificate>& more, Time at,
                                             RevocationMode mode) const {
  PathOptions options;
  options.at = at;
  options.purpose = Purpose::time_stamp;
  options.revocation = mode;
  options.revocation_data = &revocation_;
  // A token brings its own certificates; the authority's issuers may stand in the signature around it.
  std::vector<Certificate> all = more;
  all.insert(all.end(), evidence_.certificates.begin(), evidence_.certificates.end());
  return paths_for_timestamps().verify(leaf, all, options);
}

std::optional<Time> ValidationContext::anchor_end(const std::vector<Certificate>& chain) const {
  if (chain.empty()) return std::nullopt;
  for (const AnchorEnd& one : trust_.ends) {
    if (one.fingerprint == chain.back().fingerprint()) return one.until;
  }
  return std::nullopt;
}

// RFC 5126 §5.8.1, EN 319 102-1 §5.2.4: karta reads no machine-readable signature policies; it knows the digests of
// those somebody read.
void initialise_context(SignatureUnderValidation& signature) {
  signature.enter(BuildingBlock::validation_context);
  if (!signature.signature_policy) return;
  const SignaturePolicyReference& named = *signature.signature_policy;
  const std::string oid(cms::kSignaturePolicyOid);
  const ValidationPolicy& policy = signature.context.policy();
  const auto known = policy.signature_policies.find(named.oid);
  if (known == policy.signature_policies.end()) {
    const std::string words = "the signer signed under signature policy " + named.oid;
    if (policy.only_known_signature_policies) {
      signature.fault(SubIndication::signature_policy_not_available, "signature-policy-unknown",
                      words + ", which is not known here", named.offset, oid);
    } else {
      signature.find(Severity::note, "signature-policy-not-consulted", words + ", which was not consulted",
                     named.offset, oid);
    }
    return;
  }
  if (named.hash_oid != row_of(known->second.hash).oid || named.digest != known->second.digest) {
    signature.fault(SubIndication::policy_processing_error, "signature-policy-mismatch",
                    "signature policy " + named.oid + " is, by its digest, not the document known under that name",
                    named.offset, oid);
  }
}

}  // namespace karta::crypto
