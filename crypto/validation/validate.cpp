#include "crypto/validation/validate.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/signed_data.h"
#include "crypto/cms/timestamp.h"
#include "crypto/digest.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

const ValidationPolicy kDefaultPolicy;

/// The attributes whose values are time-stamp tokens of a signer.
std::vector<TimeStampToken> tokens_of(const CmsSigner& signer, std::string_view oid) {
  std::vector<TimeStampToken> out;
  if (!signer.unsigned_attributes) return out;
  for (const CmsAttribute* const attribute : signer.unsigned_attributes->find(oid)) {
    for (const Bytes& value : attribute->values) {
      if (auto token = TimeStampToken::from_der(value)) out.push_back(std::move(*token));
    }
  }
  return out;
}

/// Digests of the content under every hash the signers ask for.
using ContentDigests = std::array<std::optional<Bytes>, kHashes.size()>;

std::vector<Hash> hashes_wanted(const SignedData& data) {
  std::vector<Hash> out;
  for (const CmsSigner& signer : data.signers) {
    const auto hash = hash_of(signer.digest_algorithm.oid, signer.digest_algorithm.parameters);
    if (hash && std::find(out.begin(), out.end(), *hash) == out.end()) out.push_back(*hash);
    for (const TimeStampToken& token : tokens_of(signer, cms::kArchiveTimestampV3Oid)) {
      const Hash stamped = token.info().imprint.hash;
      if (std::find(out.begin(), out.end(), stamped) == out.end()) out.push_back(stamped);
    }
  }
  return out;
}

/// Turns lone line feeds into CR LF, as mail programs (and openssl without -binary) do before they sign.
class TextHasher {
 public:
  explicit TextHasher(Hash hash) : hasher_(hash) {}

  void update(ByteView octets) {
    static constexpr std::uint8_t kCrLf[] = {'\r', '\n'};
    std::size_t from = 0;
    for (std::size_t i = 0; i < octets.size(); ++i) {
      const std::uint8_t octet = octets[i];
      plain_ = plain_ && (octet >= 0x20 || octet == '\t' || octet == '\n' || octet == '\r' || octet == '\f');
      if (octet == '\n' && last_ != '\r') {
        hasher_.update(octets.subspan(from, i - from));
        hasher_.update(kCrLf);
        from = i + 1;
      }
      last_ = octet;
    }
    hasher_.update(octets.subspan(from));
  }
  /// No control characters but those that lay out lines.
  bool plain() const { return plain_; }
  Bytes finish() { return hasher_.finish(); }

 private:
  Hasher hasher_;
  std::uint8_t last_ = 0;
  bool plain_ = true;
};

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
// True for a DER SET of attributes with message-digest among them: what a signature with attributes is made over.
bool is_attribute_set(ByteView octets) {
  der::Reader outer(octets);
  auto list = outer.enter(der::kSet);
  if (!list || !outer.finish()) return false;
  bool has_digest = false;
  while (!list->done()) {
    auto attribute = list->enter(der::kSequence);
    if (!attribute) return false;
    const auto oid = attribute->oid();
    if (!oid || !attribute->expect(der::kSet) || !attribute->finish()) return false;
    has_digest = has_digest || der::oid_to_text(*oid) == cms::kMessageDigestOid;
  }
  return has_digest;
}

/// The content, wherever it is, hashed once.
class Content {
 public:
  Content(const SignedData& data, ContentSource* detached, const DigestOf* digest_of = nullptr)
      : data_(data), detached_(detached), digest_of_(digest_of) {}

  bool beside() const { return detached_ != nullptr || digest_of_ != nullptr; }
  bool twice() const { return data_.has_content && beside(); }
  bool missing() const { return !data_.has_content && !beside(); }

  Status hash() {
    if (twice() || missing()) return {};
    if (data_.passed) {
      for (const HashRow& row : kHashes) {
        if (const Bytes* const found = data_.passed->digests.find(row.id)) {
          digests_[static_cast<std::size_t>(row.id)] = *found;
        }
      }
      head_ = data_.passed->head;
      return {};
    }
    if (digest_of_ != nullptr) {
      for (const Hash hash : hashes_wanted(data_)) digests_[static_cast<std::size_t>(hash)] = TRY((*digest_of_)(hash));
      return {};
    }
    std::vector<std::pair<Hash, Hasher>> hashers;
    for (const Hash hash : hashes_wanted(data_)) hashers.emplace_back(hash, Hasher(hash));
    const bool keep_head = std::any_of(data_.signers.begin(), data_.signers.end(),
                                       [](const CmsSigner& signer) { return !signer.signed_attributes; });
    TRY(for_each_piece([&](ByteView piece) {
      for (auto& [hash, hasher] : hashers) hasher.update(piece);
      if (keep_head) append(head_, piece.first(std::min(piece.size(), kHeadOctets + 1 - head_.size())));
    }));
    for (auto& [hash, hasher] : hashers) digests_[static_cast<std::size_t>(hash)] = hasher.finish();
    return {};
  }
  const std::optional<Bytes>& digest(Hash hash) const { return digests_[static_cast<std::size_t>(hash)]; }
  /// The whole content is a set of signed attributes.
  bool is_signed_attributes() const {
    return digest_of_ == nullptr && head_.size() <= kHeadOctets && is_attribute_set(head_);
  }

  /// The digest of a detached plain text with CR LF line ends, read a second time; empty if it is no such text.
  std::optional<Bytes> text_digest(Hash hash) {
    if (data_.has_content || detached_ == nullptr || !detached_->rewind()) return std::nullopt;
    TextHasher hasher(hash);
    if (!for_each_piece([&](ByteView piece) { hasher.update(piece); }) || !hasher.plain()) return std::nullopt;
    return hasher.finish();
  }

  /// The enveloped content in one piece; empty if it is beside.
  std::optional<Bytes> enveloped() const {
    if (!data_.has_content || data_.passed) return std::nullopt;
    Bytes out;
    for (const ByteView piece : data_.content) append(out, piece);
    return out;
  }

 private:
  template <class Consume>
  Status for_each_piece(Consume consume) {
    if (data_.has_content) {
      for (const ByteView piece : data_.content) consume(piece);
      return {};
    }
    Bytes scratch;
    for (;;) {
      const ByteView piece = TRY(detached_->next(scratch));
      if (piece.empty()) return {};
      consume(piece);
    }
  }

  static constexpr std::size_t kHeadOctets = CmsLimits{}.attributes_octets;

  const SignedData& data_;
  ContentSource* detached_;
  const DigestOf* digest_of_;
  ContentDigests digests_;
  Bytes head_;  // for signers without attributes: as much of the content as attributes can be long, and an octet more
};

/// A certificate that came in the file.
struct BagEntry {
  std::size_t offset = 0;
  std::optional<Certificate> certificate;
  std::string fault;  // why there is none
};

std::vector<BagEntry> read_bag(const SignedData& data) {
  std::vector<BagEntry> out;
  for (const CmsCertificate& one : data.certificates) {
    BagEntry entry{.offset = one.offset, .certificate = {}, .fault = {}};
    if (!one.x509) {
      entry.fault = "it is no X.509 certificate";
    } else if (auto parsed = Certificate::from_der(one.whole)) {
      entry.certificate = std::move(*parsed);
    } else {
      entry.fault = parsed.error().message;
    }
    out.push_back(std::move(entry));
  }
  return out;
}

/// What a signing-certificate attribute says of the signer's certificate.
struct CertificateReference {
  Hash hash = Hash::sha256;
  Bytes digest;
  Bytes issuer;  // Name, DER; empty if there is no issuerSerial
  Bytes serial;
  std::size_t offset = 0;
  std::size_t listed = 0;
};

// IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber CertificateSerialNumber }
Status read_issuer_serial(der::Reader& reader, CertificateReference& out) {
  der::Reader inner = TRY(reader.enter(der::kSequence));
  const Tlv names = TRY(inner.expect(der::kSequence));
  for (const GeneralName& name : TRY(parse_general_names(names.value))) {
    if (name.kind == GeneralName::Kind::directory_name) out.issuer = name.value;
  }
  out.serial = to_bytes(TRY(inner.integer()));
  return inner.finish();
}

// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies SEQUENCE OF PolicyInformation OPTIONAL }
// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT {id-sha256}, certHash OCTET STRING,
//                            issuerSerial IssuerSerial OPTIONAL }
// SigningCertificate is the same with ESSCertID ::= SEQUENCE { certHash OCTET STRING (SHA-1), issuerSerial OPTIONAL }
Result<CertificateReference> read_reference(ByteView value, bool v2) {
  CertificateReference out;
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  der::Reader list = TRY(reader.enter(der::kSequence));
  (void)TRY(reader.next_if(der::kSequence));
  TRY(reader.finish());
  while (!list.done()) {
    CertificateReference one;
    der::Reader ess = TRY(list.enter(der::kSequence));
    one.hash = v2 ? Hash::sha256 : Hash::sha1;
    if (v2) {
      if (const auto algorithm = TRY(ess.next_if(der::kSequence))) {
        der::Reader again(algorithm->whole);
        const auto identifier = TRY(read_algorithm_identifier(again));
        one.hash = TRY(hash_of(identifier.oid, identifier.parameters));
      }
    }
    one.digest = to_bytes(TRY(ess.octet_string()));
    if (!ess.done()) TRY(read_issuer_serial(ess, one));
    TRY(ess.finish());
    // The first names the signer's certificate; others narrow the path (RFC 5035 §3).
    const std::size_t listed = out.listed + 1;
    if (listed == 1) out = std::move(one);
    out.listed = listed;
  }
  if (out.listed == 0) return fail(ErrorKind::malformed, "no certificate is named");
  return out;
}

class SignerValidation {
 public:
  SignerValidation(const SignedData& data, const CmsSigner& signer, Content& content, const std::vector<BagEntry>& bag,
                   const TrustMaterial& trust, const ValidateOptions& options, const PathVerifier& paths)
      : data_(data),
        signer_(signer),
        content_(content),
        bag_(bag),
        trust_(trust),
        options_(options),
        policy_(options.policy != nullptr ? *options.policy : kDefaultPolicy),
        paths_(paths) {
    report_.verdict = Verdict::total_passed;
  }

  SignatureReport run(const Status& content_status) {
    check_algorithms();
    check_attributes();
    check_content(content_status);
    find_certificate();
    check_signature_value();
    collect_evidence();
    collect_proofs();
    check_strength();
    if (certificate_) check_path();
    name_level();
    report_.integrity = hash_right_ == std::optional(false) || value_right_ == std::optional(false) ? Integrity::broken
                        : hash_right_ && value_right_                                               ? Integrity::intact
                                                      : Integrity::unchecked;
    add_remarks();
    return std::move(report_);
  }

  /// A counter-signature (RFC 5652 §11.4): `signer` signs the signature value of another.
  SignatureReport run_counter(const Status& content_status) {
    counter_ = true;
    report_.role = SignatureRole::counter_signature;
    return run(content_status);
  }

 private:
  // --- findings ---

  void find(Severity severity, std::string code, std::string message, std::optional<std::size_t> offset = {}) {
    report_.findings.push_back({severity, std::move(code), std::move(message), offset});
  }
  /// A fault makes the verdict; a failure weighs more than not knowing, and the first of a weight names the reason.
  void fault(Verdict verdict, SubIndication sub, std::string code, std::string message,
             std::optional<std::size_t> offset = {}) {
    if (verdict > report_.verdict) {
      report_.verdict = verdict;
      report_.sub_indication = sub;
      find(Severity::fault, std::move(code), std::move(message), offset);
      std::rotate(report_.findings.begin(), report_.findings.end() - 1, report_.findings.end());
    } else {
      find(Severity::fault, std::move(code), std::move(message), offset);
    }
  }
  void broken_format(std::string code, std::string message, std::size_t offset) {
    fault(Verdict::total_failed, SubIndication::format_failure, std::move(code), std::move(message), offset);
  }

  // --- algorithms ---

  void check_algorithms() {
    const FoundAlgorithm& digest_found = signer_.digest_algorithm;
    report_.digest = digest_found.oid;
    if (const auto hash = hash_of(digest_found.oid, digest_found.parameters)) {
      hash_ = *hash;
      report_.digest = std::string(row_of(*hash).name);
    } else {
      algorithm_fault(hash.error(), "digestAlgorithm", digest_found.offset);
    }
    const bool announced =
        counter_ || std::any_of(data_.digest_algorithms.begin(), data_.digest_algorithms.end(),
                                [&](const FoundAlgorithm& one) { return one.oid == digest_found.oid; });
    if (!announced) {
      broken_format("digest-not-announced", "digestAlgorithms does not list the signer's " + report_.digest,
                    digest_found.offset);
    }

    const FoundAlgorithm& found = signer_.signature_algorithm;
    report_.algorithm = found.oid;
    if (found.oid == cms::kRsaEncryptionOid) {
      // RFC 3370 §3.2: the key's own OID; the hash is that of digestAlgorithm.
      if (!found.parameters.empty() && found.parameters != der::null()) {
        broken_format("signature-algorithm", "signatureAlgorithm has parameters rsaEncryption has not", found.offset);
      }
      if (hash_) {
        if (const auto id = find_algorithm(KeyFamily::rsa, *hash_, Padding::pkcs1)) algorithm_ = {*id, std::nullopt};
      }
      find(Severity::note, "signature-algorithm-generic",
           "signatureAlgorithm says rsaEncryption and leaves the hash to digestAlgorithm", found.offset);
    } else if (const auto known = signature_algorithm_of(found.oid, found.parameters)) {
      algorithm_ = *known;
    } else {
      algorithm_fault(known.error(), "signatureAlgorithm", found.offset);
    }
    if (!algorithm_) return;
    report_.algorithm = std::string(row_of(algorithm_->id).name);
    if (hash_ && row_of(algorithm_->id).hash != *hash_) {
      broken_format("digest-unlike-signature",
                    "digestAlgorithm is " + report_.digest + ", but signatureAlgorithm is " + report_.algorithm,
                    found.offset);
    }
  }

  void algorithm_fault(const Error& error, std::string_view field, std::size_t offset) {
    if (error.kind == ErrorKind::unsupported) {
      fault(Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
            std::string(field) + ": " + error.message, offset);
    } else {
      broken_format("algorithm-parameters", std::string(field) + ": " + error.message, offset);
    }
  }

  // --- signed attributes (RFC 5652 §5.3, §11; EN 319 122-1 §5) ---

  void check_attributes() {
    if (!signer_.signed_attributes) {
      // RFC 5652 §5.3: signed attributes may be absent only over id-data.
      if (data_.content_type != cms::kDataOid) {
        broken_format("content-type", "content of type " + data_.content_type + " needs signed attributes",
                      data_.content_offset);
      }
      find(Severity::note, "no-signed-attributes", "nothing but the content is signed: no time, no certificate",
           signer_.offset);
      return;
    }
    const CmsAttributes& attributes = *signer_.signed_attributes;
    for (std::size_t i = 0; i < attributes.list.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (attributes.list[i].oid == attributes.list[j].oid) {
          broken_format("duplicate-attribute", "signed attribute " + attributes.list[i].oid + " stands there twice",
                        attributes.list[i].offset);
        }
      }
    }
    if (!attributes.was_der) {
      find(Severity::warning, "signed-attributes-not-der",
           "the signed attributes are not in DER; what counts is their DER form", attributes.offset);
    }
    check_content_type(attributes);
    if (const CmsAttribute* const one = single(attributes, cms::kMessageDigestOid, "message-digest", true)) {
      der::Reader reader(one->values.front());
      const auto value = reader.octet_string();
      if (value && reader.finish()) {
        message_digest_ = to_bytes(*value);
        message_digest_offset_ = one->offset;
      } else {
        broken_format("message-digest", "the message-digest attribute is no OCTET STRING", one->offset);
      }
    }
    if (const CmsAttribute* const one = single(attributes, cms::kSigningTimeOid, "signing-time", false)) {
      der::Reader reader(one->values.front());
      const auto time = reader.time();
      if (time && reader.finish()) {
        report_.claimed_signing_time = *time;
        has_signing_time_ = true;
      } else {
        broken_format("signing-time", "the signing-time attribute is no time", one->offset);
      }
    }
    check_algorithm_protection(attributes);
    read_certificate_reference(attributes);
  }

  /// The attribute if it is there with exactly one value; says what is wrong otherwise.
  const CmsAttribute* single(const CmsAttributes& attributes, std::string_view oid, const std::string& name,
                             bool required) {
    const auto found = attributes.find(oid);
    if (found.empty()) {
      if (required) broken_format(name, "the signed attribute " + name + " is missing", attributes.offset);
      return nullptr;
    }
    if (found.front()->values.size() != 1) {
      broken_format(name,
                    "the signed attribute " + name + " has " + std::to_string(found.front()->values.size()) +
                        " values instead of one",
                    found.front()->offset);
      return nullptr;
    }
    return found.front();
  }

  void check_content_type(const CmsAttributes& attributes) {
    if (counter_) {
      // RFC 5652 §11.4: a counter-signature has no content-type.
      if (!attributes.find(cms::kContentTypeOid).empty()) {
        broken_format("content-type", "a counter-signature has a content-type", attributes.offset);
      }
      return;
    }
    const CmsAttribute* const one = single(attributes, cms::kContentTypeOid, "content-type", true);
    if (one == nullptr) return;
    der::Reader reader(one->values.front());
    const auto type = reader.oid();
    if (!type || !reader.finish() || der::oid_to_text(*type) != data_.content_type) {
      broken_format("content-type", "the signed content-type is not that of the content (" + data_.content_type + ")",
                    one->offset);
    }
  }

  // CMSAlgorithmProtection ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier,
  //     signatureAlgorithm [1] IMPLICIT AlgorithmIdentifier OPTIONAL, macAlgorithm [2] OPTIONAL }
  void check_algorithm_protection(const CmsAttributes& attributes) {
    const CmsAttribute* const one = single(attributes, cms::kAlgorithmProtectionOid, "algorithm-protection", false);
    if (one == nullptr) return;
    const auto agrees = [&]() -> Result<bool> {
      der::Reader outer(one->values.front());
      der::Reader reader = TRY(outer.enter(der::kSequence));
      TRY(outer.finish());
      const auto digest_signed = TRY(read_algorithm_identifier(reader));
      const Tlv signature_signed = TRY(reader.expect(der::context(1)));
      TRY(reader.finish());
      const FoundAlgorithm& found = signer_.signature_algorithm;
      return digest_signed.oid == signer_.digest_algorithm.oid &&
             equal(signature_signed.value, concat({der::oid(std::string_view(found.oid)), found.parameters}));
    };
    const auto result = agrees();
    if (!result || !*result) {
      broken_format("algorithm-protection", "the algorithms are not those named in the signed attributes", one->offset);
    }
  }

  void read_certificate_reference(const CmsAttributes& attributes) {
    const CmsAttribute* one = single(attributes, cms::kSigningCertificateV2Oid, "signing-certificate-v2", false);
    const bool v2 = one != nullptr;
    if (!v2) one = single(attributes, cms::kSigningCertificateOid, "signing-certificate", false);
    if (one == nullptr) return;
    auto reference = read_reference(one->values.front(), v2);
    if (!reference) {
      if (reference.error().kind == ErrorKind::unsupported) {
        algorithm_fault(reference.error(), "signing-certificate", one->offset);
      } else {
        broken_format("signing-certificate",
                      "the signing-certificate attribute does not parse: " + reference.error().message, one->offset);
      }
      return;
    }
    reference_ = std::move(*reference);
    reference_->offset = one->offset;
    if (row_of(reference_->hash).sunset_year != 0) {
      find(Severity::warning, "signing-certificate-weak-hash",
           "the signer's certificate is named by its " + std::string(row_of(reference_->hash).name), one->offset);
    }
    if (reference_->listed > 1) {
      find(Severity::note, "signing-certificate-path", "the signer names certificates of the path too; not compared",
           one->offset);
    }
  }

  // --- content ---

  void check_content(const Status& content_status) {
    if (content_.twice()) {
      broken_format("content-twice", "the content is inside the signature, and a content beside it was given",
                    data_.content_offset);
      return;
    }
    if (content_.missing()) {
      fault(Verdict::indeterminate, SubIndication::signed_data_not_found, "content-missing",
            "the signature is detached, and its content was not given", data_.content_offset);
      return;
    }
    if (!content_status) {
      fault(Verdict::indeterminate, SubIndication::signed_data_not_found, "content-unreadable",
            content_status.error().message);
      return;
    }
    if (!hash_) return;
    content_digest_ = content_.digest(*hash_);
    if (!content_digest_) return;  // of a hash not announced, which is a fault already
    if (!signer_.signed_attributes) {
      // The value over somebody's attributes is, taken plainly, also a value over a content of these very octets, which
      // nobody meant to sign (RFC 5652 §5.4 signs both without a mark).
      if (content_.is_signed_attributes()) {
        broken_format("content-is-attributes",
                      "the content is a set of signed attributes: a signature made over them is passed off as one over "
                      "a document",
                      data_.content_offset);
      }
      return;
    }
    if (!message_digest_) return;
    hash_right_ = *content_digest_ == *message_digest_;
    if (!*hash_right_ && content_.text_digest(*hash_) == message_digest_) {
      hash_right_ = true;
      find(Severity::warning, "text-mode",
           "the signature covers this text with CR LF line ends; how its lines end is not signed",
           message_digest_offset_);
    }
    if (!*hash_right_) {
      fault(Verdict::total_failed, SubIndication::hash_failure, "message-digest-mismatch",
            "the content is not the one that was signed: its " + report_.digest +
                " differs from the message-digest attribute",
            message_digest_offset_);
    }
  }

  // --- the signer's certificate (EN 319 102-1 §5.2.3) ---

  bool names(const Certificate& certificate) const {
    return signer_.subject_key_id.empty()
               ? certificate.issuer().der() == signer_.issuer && certificate.serial() == signer_.serial
               : certificate.subject_key_id() == signer_.subject_key_id;
  }

  void find_certificate() {
    std::vector<std::pair<Certificate, std::optional<std::size_t>>> named;
    for (const BagEntry& entry : bag_) {
      if (entry.certificate && names(*entry.certificate)) named.emplace_back(*entry.certificate, entry.offset);
    }
    static const std::vector<Certificate> kNone;
    for (const auto* list : {&trust_.intermediates, &trust_.anchors,
                             options_.in_document != nullptr ? &options_.in_document->certificates : &kNone}) {
      for (const Certificate& one : *list) {
        if (names(one)) named.emplace_back(one, std::nullopt);
      }
    }
    if (named.empty()) {
      fault(Verdict::indeterminate, SubIndication::no_signing_certificate_found, "no-signing-certificate",
            "the signer's certificate is neither in the signature nor among those given", signer_.offset);
      return;
    }
    auto chosen = named.front();
    if (reference_) {
      const auto matching = std::find_if(named.begin(), named.end(), [&](const auto& one) {
        return digest(reference_->hash, one.first.der()) == reference_->digest;
      });
      if (matching == named.end()) {
        fault(Verdict::indeterminate, SubIndication::no_signing_certificate_found, "signing-certificate-mismatch",
              "the certificate" + (chosen.second ? " at offset " + std::to_string(*chosen.second) : std::string()) +
                  " is not the one the signer vouched for (signing-certificate attribute)",
              reference_->offset);
      } else {
        chosen = *matching;
        const bool issuer_fits = reference_->issuer.empty() || reference_->issuer == chosen.first.issuer().der();
        const bool serial_fits = reference_->serial.empty() || reference_->serial == chosen.first.serial();
        if (!issuer_fits || !serial_fits) {
          fault(Verdict::indeterminate, SubIndication::no_signing_certificate_found, "signing-certificate-mismatch",
                "issuer or serial number in the signing-certificate attribute are not the certificate's",
                reference_->offset);
        }
      }
    }
    certificate_ = chosen.first;
    report_.signer = certificate_->subject().to_text();
    report_.signer_display = certificate_->subject().display();
    report_.chain = {*certificate_};
    if (auto key = certificate_->public_key()) {
      key_ = std::move(*key);
      report_.key = key_->type_name();
    } else {
      fault(Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
            "the signer's key: " + key.error().message, chosen.second);
    }
  }

  // --- signature value (EN 319 102-1 §5.2.7) ---

  void check_signature_value() {
    if (!key_ || !algorithm_) return;
    if (!key_->fits(algorithm_->id)) {
      fault(Verdict::total_failed, SubIndication::sig_crypto_failure, "algorithm-unlike-key",
            "a " + report_.key + " key does not sign with " + report_.algorithm, signer_.signature_algorithm.offset);
      value_right_ = false;
      return;
    }
    Status status;
    if (signer_.signed_attributes) {
      // RFC 5652 §5.4: over the DER encoding of the attributes, with the tag of a SET.
      status =
          key_->verify(algorithm_->id, signer_.signed_attributes->der, signer_.signature, algorithm_->pss_salt_octets);
    } else if (!content_digest_) {
      return;
    } else if (row_of(algorithm_->id).family == KeyFamily::ed25519) {
      const auto message = content_.enveloped();
      if (!message) {
        fault(Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
              "Ed25519 over a detached content without signed attributes is not supported", signer_.offset);
        return;
      }
      status = key_->verify(algorithm_->id, *message, signer_.signature);
    } else {
      status = key_->verify_digest(algorithm_->id, *content_digest_, signer_.signature, algorithm_->pss_salt_octets);
      if (!status && status.error().kind == ErrorKind::invalid_signature) {
        const auto text = content_.text_digest(row_of(algorithm_->id).hash);
        if (text && key_->verify_digest(algorithm_->id, *text, signer_.signature, algorithm_->pss_salt_octets)) {
          status = {};
          find(Severity::warning, "text-mode",
               "the signature covers this text with CR LF line ends; how its lines end is not signed", signer_.offset);
        }
      }
    }
    value_right_ = status.has_value();
    // Without attributes the value stands for the content too: one cannot be told from the other.
    if (!signer_.signed_attributes) hash_right_ = value_right_;
    if (!status) {
      const std::string covered = signer_.signed_attributes ? "the signed attributes at offset " +
                                                                  std::to_string(signer_.signed_attributes->offset)
                                                            : "the content";
      fault(Verdict::total_failed, SubIndication::sig_crypto_failure, "signature-value",
            "the signature value does not fit " + covered + " and the key of \"" + report_.signer + "\"",
            signer_.signature_offset);
    }
  }

  // --- constraints and path ---

  void check_strength() {
    const Time at = report_.best_signature_time.value_or(options_.at);
    const auto weak = [&](const std::string& what, std::size_t offset) {
      fault(Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm",
            what + " is no longer accepted", offset);
    };
    if (hash_ && policy_.past(row_of(*hash_).name, row_of(*hash_).sunset_year, at)) {
      weak(std::string(row_of(*hash_).name), signer_.digest_algorithm.offset);
    }
    if (algorithm_ && policy_.past(row_of(algorithm_->id).name, 0, at)) {
      weak(report_.algorithm, signer_.signature_algorithm.offset);
    }
    if (!key_) return;
    if (key_->family() == KeyFamily::rsa && key_->bits() < policy_.least_rsa_bits) {
      weak("an RSA key of " + std::to_string(key_->bits()) + " bits", signer_.offset);
    }
    if (key_->type() && policy_.past(row_of(*key_->type()).name, row_of(*key_->type()).sunset_year, at)) {
      weak("a key of type " + key_->type_name(), signer_.offset);
    }
  }

  // --- evidence and proofs of existence (EN 319 102-1 §5.5, §5.6.2) ---

  static void add_all(RevocationData& data, std::vector<Certificate>& certificates, const ValidationEvidence& from) {
    for (const Crl& one : from.crls) data.add(one);
    for (const OcspResponse& one : from.ocsp) data.add(one);
    certificates.insert(certificates.end(), from.certificates.begin(), from.certificates.end());
  }

  /// Certificates and revocation data of the file, of the document around it, and of the caller.
  void collect_evidence() {
    for (const BagEntry& entry : bag_) {
      if (entry.certificate) certificates_.push_back(*entry.certificate);
    }
    ValidationEvidence in_file;
    for (const CmsRevocation& one : data_.revocation) {
      if (const auto read = read_revocation(one.whole, in_file); !read) {
        find(Severity::note, "revocation-data-unreadable", "revocation data was left out: " + read.error().message,
             one.offset);
      }
    }
    has_own_evidence_ = !in_file.crls.empty() || !in_file.ocsp.empty();
    if (options_.in_document != nullptr) {
      has_own_evidence_ =
          has_own_evidence_ || !options_.in_document->crls.empty() || !options_.in_document->ocsp.empty();
      add_all(revocation_, certificates_, *options_.in_document);
    }
    add_all(revocation_, certificates_, in_file);
    if (options_.evidence != nullptr) add_all(revocation_, certificates_, *options_.evidence);
    certificates_.insert(certificates_.end(), trust_.intermediates.begin(), trust_.intermediates.end());
  }

  // CertificateList, or [1] { otherRevInfoFormat OBJECT IDENTIFIER, otherRevInfo ANY } with an OCSPResponse (RFC 5940).
  static Status read_revocation(ByteView whole, ValidationEvidence& out) {
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

  PathOptions path_options(Time at, Purpose purpose) const {
    PathOptions out;
    out.at = at;
    out.purpose = purpose;
    out.revocation = policy_.revocation;
    out.revocation_data = &revocation_;
    return out;
  }

  /// True if `token` holds over `imprint`. What is wrong with it is a finding, not a fault: without it the signature is
  /// what it would be without it.
  bool token_holds(const TimeStampToken& token, const MessageImprint& imprint, Time at, const std::string& what,
                   std::size_t offset) {
    if (policy_.past(row_of(imprint.hash).name, row_of(imprint.hash).sunset_year, at)) {
      find(Severity::warning, "timestamp-weak-algorithm", what + " rests on " + std::string(row_of(imprint.hash).name),
           offset);
      return false;
    }
    PathOptions options = path_options(at, Purpose::time_stamp);
    if (options.revocation == RevocationMode::required) options.revocation = RevocationMode::if_known;
    // A token brings its own certificates; the authority's issuers may stand in the signature around it.
    const PathVerifier with_bag(trust_.anchors, certificates_);
    const auto verdict = verify_time_stamp(token, imprint, with_bag, options);
    if (verdict) return true;
    find(Severity::warning, verdict.error().kind == ErrorKind::untrusted ? "timestamp-not-trusted" : "timestamp-broken",
         what + " proves nothing: " + verdict.error().message, offset);
    return false;
  }

  void collect_proofs() {
    Time proven = options_.existed_at.value_or(options_.at);
    if (options_.existed_at) report_.best_signature_time = proven;
    if (value_right_ != std::optional(true) || !signer_.unsigned_attributes) return;
    std::vector<std::pair<TimeStampToken, std::size_t>> archive, signature;
    for (const CmsAttribute& attribute : signer_.unsigned_attributes->list) {
      const bool is_archive = attribute.oid == cms::kArchiveTimestampV3Oid;
      if (!is_archive && attribute.oid != cms::kSignatureTimestampOid) continue;
      for (const Bytes& value : attribute.values) {
        if (auto token = TimeStampToken::from_der(value)) {
          (is_archive ? archive : signature).emplace_back(std::move(*token), attribute.offset);
        } else {
          find(Severity::warning, "timestamp-broken", "a time-stamp does not parse: " + token.error().message,
               attribute.offset);
        }
      }
    }
    // Archive time-stamps, the last one first: each lets those before it be judged as of its own time.
    const auto later = [](const auto& a, const auto& b) { return a.first.info().time > b.first.info().time; };
    std::stable_sort(archive.begin(), archive.end(), later);
    std::stable_sort(signature.begin(), signature.end(), later);
    for (const auto& [token, offset] : archive) {
      const auto imprint = archive_imprint(token);
      if (!imprint) {
        find(Severity::warning, "archive-timestamp-broken",
             "an archive time-stamp proves nothing: " + imprint.error().message, offset);
        continue;
      }
      if (!token_holds(token, *imprint, proven, "an archive time-stamp", offset)) continue;
      proven = token.info().time;
      report_.best_signature_time = proven;
      ++archive_timestamps_;
    }
    for (const auto& [token, offset] : signature) {
      const Hash hash = token.info().imprint.hash;
      if (!token_holds(token, imprint_of(hash, signer_.signature), proven, "the signature time-stamp", offset))
        continue;
      if (archive_timestamps_ != 0 && token.info().time > proven) {
        find(Severity::warning, "timestamp-order", "a signature time-stamp is later than the archive's", offset);
        continue;
      }
      ++signature_timestamps_;
      report_.best_signature_time =
          std::min(report_.best_signature_time.value_or(token.info().time), token.info().time);
    }
  }

  // EN 319 122-1 §5.5.3: content type, digest of the content, version to signature, the hash index.
  Result<MessageImprint> archive_imprint(const TimeStampToken& token) {
    const Hash hash = token.info().imprint.hash;
    const auto& content = content_.digest(hash);
    if (!content)
      return fail(ErrorKind::not_found, "the content was not hashed with " + std::string(row_of(hash).name));
    const SignedData inner = TRY(SignedData::parse(token.der()));
    const auto& attributes = inner.signers.front().unsigned_attributes;
    const auto found = attributes ? attributes->find(cms::kAtsHashIndexV3Oid) : std::vector<const CmsAttribute*>{};
    if (found.size() != 1 || found.front()->values.size() != 1) {
      return fail(ErrorKind::malformed, "it has no index of what it covers (ats-hash-index-v3)");
    }
    const Bytes& index = found.front()->values.front();
    TRY(check_hash_index(index));
    return imprint_of(hash, concat({der::oid(std::string_view(data_.content_type)), *content, signer_.fields, index}));
  }

  // ATSHashIndexV3 ::= SEQUENCE { hashIndAlgorithm AlgorithmIdentifier, certificatesHashIndex SEQUENCE OF OCTET STRING,
  //     crlsHashIndex SEQUENCE OF OCTET STRING, unsignedAttrValuesHashIndex SEQUENCE OF OCTET STRING }
  // Everything the index lists must still be there; what it does not list came later and is not covered.
  Status check_hash_index(ByteView index) {
    der::Reader outer(index);
    der::Reader reader = TRY(outer.enter(der::kSequence));
    TRY(outer.finish());
    const auto algorithm = TRY(read_algorithm_identifier(reader));
    const Hash hash = TRY(hash_of(algorithm.oid, algorithm.parameters));
    std::set<Bytes> certificates, crls, attributes;
    for (const CmsCertificate& one : data_.certificates) certificates.insert(digest(hash, one.whole));
    for (const CmsRevocation& one : data_.revocation) crls.insert(digest(hash, one.whole));
    for (const CmsAttribute& one : signer_.unsigned_attributes->list) {
      for (const Bytes& value : one.values) {
        attributes.insert(digest(hash, concat({der::oid(std::string_view(one.oid)), value})));
      }
    }
    const std::pair<const char*, const std::set<Bytes>*> parts[] = {
        {"certificate", &certificates}, {"revocation entry", &crls}, {"unsigned attribute", &attributes}};
    for (const auto& [what, present] : parts) {
      der::Reader list = TRY(reader.enter(der::kSequence));
      while (!list.done()) {
        const ByteView wanted = TRY(list.octet_string());
        if (!present->contains(to_bytes(wanted))) {
          return fail(ErrorKind::invalid_signature, std::string("a ") + what + " it covers is missing or changed");
        }
      }
    }
    return reader.finish();
  }

  void name_level() {
    const bool basic = reference_ && (has_signing_time_ || options_.pades);
    const std::string family = options_.pades ? "PAdES-" : "CAdES-";
    const bool stamped = signature_timestamps_ != 0 || (options_.pades && options_.existed_at);
    const bool long_term = stamped && has_own_evidence_ && revocation_known_;
    report_.level = !basic                                                           ? "CMS"
                    : long_term && (archive_timestamps_ != 0 || options_.existed_at) ? family + "B-LTA"
                    : long_term                                                      ? family + "B-LT"
                    : stamped                                                        ? family + "B-T"
                                                                                     : family + "B-B";
  }

  struct PathFaultRow {
    PathFault fault;
    SubIndication sub;
  };

  void check_path() {
    static constexpr auto kRows = std::to_array<PathFaultRow>({
        {PathFault::no_trust_data, SubIndication::no_certificate_chain_found},
        {PathFault::no_path, SubIndication::no_certificate_chain_found},
        {PathFault::signature, SubIndication::no_certificate_chain_found},
        {PathFault::expired, SubIndication::out_of_bounds_no_poe},
        {PathFault::not_yet_valid, SubIndication::not_yet_valid},
        {PathFault::not_a_ca, SubIndication::chain_constraints_failure},
        {PathFault::key_usage, SubIndication::chain_constraints_failure},
        {PathFault::critical_extension, SubIndication::chain_constraints_failure},
        {PathFault::weak_algorithm, SubIndication::crypto_constraints_failure_no_poe},
        {PathFault::unsupported, SubIndication::certificate_chain_general_failure},
        {PathFault::limit, SubIndication::certificate_chain_general_failure},
        {PathFault::name_constraints, SubIndication::chain_constraints_failure},
        {PathFault::policy, SubIndication::chain_constraints_failure},
        {PathFault::revoked, SubIndication::revoked_no_poe},
        {PathFault::revocation_unknown, SubIndication::try_later},
    });
    PathResult path = paths_.verify(*certificate_, certificates_, path_options(options_.at, Purpose::sign_document));
    // What ended in the meantime counts as of the moment a time-stamp proves (EN 319 102-1 §5.6.2.4).
    if (report_.best_signature_time && (path.fault == PathFault::expired || path.fault == PathFault::revoked ||
                                        path.fault == PathFault::weak_algorithm)) {
      PathResult then = paths_.verify(*certificate_, certificates_,
                                      path_options(*report_.best_signature_time, Purpose::sign_document));
      if (then.ok()) {
        find(Severity::note, "validated-in-the-past",
             std::string(name_of(path.fault)) + " since, but good at " + format_time(*report_.best_signature_time) +
                 ", when a time-stamp proves the signature existed");
        path = std::move(then);
      }
    }
    report_.chain = std::move(path.chain);
    revocation_known_ = path.ok() && !path.revocation.empty() &&
                        std::all_of(path.revocation.begin(), path.revocation.end(), [](const RevocationResult& one) {
                          return one.status == RevocationStatus::good || one.status == RevocationStatus::not_asked;
                        });
    if (!path.ok()) {
      const auto row =
          std::find_if(kRows.begin(), kRows.end(), [&](const PathFaultRow& one) { return one.fault == path.fault; });
      const SubIndication sub =
          path.fault == PathFault::revoked && path.at != 0 ? SubIndication::revoked_ca_no_poe : row->sub;
      fault(Verdict::indeterminate, sub, std::string(name_of(path.fault)), path.reason);
    }
    if (report_.claimed_signing_time) {
      const Time claimed = *report_.claimed_signing_time;
      if (claimed < certificate_->not_before() || claimed > certificate_->not_after()) {
        find(Severity::warning, "signing-time-outside-validity",
             "the claimed signing time lies outside the certificate's validity");
      }
      if (claimed > options_.at) {
        find(Severity::warning, "signing-time-in-future", "the claimed signing time lies in the future");
      }
    }
  }

  // --- what is there and not signed ---

  void add_remarks() {
    if (signer_.unsigned_attributes) {
      for (const CmsAttribute& attribute : signer_.unsigned_attributes->list) {
        if (attribute.oid == cms::kSignatureTimestampOid || attribute.oid == cms::kArchiveTimestampV3Oid ||
            attribute.oid == cms::kCounterSignatureOid) {
          continue;  // judged
        }
        find(Severity::note, "unsigned-attribute",
             "attribute " + attribute.oid + " is not covered by the signature and was not looked at", attribute.offset);
      }
    }
    if (report_.passed() && !revocation_known_) {
      find(Severity::note, "revocation-not-checked",
           "whether a certificate of the path was revoked is not known: nothing at hand says");
    }
  }

  const SignedData& data_;
  const CmsSigner& signer_;
  Content& content_;
  const std::vector<BagEntry>& bag_;
  const TrustMaterial& trust_;
  const ValidateOptions& options_;
  const ValidationPolicy& policy_;
  const PathVerifier& paths_;

  bool counter_ = false;
  RevocationData revocation_;
  std::vector<Certificate> certificates_;
  bool has_own_evidence_ = false, revocation_known_ = false;
  std::size_t signature_timestamps_ = 0, archive_timestamps_ = 0;
  SignatureReport report_;
  std::optional<Hash> hash_;
  std::optional<SignatureAlgorithm> algorithm_;
  std::optional<Bytes> message_digest_;
  std::size_t message_digest_offset_ = 0;
  bool has_signing_time_ = false;
  std::optional<CertificateReference> reference_;
  std::optional<Bytes> content_digest_;
  std::optional<Certificate> certificate_;
  std::optional<PublicKey> key_;
  std::optional<bool> hash_right_, value_right_;
};

/// What stands in the file, is not signed, and took part in no path: said with every signature of the file.
std::vector<Finding> remarks_on_file(const SignedData& data, const std::vector<BagEntry>& bag,
                                     const std::vector<SignatureReport>& signatures) {
  std::vector<Finding> out;
  bool plain_bag = data.revocation.empty();
  std::vector<Certificate> seen;
  for (const BagEntry& entry : bag) {
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

Report unparsable(std::string code, std::string message) {
  SignatureReport one;
  one.verdict = Verdict::total_failed;
  one.sub_indication = SubIndication::format_failure;
  one.integrity = Integrity::unparsable;
  one.level = "CMS";
  one.findings.push_back({Severity::fault, std::move(code), std::move(message), std::nullopt});
  Report out;
  out.verdict = Verdict::total_failed;
  out.signatures.push_back(std::move(one));
  return out;
}

Report verify_parsed(const SignedData& data, Content& content, const TrustMaterial& trust,
                     const ValidateOptions& options) {
  std::optional<PathVerifier> own_paths;
  if (options.paths == nullptr) own_paths.emplace(trust.anchors, trust.intermediates);
  const PathVerifier& paths = options.paths != nullptr ? *options.paths : *own_paths;
  Report out;
  out.verdict = Verdict::total_passed;
  out.enveloping = data.has_content;
  const Status content_status = content.hash();
  const std::vector<BagEntry> bag = read_bag(data);
  for (const CmsSigner& signer : data.signers) {
    out.signatures.push_back(SignerValidation(data, signer, content, bag, trust, options, paths).run(content_status));
    if (!signer.unsigned_attributes) continue;
    for (const CmsAttribute* const attribute : signer.unsigned_attributes->find(cms::kCounterSignatureOid)) {
      for (const Bytes& value : attribute->values) {
        const auto counter = parse_signer_info(value);
        if (!counter) {
          out.signatures.back().findings.push_back({Severity::warning, "counter-signature-unparsable",
                                                    "a counter-signature does not parse: " + counter.error().message,
                                                    attribute->offset});
          continue;
        }
        SignedData around;
        around.content_type = cms::kDataOid;
        around.signers = {*counter};
        const DigestOf of_value = [&](Hash hash) -> Result<Bytes> { return digest(hash, signer.signature); };
        Content value_content(around, nullptr, &of_value);
        const Status hashed = value_content.hash();
        out.signatures.push_back(
            SignerValidation(around, around.signers.front(), value_content, bag, trust, options, paths)
                .run_counter(hashed));
      }
    }
  }
  for (const SignatureReport& one : out.signatures) out.verdict = std::max(out.verdict, one.verdict);
  const std::vector<Finding> remarks = remarks_on_file(data, bag, out.signatures);
  for (SignatureReport& one : out.signatures) {
    one.findings.insert(one.findings.end(), remarks.begin(), remarks.end());
    std::stable_sort(one.findings.begin(), one.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  }
  if (options.keep_content) out.content = content.enveloped();
  return out;
}

constexpr const char* kNobody = "the file holds certificates, but nobody signed";

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
  if (!data) return unparsable("unparsable", data.error().message);
  return verify_cms(*data, detached, trust, options);
}

Report verify_cms(const SignedData& data, ContentSource* detached, const TrustMaterial& trust,
                  const ValidateOptions& options) {
  if (data.signers.empty()) return unparsable("no-signer", kNobody);
  Content content(data, detached);
  return verify_parsed(data, content, trust, options);
}

Report verify_cms_digest(ByteView signature, const DigestOf& digest, const TrustMaterial& trust,
                         const ValidateOptions& options) {
  const auto data = SignedData::parse(signature);
  if (!data) return unparsable("unparsable", data.error().message);
  if (data->signers.empty()) return unparsable("no-signer", kNobody);
  Content content(*data, nullptr, &digest);
  return verify_parsed(*data, content, trust, options);
}

SignatureReport verify_document_timestamp(ByteView octets, const DigestOf& digest, const TrustMaterial& trust,
                                          const ValidateOptions& options) {
  SignatureReport out;
  out.role = SignatureRole::timestamp;
  out.level = "document time-stamp";
  const auto refuse = [&](Verdict verdict, SubIndication sub, Integrity integrity, std::string code,
                          std::string message) {
    out.verdict = verdict;
    out.sub_indication = sub;
    out.integrity = integrity;
    out.findings.push_back({Severity::fault, std::move(code), std::move(message), std::nullopt});
    return out;
  };
  const auto token = TimeStampToken::from_der(octets);
  if (!token) {
    return refuse(Verdict::total_failed, SubIndication::format_failure, Integrity::unparsable, "unparsable",
                  token.error().message);
  }
  const Hash hash = token->info().imprint.hash;
  out.digest = row_of(hash).name;
  out.claimed_signing_time = token->info().time;
  const auto stamped = digest(hash);
  if (!stamped || token->info().imprint.digest != *stamped) {
    return refuse(Verdict::total_failed, SubIndication::hash_failure, Integrity::broken, "message-digest-mismatch",
                  "the document is not the one that was time-stamped");
  }
  const auto signer = verify_token_signature(*token, {});
  if (!signer) {
    const bool unknown = signer.error().kind == ErrorKind::not_found || signer.error().kind == ErrorKind::unsupported;
    return refuse(unknown ? Verdict::indeterminate : Verdict::total_failed,
                  unknown ? SubIndication::no_signing_certificate_found : SubIndication::sig_crypto_failure,
                  unknown ? Integrity::unchecked : Integrity::broken, "signature-value", signer.error().message);
  }
  out.signer = signer->subject().to_text();
  out.signer_display = signer->subject().display();
  out.chain = {*signer};
  if (const auto key = signer->public_key()) out.key = key->type_name();
  const ValidationPolicy& policy = options.policy != nullptr ? *options.policy : kDefaultPolicy;
  const Time at = options.existed_at.value_or(options.at);
  if (policy.past(row_of(hash).name, row_of(hash).sunset_year, at)) {
    return refuse(Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, Integrity::intact,
                  "weak-algorithm", out.digest + " is no longer accepted");
  }
  RevocationData revocation;
  std::vector<Certificate> certificates = trust.intermediates;
  for (const ValidationEvidence* const one : {options.in_document, options.evidence}) {
    if (one == nullptr) continue;
    for (const Crl& crl : one->crls) revocation.add(crl);
    for (const OcspResponse& answer : one->ocsp) revocation.add(answer);
    certificates.insert(certificates.end(), one->certificates.begin(), one->certificates.end());
  }
  const PathVerifier paths(trust.anchors, std::move(certificates));
  PathOptions path_options;
  path_options.at = at;
  path_options.revocation = policy.revocation == RevocationMode::none ? RevocationMode::none : RevocationMode::if_known;
  path_options.revocation_data = &revocation;
  auto verdict = verify_time_stamp(*token, {.hash = hash, .digest = *stamped}, paths, path_options);
  if (!verdict) {
    return refuse(Verdict::indeterminate, SubIndication::no_certificate_chain_found, Integrity::intact,
                  trust.anchors.empty() ? "no-trust-data" : "not-trusted", verdict.error().message);
  }
  out.chain = std::move(verdict->path.chain);
  out.verdict = Verdict::total_passed;
  out.integrity = Integrity::intact;
  out.best_signature_time = token->info().time;
  return out;
}

}  // namespace karta::crypto
