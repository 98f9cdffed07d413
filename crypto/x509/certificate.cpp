#include "crypto/x509/certificate.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/x509/extension.h"
#include "crypto/x509/signed_object.h"

namespace karta::crypto {

struct Certificate::Data {
  Bytes der;
  ByteView tbs, signature, spki;  // into der
  std::optional<AlgorithmId> signature_algorithm;
  std::string signature_algorithm_oid;
  std::optional<unsigned> pss_salt_octets;
  unsigned version = 1;
  Bytes serial;
  Name issuer, subject;
  Time not_before{}, not_after{};
  std::optional<PublicKey> public_key;
  Error public_key_error;
  std::vector<Extension> extensions;
  std::optional<BasicConstraints> basic_constraints;
  std::optional<std::uint32_t> key_usage;  // bit n: KeyUsage n
  std::vector<std::string> extended_key_usage;
  Bytes subject_key_id;
  std::optional<AuthorityKeyIdentifier> authority_key_id;
  std::vector<GeneralName> subject_alternative_names;
  std::vector<std::string> policies, crl_urls, ocsp_urls, issuer_urls;
  std::vector<PolicyMapping> policy_mappings;
  std::optional<PolicyConstraints> policy_constraints;
  std::optional<std::uint32_t> inhibit_any_policy;
  std::optional<NameConstraints> name_constraints;
  std::vector<DistributionPoint> distribution_points, freshest_crl;
  bool ocsp_no_check = false;
  Bytes qc_statements;
  std::optional<std::uint64_t> status_index;
  std::vector<std::string> unknown_critical;
  Bytes fingerprint;
};

namespace {

using Data = Certificate::Data;

constexpr std::size_t kMostListed = 256;  // key purposes, policies, distribution points, access descriptions

/// A Result's error, its message preceded by the field it arose in.
tl::unexpected<Error> in_field(std::string_view field, Error error) {
  error.message = "certificate: " + std::string(field) + ": " + error.message;
  return fail(std::move(error));
}
#define TRY_FIELD(field, expression)                                              \
  __extension__({                                                                 \
    auto field_result_ = (expression);                                            \
    if (!field_result_) return in_field(field, std::move(field_result_).error()); \
    ::karta::detail::take(std::move(field_result_));                              \
  })

/// A reader over the content of the one SEQUENCE that fills `value`.
Result<der::Reader> only_sequence(ByteView value) {
  der::Reader outer(value);
  der::Reader inner = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  return inner;
}

/// A count of certificates; more than 2^32 of them is as good as no bound.
Result<std::uint32_t> skip_certificates(der::Reader& reader) {
  const std::uint64_t count = TRY(reader.small_integer());
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, 0xFFFFFFFF));
}

// BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }
Status read_basic_constraints(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  BasicConstraints out;
  // A default that is written out all the same (cA FALSE) breaks DER, is common in the field, and means nothing else.
  if (const auto ca = TRY(reader.next_if(der::kBoolean))) out.ca = TRY(der::Reader(ca->whole).boolean());
  if (!reader.done()) {
    if (!out.ca) return fail(ErrorKind::malformed, "a path length without CA");
    out.path_length = TRY(skip_certificates(reader));
  }
  data.basic_constraints = out;
  return reader.finish();
}

// KeyUsage ::= BIT STRING
Status read_key_usage(Data& data, ByteView value) {
  der::Reader reader(value);
  const auto bits = TRY(reader.bits());
  std::uint32_t out = 0;
  for (unsigned bit = 0; bit <= static_cast<unsigned>(KeyUsage::decipher_only); ++bit) {
    if (bits.test(bit)) out |= 1u << bit;
  }
  if (out == 0) return fail(ErrorKind::malformed, "no bit is set");
  data.key_usage = out;
  return reader.finish();
}

// ExtKeyUsageSyntax ::= SEQUENCE SIZE (1..MAX) OF KeyPurposeId
Status read_extended_key_usage(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  while (!reader.done()) {
    if (data.extended_key_usage.size() == kMostListed) return fail(ErrorKind::limit, "too many purposes");
    data.extended_key_usage.push_back(der::oid_to_text(TRY(reader.oid())));
  }
  if (data.extended_key_usage.empty()) return fail(ErrorKind::malformed, "no purpose at all");
  return {};
}

// SubjectKeyIdentifier ::= OCTET STRING
Status read_subject_key_id(Data& data, ByteView value) {
  der::Reader reader(value);
  data.subject_key_id = to_bytes(TRY(reader.octet_string()));
  return reader.finish();
}

Status read_authority_key_id(Data& data, ByteView value) {
  data.authority_key_id = TRY(parse_authority_key_id(value));
  return {};
}

Status read_subject_alternative_names(Data& data, ByteView value) {
  der::Reader outer(value);
  const Tlv names = TRY(outer.expect(der::kSequence));
  data.subject_alternative_names = TRY(parse_general_names(names.value));
  return outer.finish();
}

// CertificatePolicies ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { policyIdentifier OBJECT IDENTIFIER,
//                                                              policyQualifiers SEQUENCE ... OPTIONAL }
Status read_policies(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  while (!reader.done()) {
    if (data.policies.size() == kMostListed) return fail(ErrorKind::limit, "too many policies");
    der::Reader policy = TRY(reader.enter(der::kSequence));
    std::string oid = der::oid_to_text(TRY(policy.oid()));
    if (!policy.done()) (void)TRY(policy.expect(der::kSequence));
    TRY(policy.finish());
    if (std::find(data.policies.begin(), data.policies.end(), oid) != data.policies.end()) {
      return fail(ErrorKind::malformed, "policy " + oid + " stands there twice");
    }
    data.policies.push_back(std::move(oid));
  }
  if (data.policies.empty()) return fail(ErrorKind::malformed, "no policy at all");
  return {};
}

// PolicyMappings ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { issuerDomainPolicy OID, subjectDomainPolicy OID }
Status read_policy_mappings(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  while (!reader.done()) {
    if (data.policy_mappings.size() == kMostListed) return fail(ErrorKind::limit, "too many mappings");
    der::Reader mapping = TRY(reader.enter(der::kSequence));
    PolicyMapping one;
    one.issuer_domain = der::oid_to_text(TRY(mapping.oid()));
    one.subject_domain = der::oid_to_text(TRY(mapping.oid()));
    TRY(mapping.finish());
    data.policy_mappings.push_back(std::move(one));
  }
  if (data.policy_mappings.empty()) return fail(ErrorKind::malformed, "no mapping at all");
  return {};
}

// PolicyConstraints ::= SEQUENCE { requireExplicitPolicy [0] INTEGER OPTIONAL, inhibitPolicyMapping [1] INTEGER
// OPTIONAL }
Status read_policy_constraints(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  PolicyConstraints out;
  const auto count = [](const Tlv& tagged) -> Result<std::uint32_t> {
    const Bytes whole = make_tlv(der::kInteger, tagged.value);
    der::Reader inner(whole);
    return skip_certificates(inner);
  };
  if (const auto found = TRY(reader.next_if(der::context_primitive(0)))) {
    out.require_explicit_policy = TRY(count(*found));
  }
  if (const auto found = TRY(reader.next_if(der::context_primitive(1)))) {
    out.inhibit_policy_mapping = TRY(count(*found));
  }
  if (!out.require_explicit_policy && !out.inhibit_policy_mapping) {
    return fail(ErrorKind::malformed, "it constrains nothing");
  }
  data.policy_constraints = out;
  return reader.finish();
}

// InhibitAnyPolicy ::= SkipCerts ::= INTEGER (0..MAX)
Status read_inhibit_any_policy(Data& data, ByteView value) {
  der::Reader reader(value);
  data.inhibit_any_policy = TRY(skip_certificates(reader));
  return reader.finish();
}

Status read_name_constraints(Data& data, ByteView value) {
  data.name_constraints = TRY(parse_name_constraints(value));
  return {};
}

// CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint
Status read_distribution_points(Data& data, ByteView value) {
  der::Reader outer(value);
  const Tlv list = TRY(outer.expect(der::kSequence));
  data.distribution_points = TRY(parse_distribution_points(list.value));
  data.crl_urls = TRY(urls_of(data.distribution_points));
  return outer.finish();
}

// FreshestCRL ::= CRLDistributionPoints
Status read_freshest_crl(Data& data, ByteView value) {
  der::Reader outer(value);
  const Tlv list = TRY(outer.expect(der::kSequence));
  data.freshest_crl = TRY(parse_distribution_points(list.value));
  return outer.finish();
}

// id-pkix-ocsp-nocheck: NULL
Status read_ocsp_no_check(Data& data, ByteView value) {
  der::Reader reader(value);
  TRY(reader.null());
  data.ocsp_no_check = true;
  return reader.finish();
}

// AuthorityInfoAccessSyntax ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { accessMethod OID, accessLocation GeneralName }
Status read_information_access(Data& data, ByteView value) {
  der::Reader reader = TRY(only_sequence(value));
  std::size_t count = 0;
  while (!reader.done()) {
    if (++count > kMostListed) return fail(ErrorKind::limit, "too many access descriptions");
    der::Reader description = TRY(reader.enter(der::kSequence));
    const std::string method = der::oid_to_text(TRY(description.oid()));
    const Tlv location = TRY(description.any());
    TRY(description.finish());
    if (location.tag != der::context_primitive(6)) continue;
    if (method == "1.3.6.1.5.5.7.48.1") data.ocsp_urls.push_back(TRY(uri_text(location.value)));
    if (method == "1.3.6.1.5.5.7.48.2") data.issuer_urls.push_back(TRY(uri_text(location.value)));
  }
  return {};
}

Status read_qc_statements(Data& data, ByteView value) {
  (void)TRY(only_sequence(value));
  data.qc_statements = to_bytes(value);
  return {};
}

Status read_status_index(Data& data, ByteView value) {
  der::Reader reader(value);
  data.status_index = TRY(reader.small_integer());
  return reader.finish();
}

struct ExtensionRow {
  std::string_view oid;
  std::string_view name;
  Status (*read)(Data&, ByteView);
  bool understood;  ///< may be critical: verify_path acts on it
};
constexpr auto kExtensions = std::to_array<ExtensionRow>({
    {"2.5.29.19", "basicConstraints", read_basic_constraints, true},
    {"2.5.29.15", "keyUsage", read_key_usage, true},
    {"2.5.29.37", "extKeyUsage", read_extended_key_usage, true},
    {"2.5.29.14", "subjectKeyIdentifier", read_subject_key_id, true},
    {"2.5.29.35", "authorityKeyIdentifier", read_authority_key_id, true},
    {"2.5.29.17", "subjectAltName", read_subject_alternative_names, true},
    {"2.5.29.32", "certificatePolicies", read_policies, true},
    {"2.5.29.33", "policyMappings", read_policy_mappings, true},
    {"2.5.29.36", "policyConstraints", read_policy_constraints, true},
    {"2.5.29.54", "inhibitAnyPolicy", read_inhibit_any_policy, true},
    {"2.5.29.30", "nameConstraints", read_name_constraints, true},
    {"2.5.29.31", "cRLDistributionPoints", read_distribution_points, true},
    {"2.5.29.46", "freshestCRL", read_freshest_crl, true},
    {"1.3.6.1.5.5.7.48.1.5", "ocsp-nocheck", read_ocsp_no_check, true},
    {"1.3.6.1.5.5.7.1.1", "authorityInfoAccess", read_information_access, false},
    {"1.3.6.1.5.5.7.1.3", "qcStatements", read_qc_statements, false},
    {kStatusIndexOid, "status index", read_status_index, true},
});

// Extensions ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET
// STRING }
Status read_extensions(Data& data, der::Reader& reader) {
  der::Reader list = TRY_FIELD("extensions", reader.enter(der::kSequence));
  TRY_FIELD("extensions", reader.finish());
  while (!list.done()) {
    if (data.extensions.size() == Certificate::kMostExtensions) {
      return fail(ErrorKind::limit, "certificate: too many extensions");
    }
    der::Reader one = TRY_FIELD("extensions", list.enter(der::kSequence));
    Extension extension;
    extension.oid = der::oid_to_text(TRY_FIELD("extensions", one.oid()));
    if (const auto critical = TRY_FIELD("extensions", one.next_if(der::kBoolean))) {
      extension.critical = TRY_FIELD(extension.oid, der::Reader(critical->whole).boolean());
    }
    extension.value = to_bytes(TRY_FIELD(extension.oid, one.octet_string()));
    TRY_FIELD(extension.oid, one.finish());
    for (const Extension& earlier : data.extensions) {
      if (earlier.oid == extension.oid) {
        return fail(ErrorKind::malformed, "certificate: extension " + extension.oid + " stands there twice");
      }
    }
    const auto row = std::find_if(kExtensions.begin(), kExtensions.end(),
                                  [&](const ExtensionRow& r) { return r.oid == extension.oid; });
    if (row != kExtensions.end()) TRY_FIELD(row->name, row->read(data, extension.value));
    if (extension.critical && (row == kExtensions.end() || !row->understood)) {
      data.unknown_critical.push_back(extension.oid);
    }
    data.extensions.push_back(std::move(extension));
  }
  if (data.extensions.empty()) return fail(ErrorKind::malformed, "certificate: an empty list of extensions");
  return {};
}

// TBSCertificate ::= SEQUENCE {
//     version [0] EXPLICIT INTEGER DEFAULT v1, serialNumber INTEGER, signature AlgorithmIdentifier, issuer Name,
//     validity SEQUENCE { notBefore Time, notAfter Time }, subject Name, subjectPublicKeyInfo SEQUENCE,
//     issuerUniqueID [1] IMPLICIT BIT STRING OPTIONAL, subjectUniqueID [2] IMPLICIT BIT STRING OPTIONAL,
//     extensions [3] EXPLICIT Extensions OPTIONAL }
Status read_tbs(Data& data, ByteView content, ByteView outer_algorithm) {
  der::Reader tbs(content);
  if (auto version = TRY_FIELD("version", tbs.enter_if(der::context(0)))) {
    const std::uint64_t number = TRY_FIELD("version", version->small_integer());
    TRY_FIELD("version", version->finish());
    if (number != 1 && number != 2) return fail(ErrorKind::malformed, "certificate: version is none of 1 to 3");
    data.version = static_cast<unsigned>(number) + 1;
  }
  data.serial = to_bytes(TRY_FIELD("serialNumber", tbs.integer()));
  // RFC 5280 §4.1.2.2 allows 20 octets; one more is a leading zero some issuers miscount.
  if (data.serial.size() > 21) return fail(ErrorKind::limit, "certificate: serialNumber is longer than 20 octets");
  const Tlv algorithm = TRY_FIELD("signature", tbs.expect(der::kSequence));
  if (!equal(algorithm.whole, outer_algorithm)) {
    return fail(ErrorKind::malformed, "certificate: the signature algorithm inside and outside differ");
  }
  const Tlv issuer = TRY_FIELD("issuer", tbs.expect(der::kSequence));
  data.issuer = TRY_FIELD("issuer", Name::from_der(issuer.whole));
  der::Reader validity = TRY_FIELD("validity", tbs.enter(der::kSequence));
  data.not_before = TRY_FIELD("notBefore", validity.time());
  data.not_after = TRY_FIELD("notAfter", validity.time());
  TRY_FIELD("validity", validity.finish());
  const Tlv subject = TRY_FIELD("subject", tbs.expect(der::kSequence));
  data.subject = TRY_FIELD("subject", Name::from_der(subject.whole));
  data.spki = TRY_FIELD("subjectPublicKeyInfo", tbs.expect(der::kSequence)).whole;
  for (const Tag unique_id : {der::context_primitive(1), der::context_primitive(2)}) {
    const auto found = TRY_FIELD("unique identifier", tbs.next_if(unique_id));
    if (found && data.version == 1)
      return fail(ErrorKind::malformed, "certificate: version 1 with a unique identifier");
  }
  if (auto extensions = TRY_FIELD("extensions", tbs.enter_if(der::context(3)))) {
    if (data.version != 3) return fail(ErrorKind::malformed, "certificate: extensions need version 3");
    TRY(read_extensions(data, *extensions));
  }
  TRY_FIELD("tbsCertificate", tbs.finish());
  return {};
}

}  // namespace

// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, signatureValue BIT STRING }
Result<Certificate> Certificate::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "certificate is larger than 256 KiB");
  auto data = std::make_shared<Data>();
  data->der = to_bytes(der);
  const SignedObject parts = TRY(read_signed_object(data->der, {.whole = "certificate", .body = "tbsCertificate"}));
  data->tbs = parts.body.whole;
  data->signature = parts.signature;
  data->signature_algorithm_oid = parts.algorithm_oid;
  data->signature_algorithm = parts.known;
  data->pss_salt_octets = parts.pss_salt_octets;
  TRY(read_tbs(*data, parts.body.value, parts.algorithm));
  if (auto key = PublicKey::from_spki(data->spki)) {
    data->public_key = std::move(*key);
  } else {
    data->public_key_error = std::move(key.error());
  }
  data->fingerprint = digest(Hash::sha256, data->der);
  return Certificate(std::move(data));
}

Result<Certificate> Certificate::from_file_octets(ByteView pem_or_der) {
  if (sniff(pem_or_der) == FileKind::certificate_der) return from_der(pem_or_der);
  return from_der(TRY(parse_pem_one(as_text(pem_or_der), "CERTIFICATE")));
}

Result<std::vector<Certificate>> Certificate::many_from_file_octets(ByteView pem_or_der) {
  std::vector<Certificate> out;
  if (sniff(pem_or_der) == FileKind::certificate_der) {
    out.push_back(TRY(from_der(pem_or_der)));
    return out;
  }
  for (const PemBlock& block : TRY(parse_pem(as_text(pem_or_der)))) {
    if (block.label == "CERTIFICATE") out.push_back(TRY(from_der(block.der)));
  }
  if (out.empty()) return fail(ErrorKind::malformed, "no certificate inside");
  return out;
}

const Bytes& Certificate::der() const { return data_->der; }
std::string Certificate::to_pem() const { return crypto::to_pem("CERTIFICATE", data_->der); }
ByteView Certificate::tbs() const { return data_->tbs; }
std::optional<AlgorithmId> Certificate::signature_algorithm() const { return data_->signature_algorithm; }
const std::string& Certificate::signature_algorithm_oid() const { return data_->signature_algorithm_oid; }
std::optional<unsigned> Certificate::pss_salt_octets() const { return data_->pss_salt_octets; }
ByteView Certificate::signature() const { return data_->signature; }
unsigned Certificate::version() const { return data_->version; }
const Bytes& Certificate::serial() const { return data_->serial; }
const Name& Certificate::issuer() const { return data_->issuer; }
const Name& Certificate::subject() const { return data_->subject; }
Time Certificate::not_before() const { return data_->not_before; }
Time Certificate::not_after() const { return data_->not_after; }
ByteView Certificate::spki() const { return data_->spki; }
Result<PublicKey> Certificate::public_key() const {
  if (!data_->public_key) return fail(data_->public_key_error);
  return *data_->public_key;
}
const std::vector<Extension>& Certificate::extensions() const { return data_->extensions; }
const Extension* Certificate::find_extension(std::string_view dotted_oid) const {
  for (const Extension& extension : data_->extensions) {
    if (extension.oid == dotted_oid) return &extension;
  }
  return nullptr;
}
const std::optional<BasicConstraints>& Certificate::basic_constraints() const { return data_->basic_constraints; }
bool Certificate::is_ca() const { return data_->basic_constraints && data_->basic_constraints->ca; }
bool Certificate::has_key_usage() const { return data_->key_usage.has_value(); }
bool Certificate::allows(KeyUsage usage) const {
  return !data_->key_usage || (*data_->key_usage >> static_cast<unsigned>(usage) & 1) != 0;
}
const std::vector<std::string>& Certificate::extended_key_usage() const { return data_->extended_key_usage; }
const Bytes& Certificate::subject_key_id() const { return data_->subject_key_id; }
const std::optional<AuthorityKeyIdentifier>& Certificate::authority_key_id() const { return data_->authority_key_id; }
const std::vector<GeneralName>& Certificate::subject_alternative_names() const {
  return data_->subject_alternative_names;
}
const std::vector<std::string>& Certificate::policies() const { return data_->policies; }
const std::vector<PolicyMapping>& Certificate::policy_mappings() const { return data_->policy_mappings; }
const std::optional<PolicyConstraints>& Certificate::policy_constraints() const { return data_->policy_constraints; }
const std::optional<std::uint32_t>& Certificate::inhibit_any_policy() const { return data_->inhibit_any_policy; }
const std::optional<NameConstraints>& Certificate::name_constraints() const { return data_->name_constraints; }
const std::vector<DistributionPoint>& Certificate::distribution_points() const { return data_->distribution_points; }
const std::vector<DistributionPoint>& Certificate::freshest_crl() const { return data_->freshest_crl; }
bool Certificate::ocsp_no_check() const { return data_->ocsp_no_check; }
const std::vector<std::string>& Certificate::crl_urls() const { return data_->crl_urls; }
const std::vector<std::string>& Certificate::ocsp_urls() const { return data_->ocsp_urls; }
const std::vector<std::string>& Certificate::issuer_urls() const { return data_->issuer_urls; }
ByteView Certificate::qc_statements() const { return data_->qc_statements; }
std::optional<std::uint64_t> Certificate::status_index() const { return data_->status_index; }
std::vector<std::string> Certificate::unknown_critical_extensions() const { return data_->unknown_critical; }
const Bytes& Certificate::fingerprint() const { return data_->fingerprint; }

Status verify_certificate_signature(const Certificate& certificate, const PublicKey& issuer_key) {
  if (!certificate.signature_algorithm()) {
    return fail(ErrorKind::unsupported,
                "signature algorithm " + certificate.signature_algorithm_oid() + " is not known here");
  }
  return issuer_key.verify(*certificate.signature_algorithm(), certificate.tbs(), certificate.signature(),
                           certificate.pss_salt_octets());
}

namespace {
// RFC 5280 §4.2.1.3; contentCommitment is X.509's later name of nonRepudiation.
struct KeyUsageRow {
  std::string_view name;
  KeyUsage usage;
};
constexpr auto kKeyUsages = std::to_array<KeyUsageRow>({
    {"digitalSignature", KeyUsage::digital_signature},
    {"nonRepudiation", KeyUsage::non_repudiation},
    {"contentCommitment", KeyUsage::non_repudiation},
    {"keyEncipherment", KeyUsage::key_encipherment},
    {"dataEncipherment", KeyUsage::data_encipherment},
    {"keyAgreement", KeyUsage::key_agreement},
    {"keyCertSign", KeyUsage::key_cert_sign},
    {"cRLSign", KeyUsage::crl_sign},
    {"encipherOnly", KeyUsage::encipher_only},
    {"decipherOnly", KeyUsage::decipher_only},
});
}  // namespace

std::optional<KeyUsage> find_key_usage(std::string_view name) {
  for (const KeyUsageRow& row : kKeyUsages) {
    if (row.name == name) return row.usage;
  }
  return std::nullopt;
}

std::string_view name_of(KeyUsage usage) {
  return std::find_if(kKeyUsages.begin(), kKeyUsages.end(), [&](const KeyUsageRow& row) { return row.usage == usage; })
      ->name;
}

}  // namespace karta::crypto
