#include "crypto/x509/crl.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/x509/extension.h"
#include "crypto/x509/signed_object.h"

namespace karta::crypto {

struct Crl::Data {
  Bytes der;
  ByteView tbs, signature;  // into der
  std::optional<AlgorithmId> signature_algorithm;
  std::string signature_algorithm_oid;
  std::optional<unsigned> pss_salt_octets;
  Name issuer;
  Time this_update{};
  std::optional<Time> next_update;
  Bytes number, base_number;
  std::optional<AuthorityKeyIdentifier> authority_key_id;
  std::optional<IssuingDistributionPoint> issuing_distribution_point;
  std::vector<std::string> unknown_critical;
  std::vector<CrlEntry> entries;
  std::vector<Name> certificate_issuers;
  Bytes fingerprint;

  mutable std::once_flag sorted;
  mutable std::vector<std::uint32_t> order;  // entries by issuer, serial, position
};

namespace {

using Data = Crl::Data;

tl::unexpected<Error> in_field(std::string_view field, Error error) {
  error.message = "CRL: " + std::string(field) + ": " + error.message;
  return fail(std::move(error));
}
#define TRY_FIELD(field, expression)                                              \
  __extension__({                                                                 \
    auto field_result_ = (expression);                                            \
    if (!field_result_) return in_field(field, std::move(field_result_).error()); \
    ::karta::detail::take(std::move(field_result_));                              \
  })

void note_unknown(Data& data, const std::string& oid) {
  if (std::find(data.unknown_critical.begin(), data.unknown_critical.end(), oid) == data.unknown_critical.end()) {
    data.unknown_critical.push_back(oid);
  }
}

// Extension ::= SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
struct RawExtension {
  ByteView oid;  // content octets
  bool critical = false;
  ByteView value;
};
Result<RawExtension> read_extension(der::Reader& list) {
  der::Reader one = TRY(list.enter(der::kSequence));
  RawExtension out;
  out.oid = TRY(one.oid());
  if (const auto critical = TRY(one.next_if(der::kBoolean))) out.critical = TRY(der::Reader(critical->whole).boolean());
  out.value = TRY(one.octet_string());
  TRY(one.finish());
  return out;
}

Status read_magnitude(Bytes& out, ByteView value) {
  der::Reader reader(value);
  out = to_bytes(TRY(reader.unsigned_integer()));
  return reader.finish();
}

// IssuingDistributionPoint ::= SEQUENCE {
//     distributionPoint [0] DistributionPointName OPTIONAL, onlyContainsUserCerts [1] BOOLEAN DEFAULT FALSE,
//     onlyContainsCACerts [2] BOOLEAN DEFAULT FALSE, onlySomeReasons [3] ReasonFlags OPTIONAL,
//     indirectCRL [4] BOOLEAN DEFAULT FALSE, onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
Status read_issuing_distribution_point(Data& data, ByteView value) {
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  IssuingDistributionPoint out;
  out.der = to_bytes(value);
  if (const auto name = TRY(reader.next_if(der::context(0)))) {
    out.name = TRY(parse_distribution_point_name(name->value));
  }
  const auto flag = [&](unsigned number, bool& set) -> Status {
    const auto found = TRY(reader.next_if(der::context_primitive(number)));
    if (!found) return {};
    const Bytes whole = make_tlv(der::kBoolean, found->value);
    set = TRY(der::Reader(whole).boolean());
    return {};
  };
  TRY(flag(1, out.only_user_certificates));
  TRY(flag(2, out.only_ca_certificates));
  if (const auto reasons = TRY(reader.next_if(der::context_primitive(3)))) {
    out.only_some_reasons = TRY(parse_reason_flags(reasons->value));
  }
  TRY(flag(4, out.indirect));
  TRY(flag(5, out.only_attribute_certificates));
  TRY(reader.finish());
  if (out.only_user_certificates + out.only_ca_certificates + out.only_attribute_certificates > 1) {
    return fail(ErrorKind::malformed, "it covers two kinds of certificates and no other");
  }
  data.issuing_distribution_point = std::move(out);
  return {};
}

// crlExtensions [0] EXPLICIT Extensions OPTIONAL
Status read_extensions(Data& data, der::Reader& reader) {
  der::Reader list = TRY_FIELD("crlExtensions", reader.enter(der::kSequence));
  TRY_FIELD("crlExtensions", reader.finish());
  std::vector<std::string> seen;
  while (!list.done()) {
    if (seen.size() == Crl::kMostExtensions) return fail(ErrorKind::limit, "CRL: too many extensions");
    const RawExtension one = TRY_FIELD("crlExtensions", read_extension(list));
    const std::string oid = der::oid_to_text(one.oid);
    if (std::find(seen.begin(), seen.end(), oid) != seen.end()) {
      return fail(ErrorKind::malformed, "CRL: extension " + oid + " stands there twice");
    }
    seen.push_back(oid);
    if (oid == "2.5.29.20") {
      TRY_FIELD("cRLNumber", read_magnitude(data.number, one.value));
    } else if (oid == "2.5.29.27") {
      TRY_FIELD("deltaCRLIndicator", read_magnitude(data.base_number, one.value));
    } else if (oid == "2.5.29.35") {
      data.authority_key_id = TRY_FIELD("authorityKeyIdentifier", parse_authority_key_id(one.value));
    } else if (oid == "2.5.29.28") {
      TRY_FIELD("issuingDistributionPoint", read_issuing_distribution_point(data, one.value));
    } else if (one.critical) {
      note_unknown(data, oid);
    }
  }
  return {};
}

// OIDs of entry extensions, 2.5.29.n, compared as octets: this is done once an entry.
constexpr std::uint8_t kReasonCode = 21, kHoldInstruction = 23, kInvalidityDate = 24, kCertificateIssuer = 29;

/// Reads the entries; `issuers` finds the position of a certificate issuer already seen.
class EntryReader {
 public:
  explicit EntryReader(Data& data) : data_(data) {
    data_.certificate_issuers.push_back(data_.issuer);
    known_[data_.issuer.canonical()] = 0;
  }

  // SEQUENCE { userCertificate INTEGER, revocationDate Time, crlEntryExtensions Extensions OPTIONAL }
  Status read(der::Reader& list) {
    der::Reader one = TRY(list.enter(der::kSequence));
    CrlEntry entry;
    entry.serial = TRY(one.integer());
    entry.revoked_at = TRY(one.time());
    if (!one.done()) {
      der::Reader extensions = TRY(one.enter(der::kSequence));
      while (!extensions.done()) {
        const RawExtension extension = TRY(read_extension(extensions));
        TRY(read_entry_extension(entry, extension));
      }
      TRY(one.finish());
    }
    entry.issuer = issuer_;
    data_.entries.push_back(entry);
    return {};
  }

 private:
  Status read_entry_extension(CrlEntry& entry, const RawExtension& extension) {
    const bool standard = extension.oid.size() == 3 && extension.oid[0] == 0x55 && extension.oid[1] == 0x1D;
    der::Reader value(extension.value);
    switch (standard ? extension.oid[2] : 0) {
      case kReasonCode: {
        const Tlv reason = TRY(value.expect(der::kEnumerated));
        const auto known = reason.value.size() == 1 ? crl_reason_of(reason.value[0]) : std::nullopt;
        if (!known) return fail(ErrorKind::malformed, "a reason that is none");
        entry.reason = *known;
        break;
      }
      case kInvalidityDate:
        (void)TRY(value.time());
        break;
      case kHoldInstruction:
        (void)TRY(value.oid());
        break;
      case kCertificateIssuer: {  // holds for the entries that follow too (RFC 5280 §5.3.3)
        const Tlv names = TRY(value.expect(der::kSequence));
        std::optional<Name> found;
        for (const GeneralName& name : TRY(parse_general_names(names.value))) {
          if (name.kind == GeneralName::Kind::directory_name && !found) found = TRY(Name::from_der(name.value));
        }
        if (!found) return fail(ErrorKind::malformed, "a certificate issuer without a directory name");
        const auto [at, fresh] = known_.emplace(found->canonical(), data_.certificate_issuers.size());
        if (fresh) data_.certificate_issuers.push_back(*found);
        issuer_ = static_cast<std::uint32_t>(at->second);
        break;
      }
      default:
        if (extension.critical) note_unknown(data_, der::oid_to_text(extension.oid));
        return {};
    }
    return value.finish();
  }

  Data& data_;
  std::map<Bytes, std::size_t> known_;
  std::uint32_t issuer_ = 0;
};

// TBSCertList ::= SEQUENCE {
//     version INTEGER OPTIONAL, signature AlgorithmIdentifier, issuer Name, thisUpdate Time, nextUpdate Time OPTIONAL,
//     revokedCertificates SEQUENCE OF SEQUENCE ... OPTIONAL, crlExtensions [0] EXPLICIT Extensions OPTIONAL }
Status read_tbs(Data& data, ByteView content, ByteView outer_algorithm) {
  der::Reader tbs(content);
  bool version_2 = false;
  if (const auto version = TRY_FIELD("version", tbs.next_if(der::kInteger))) {
    if (version->value.size() != 1 || version->value[0] != 1) {
      return fail(ErrorKind::malformed, "CRL: version is not 2");
    }
    version_2 = true;
  }
  const Tlv algorithm = TRY_FIELD("signature", tbs.expect(der::kSequence));
  if (!equal(algorithm.whole, outer_algorithm)) {
    return fail(ErrorKind::malformed, "CRL: the signature algorithm inside and outside differ");
  }
  const Tlv issuer = TRY_FIELD("issuer", tbs.expect(der::kSequence));
  data.issuer = TRY_FIELD("issuer", Name::from_der(issuer.whole));
  data.this_update = TRY_FIELD("thisUpdate", tbs.time());
  auto next = TRY_FIELD("nextUpdate", tbs.next_if(der::kUtcTime));
  if (!next) next = TRY_FIELD("nextUpdate", tbs.next_if(der::kGeneralizedTime));
  if (next) {
    der::Reader time(next->whole);
    data.next_update = TRY_FIELD("nextUpdate", time.time());
  }
  EntryReader entries(data);
  if (auto list = TRY_FIELD("revokedCertificates", tbs.enter_if(der::kSequence))) {
    while (!list->done()) TRY_FIELD("entry " + std::to_string(data.entries.size()), entries.read(*list));
  }
  if (auto extensions = TRY_FIELD("crlExtensions", tbs.enter_if(der::context(0)))) {
    if (!version_2) return fail(ErrorKind::malformed, "CRL: extensions need version 2");
    TRY(read_extensions(data, *extensions));
  }
  TRY_FIELD("tbsCertList", tbs.finish());
  return {};
}

bool serial_less(ByteView a, ByteView b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

// CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm AlgorithmIdentifier, signatureValue BIT STRING }
Result<Crl> Crl::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "CRL is larger than 64 MiB");
  auto data = std::make_shared<Data>();
  data->der = to_bytes(der);
  const SignedObject parts = TRY(read_signed_object(data->der, {.whole = "CRL", .body = "tbsCertList"}));
  data->tbs = parts.body.whole;
  data->signature = parts.signature;
  data->signature_algorithm_oid = parts.algorithm_oid;
  data->signature_algorithm = parts.known;
  data->pss_salt_octets = parts.pss_salt_octets;
  TRY(read_tbs(*data, parts.body.value, parts.algorithm));
  data->fingerprint = digest(Hash::sha256, data->der);
  return Crl(std::move(data));
}

Result<Crl> Crl::from_file_octets(ByteView pem_or_der) {
  if (as_text(pem_or_der.first(std::min<std::size_t>(pem_or_der.size(), 65'536))).find("-----BEGIN") ==
      std::string_view::npos) {
    return from_der(pem_or_der);
  }
  const Bytes der = TRY(parse_pem_one(as_text(pem_or_der), "X509 CRL"));
  return from_der(der);
}

const Bytes& Crl::der() const { return data_->der; }
std::string Crl::to_pem() const { return crypto::to_pem("X509 CRL", data_->der); }
ByteView Crl::tbs() const { return data_->tbs; }
std::optional<AlgorithmId> Crl::signature_algorithm() const { return data_->signature_algorithm; }
const std::string& Crl::signature_algorithm_oid() const { return data_->signature_algorithm_oid; }
std::optional<unsigned> Crl::pss_salt_octets() const { return data_->pss_salt_octets; }
ByteView Crl::signature() const { return data_->signature; }
const Name& Crl::issuer() const { return data_->issuer; }
Time Crl::this_update() const { return data_->this_update; }
const std::optional<Time>& Crl::next_update() const { return data_->next_update; }
const Bytes& Crl::number() const { return data_->number; }
const Bytes& Crl::base_number() const { return data_->base_number; }
const std::optional<AuthorityKeyIdentifier>& Crl::authority_key_id() const { return data_->authority_key_id; }
const std::optional<IssuingDistributionPoint>& Crl::issuing_distribution_point() const {
  return data_->issuing_distribution_point;
}
const std::vector<std::string>& Crl::unknown_critical_extensions() const { return data_->unknown_critical; }
const std::vector<CrlEntry>& Crl::entries() const { return data_->entries; }
const std::vector<Name>& Crl::certificate_issuers() const { return data_->certificate_issuers; }
const Bytes& Crl::fingerprint() const { return data_->fingerprint; }

const CrlEntry* Crl::find(const Name& certificate_issuer, ByteView serial) const {
  const Data& data = *data_;
  std::call_once(data.sorted, [&] {
    data.order.resize(data.entries.size());
    for (std::uint32_t i = 0; i < data.order.size(); ++i) data.order[i] = i;
    std::sort(data.order.begin(), data.order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const CrlEntry &one = data.entries[a], &other = data.entries[b];
      if (one.issuer != other.issuer) return one.issuer < other.issuer;
      if (serial_less(one.serial, other.serial)) return true;
      return !serial_less(other.serial, one.serial) && a < b;
    });
  });
  const auto issuer = std::find(data.certificate_issuers.begin(), data.certificate_issuers.end(), certificate_issuer);
  if (issuer == data.certificate_issuers.end()) return nullptr;
  const auto number = static_cast<std::uint32_t>(issuer - data.certificate_issuers.begin());
  // The first entry after all of this issuer and serial; the one before it is the last that bears them.
  const auto after = std::partition_point(data.order.begin(), data.order.end(), [&](std::uint32_t i) {
    const CrlEntry& entry = data.entries[i];
    return entry.issuer < number || (entry.issuer == number && !serial_less(serial, entry.serial));
  });
  if (after == data.order.begin()) return nullptr;
  const CrlEntry& found = data.entries[*(after - 1)];
  return found.issuer == number && equal(found.serial, serial) ? &found : nullptr;
}

Status verify_crl_signature(const Crl& crl, const PublicKey& issuer_key) {
  if (!crl.signature_algorithm()) {
    return fail(ErrorKind::unsupported, "signature algorithm " + crl.signature_algorithm_oid() + " is not known here");
  }
  return issuer_key.verify(*crl.signature_algorithm(), crl.tbs(), crl.signature(), crl.pss_salt_octets());
}

int compare_numbers(ByteView a, ByteView b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return equal(a, b) ? 0 : serial_less(a, b) ? -1 : 1;
}

namespace {

Status append_entry(Bytes& out, const CrlContent& content, const CrlContent::Revoked& one, const Name& issuer,
                    const Name*& speaking_of) {
  if (one.reason == CrlReason::remove_from_crl && !content.base_number) {
    return fail(ErrorKind::usage, "removeFromCRL stands in delta CRLs only");
  }
  if (one.certificate_issuer && !content.indirect && !(*one.certificate_issuer == issuer)) {
    return fail(ErrorKind::usage, "a certificate of another issuer stands in indirect CRLs only");
  }
  if (one.serial.empty()) return fail(ErrorKind::usage, "a revoked certificate without its serial number");
  Bytes extensions;
  // RFC 5280 §5.3.1: unspecified is said by saying nothing.
  if (one.reason != CrlReason::unspecified) {
    const auto number = static_cast<std::uint8_t>(one.reason);
    append(extensions, encode_extension("2.5.29.21", false, make_tlv(der::kEnumerated, ByteView(&number, 1))));
  }
  if (one.invalid_since)
    append(extensions, encode_extension("2.5.29.24", false, der::generalized_time(*one.invalid_since)));
  const Name& about = one.certificate_issuer ? *one.certificate_issuer : issuer;
  if (!(about == *speaking_of)) {
    const Bytes names = der::sequence(encode(GeneralName::directory_name(about.der())));
    append(extensions, encode_extension("2.5.29.29", true, names));
    speaking_of = &about;
  }
  append(out, der::sequence({der::unsigned_integer(one.serial), der::time(one.revoked_at),
                             extensions.empty() ? Bytes{} : der::sequence(extensions)}));
  return {};
}

Bytes encode_issuing_distribution_point(const CrlContent& content) {
  Bytes out;
  if (content.distribution_point) append(out, encode_distribution_point_name(*content.distribution_point));
  const auto flag = [&](unsigned number, bool set) {
    if (set) append(out, make_tlv(der::context_primitive(number), Bytes{0xFF}));
  };
  flag(1, content.only_user_certificates);
  flag(2, content.only_ca_certificates);
  if (content.only_some_reasons) {
    Bytes bits = der::named_bits(*content.only_some_reasons, 9);
    bits[0] = static_cast<std::uint8_t>(der::context_primitive(3));
    append(out, bits);
  }
  flag(4, content.indirect);
  return out;
}

}  // namespace

Result<Crl> sign_crl(const CrlContent& content, const Certificate& issuer, Signer& signer,
                     std::optional<AlgorithmId> algorithm) {
  const std::string quoted = "\"" + issuer.subject().to_text() + "\"";
  if (!equal(issuer.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the signing key is not that of " + quoted);
  }
  if (!issuer.allows(KeyUsage::crl_sign)) return fail(ErrorKind::not_permitted, quoted + " may not sign CRLs");
  if (content.next_update <= content.this_update) return fail(ErrorKind::usage, "the CRL would never be valid");
  if (content.only_user_certificates && content.only_ca_certificates) {
    return fail(ErrorKind::usage, "a CRL of user certificates only and of CA certificates only covers nothing");
  }
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the issuing key has no algorithm to sign with");
  const AlgorithmId chosen = algorithm.value_or(offered.front());

  Bytes entries;
  const Name* speaking_of = &issuer.subject();
  for (const CrlContent::Revoked& one : content.revoked) {
    TRY(append_entry(entries, content, one, issuer.subject(), speaking_of));
  }
  Bytes extensions;
  if (!issuer.subject_key_id().empty()) {
    append(extensions, encode_extension("2.5.29.35", false,
                                        der::sequence(make_tlv(der::context_primitive(0), issuer.subject_key_id()))));
  }
  append(extensions, encode_extension("2.5.29.20", false, der::integer(content.number)));
  if (content.base_number) append(extensions, encode_extension("2.5.29.27", true, der::integer(*content.base_number)));
  if (const Bytes point = encode_issuing_distribution_point(content); !point.empty()) {
    append(extensions, encode_extension("2.5.29.28", true, der::sequence(point)));
  }
  if (!content.freshest_urls.empty() && !content.base_number) {
    Bytes points;
    for (const std::string& url : content.freshest_urls) {
      append(points, der::sequence(encode_distribution_point_name(url)));
    }
    append(extensions, encode_extension("2.5.29.46", false, der::sequence(points)));
  }
  const Bytes algorithm_der = encode_signature_algorithm(chosen);
  const Bytes tbs =
      der::sequence({der::integer(1), algorithm_der, issuer.subject().der(), der::time(content.this_update),
                     der::time(content.next_update), entries.empty() ? Bytes{} : der::sequence(entries),
                     make_tlv(der::context(0), der::sequence(extensions))});
  const Bytes signature = TRY(signer.sign_message(chosen, tbs));
  const Bytes whole = der::sequence({tbs, algorithm_der, der::bit_string(signature)});
  Crl crl = TRY(Crl::from_der(whole));
  if (const Status status = verify_crl_signature(crl, signer.public_key()); !status) {
    return fail(ErrorKind::internal, "the issuing key returned a signature that does not verify",
                "the key or the device that holds it is at fault");
  }
  return crl;
}

}  // namespace karta::crypto
