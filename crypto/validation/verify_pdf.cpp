#include "crypto/validation/verify_pdf.h"

#include <algorithm>
#include <map>

#include "crypto/cms/timestamp.h"
#include "crypto/digest.h"
#include "crypto/pdf/changes.h"

namespace karta::crypto {
namespace {

void add_fault(SignatureReport& report, Verdict verdict, SubIndication sub, std::string code, std::string message,
               std::optional<std::size_t> offset = {}, std::string object = {}) {
  Finding finding{Severity::fault, std::move(code), std::move(message), offset, {}, std::move(object)};
  if (verdict > report.verdict) {
    report.verdict = verdict;
    report.sub_indication = sub;
    report.findings.insert(report.findings.begin(), std::move(finding));
  } else {
    const auto behind_faults = std::find_if(report.findings.begin(), report.findings.end(),
                                            [](const Finding& one) { return one.severity != Severity::fault; });
    report.findings.insert(behind_faults, std::move(finding));
  }
}

void add_remark(SignatureReport& report, Severity severity, std::string code, std::string message,
                std::optional<std::size_t> offset = {}, std::string object = {}) {
  const auto place = std::find_if(report.findings.begin(), report.findings.end(),
                                  [&](const Finding& one) { return one.severity < severity; });
  report.findings.insert(place, {severity, std::move(code), std::move(message), offset, {}, std::move(object)});
}

/// Digests over the byte ranges of all signatures: the front of the file is hashed once, in passing, and each signature
/// continues from where its Contents begins.
class RangeDigests {
 public:
  RangeDigests(ByteView file, const std::vector<pdf::SignatureValue>& signatures) : file_(file) {
    for (const pdf::SignatureValue& one : signatures) {
      if (one.sound()) signatures_.push_back(&one);
    }
    std::sort(signatures_.begin(), signatures_.end(),
              [](const auto* a, const auto* b) { return a->byte_range[1] < b->byte_range[1]; });
  }

  Bytes of(const pdf::SignatureValue& wanted, Hash hash) {
    auto& known = digests_[hash];
    if (known.empty()) {
      Hasher front(hash);
      std::size_t done = 0;
      for (const pdf::SignatureValue* const one : signatures_) {
        front.update(file_.subspan(done, one->byte_range[1] - done));
        done = one->byte_range[1];
        Hasher whole = front.clone();
        whole.update(file_.subspan(one->byte_range[2], one->byte_range[3]));
        known[one] = whole.finish();
      }
    }
    return known.at(&wanted);
  }

 private:
  ByteView file_;
  std::vector<const pdf::SignatureValue*> signatures_;
  std::map<Hash, std::map<const pdf::SignatureValue*, Bytes>> digests_;
};

/// The document security store (EN 319 142-1 §5.4.2).
struct SecurityStore {
  ValidationEvidence evidence;
  std::vector<Finding> unreadable;  ///< entries that serve nobody: at most kMostUnreadable
  static constexpr std::size_t kMostUnreadable = 20;
};

SecurityStore read_store(const PdfFile& file) {
  SecurityStore out;
  const pdf::Document& document = file.document();
  const std::size_t last = document.last();
  const auto catalog = document.catalog(last);
  if (!catalog) return out;
  const auto store = document.get(**catalog, "DSS", last);
  if (!store) return out;
  const auto each = [&](const char* key, auto& list, const auto& read) {
    const auto items = document.get(**store, key, last);
    if (!items) return;
    for (const pdf::Object& item : (*items)->items) {
      const auto take = [&]() -> Status {
        const pdf::Object* const stream = TRY(document.resolve(item, last));
        if (!stream->is(pdf::Object::Kind::stream)) return fail(ErrorKind::malformed, "it is no stream");
        const Bytes octets = TRY(document.decode(*stream, last, item.ref));
        list.push_back(TRY(read(octets)));
        return {};
      };
      const Status taken = take();
      if (taken || out.unreadable.size() == SecurityStore::kMostUnreadable) continue;
      out.unreadable.push_back(
          {Severity::warning,
           "security-store",
           std::string("an entry of the security store's ") + key + " cannot be read: " + taken.error().message,
           std::nullopt,
           {},
           pdf::to_text(item.ref)});
    }
  };
  each("Certs", out.evidence.certificates, [](const Bytes& octets) { return Certificate::from_der(octets); });
  each("CRLs", out.evidence.crls, [](const Bytes& octets) { return Crl::from_der(octets); });
  each("OCSPs", out.evidence.ocsp, [](const Bytes& octets) { return OcspResponse::from_der(octets); });
  return out;
}

class PdfValidation {
 public:
  PdfValidation(const PdfFile& file, const TrustMaterial& trust, const ValidateOptions& options)
      : file_(file), document_(file.document()), trust_(trust), options_(options) {}

  Report run() {
    auto values = pdf::signatures(document_);
    if (!values) return unreadable_pdf(values.error());
    values_ = std::move(*values);
    Report out;
    out.format = "PDF";
    out.verdict = Verdict::total_passed;
    if (values_.empty()) return without_signatures(std::move(out));
    store_ = read_store(file_);
    if (options_.paths == nullptr) own_paths_.emplace(trust_.anchors, trust_.intermediates);
    RangeDigests digests(document_.file(), values_);
    analyse_changes();
    // The last first: a time-stamp that holds proves that all before it existed.
    std::optional<Time> proven = options_.existed_at;
    for (auto value = values_.rbegin(); value != values_.rend(); ++value) {
      SignatureReport report = verify_one(*value, digests, proven);
      if (value->is_timestamp && report.passed() && report.best_signature_time) {
        store_stamped_ = store_stamped_ || has_store(value->signed_revision);
        proven = std::min(proven.value_or(*report.best_signature_time), *report.best_signature_time);
      }
      out.verdict = std::max(out.verdict, report.verdict);
      out.signatures.push_back(std::move(report));
    }
    std::reverse(out.signatures.begin(), out.signatures.end());
    return out;
  }

 private:
  /// A document nobody signed, or one whose signatures somebody took out of its form.
  Report without_signatures(Report out) const {
    out.verdict = Verdict::indeterminate;
    if (document_.last() == 0) return out;
    for (const pdf::Ref ref : pdf::unreachable_signatures(document_)) {
      SignatureReport one;
      one.level = "PDF";
      one.integrity = Integrity::broken;
      one.changes_after = ChangesAfter::not_allowed;
      add_fault(one, Verdict::total_failed, SubIndication::format_failure, "signature-removed",
                "a signature stands in the file, but no form field leads to it any more", std::nullopt,
                pdf::to_text(ref));
      out.verdict = Verdict::total_failed;
      out.signatures.push_back(std::move(one));
      if (out.signatures.size() == kMostRemoved) break;
    }
    return out;
  }
  static constexpr std::size_t kMostRemoved = 20;

  bool has_store(std::size_t revision) const {
    const auto catalog = document_.catalog(revision);
    return catalog && (*catalog)->find("DSS") != nullptr;
  }

  SignatureReport verify_one(const pdf::SignatureValue& value, RangeDigests& digests, std::optional<Time> proven) {
    SignatureReport out = verify_value(value, digests, proven);
    out.field = value.field.name;
    if (value.is_timestamp) out.role = SignatureRole::timestamp;
    // A time-stamp over a document without its validation data does not keep them (EN 319 142-1 §6.3, B-LTA).
    if (!store_stamped_ && out.level == "PAdES-B-LTA") out.level = "PAdES-B-LT";
    if (!value.remark.empty()) {
      add_remark(out, Severity::warning, "contents-form", value.remark + ": other octets would read the same",
                 value.contents_begin, pdf::to_text(value.ref));
    }
    for (const Finding& one : store_.unreadable) {
      add_remark(out, one.severity, one.code, one.message, one.offset, one.object);
    }
    if (value.sound()) add_changes(out, value);
    return out;
  }

  SignatureReport verify_value(const pdf::SignatureValue& value, RangeDigests& digests, std::optional<Time> proven) {
    SignatureReport broken;
    broken.level = "PDF";
    if (!value.sound()) {
      broken.integrity = Integrity::broken;
      add_fault(broken, Verdict::total_failed, SubIndication::format_failure, value.fault_code, value.fault,
                value.fault_offset, pdf::to_text(value.ref));
      return broken;
    }
    const auto cms = pdf::cms_of(value);
    if (!cms) {
      broken.integrity = Integrity::unparsable;
      add_fault(broken, Verdict::total_failed, SubIndication::format_failure, "pdf-contents", cms.error().message,
                value.contents_begin, pdf::to_text(value.ref));
      return broken;
    }
    const DigestOf digest_of = [&](Hash hash) -> Result<Bytes> { return digests.of(value, hash); };
    ValidateOptions options = options_;
    options.in_document = &store_.evidence;
    options.existed_at = proven;
    if (own_paths_) options.paths = &*own_paths_;
    if (value.is_timestamp) return verify_document_timestamp(*cms, digest_of, trust_, options);
    if (value.sub_filter != "ETSI.CAdES.detached" && value.sub_filter != "adbe.pkcs7.detached") {
      broken.integrity = Integrity::unchecked;
      add_fault(broken, Verdict::indeterminate, SubIndication::format_failure, "unsupported-format",
                "signature format \"" + value.sub_filter + "\" is not supported", value.contents_begin);
      return broken;
    }
    options.pades = value.sub_filter == "ETSI.CAdES.detached";
    Report report = verify_cms_digest(*cms, digest_of, trust_, options);
    if (report.signatures.size() > 1 && report.signatures[1].role == SignatureRole::signature) {
      add_fault(report.signatures.front(), Verdict::total_failed, SubIndication::format_failure, "several-signers",
                "a PDF signature has one signer, this one has more", value.contents_begin);
    }
    SignatureReport out = std::move(report.signatures.front());
    if (!options.pades && out.level.starts_with("CAdES")) out.level = "PDF (" + out.level + ")";
    if (!out.claimed_signing_time) out.claimed_signing_time = claimed_time(value);
    return out;
  }

  // §7.9.4: D:YYYYMMDDHHmmSS and Z, or an offset.
  std::optional<Time> claimed_time(const pdf::SignatureValue& value) const {
    const auto object = document_.get(*value.dictionary, "M", document_.last());
    if (!object || !(*object)->is(pdf::Object::Kind::string)) return std::nullopt;
    const std::string text = pdf::text_of(**object);
    if (text.size() < 16 || !text.starts_with("D:")) return std::nullopt;
    const auto part = [&](std::size_t at, std::size_t count) { return text.substr(at, count); };
    auto time = parse_time(part(2, 4) + "-" + part(6, 2) + "-" + part(8, 2) + "T" + part(10, 2) + ":" + part(12, 2) +
                           ":" + part(14, 2) + "Z");
    if (!time) return std::nullopt;
    const char sign = text.size() > 16 ? text[16] : 'Z';
    const auto digits = [&](std::size_t at) {
      return text.size() >= at + 2 && text[at] >= '0' && text[at] <= '9' && text[at + 1] >= '0' && text[at + 1] <= '9'
                 ? (text[at] - '0') * 10 + (text[at + 1] - '0')
                 : 0;
    };
    if (sign == '+' || sign == '-') {
      const auto offset = std::chrono::hours(digits(17)) + std::chrono::minutes(digits(20));
      *time += sign == '+' ? -std::chrono::duration_cast<std::chrono::seconds>(offset)
                           : std::chrono::duration_cast<std::chrono::seconds>(offset);
    }
    return *time;
  }

  void analyse_changes() {
    const auto first = std::find_if(values_.begin(), values_.end(), [](const auto& one) { return one.sound(); });
    if (first == values_.end()) return;
    auto changes = pdf::changes_after(document_, first->signed_revision, values_);
    if (changes) {
      changes_ = std::move(*changes);
    } else {
      changes_fault_ = changes.error().message;
    }
    gaps_ = pdf::unexplained_octets(document_, first->signed_revision);
  }

  void add_changes(SignatureReport& out, const pdf::SignatureValue& value) {
    if (value.covers_whole_file) {
      out.changes_after = ChangesAfter::none;
      return;
    }
    out.changes_after = ChangesAfter::allowed;
    if (!changes_fault_.empty()) {
      out.changes_after = ChangesAfter::not_allowed;
      add_fault(out, Verdict::total_failed, SubIndication::format_failure, "changes-unreadable",
                "what was changed after the signature cannot be read: " + changes_fault_);
      return;
    }
    std::size_t refused = 0, visible = 0;
    std::string named, first;
    std::vector<ChangedObject> fine;
    for (const pdf::RevisionChanges& step : changes_) {
      if (step.revision <= value.signed_revision) continue;
      for (const pdf::Change& one : step.list) {
        ChangedObject object{pdf::to_text(one.ref), std::string(pdf::name_of(one.kind)), one.what, step.revision,
                             one.allowed};
        if (one.allowed) {
          visible += one.visible ? 1 : 0;
          if (one.kind != pdf::ChangeKind::auxiliary && fine.size() < kMostListedChanges)
            fine.push_back(std::move(object));
          continue;
        }
        if (first.empty()) first = object.object;
        if (++refused <= 3) named += (named.empty() ? "" : ", ") + one.what + " (object " + object.object + ")";
        if (out.changes.size() < kMostListedChanges) out.changes.push_back(std::move(object));
      }
    }
    for (ChangedObject& one : fine) {
      if (out.changes.size() < kMostListedChanges) out.changes.push_back(std::move(one));
    }
    if (refused != 0) {
      out.changes_after = ChangesAfter::not_allowed;
      add_fault(out, Verdict::total_failed, SubIndication::format_failure, "changed-after-signing",
                "the document was changed after it was signed: " + named +
                    (refused > 3 ? " and " + std::to_string(refused - 3) + " more" : ""),
                std::nullopt, first);
    } else if (visible != 0) {
      add_remark(out, Severity::warning, "visible-change-after-signing",
                 "later signatures or fields draw on the pages that were signed: look at the page as it was signed");
    }
    const std::size_t end = value.byte_range[2] + value.byte_range[3];
    for (const pdf::Gap& gap : gaps_) {
      if (gap.offset < end) continue;
      const std::string octets = std::to_string(gap.octets) + " octets after the signature belong to no object";
      if (gap.holds_object) {
        out.changes_after = ChangesAfter::not_allowed;
        add_fault(out, Verdict::total_failed, SubIndication::format_failure, "unexplained-octets",
                  octets + ", and an object stands in them that other readers may find", gap.offset);
      } else {
        add_remark(out, Severity::warning, "unexplained-octets", octets, gap.offset);
      }
    }
  }

  const PdfFile& file_;
  const pdf::Document& document_;
  const TrustMaterial& trust_;
  const ValidateOptions& options_;
  std::vector<pdf::SignatureValue> values_;
  SecurityStore store_;
  bool store_stamped_ = false;  // a document time-stamp that holds covers the store
  std::optional<PathVerifier> own_paths_;
  std::vector<pdf::RevisionChanges> changes_;
  std::string changes_fault_;
  std::vector<pdf::Gap> gaps_;
};

}  // namespace

Result<bool> has_signatures(const PdfFile& file) {
  const auto list = TRY(pdf::signatures(file.document()));
  return !list.empty();
}

Report verify_pdf(const PdfFile& file, const TrustMaterial& trust, const ValidateOptions& options) {
  return PdfValidation(file, trust, options).run();
}

Report unreadable_pdf(const Error& error) {
  SignatureReport one;
  one.verdict = Verdict::total_failed;
  one.sub_indication = SubIndication::format_failure;
  one.integrity = Integrity::unparsable;
  one.level = "PDF";
  one.findings.push_back({Severity::fault, "unparsable", error.message, std::nullopt});
  Report out;
  out.format = "PDF";
  out.signatures.push_back(std::move(one));
  return out;
}

}  // namespace karta::crypto
