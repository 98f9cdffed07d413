#include "crypto/x509/ocsp.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"

namespace karta::crypto {

struct OcspResponse::Data {
  Bytes der;
  OcspResponseStatus status = OcspResponseStatus::internal_error;
  Bytes basic;              // BasicOCSPResponse
  ByteView tbs, signature;  // into basic
  std::optional<AlgorithmId> signature_algorithm;
  std::string signature_algorithm_oid;
  std::optional<unsigned> pss_salt_octets;
  std::optional<Name> responder_name;
  Bytes responder_key_hash;
  Time produced_at{};
  std::vector<OcspSingleResponse> singles;
  Bytes nonce;
  std::vector<Certificate> certificates;
  std::vector<std::string> unknown_critical;
};

namespace {

constexpr std::string_view kNonceOid = "1.3.6.1.5.5.7.48.1.2";
constexpr std::string_view kBasicOid = "1.3.6.1.5.5.7.48.1.1";
constexpr std::string_view kOcspSigningOid = "1.3.6.1.5.5.7.3.9";

struct StatusRow {
  OcspResponseStatus status;
  std::string_view name;
};
constexpr auto kStatuses = std::to_array<StatusRow>({
    {OcspResponseStatus::successful, "successful"},
    {OcspResponseStatus::malformed_request, "malformedRequest"},
    {OcspResponseStatus::internal_error, "internalError"},
    {OcspResponseStatus::try_later, "tryLater"},
    {OcspResponseStatus::sig_required, "sigRequired"},
    {OcspResponseStatus::unauthorized, "unauthorized"},
});

/// A certificate's serial number, whatever number it is.
Result<Bytes> read_serial(der::Reader& reader) {
  constexpr std::size_t kMostOctets = 64;
  const ByteView serial = TRY(reader.integer());
  if (serial.size() > kMostOctets) return fail(ErrorKind::limit, "a serial number that is too long");
  return to_bytes(serial);
}

/// AlgorithmIdentifiers of the hashes, with NULL parameters: what every client in the field writes, and some compare
/// octets.
const Bytes& identifier_of(Hash hash) {
  // Made once: an answer is mostly what every answer has.
  static const auto kIdentifiers = [] {
    std::array<Bytes, kHashes.size()> out;
    for (const HashRow& row : kHashes) {
      out[static_cast<std::size_t>(row.id)] = der::sequence({der::oid(row.oid), der::null()});
    }
    return out;
  }();
  return kIdentifiers[static_cast<std::size_t>(hash)];
}

Result<Hash> read_hash(der::Reader& reader) {
  der::Reader ahead = reader;
  const Tlv usual = TRY(ahead.any());
  for (const HashRow& row : kHashes) {
    if (!equal(usual.whole, identifier_of(row.id))) continue;
    reader = ahead;
    return row.id;
  }
  const auto other = TRY(read_algorithm_identifier(reader));
  return hash_of(other.oid, other.parameters);
}

/// The nonce's OBJECT IDENTIFIER, whole.
const Bytes& nonce_oid() {
  static const Bytes kOid = der::oid(kNonceOid);
  return kOid;
}

// CertID ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING,
//                       serialNumber INTEGER }
Result<CertId> read_cert_id(der::Reader& parent) {
  der::Reader reader = TRY(parent.enter(der::kSequence));
  CertId out;
  out.hash = TRY(read_hash(reader));
  out.issuer_name_hash = to_bytes(TRY(reader.octet_string()));
  out.issuer_key_hash = to_bytes(TRY(reader.octet_string()));
  out.serial = TRY(read_serial(reader));
  TRY(reader.finish());
  return out;
}

Bytes encode(const CertId& id) {
  return der::sequence({identifier_of(id.hash), der::octet_string(id.issuer_name_hash),
                        der::octet_string(id.issuer_key_hash), make_tlv(der::kInteger, id.serial)});
}

/// Extensions of a request, an answer or a part of one: the nonce is taken, critical strangers are listed.
Status read_extensions(ByteView content, Bytes* nonce, std::vector<std::string>& unknown_critical) {
  constexpr std::size_t kMost = 32;
  der::Reader outer(content);
  der::Reader list = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  std::size_t count = 0;
  while (!list.done()) {
    if (++count > kMost) return fail(ErrorKind::limit, "OCSP: too many extensions");
    der::Reader one = TRY(list.enter(der::kSequence));
    const ByteView oid = TRY(one.oid());
    constexpr std::size_t kHeaderOctets = 2;
    const bool is_nonce = equal(oid, ByteView(nonce_oid()).subspan(kHeaderOctets));
    bool critical = false;
    if (const auto flag = TRY(one.next_if(der::kBoolean))) critical = TRY(der::Reader(flag->whole).boolean());
    const ByteView value = TRY(one.octet_string());
    TRY(one.finish());
    if (is_nonce && nonce != nullptr) {
      der::Reader inner(value);
      const auto wrapped = inner.octet_string();
      // Old clients put the nonce's octets straight into the extension.
      *nonce = to_bytes(wrapped && inner.finish() ? *wrapped : value);
      if (nonce->empty() || nonce->size() > OcspRequest::kMostNonceOctets) {
        return fail(ErrorKind::malformed, "OCSP: a nonce of " + std::to_string(nonce->size()) + " octets");
      }
    } else if (critical) {
      unknown_critical.push_back(der::oid_to_text(oid));
    }
  }
  return {};
}

Bytes nonce_extensions(ByteView nonce) {
  const Bytes one = der::sequence({nonce_oid(), der::octet_string(der::octet_string(nonce))});
  return der::sequence(one);
}

}  // namespace

std::string_view name_of(OcspResponseStatus status) {
  return std::find_if(kStatuses.begin(), kStatuses.end(), [&](const StatusRow& row) { return row.status == status; })
      ->name;
}

std::string_view name_of(OcspCertificateStatus status) {
  constexpr std::string_view kNames[] = {"good", "revoked", "unknown"};
  return kNames[static_cast<std::size_t>(status)];
}

CertId cert_id_of(ByteView serial, const Certificate& issuer, Hash hash) {
  CertId out;
  out.hash = hash;
  out.issuer_name_hash = digest(hash, issuer.subject().der());
  const auto key = issuer.public_key();
  // A key that has no row here still has its octets; the hash of none matches nothing.
  out.issuer_key_hash = digest(hash, key ? key->key_octets() : ByteView{});
  out.serial = to_bytes(serial);
  return out;
}

CertId cert_id_of(const Certificate& certificate, const Certificate& issuer, Hash hash) {
  CertId out = cert_id_of(certificate.serial(), issuer, hash);
  // The name as it stands in the certificate asked about (RFC 6960 §4.1.1).
  out.issuer_name_hash = digest(hash, certificate.issuer().der());
  return out;
}

bool names(const CertId& id, const Certificate& certificate, const Certificate& issuer) {
  return id.serial == certificate.serial() && id == cert_id_of(certificate, issuer, id.hash);
}

// OCSPRequest ::= SEQUENCE { tbsRequest TBSRequest, optionalSignature [0] EXPLICIT Signature OPTIONAL }
// TBSRequest ::= SEQUENCE { version [0] EXPLICIT INTEGER DEFAULT v1, requestorName [1] EXPLICIT GeneralName OPTIONAL,
//                           requestList SEQUENCE OF Request, requestExtensions [2] EXPLICIT Extensions OPTIONAL }
// Request ::= SEQUENCE { reqCert CertID, singleRequestExtensions [0] EXPLICIT Extensions OPTIONAL }
Result<OcspRequest> OcspRequest::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "OCSP request is larger than 64 KiB");
  der::Reader outer(der);
  der::Reader request = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  der::Reader tbs = TRY(request.enter(der::kSequence));
  (void)TRY(request.next_if(der::context(0)));
  TRY(request.finish());
  if (auto version = TRY(tbs.enter_if(der::context(0)))) {
    if (TRY(version->small_integer()) != 0) return fail(ErrorKind::unsupported, "OCSP request of unknown version");
  }
  (void)TRY(tbs.next_if(der::context(1)));
  der::Reader list = TRY(tbs.enter(der::kSequence));
  OcspRequest out;
  std::vector<std::string> unknown;
  while (!list.done()) {
    if (out.certificates.size() == kMostAsked) return fail(ErrorKind::limit, "OCSP: too many certificates are asked");
    der::Reader one = TRY(list.enter(der::kSequence));
    out.certificates.push_back(TRY(read_cert_id(one)));
    if (const auto extensions = TRY(one.next_if(der::context(0)))) {
      TRY(read_extensions(extensions->value, nullptr, unknown));
    }
    TRY(one.finish());
  }
  if (out.certificates.empty()) return fail(ErrorKind::malformed, "OCSP request that asks nothing");
  if (const auto extensions = TRY(tbs.next_if(der::context(2)))) {
    TRY(read_extensions(extensions->value, &out.nonce, unknown));
  }
  TRY(tbs.finish());
  if (!unknown.empty()) return fail(ErrorKind::unsupported, "OCSP: critical extension " + unknown.front());
  return out;
}

Bytes OcspRequest::to_der() const {
  Bytes list;
  for (const CertId& id : certificates) append(list, der::sequence(encode(id)));
  const Bytes extensions = nonce.empty() ? Bytes{} : make_tlv(der::context(2), nonce_extensions(nonce));
  return der::sequence({der::sequence({der::sequence(list), extensions})});
}

namespace {

using Data = OcspResponse::Data;

// CertStatus ::= CHOICE { good [0] IMPLICIT NULL, revoked [1] IMPLICIT RevokedInfo, unknown [2] IMPLICIT NULL }
// RevokedInfo ::= SEQUENCE { revocationTime GeneralizedTime, revocationReason [0] EXPLICIT CRLReason OPTIONAL }
Result<OcspState> read_state(der::Reader& reader) {
  OcspState out;
  const Tlv choice = TRY(reader.any());
  if (choice.tag == der::context_primitive(0) && choice.value.empty()) {
    out.status = OcspCertificateStatus::good;
  } else if (choice.tag == der::context_primitive(2) && choice.value.empty()) {
    out.status = OcspCertificateStatus::unknown;
  } else if (choice.tag == der::context(1)) {
    out.status = OcspCertificateStatus::revoked;
    der::Reader info(choice.value);
    out.revoked_at = TRY(info.time());
    if (auto reason = TRY(info.enter_if(der::context(0)))) {
      const Tlv number = TRY(reason->expect(der::kEnumerated));
      TRY(reason->finish());
      out.reason = number.value.size() == 1 ? crl_reason_of(number.value[0]) : std::nullopt;
      if (!out.reason) return fail(ErrorKind::malformed, "a reason that is none");
    }
    TRY(info.finish());
  } else {
    return fail(ErrorKind::malformed, "a certificate status that is none");
  }
  return out;
}

// SingleResponse ::= SEQUENCE { certID CertID, certStatus CertStatus, thisUpdate GeneralizedTime,
//                               nextUpdate [0] EXPLICIT GeneralizedTime OPTIONAL,
//                               singleExtensions [1] EXPLICIT Extensions OPTIONAL }
// A CertID under a hash that has no row cannot be compared: the response is passed over.
Result<std::optional<OcspSingleResponse>> read_single(Data& data, der::Reader& list) {
  der::Reader reader = TRY(list.enter(der::kSequence));
  OcspSingleResponse out;
  auto id = read_cert_id(reader);
  if (!id && id.error().kind == ErrorKind::unsupported) return std::optional<OcspSingleResponse>{};
  out.id = TRY(std::move(id));
  out.state = TRY(read_state(reader));
  out.this_update = TRY(reader.time());
  if (auto next = TRY(reader.enter_if(der::context(0)))) {
    out.next_update = TRY(next->time());
    TRY(next->finish());
  }
  if (const auto extensions = TRY(reader.next_if(der::context(1)))) {
    TRY(read_extensions(extensions->value, nullptr, data.unknown_critical));
  }
  TRY(reader.finish());
  return std::optional<OcspSingleResponse>(std::move(out));
}

// ResponseData ::= SEQUENCE { version [0] EXPLICIT INTEGER DEFAULT v1, responderID ResponderID,
//     producedAt GeneralizedTime, responses SEQUENCE OF SingleResponse,
//     responseExtensions [1] EXPLICIT Extensions OPTIONAL }
// ResponderID ::= CHOICE { byName [1] EXPLICIT Name, byKey [2] EXPLICIT OCTET STRING }
Status read_tbs(Data& data, ByteView content) {
  der::Reader tbs(content);
  if (auto version = TRY(tbs.enter_if(der::context(0)))) {
    if (TRY(version->small_integer()) != 0) return fail(ErrorKind::unsupported, "a version that is not 1");
  }
  if (const auto name = TRY(tbs.next_if(der::context(1)))) {
    data.responder_name = TRY(Name::from_der(name->value));
  } else {
    der::Reader key = TRY(tbs.enter(der::context(2)));
    data.responder_key_hash = to_bytes(TRY(key.octet_string()));
    TRY(key.finish());
  }
  data.produced_at = TRY(tbs.time());
  der::Reader list = TRY(tbs.enter(der::kSequence));
  std::size_t count = 0;
  while (!list.done()) {
    if (++count > OcspResponse::kMostSingles) return fail(ErrorKind::limit, "too many responses");
    auto single = TRY(read_single(data, list));
    if (single) data.singles.push_back(std::move(*single));
  }
  if (const auto extensions = TRY(tbs.next_if(der::context(1)))) {
    TRY(read_extensions(extensions->value, &data.nonce, data.unknown_critical));
  }
  return tbs.finish();
}

// BasicOCSPResponse ::= SEQUENCE { tbsResponseData ResponseData, signatureAlgorithm AlgorithmIdentifier,
//                                  signature BIT STRING, certs [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
Status read_basic(Data& data) {
  der::Reader outer(data.basic);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const Tlv tbs = TRY(reader.expect(der::kSequence));
  data.tbs = tbs.whole;
  const auto algorithm = TRY(read_algorithm_identifier(reader));
  data.signature_algorithm_oid = algorithm.oid;
  if (const auto known = signature_algorithm_of(algorithm.oid, algorithm.parameters)) {
    data.signature_algorithm = known->id;
    data.pss_salt_octets = known->pss_salt_octets;
  } else if (known.error().kind != ErrorKind::unsupported) {
    return fail(known.error());
  }
  data.signature = TRY(reader.bit_string());
  if (auto certificates = TRY(reader.enter_if(der::context(0)))) {
    der::Reader list = TRY(certificates->enter(der::kSequence));
    TRY(certificates->finish());
    std::size_t count = 0;
    while (!list.done()) {
      if (++count > OcspResponse::kMostCertificates) return fail(ErrorKind::limit, "too many certificates");
      const Tlv one = TRY(list.any());
      if (auto parsed = Certificate::from_der(one.whole)) data.certificates.push_back(std::move(*parsed));
    }
  }
  TRY(reader.finish());
  return read_tbs(data, tbs.value);
}

// OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] EXPLICIT SEQUENCE {
//                                 responseType OBJECT IDENTIFIER, response OCTET STRING } OPTIONAL }
Status read_response(Data& data) {
  der::Reader outer(data.der);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const Tlv status = TRY(reader.expect(der::kEnumerated));
  const auto row = std::find_if(kStatuses.begin(), kStatuses.end(), [&](const StatusRow& one) {
    return status.value.size() == 1 && static_cast<std::uint8_t>(one.status) == status.value[0];
  });
  if (row == kStatuses.end()) return fail(ErrorKind::malformed, "a response status that is none");
  data.status = row->status;
  auto bytes = TRY(reader.enter_if(der::context(0)));
  TRY(reader.finish());
  if (bytes.has_value() != (data.status == OcspResponseStatus::successful)) {
    return fail(ErrorKind::malformed, "the response status and what follows it disagree");
  }
  if (!bytes) return {};
  der::Reader inner = TRY(bytes->enter(der::kSequence));
  TRY(bytes->finish());
  const std::string type = der::oid_to_text(TRY(inner.oid()));
  if (type != kBasicOid) return fail(ErrorKind::unsupported, "a response of type " + type);
  data.basic = to_bytes(TRY(inner.octet_string()));
  TRY(inner.finish());
  return read_basic(data);
}

}  // namespace

Result<OcspResponse> OcspResponse::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "OCSP response is larger than 1 MiB");
  auto data = std::make_shared<Data>();
  data->der = to_bytes(der);
  if (Status status = read_response(*data); !status) {
    Error error = std::move(status).error();
    error.message = "OCSP response: " + error.message;
    return fail(std::move(error));
  }
  return OcspResponse(std::move(data));
}

const Bytes& OcspResponse::der() const { return data_->der; }
OcspResponseStatus OcspResponse::status() const { return data_->status; }
ByteView OcspResponse::tbs() const { return data_->tbs; }
std::optional<AlgorithmId> OcspResponse::signature_algorithm() const { return data_->signature_algorithm; }
const std::string& OcspResponse::signature_algorithm_oid() const { return data_->signature_algorithm_oid; }
std::optional<unsigned> OcspResponse::pss_salt_octets() const { return data_->pss_salt_octets; }
ByteView OcspResponse::signature() const { return data_->signature; }
const std::optional<Name>& OcspResponse::responder_name() const { return data_->responder_name; }
const Bytes& OcspResponse::responder_key_hash() const { return data_->responder_key_hash; }
Time OcspResponse::produced_at() const { return data_->produced_at; }
const std::vector<OcspSingleResponse>& OcspResponse::singles() const { return data_->singles; }
const Bytes& OcspResponse::nonce() const { return data_->nonce; }
const std::vector<Certificate>& OcspResponse::certificates() const { return data_->certificates; }
const std::vector<std::string>& OcspResponse::unknown_critical_extensions() const { return data_->unknown_critical; }

bool OcspResponse::responder_is(const Certificate& certificate) const {
  if (data_->responder_name) return *data_->responder_name == certificate.subject();
  const auto key = certificate.public_key();
  return key && data_->responder_key_hash == digest(Hash::sha1, key->key_octets());
}

Status verify_ocsp_signature(const OcspResponse& response, const PublicKey& key) {
  if (!response.signature_algorithm()) {
    return fail(ErrorKind::unsupported,
                "signature algorithm " + response.signature_algorithm_oid() + " is not known here");
  }
  return key.verify(*response.signature_algorithm(), response.tbs(), response.signature(), response.pss_salt_octets());
}

Status check_nonce(const OcspRequest& request, const OcspResponse& response) {
  if (request.nonce == response.nonce()) return {};
  return fail(ErrorKind::untrusted, response.nonce().empty() ? "the OCSP answer carries no nonce: it may be an old one"
                                                             : "the OCSP answer is one to another request");
}

Bytes ocsp_error(OcspResponseStatus status) {
  const auto number = static_cast<std::uint8_t>(status);
  return der::sequence({make_tlv(der::kEnumerated, ByteView(&number, 1))});
}

namespace {

Bytes encode(const OcspSingleResponse& single) {
  Bytes status;
  switch (single.state.status) {
    case OcspCertificateStatus::good:
      status = make_tlv(der::context_primitive(0), ByteView{});
      break;
    case OcspCertificateStatus::unknown:
      status = make_tlv(der::context_primitive(2), ByteView{});
      break;
    case OcspCertificateStatus::revoked: {
      Bytes reason;
      if (single.state.reason) {
        const auto number = static_cast<std::uint8_t>(*single.state.reason);
        reason = make_tlv(der::context(0), make_tlv(der::kEnumerated, ByteView(&number, 1)));
      }
      status = make_tlv(der::context(1), {der::generalized_time(single.state.revoked_at), reason});
      break;
    }
  }
  const Bytes next =
      single.next_update ? make_tlv(der::context(0), der::generalized_time(*single.next_update)) : Bytes{};
  return der::sequence({encode(single.id), status, der::generalized_time(single.this_update), next});
}

}  // namespace

struct OcspConstants {
  AlgorithmId algorithm;
  Bytes responder_id, signature_algorithm, certificates;
};

namespace {

Result<OcspConstants> constants_of(const Signer& signer, std::optional<AlgorithmId> algorithm) {
  if (signer.certificate_chain().empty()) return fail(ErrorKind::usage, "an OCSP responder needs a certificate");
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the responder's key has no algorithm to sign with");
  const AlgorithmId chosen = algorithm.value_or(offered.front());
  const Bytes key_hash = digest(Hash::sha1, signer.public_key().key_octets());
  return OcspConstants{chosen, make_tlv(der::context(2), der::octet_string(key_hash)),
                       encode_signature_algorithm(chosen),
                       make_tlv(der::context(0), der::sequence(signer.certificate_chain().front()))};
}

Result<Bytes> sign_with(const OcspConstants& constants, const OcspAnswer& answer, Signer& signer) {
  Bytes list;
  for (const OcspSingleResponse& single : answer.singles) append(list, encode(single));
  const Bytes extensions = answer.nonce.empty() ? Bytes{} : make_tlv(der::context(1), nonce_extensions(answer.nonce));
  const Bytes tbs = der::sequence(
      {constants.responder_id, der::generalized_time(answer.produced_at), der::sequence(list), extensions});
  const Bytes signature = TRY(signer.sign_message(constants.algorithm, tbs));
  const Bytes basic =
      der::sequence({tbs, constants.signature_algorithm, der::bit_string(signature), constants.certificates});
  static const Bytes type = der::oid(kBasicOid);
  const std::uint8_t successful = 0;
  return der::sequence({make_tlv(der::kEnumerated, ByteView(&successful, 1)),
                        make_tlv(der::context(0), der::sequence({type, der::octet_string(basic)}))});
}

}  // namespace

Result<Bytes> sign_ocsp(const OcspAnswer& answer, Signer& signer, std::optional<AlgorithmId> algorithm) {
  const OcspConstants constants = TRY(constants_of(signer, algorithm));
  return sign_with(constants, answer, signer);
}

OcspResponder::OcspResponder(Certificate issuer, Signer& signer, std::shared_ptr<const OcspConstants> constants,
                             Lookup lookup, const Clock& clock, Options options)
    : issuer_(std::move(issuer)),
      signer_(&signer),
      constants_(std::move(constants)),
      lookup_(std::move(lookup)),
      clock_(&clock),
      options_(options) {
  for (const HashRow& row : kHashes) own_.push_back(cert_id_of(ByteView{}, issuer_, row.id));
}

Result<OcspResponder> OcspResponder::create(Certificate issuer, Signer& signer, Lookup lookup, const Clock& clock,
                                            Options options) {
  if (signer.certificate_chain().empty()) return fail(ErrorKind::usage, "an OCSP responder needs a certificate");
  const Certificate own = TRY(Certificate::from_der(signer.certificate_chain().front()));
  if (!equal(own.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the certificate is not that of the signing key");
  }
  if (!equal(own.spki(), issuer.spki())) {
    const auto key = TRY(issuer.public_key());
    const auto& purposes = own.extended_key_usage();
    const bool delegated = own.issuer() == issuer.subject() && verify_certificate_signature(own, key) &&
                           std::find(purposes.begin(), purposes.end(), kOcspSigningOid) != purposes.end();
    if (!delegated) {
      return fail(ErrorKind::not_permitted,
                  "\"" + own.subject().to_text() + "\" may not answer for \"" + issuer.subject().to_text() + "\"",
                  "a responder's certificate is issued by that CA itself, with OCSPSigning (RFC 6960 §4.2.2.2)");
    }
  }
  auto constants = std::make_shared<const OcspConstants>(TRY(constants_of(signer, options.algorithm)));
  return OcspResponder(std::move(issuer), signer, std::move(constants), std::move(lookup), clock, options);
}

Result<OcspSingleResponse> OcspResponder::single(const CertId& id) const {
  OcspSingleResponse out;
  out.id = id;
  out.this_update = clock_->now();
  out.next_update = out.this_update + options_.validity;
  const CertId& own = own_[static_cast<std::size_t>(id.hash)];
  if (own.issuer_name_hash == id.issuer_name_hash && own.issuer_key_hash == id.issuer_key_hash) {
    out.state = TRY(lookup_(id.serial));
  }
  return out;
}

Bytes OcspResponder::answer(ByteView request) {
  const auto parsed = OcspRequest::from_der(request);
  return parsed ? answer(*parsed) : ocsp_error(OcspResponseStatus::malformed_request);
}

Bytes OcspResponder::answer(const OcspRequest& request) {
  OcspAnswer out;
  out.nonce = request.nonce;
  out.produced_at = clock_->now();
  bool any_own = false;
  for (const CertId& id : request.certificates) {
    auto one = single(id);
    if (!one) return ocsp_error(OcspResponseStatus::try_later);
    any_own = any_own || own_[static_cast<std::size_t>(id.hash)].issuer_key_hash == id.issuer_key_hash;
    out.singles.push_back(std::move(*one));
  }
  // RFC 6960 §2.3: not an authority on any of them.
  if (!any_own) return ocsp_error(OcspResponseStatus::unauthorized);
  auto whole = sign_with(*constants_, out, *signer_);
  return whole ? std::move(*whole) : ocsp_error(OcspResponseStatus::internal_error);
}

Result<Bytes> OcspResponder::pre_produce(ByteView serial) {
  OcspAnswer out;
  out.produced_at = clock_->now();
  out.singles.push_back(TRY(single(cert_id_of(serial, issuer_))));
  return sign_with(*constants_, out, *signer_);
}

}  // namespace karta::crypto
