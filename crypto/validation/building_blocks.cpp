#include "crypto/validation/building_blocks.h"

#include <algorithm>

#include "crypto/cms/attributes.h"

namespace karta::crypto {
namespace {

Verdict verdict_of(SubIndication sub) {
  const auto rows = sub_indications();
  return rows[static_cast<std::size_t>(sub) - 1].verdict;
}

// Attributes that mean something only because they are signed (RFC 5652 §11, EN 319 122-1 §5.1 and §5.2).
constexpr auto kOnlySigned = std::to_array<std::string_view>({
    cms::kContentTypeOid,
    cms::kMessageDigestOid,
    cms::kSigningTimeOid,
    cms::kAlgorithmProtectionOid,
    cms::kSigningCertificateOid,
    cms::kSigningCertificateV2Oid,
    cms::kSignaturePolicyOid,
    cms::kContentTimestampOid,
});
constexpr auto kOnlyUnsigned = std::to_array<std::string_view>(
    {cms::kCounterSignatureOid, cms::kSignatureTimestampOid, cms::kArchiveTimestampV3Oid});

template <class List>
bool among(const List& list, std::string_view oid) {
  return std::find(list.begin(), list.end(), oid) != list.end();
}

}  // namespace

void SignatureUnderValidation::enter(BuildingBlock block) {
  block_ = block;
  report.blocks[static_cast<std::size_t>(block)].ran = true;
}

void SignatureUnderValidation::find(Severity severity, std::string code, std::string message,
                                    std::optional<std::size_t> offset, std::string attribute) {
  report.findings.push_back({severity, std::move(code), std::move(message), offset, std::move(attribute)});
}

void SignatureUnderValidation::fault(SubIndication sub, std::string code, std::string message,
                                     std::optional<std::size_t> offset, std::string attribute) {
  const Verdict verdict = verdict_of(sub);
  BlockReport& block = report.blocks[static_cast<std::size_t>(block_)];
  if (verdict > block.verdict) {
    block.verdict = verdict;
    block.sub_indication = sub;
  }
  find(Severity::fault, std::move(code), std::move(message), offset, std::move(attribute));
  if (verdict > report.verdict) {
    report.verdict = verdict;
    report.sub_indication = sub;
    std::rotate(report.findings.begin(), report.findings.end() - 1, report.findings.end());
  }
}

void SignatureUnderValidation::algorithm_fault(const Error& error, std::string_view field, std::size_t offset) {
  if (error.kind == ErrorKind::unsupported) {
    fault(SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
          std::string(field) + ": " + error.message, offset);
  } else {
    broken_format("algorithm-parameters", std::string(field) + ": " + error.message, offset);
  }
}

std::string level_of(const SignatureUnderValidation& signature) {
  const ValidateOptions& options = signature.context.options();
  const bool basic = signature.reference && (signature.has_signing_time || options.pades);
  if (!basic) return "CMS";
  const std::string family = options.pades ? "PAdES-" : "CAdES-";
  const bool stamped = signature.signature_stamps != 0 || (options.pades && options.existed_at);
  const bool long_term = stamped && signature.context.has_own_revocation() && signature.revocation_known;
  if (long_term && (signature.archive_stamps != 0 || options.existed_at)) return family + "B-LTA";
  return family + (long_term ? "B-LT" : stamped ? "B-T" : "B-B");
}

void mention_unsigned(SignatureUnderValidation& signature) {
  if (signature.signer.signed_attributes) {
    for (const CmsAttribute& attribute : signature.signer.signed_attributes->list) {
      if (among(kOnlyUnsigned, attribute.oid)) {
        signature.find(Severity::warning, "attribute-misplaced",
                       "attribute " + attribute.oid + " stands among the signed ones, where it proves nothing",
                       attribute.offset, attribute.oid);
      }
    }
  }
  if (signature.signer.unsigned_attributes) {
    for (const CmsAttribute& attribute : signature.signer.unsigned_attributes->list) {
      if (among(kOnlyUnsigned, attribute.oid)) continue;  // judged
      if (among(kOnlySigned, attribute.oid)) {
        signature.find(Severity::warning, "attribute-not-signed",
                       "attribute " + attribute.oid +
                           " stands among the unsigned ones: anybody can have put it there, and it was not heeded",
                       attribute.offset, attribute.oid);
        continue;
      }
      signature.find(Severity::note, "unsigned-attribute",
                     "attribute " + attribute.oid + " is not covered by the signature and was not looked at",
                     attribute.offset, attribute.oid);
    }
  }
  if (signature.report.passed() && !signature.revocation_known) {
    signature.find(Severity::note, "revocation-not-checked",
                   "whether a certificate of the path was revoked is not known: nothing at hand says");
  }
}

std::vector<Finding> remarks_on_file(const SignedData& data, const ValidationContext& context,
                                     const std::vector<SignatureReport>& signatures) {
  std::vector<Finding> out = context.remarks();
  bool plain_bag = data.revocation.empty();
  std::vector<Certificate> seen;
  for (const BagEntry& entry : context.bag()) {
    if (!entry.certificate) {
      plain_bag = false;
      out.push_back({Severity::warning, "certificate-unreadable",
                     "the certificate at offset " + std::to_string(entry.offset) + " was left out: " + entry.fault,
                     entry.offset});
      continue;
    }
    const bool used = std::any_of(signatures.begin(), signatures.end(), [&](const SignatureReport& one) {
      return std::find(one.chain.begin(), one.chain.end(), *entry.certificate) != one.chain.end();
    });
    const bool again = std::find(seen.begin(), seen.end(), *entry.certificate) != seen.end();
    if (!used || again) {
      out.push_back({Severity::note, "certificate-unused",
                     "the certificate at offset " + std::to_string(entry.offset) + " has no part in the path: \"" +
                         entry.certificate->subject().to_text() + "\"",
                     entry.offset});
    }
    seen.push_back(*entry.certificate);
  }
  for (const FoundAlgorithm& one : data.digest_algorithms) {
    const bool used = std::any_of(data.signers.begin(), data.signers.end(), [&](const CmsSigner& signer) {
      return signer.digest_algorithm.oid == one.oid && signer.digest_algorithm.parameters == one.parameters;
    });
    if (!used) {
      out.push_back(
          {Severity::note, "digest-unused", "digestAlgorithms lists what no signer uses: " + one.oid, one.offset});
    }
  }
  // RFC 5652 §5.1, for files without attribute certificates and foreign revocation data.
  const bool three =
      data.content_type != cms::kDataOid ||
      std::any_of(data.signers.begin(), data.signers.end(), [](const CmsSigner& s) { return s.version == 3; });
  if (plain_bag && data.version != (three ? 3u : 1u)) {
    out.push_back({Severity::warning, "version",
                   "SignedData says version " + std::to_string(data.version) + " where the standard asks for " +
                       (three ? "3" : "1"),
                   std::nullopt});
  }
  if (!data.was_der) {
    out.push_back(
        {Severity::note, "ber", "the file is BER, not DER: its lengths and pieces are not signed", std::nullopt});
  }
  return out;
}

}  // namespace karta::crypto
