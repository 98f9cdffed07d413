#include "crypto/validation/validate.h"

#include <algorithm>

#include "crypto/cms/attributes.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

/// The blocks in their order (§5.3.4, §5.5.4, §5.6.3). A fault in one does not stop those that do not need what it
/// failed to find: the report names all there is.
SignatureReport run_blocks(SignatureUnderValidation& signature, const Status& content_status) {
  check_format(signature, content_status);
  identify_signing_certificate(signature);
  initialise_context(signature);
  verify_cryptographically(signature);
  validate_time_stamps(signature);
  validate_certificate(signature);
  accept_signature(signature);
  SignatureReport& report = signature.report;
  report.level = level_of(signature);
  report.integrity = signature.hash_right == false || signature.value_right == false ? Integrity::broken
                     : signature.hash_right && signature.value_right                 ? Integrity::intact
                                                                                     : Integrity::unchecked;
  mention_unsigned(signature);
  return std::move(report);
}

std::vector<Hash> hashes_wanted(const SignedData& data, const std::vector<std::vector<AttributeStamp>>& stamps) {
  std::vector<Hash> out;
  const auto want = [&](Hash hash) {
    if (std::find(out.begin(), out.end(), hash) == out.end()) out.push_back(hash);
  };
  for (const CmsSigner& signer : data.signers) {
    const auto hash = hash_of(signer.digest_algorithm.oid, signer.digest_algorithm.parameters);
    if (hash) want(*hash);
  }
  for (const auto& of_signer : stamps) {
    for (const AttributeStamp& one : of_signer) {
      if (one.token && one.kind != StampKind::signature) want(one.token->info().imprint.hash);
    }
  }
  return out;
}

/// Judges the counter-signatures on `signer`, each over its signature value (RFC 5652 §11.4).
void add_counter_signatures(const CmsSigner& signer, ValidationContext& context, Report& out) {
  if (!signer.unsigned_attributes) return;
  for (const CmsAttribute* const attribute : signer.unsigned_attributes->find(cms::kCounterSignatureOid)) {
    for (const Bytes& value : attribute->values) {
      const auto counter = parse_signer_info(value);
      if (!counter) {
        out.signatures.back().findings.push_back({Severity::warning, "counter-signature-unparsable",
                                                  "a counter-signature does not parse: " + counter.error().message,
                                                  attribute->offset, attribute->oid});
        continue;
      }
      SignedData around;
      around.content_type = cms::kDataOid;
      around.signers = {*counter};
      const DigestOf of_value = [&](Hash hash) -> Result<Bytes> { return digest(hash, signer.signature); };
      SignedContent content(around, nullptr, &of_value);
      const std::vector<std::vector<AttributeStamp>> stamps = {read_stamps(around.signers.front())};
      const Status hashed = content.hash(hashes_wanted(around, stamps));
      SignatureUnderValidation signature(around, around.signers.front(), stamps.front(), content, context);
      signature.counter = true;
      signature.report.role = SignatureRole::counter_signature;
      out.signatures.push_back(run_blocks(signature, hashed));
    }
  }
}

Report unparsable(std::string code, std::string message) {
  SignatureReport one;
  one.verdict = Verdict::total_failed;
  one.sub_indication = SubIndication::format_failure;
  one.integrity = Integrity::unparsable;
  one.level = "CMS";
  one.findings.push_back({Severity::fault, std::move(code), std::move(message), std::nullopt});
  one.blocks[static_cast<std::size_t>(BuildingBlock::format_checking)] = {
      .ran = true, .verdict = one.verdict, .sub_indication = one.sub_indication};
  Report out;
  out.verdict = Verdict::total_failed;
  out.signatures.push_back(std::move(one));
  return out;
}

Report verify(const SignedData& data, ContentSource* detached, const DigestOf* digest_of, const TrustMaterial& trust,
              const ValidateOptions& options) {
  if (data.signers.empty()) return unparsable("no-signer", "the file holds certificates, but nobody signed");

  std::vector<std::vector<AttributeStamp>> stamps;
  for (const CmsSigner& signer : data.signers) stamps.push_back(read_stamps(signer));
  SignedContent content(data, detached, digest_of);
  const Status hashed = content.hash(hashes_wanted(data, stamps));
  ValidationContext context(&data, trust, options);

  Report out;
  out.verdict = Verdict::total_passed;
  out.enveloping = data.has_content;
  for (std::size_t i = 0; i < data.signers.size(); ++i) {
    SignatureUnderValidation one(data, data.signers[i], stamps[i], content, context);
    out.signatures.push_back(run_blocks(one, hashed));
    add_counter_signatures(data.signers[i], context, out);
  }
  for (const SignatureReport& one : out.signatures) out.verdict = std::max(out.verdict, one.verdict);
  const std::vector<Finding> remarks = remarks_on_file(data, context, out.signatures);
  for (SignatureReport& one : out.signatures) {
    one.findings.insert(one.findings.end(), remarks.begin(), remarks.end());
    std::stable_sort(one.findings.begin(), one.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  }
  if (options.keep_content) out.content = content.enveloped();
  return out;
}

}  // namespace

Status ValidationEvidence::add_revocation(ByteView octets) {
  if (auto crl = Crl::from_file_octets(octets)) {
    crls.push_back(std::move(*crl));
    return {};
  }
  ocsp.push_back(TRY(OcspResponse::from_der(octets)));
  return {};
}

Report verify_cms(ByteView signature, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options) {
  const auto data = SignedData::parse(signature);
  return data ? verify(*data, detached, nullptr, trust, options) : unparsable("unparsable", data.error().message);
}

Report verify_cms(const SignedData& data, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options) {
  return verify(data, detached, nullptr, trust, options);
}

Report verify_cms_digest(ByteView signature, const DigestOf& digest, const TrustMaterial& trust,
                         const ValidateOptions& options) {
  const auto data = SignedData::parse(signature);
  return data ? verify(*data, nullptr, &digest, trust, options) : unparsable("unparsable", data.error().message);
}

Report unreadable_cms(const Error& error) { return unparsable("unparsable", error.message); }

}  // namespace karta::crypto
