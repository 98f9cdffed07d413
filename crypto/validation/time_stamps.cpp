// Time-stamps in a CMS signature and the proofs of existence they make (EN 319 102-1 §5.4, §5.5.4 and §5.6.2.3).
//
// A time-stamp that does not hold proves nothing; a finding says why, and the signature is judged as if it were not
// there.
#include <algorithm>
#include <set>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/digest.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

struct StampRow {
  StampKind kind;
  std::string_view oid;
  std::string_view words;
};
constexpr auto kStamps = std::to_array<StampRow>({
    {StampKind::content, cms::kContentTimestampOid, "the content time-stamp"},
    {StampKind::signature, cms::kSignatureTimestampOid, "the signature time-stamp"},
    {StampKind::archive, cms::kArchiveTimestampV3Oid, "an archive time-stamp"},
});

void read_from(const std::optional<CmsAttributes>& attributes, bool are_signed, std::vector<AttributeStamp>& out) {
  if (!attributes) return;
  for (const CmsAttribute& attribute : attributes->list) {
    const auto row = std::find_if(kStamps.begin(), kStamps.end(), [&](const StampRow& one) {
      return one.oid == attribute.oid && (one.kind == StampKind::content) == are_signed;
    });
    if (row == kStamps.end()) continue;
    for (const Bytes& value : attribute.values) {
      AttributeStamp stamp{.kind = row->kind, .attribute = &attribute, .value = &value, .token = {}, .fault = {}};
      if (auto token = TimeStampToken::from_der(value)) {
        stamp.token = std::move(*token);
      } else {
        stamp.fault = token.error().message;
      }
      out.push_back(std::move(stamp));
    }
  }
}

/// What an archive time-stamp covers, by its index (EN 319 122-1 §5.5.2).
struct Covered {
  Bytes index;                          // ATSHashIndexV3, whole
  std::vector<std::size_t> revocation;  // positions in SignedData::revocation
  std::set<const Bytes*> attribute_values;
};

class TimeStamps {
 public:
  explicit TimeStamps(SignatureUnderValidation& signature) : it_(signature), context_(signature.context) {}

  void run() {
    const Time before = context_.options().existed_at.value_or(context_.now());
    if (context_.options().existed_at) it_.report.best_signature_time = before;
    for (const AttributeStamp& one : it_.stamps) {
      if (!one.token) {
        it_.find(Severity::warning, "timestamp-broken", "a time-stamp does not parse: " + one.fault,
                 one.attribute->offset, one.attribute->oid);
      }
    }
    // What is stamped is the signature value: of one that is not right nothing is proven.
    if (it_.value_right != std::optional(true)) return;
    proven_ = before;
    for (const AttributeStamp* const one : latest_first(StampKind::archive)) judge_archive(*one);
    for (const AttributeStamp* const one : latest_first(StampKind::signature)) judge_signature(*one);
    for (const AttributeStamp* const one : latest_first(StampKind::content)) judge_content(*one);
  }

 private:
  std::vector<const AttributeStamp*> latest_first(StampKind kind) const {
    std::vector<const AttributeStamp*> out;
    for (const AttributeStamp& one : it_.stamps) {
      if (one.kind == kind && one.token) out.push_back(&one);
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto* a, const auto* b) { return a->token->info().time > b->token->info().time; });
    return out;
  }

  /// Records the token, and says whether it holds over `imprint`.
  bool holds(const AttributeStamp& stamp, const MessageImprint& imprint) {
    const std::string words(kStamps[static_cast<std::size_t>(stamp.kind)].words);
    StampReport& entry = it_.report.stamps.emplace_back();
    entry.kind = stamp.kind;
    entry.time = stamp.token->info().time;
    entry.token = *stamp.value;
    const auto doubt = [&](std::string code, const std::string& message) {
      it_.find(Severity::warning, std::move(code), words + message, stamp.attribute->offset, stamp.attribute->oid);
      return false;
    };
    const HashRow& hash = row_of(imprint.hash);
    if (context_.policy().past(hash.name, hash.sunset_year, proven_)) {
      return doubt("timestamp-weak-algorithm", " rests on " + std::string(hash.name));
    }
    if (!(stamp.token->info().imprint == imprint)) {
      return doubt("timestamp-broken", " proves nothing: it stamps another content");
    }
    const auto verdict = judge_token(context_, *stamp.token, proven_);
    if (!verdict.ok()) {
      return doubt(verdict.untrusted ? "timestamp-not-trusted" : "timestamp-broken",
                   " proves nothing: " + verdict.reason);
    }
    if (verdict.certificate_elsewhere) {
      it_.find(Severity::note, "timestamp-certificate-elsewhere",
               words + " does not bring its authority's certificate; one at hand was taken", stamp.attribute->offset,
               stamp.attribute->oid);
    }
    entry.holds = true;
    return true;
  }

  // Each archive time-stamp lets those before it be judged as of its own time.
  void judge_archive(const AttributeStamp& stamp) {
    const auto covered = read_index(stamp);
    const Hash hash = stamp.token->info().imprint.hash;
    const auto& content = it_.content.digest(hash);
    if (!covered || !content) {
      it_.find(
          Severity::warning, "archive-timestamp-broken",
          "an archive time-stamp proves nothing: " +
              (covered ? "the content was not hashed with " + std::string(row_of(hash).name) : covered.error().message),
          stamp.attribute->offset, stamp.attribute->oid);
      return;
    }
    // EN 319 122-1 §5.5.3: content type, digest of the content, version to signature, the hash index.
    const Bytes message =
        concat({der::oid(std::string_view(it_.data.content_type)), *content, it_.signer.fields, covered->index});
    if (!holds(stamp, imprint_of(hash, message))) return;
    const Time time = stamp.token->info().time;
    for (const std::size_t position : covered->revocation) context_.prove_existence(position, time);
    for (const AttributeStamp& one : it_.stamps) {
      if (one.token && one.token->info().time > time && covered->attribute_values.contains(one.value)) {
        it_.fault(SubIndication::timestamp_order_failure, "timestamp-order",
                  "an archive time-stamp of " + format_time(time) + " covers a time-stamp of " +
                      format_time(one.token->info().time),
                  stamp.attribute->offset, stamp.attribute->oid);
      }
    }
    proven_ = time;
    it_.report.best_signature_time = time;
    ++it_.archive_stamps;
  }

  // ATSHashIndexV3 ::= SEQUENCE { hashIndAlgorithm AlgorithmIdentifier, certificatesHashIndex SEQUENCE OF OCTET STRING,
  //     crlsHashIndex SEQUENCE OF OCTET STRING, unsignedAttrValuesHashIndex SEQUENCE OF OCTET STRING }
  // Everything the index lists must still be there; what it does not list came later and is not covered.
  Result<Covered> read_index(const AttributeStamp& stamp) const {
    const SignedData inner = TRY(SignedData::parse(stamp.token->der()));
    const auto& attributes = inner.signers.front().unsigned_attributes;
    const auto found = attributes ? attributes->find(cms::kAtsHashIndexV3Oid) : std::vector<const CmsAttribute*>{};
    if (found.size() != 1 || found.front()->values.size() != 1) {
      return fail(ErrorKind::malformed, "it has no index of what it covers (ats-hash-index-v3)");
    }
    Covered out;
    out.index = found.front()->values.front();
    der::Reader outer(out.index);
    der::Reader reader = TRY(outer.enter(der::kSequence));
    TRY(outer.finish());
    const auto algorithm = TRY(read_algorithm_identifier(reader));
    const Hash hash = TRY(hash_of(algorithm.oid, algorithm.parameters));

    std::map<Bytes, std::size_t> certificates, lists;
    std::map<Bytes, const Bytes*> values;
    for (const CmsCertificate& one : it_.data.certificates) certificates.emplace(digest(hash, one.whole), 0);
    for (std::size_t i = 0; i < it_.data.revocation.size(); ++i) {
      lists.emplace(digest(hash, it_.data.revocation[i].whole), i);
    }
    for (const CmsAttribute& one : it_.signer.unsigned_attributes->list) {
      const Bytes oid = der::oid(std::string_view(one.oid));
      for (const Bytes& value : one.values) values.emplace(digest(hash, concat({oid, value})), &value);
    }
    const auto missing = [](const char* what) {
      return fail(ErrorKind::invalid_signature, std::string("a ") + what + " it covers is missing or changed");
    };
    der::Reader wanted = TRY(reader.enter(der::kSequence));
    while (!wanted.done()) {
      const ByteView one = TRY(wanted.octet_string());
      if (!certificates.contains(to_bytes(one))) return missing("certificate");
    }
    wanted = TRY(reader.enter(der::kSequence));
    while (!wanted.done()) {
      const ByteView one = TRY(wanted.octet_string());
      const auto at = lists.find(to_bytes(one));
      if (at == lists.end()) return missing("revocation entry");
      out.revocation.push_back(at->second);
    }
    wanted = TRY(reader.enter(der::kSequence));
    while (!wanted.done()) {
      const ByteView one = TRY(wanted.octet_string());
      const auto at = values.find(to_bytes(one));
      if (at == values.end()) return missing("unsigned attribute");
      out.attribute_values.insert(at->second);
    }
    TRY(reader.finish());
    return out;
  }

  void judge_signature(const AttributeStamp& stamp) {
    const Hash hash = stamp.token->info().imprint.hash;
    if (!holds(stamp, imprint_of(hash, it_.signer.signature))) return;
    const Time time = stamp.token->info().time;
    if (it_.archive_stamps != 0 && time > proven_) {
      it_.find(Severity::warning, "timestamp-order", "a signature time-stamp is later than the archive's",
               stamp.attribute->offset, stamp.attribute->oid);
      return;
    }
    ++it_.signature_stamps;
    it_.report.best_signature_time = std::min(it_.report.best_signature_time.value_or(time), time);
  }

  void judge_content(const AttributeStamp& stamp) {
    const Hash hash = stamp.token->info().imprint.hash;
    const auto& content = it_.content.digest(hash);
    if (!content || !holds(stamp, {.hash = hash, .digest = *content})) return;
    const Time time = stamp.token->info().time;
    it_.made_after = std::max(it_.made_after.value_or(time), time);
    if (it_.report.best_signature_time && time > *it_.report.best_signature_time) {
      it_.fault(SubIndication::timestamp_order_failure, "timestamp-order",
                "the content was time-stamped at " + format_time(time) +
                    " for the signer to sign it, and the signature already at " +
                    format_time(*it_.report.best_signature_time),
                stamp.attribute->offset, stamp.attribute->oid);
    }
  }

  SignatureUnderValidation& it_;
  ValidationContext& context_;
  Time proven_{};  // by then the next time-stamp existed
};

}  // namespace

std::vector<AttributeStamp> read_stamps(const CmsSigner& signer) {
  std::vector<AttributeStamp> out;
  read_from(signer.signed_attributes, true, out);
  read_from(signer.unsigned_attributes, false, out);
  return out;
}

void validate_time_stamps(SignatureUnderValidation& signature) {
  signature.enter(BuildingBlock::time_stamps);
  TimeStamps(signature).run();
}

TokenVerdict judge_token(const ValidationContext& context, const TimeStampToken& token, Time at) {
  TokenVerdict out;
  auto signer = verify_token_signature(token, {});
  if (!signer && signer.error().kind == ErrorKind::not_found) {
    signer = verify_token_signature(token, context.certificates());
    out.certificate_elsewhere = signer.has_value();
  }
  if (!signer) {
    out.reason = signer.error().message;
    out.unchecked = signer.error().kind == ErrorKind::not_found || signer.error().kind == ErrorKind::unsupported;
    return out;
  }
  out.signer = *signer;
  const Time stamped = token.info().time;
  if (stamped < signer->not_before() || stamped > signer->not_after()) {
    out.untrusted = true;
    out.reason = "time-stamp: it says " + format_time(stamped) + ", when the certificate of \"" +
                 signer->subject().to_text() + "\" was not valid";
    return out;
  }
  const RevocationMode mode =
      context.policy().revocation == RevocationMode::none ? RevocationMode::none : RevocationMode::if_known;
  out.path = context.timestamp_path(*signer, token.certificates(), at, mode);
  out.untrusted = !out.path.ok();
  if (out.untrusted) out.reason = "time-stamp: " + out.path.reason;
  return out;
}

SignatureReport verify_document_timestamp(ByteView octets, const DigestOf& digest_of, const TrustMaterial& trust,
                                          const ValidateOptions& options) {
  SignatureReport out;
  out.role = SignatureRole::timestamp;
  out.level = "document time-stamp";
  const auto refuse = [&](SubIndication sub, Integrity integrity, std::string code, std::string message) {
    out.verdict = sub_indications()[static_cast<std::size_t>(sub) - 1].verdict;
    out.sub_indication = sub;
    out.integrity = integrity;
    out.findings.push_back({Severity::fault, std::move(code), std::move(message), std::nullopt});
    BlockReport& block = out.blocks[static_cast<std::size_t>(BuildingBlock::time_stamps)];
    block = {.ran = true, .verdict = out.verdict, .sub_indication = sub};
    return out;
  };
  const auto token = TimeStampToken::from_der(octets);
  if (!token) {
    return refuse(SubIndication::format_failure, Integrity::unparsable, "unparsable", token.error().message);
  }
  const Hash hash = token->info().imprint.hash;
  out.digest = row_of(hash).name;
  out.algorithm = token->signature_algorithm();
  out.claimed_signing_time = token->info().time;
  const auto stamped = digest_of(hash);
  if (!stamped || token->info().imprint.digest != *stamped) {
    return refuse(SubIndication::hash_failure, Integrity::broken, "message-digest-mismatch",
                  "the document is not the one that was time-stamped");
  }
  out.content_digest = *stamped;
  const ValidationContext context(nullptr, trust, options);
  const Time at = options.existed_at.value_or(options.at);
  TokenVerdict verdict = judge_token(context, *token, at);
  if (!verdict.signer) {
    return verdict.unchecked
               ? refuse(SubIndication::no_signing_certificate_found, Integrity::unchecked, "signature-value",
                        verdict.reason)
               : refuse(SubIndication::sig_crypto_failure, Integrity::broken, "signature-value", verdict.reason);
  }
  out.signer = verdict.signer->subject().to_text();
  out.signer_display = verdict.signer->subject().display();
  out.chain = {*verdict.signer};
  if (const auto key = verdict.signer->public_key()) out.key = key->type_name();
  if (context.policy().past(row_of(hash).name, row_of(hash).sunset_year, at)) {
    return refuse(SubIndication::crypto_constraints_failure_no_poe, Integrity::intact, "weak-algorithm",
                  out.digest + " is no longer accepted");
  }
  if (!verdict.ok()) {
    // Outside the certificate's dates there is no path to speak of.
    const bool of_path = !verdict.path.ok();
    return refuse(of_path ? sub_indication_of(verdict.path) : SubIndication::no_certificate_chain_found,
                  Integrity::intact, of_path ? std::string(name_of(verdict.path.fault)) : "not-trusted",
                  verdict.reason);
  }
  if (context.stale_trust() && !context.policy().accept_stale_trust) {
    return refuse(SubIndication::certificate_chain_general_failure, Integrity::intact, "stale-trust-data",
                  "the list of whom to trust was due to be replaced at " + format_time(*trust.due));
  }
  out.chain = std::move(verdict.path.chain);
  out.revocation = std::move(verdict.path.revocation);
  out.blocks[static_cast<std::size_t>(BuildingBlock::time_stamps)].ran = true;
  out.verdict = Verdict::total_passed;
  out.integrity = Integrity::intact;
  out.best_signature_time = token->info().time;
  return out;
}

}  // namespace karta::crypto
