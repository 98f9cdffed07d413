#include "crypto/validation/etsi_report.h"

#include <algorithm>
#include <array>
#include <map>

#include "crypto/digest.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kReportNamespace = "http://uri.etsi.org/19102/v1.4.1#";
constexpr std::string_view kSignatureNamespace = "http://www.w3.org/2000/09/xmldsig#";
constexpr std::string_view kXadesNamespace = "http://uri.etsi.org/01903/v1.3.2#";

// URIs of TS 119 102-2 §4; words of ours stand under urn:karta.
constexpr std::string_view kMainIndication = "urn:etsi:019102:mainindication:";
constexpr std::string_view kSubIndication = "urn:etsi:019102:subindication:";

struct UriRow {
  std::string_view name;
  std::string_view uri;
};
// RFC 9231 §2.1, RFC 6931; RFC 9215 has the GOST ones. What has no URI is named by its OID.
constexpr auto kDigestUris = std::to_array<UriRow>({
    {"md5", "http://www.w3.org/2001/04/xmldsig-more#md5"},
    {"sha1", "http://www.w3.org/2000/09/xmldsig#sha1"},
    {"sha256", "http://www.w3.org/2001/04/xmlenc#sha256"},
    {"sha384", "http://www.w3.org/2001/04/xmldsig-more#sha384"},
    {"sha512", "http://www.w3.org/2001/04/xmlenc#sha512"},
});
constexpr auto kSignatureUris = std::to_array<UriRow>({
    {"rsa-pkcs1-md5", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"},
    {"rsa-pkcs1-sha1", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
    {"rsa-pkcs1-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"},
    {"rsa-pkcs1-sha384", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"},
    {"rsa-pkcs1-sha512", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"},
    {"rsa-pss-sha256", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"},
    {"rsa-pss-sha384", "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"},
    {"rsa-pss-sha512", "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"},
    {"ecdsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"},
    {"ecdsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"},
    {"ecdsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"},
    {"ecdsa-sha512", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"},
    {"ed25519", "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519"},
});
// TS 119 102-2 §4.4.9 after RFC 5280 §5.3.1.
constexpr auto kReasonUris = std::to_array<UriRow>({
    {"unspecified", "urn:etsi:019102:revocationReason:unspecified"},
    {"keyCompromise", "urn:etsi:019102:revocationReason:keyCompromise"},
    {"cACompromise", "urn:etsi:019102:revocationReason:cACompromise"},
    {"affiliationChanged", "urn:etsi:019102:revocationReason:affiliationChanged"},
    {"superseded", "urn:etsi:019102:revocationReason:superseded"},
    {"cessationOfOperation", "urn:etsi:019102:revocationReason:cessationOfOperation"},
    {"certificateHold", "urn:etsi:019102:revocationReason:certificateHold"},
    {"privilegeWithdrawn", "urn:etsi:019102:revocationReason:privilegeWithdrawn"},
    {"aACompromise", "urn:etsi:019102:revocationReason:aACompromise"},
});

/// `word` is a row's name, or an OID.
std::string uri_of(std::span<const UriRow> rows, std::string_view word, std::string_view oid) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const UriRow& one) { return one.name == word; });
  if (found != rows.end()) return std::string(found->uri);
  return "urn:oid:" + std::string(oid.empty() ? word : oid);
}
std::string digest_uri(std::string_view word) {
  const auto hash = find_hash(word);
  return uri_of(kDigestUris, word, hash ? row_of(*hash).oid : std::string_view());
}
std::string signature_uri(std::string_view word) {
  const auto algorithm = find_algorithm(word);
  return uri_of(kSignatureUris, word, algorithm ? row_of(*algorithm).oid : std::string_view());
}

/// Characters of a text that XML 1.0 can hold (§2.2), markup written as references; the rest, and what is no UTF-8,
/// becomes U+FFFD.
void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  for (std::size_t i = 0; i < text.size();) {
    const auto octet = static_cast<std::uint8_t>(text[i]);
    if (octet < 0x80) {
      ++i;
      switch (octet) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\r':
          out += "&#13;";
          break;
        default:
          if (octet >= 0x20 || octet == '\t' || octet == '\n') {
            out.push_back(static_cast<char>(octet));
          } else {
            out += kReplacement;
          }
      }
      continue;
    }
    const std::size_t length = octet >= 0xF0 ? 4 : octet >= 0xE0 ? 3 : 2;
    std::uint32_t value = octet & (0xFFu >> (length + 1));
    bool good = octet >= 0xC2 && octet < 0xF5 && i + length <= text.size();
    for (std::size_t k = 1; good && k < length; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      good = (next & 0xC0) == 0x80;
      value = value << 6 | (next & 0x3Fu);
    }
    good = good && !(length == 3 && value < 0x800) && !(length == 4 && (value < 0x10000 || value > 0x10FFFF)) &&
           !(value >= 0xD800 && value < 0xE000) && value != 0xFFFE && value != 0xFFFF;
    if (good) {
      out += text.substr(i, length);
      i += length;
    } else {
      out += kReplacement;
      ++i;
    }
  }
}

/// Elements opened and closed in order. Written here: what is needed is small, and libxml2 brings ICU's 30 MB into the
/// start of every process that is linked to it.
class Xml {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  void open(std::string_view name, Attributes attributes = {}) {
    start(name, attributes);
    out_ += ">\n";
    stack_.emplace_back(name);
  }
  void close() {
    const std::string name = std::move(stack_.back());
    stack_.pop_back();
    indent();
    out_ += "</" + name + ">\n";
  }
  void text(std::string_view name, std::string_view value, Attributes attributes = {}) {
    start(name, attributes);
    out_.push_back('>');
    append_escaped(out_, value);
    out_ += "</" + std::string(name) + ">\n";
  }
  void empty(std::string_view name, Attributes attributes) {
    start(name, attributes);
    out_ += "/>\n";
  }
  std::string finish() { return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + std::move(out_); }

 private:
  void indent() { out_.append(stack_.size() * 2, ' '); }
  void start(std::string_view name, Attributes attributes) {
    indent();
    out_ += "<" + std::string(name);
    for (const auto& [key, value] : attributes) {
      out_ += " " + std::string(key) + "=\"";
      append_escaped(out_, value);
      out_.push_back('"');
    }
  }
  std::string out_;
  std::vector<std::string> stack_;
};

class EtsiReport {
 public:
  EtsiReport(Time validated_at, const ValidationPolicy& policy) : at_(format_time(validated_at)), policy_(policy) {}

  std::string write(std::span<const JudgedDocument> documents) {
    xml_.open("ValidationReport",
              {{"xmlns", kReportNamespace}, {"xmlns:ds", kSignatureNamespace}, {"xmlns:xades", kXadesNamespace}});
    for (const JudgedDocument& one : documents) {
      if (one.report == nullptr || one.report->signatures.empty()) {
        write_unsigned(one.name);
        continue;
      }
      for (const SignatureReport& signature : one.report->signatures) write_signature(one.name, signature);
    }
    write_objects();
    xml_.close();
    return xml_.finish();
  }

 private:
  // --- validation objects, each once ---

  std::string object(std::string_view prefix, std::string_view type, ByteView octets) {
    const std::string id = std::string(prefix) + to_hex(digest(Hash::sha256, octets));
    if (!known_.contains(id)) {
      known_.emplace(id, objects_.size());
      objects_.push_back({id, std::string(type), to_base64(octets)});
    }
    return id;
  }
  std::string certificate(const Certificate& one) { return object("C-", "certificate", one.der()); }

  void write_objects() {
    if (objects_.empty()) return;
    xml_.open("SignatureValidationObjects");
    for (const Object& one : objects_) {
      xml_.open("ValidationObject", {{"id", one.id}});
      xml_.text("ObjectType", "urn:etsi:019102:validationObject:" + one.type);
      xml_.open("ValidationObjectRepresentation");
      xml_.text("base64", one.base64);
      xml_.close();
      xml_.close();
    }
    xml_.close();
  }

  // --- a signature, §4.3 ---

  void write_unsigned(const std::string& name) {
    xml_.open("SignatureValidationReport");
    xml_.open("SignatureIdentifier", {{"id", "S-" + std::to_string(++count_)}});
    xml_.text("HashOnly", "false");
    xml_.text("DocHashOnly", "false");
    xml_.text("DAIdentifier", name);
    xml_.close();
    xml_.open("SignatureValidationStatus");
    xml_.text("MainIndication", "urn:karta:mainindication:no-signature");
    xml_.close();
    xml_.close();
  }

  void write_signature(const std::string& name, const SignatureReport& one) {
    id_ = "S-" + std::to_string(++count_);
    xml_.open("SignatureValidationReport");
    write_identifier(name, one);
    write_constraints(one);
    write_times(one);
    if (!one.content_digest.empty()) {
      xml_.open("SignersDocument");
      write_digest("DigestAlgAndValue", digest_uri(one.digest), one.content_digest);
      xml_.close();
    }
    write_attributes(one);
    if (!one.chain.empty()) {
      xml_.open("SignerInformation");
      xml_.empty("SignerCertificate", {{"VOReference", certificate(one.chain.front())}});
      xml_.text("Signer", one.signer);
      xml_.close();
    }
    xml_.open("SignatureValidationProcess");
    const bool archived = std::any_of(one.stamps.begin(), one.stamps.end(), [](const StampReport& stamp) {
      return stamp.kind == StampKind::archive && stamp.holds;
    });
    xml_.text("SignatureValidationProcessID",
              std::string("urn:etsi:019102:validationprocess:") + (archived                  ? "LTA"
                                                                   : one.best_signature_time ? "LTVM"
                                                                                             : "Basic"));
    xml_.close();
    write_status(one);
    xml_.close();
  }

  void write_identifier(const std::string& name, const SignatureReport& one) {
    xml_.open("SignatureIdentifier", {{"id", id_}});
    if (!one.signature_value.empty()) xml_.text("ds:SignatureValue", to_base64(one.signature_value));
    xml_.text("HashOnly", "false");
    xml_.text("DocHashOnly", "false");
    xml_.text("DAIdentifier", name + (one.field.empty() ? "" : "#" + one.field));
    xml_.close();
  }

  void write_indication(std::string_view main, SubIndication sub) {
    std::string word(main);
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    xml_.text("MainIndication", std::string(kMainIndication) + word);
    if (sub != SubIndication::none) {
      xml_.text("SubIndication", std::string(kSubIndication) + std::string(name_of(sub)));
    }
  }

  void write_constraints(const SignatureReport& one) {
    xml_.open("ValidationConstraintsEvaluationReport");
    xml_.open("SignatureValidationPolicy");
    xml_.open("SignaturePolicyIdentifier");
    xml_.empty("xades:SignaturePolicyImplied", {});
    xml_.close();
    xml_.text("PolicyName", policy_.name.empty() ? "karta: built in" : policy_.name);
    xml_.close();
    for (std::size_t i = 0; i < kBuildingBlocks; ++i) {
      const BlockReport& block = one.blocks[i];
      xml_.open("ValidationConstraint");
      xml_.text("ValidationConstraintIdentifier",
                "urn:karta:building-block:" + std::string(name_of(static_cast<BuildingBlock>(i))));
      xml_.open("ConstraintStatus");
      xml_.text("Status", std::string("urn:etsi:019102:constraintStatus:") + (block.ran ? "applied" : "disabled"));
      xml_.close();
      if (block.ran) {
        xml_.open("ValidationStatus");
        write_indication(block.verdict == Verdict::total_passed    ? "passed"
                         : block.verdict == Verdict::indeterminate ? "indeterminate"
                                                                   : "failed",
                         block.sub_indication);
        xml_.close();
      }
      xml_.close();
    }
    xml_.close();
  }

  void write_times(const SignatureReport& one) {
    xml_.open("ValidationTimeInfo");
    xml_.text("ValidationTime", at_);
    xml_.open("BestSignatureTime");
    xml_.text("POETime", one.best_signature_time ? format_time(*one.best_signature_time) : at_);
    xml_.text("TypeOfProof", "urn:etsi:019102:poetype:validation");
    if (one.best_signature_time) {
      const auto proof = std::find_if(one.stamps.begin(), one.stamps.end(), [&](const StampReport& stamp) {
        return stamp.holds && stamp.kind != StampKind::content && stamp.time == *one.best_signature_time;
      });
      if (proof != one.stamps.end()) {
        xml_.empty("POEObject", {{"VOReference", object("T-", "timestamp", proof->token)}});
      }
    }
    xml_.close();
    xml_.close();
  }

  void write_digest(std::string_view element, const std::string& uri, ByteView value) {
    xml_.open(element);
    xml_.empty("ds:DigestMethod", {{"Algorithm", uri}});
    xml_.text("ds:DigestValue", to_base64(value));
    xml_.close();
  }

  void write_attributes(const SignatureReport& one) {
    if (!one.claimed_signing_time && one.stamps.empty()) return;
    static constexpr auto kElements =
        std::to_array<std::string_view>({"AllDataObjectsTimeStamp", "SignatureTimeStamp", "ArchiveTimeStamp"});
    xml_.open("SignatureAttributes");
    if (one.claimed_signing_time) {
      xml_.open("SigningTime", {{"Signed", "true"}});
      xml_.text("Time", format_time(*one.claimed_signing_time));
      xml_.close();
    }
    for (const StampReport& stamp : one.stamps) {
      xml_.open(kElements[static_cast<std::size_t>(stamp.kind)],
                {{"Signed", stamp.kind == StampKind::content ? "true" : "false"}});
      xml_.empty("AttributeObject", {{"VOReference", object("T-", "timestamp", stamp.token)}});
      xml_.text("TimeStampValue", format_time(stamp.time));
      xml_.close();
    }
    xml_.close();
  }

  // --- §4.3.4, with the data that led to the status, §4.4 ---

  void write_status(const SignatureReport& one) {
    xml_.open("SignatureValidationStatus");
    write_indication(name_of(one.verdict), one.sub_indication);
    xml_.open("AssociatedValidationReportData");
    // The chain of a signature that passed ends at an anchor; otherwise it ends where the search did.
    const bool anchored = one.passed() && !one.chain.empty();
    if (anchored) xml_.empty("TrustAnchor", {{"VOReference", certificate(one.chain.back())}});
    if (!one.chain.empty()) {
      xml_.open("CertificateChain");
      xml_.empty("SigningCertificate", {{"VOReference", certificate(one.chain.front())}});
      const std::size_t end = one.chain.size() - (anchored && one.chain.size() > 1 ? 1 : 0);
      for (std::size_t i = 1; i < end; ++i) {
        xml_.empty("IntermediateCertificate", {{"VOReference", certificate(one.chain[i])}});
      }
      if (anchored) xml_.empty("TrustAnchor", {{"VOReference", certificate(one.chain.back())}});
      xml_.close();
    }
    write_revocation(one);
    if (!one.algorithm.empty()) {
      const bool weak = std::any_of(one.findings.begin(), one.findings.end(),
                                    [](const Finding& f) { return f.code == "weak-algorithm"; });
      xml_.open("CryptoInformation");
      xml_.empty("ValidationObjectId", {{"VOReference", id_}});
      xml_.text("Algorithm", signature_uri(one.algorithm));
      xml_.text("SecureAlgorithm", weak ? "false" : "true");
      xml_.close();
    }
    if (!one.findings.empty()) {
      xml_.open("AdditionalValidationReportData");
      for (const Finding& finding : one.findings) {
        xml_.open("ReportData");
        xml_.text("Type", "urn:karta:finding:" + std::string(name_of(finding.severity)) + ":" + finding.code);
        xml_.text("Value", finding.message + place_of(finding));
        xml_.close();
      }
      xml_.close();
    }
    xml_.close();
    xml_.close();
  }

  static std::string place_of(const Finding& finding) {
    std::string out;
    if (finding.offset) out += "octet " + std::to_string(*finding.offset);
    if (!finding.attribute.empty()) out += (out.empty() ? "" : ", ") + ("attribute " + finding.attribute);
    if (!finding.object.empty()) out += (out.empty() ? "" : ", ") + ("object " + finding.object);
    return out.empty() ? out : " (" + out + ")";
  }

  void write_revocation(const SignatureReport& one) {
    for (std::size_t i = 0; i < one.revocation.size() && i < one.chain.size(); ++i) {
      const RevocationResult& known = one.revocation[i];
      if (known.status != RevocationStatus::revoked || !known.revoked_at) continue;
      xml_.open("RevocationStatusInformation");
      xml_.empty("ValidationObjectId", {{"VOReference", certificate(one.chain[i])}});
      xml_.text("RevocationTime", format_time(*known.revoked_at));
      if (known.revocation_reason) {
        const std::string_view word = name_of(*known.revocation_reason);
        const auto row =
            std::find_if(kReasonUris.begin(), kReasonUris.end(), [&](const UriRow& uri) { return uri.name == word; });
        if (row != kReasonUris.end()) xml_.text("RevocationReason", row->uri);
      }
      xml_.close();
      return;  // the schema has room for one
    }
  }

  struct Object {
    std::string id, type, base64;
  };

  std::string at_;
  const ValidationPolicy& policy_;
  Xml xml_;
  std::string id_;
  std::size_t count_ = 0;
  std::map<std::string, std::size_t> known_;
  std::vector<Object> objects_;
};

}  // namespace

std::string etsi_report(std::span<const JudgedDocument> documents, Time validated_at, const ValidationPolicy& policy) {
  return EtsiReport(validated_at, policy).write(documents);
}

}  // namespace karta::crypto
