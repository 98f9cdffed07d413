#include "crypto/cms/timestamp.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"

namespace karta::crypto {

struct TimeStampToken::Data {
  Bytes der;
  SignedData signed_data;  // aliases der
  Bytes content;           // TSTInfo
  TimeStampInfo info;
  std::vector<Certificate> certificates;
};

namespace {

constexpr std::string_view kTstInfoOid = "1.2.840.113549.1.9.16.1.4";
constexpr std::string_view kTimeStampingOid = "1.3.6.1.5.5.7.3.8";

struct FailureRow {
  TimeStampFailure failure;
  std::string_view name;
};
constexpr auto kFailures = std::to_array<FailureRow>({
    {TimeStampFailure::bad_algorithm, "badAlg"},
    {TimeStampFailure::bad_request, "badRequest"},
    {TimeStampFailure::bad_data_format, "badDataFormat"},
    {TimeStampFailure::time_not_available, "timeNotAvailable"},
    {TimeStampFailure::unaccepted_policy, "unacceptedPolicy"},
    {TimeStampFailure::unaccepted_extension, "unacceptedExtension"},
    {TimeStampFailure::additional_info_not_available, "addInfoNotAvailable"},
    {TimeStampFailure::system_failure, "systemFailure"},
});

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "time-stamp: " + what); }

/// A Result's error, "time-stamp: " in front of its message.
template <class T>
Result<T> in_time_stamp(Result<T> result) {
  if (result) return result;
  Error error = std::move(result).error();
  if (!error.message.starts_with("time-stamp: ")) error.message = "time-stamp: " + error.message;
  return fail(std::move(error));
}

// MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }
Result<MessageImprint> read_imprint(der::Reader& parent) {
  der::Reader reader = TRY(parent.enter(der::kSequence));
  const auto algorithm = TRY(read_algorithm_identifier(reader));
  MessageImprint out;
  out.hash = TRY(hash_of(algorithm.oid, algorithm.parameters));
  out.digest = to_bytes(TRY(reader.octet_string()));
  TRY(reader.finish());
  if (out.digest.size() != row_of(out.hash).octets) return bad("the digest is not as long as its hash says");
  return out;
}

Bytes encode(const MessageImprint& imprint) {
  const Bytes algorithm = der::sequence({der::oid(row_of(imprint.hash).oid), der::null()});
  return der::sequence({algorithm, der::octet_string(imprint.digest)});
}

Result<Bytes> read_nonce(const Tlv& integer) {
  if (integer.value.empty() || integer.value.size() > TimeStampRequest::kMostNonceOctets) {
    return fail(ErrorKind::limit, "time-stamp: a nonce of " + std::to_string(integer.value.size()) + " octets");
  }
  der::Reader reader(integer.whole);
  return to_bytes(TRY(reader.integer()));
}

/// Extensions that must be understood: there are none.
Status read_extensions(ByteView content) {
  der::Reader list(content);
  constexpr std::size_t kMost = 32;
  std::size_t count = 0;
  while (!list.done()) {
    if (++count > kMost) return fail(ErrorKind::limit, "time-stamp: too many extensions");
    der::Reader one = TRY(list.enter(der::kSequence));
    const std::string oid = der::oid_to_text(TRY(one.oid()));
    bool critical = false;
    if (const auto flag = TRY(one.next_if(der::kBoolean))) critical = TRY(der::Reader(flag->whole).boolean());
    (void)TRY(one.octet_string());
    TRY(one.finish());
    if (critical) return fail(ErrorKind::unsupported, "time-stamp: critical extension " + oid);
  }
  return {};
}

// TimeStampReq ::= SEQUENCE { version INTEGER { v1(1) }, messageImprint MessageImprint, reqPolicy OBJECT IDENTIFIER
//     OPTIONAL, nonce INTEGER OPTIONAL, certReq BOOLEAN DEFAULT FALSE, extensions [0] IMPLICIT Extensions OPTIONAL }
Result<TimeStampRequest> read_request(ByteView der) {
  der::Reader outer(der);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  if (TRY(reader.small_integer()) != 1) return fail(ErrorKind::unsupported, "a request of unknown version");
  TimeStampRequest out;
  out.imprint = TRY(read_imprint(reader));
  if (const auto policy = TRY(reader.next_if(der::kOid))) {
    der::Reader oid(policy->whole);
    out.policy = der::oid_to_text(TRY(oid.oid()));
  }
  if (const auto nonce = TRY(reader.next_if(der::kInteger))) out.nonce = TRY(read_nonce(*nonce));
  out.certificate_wanted = false;
  if (const auto wanted = TRY(reader.next_if(der::kBoolean))) {
    out.certificate_wanted = TRY(der::Reader(wanted->whole).boolean());
  }
  if (const auto extensions = TRY(reader.next_if(der::context(0)))) TRY(read_extensions(extensions->value));
  TRY(reader.finish());
  return out;
}

/// GeneralizedTime with a fraction of a second, as TSTInfo may have (RFC 3161 §2.4.2).
Status read_generation_time(TimeStampInfo& out, der::Reader& reader) {
  const Tlv whole = TRY(reader.expect(der::kGeneralizedTime));
  const std::string_view text = as_text(whole.value);
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) {
    der::Reader plain(whole.whole);
    out.time = TRY(plain.time());
    return {};
  }
  const std::string_view digits = text.substr(point + 1, text.size() - point - 2);
  const bool well_formed = text.back() == 'Z' && !digits.empty() && digits.back() != '0' && digits.size() <= 9 &&
                           digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!well_formed) return bad("a time with a fraction that is none");
  for (std::size_t i = 0; i < 6; ++i) {
    out.microseconds = out.microseconds * 10 + (i < digits.size() ? static_cast<std::uint32_t>(digits[i] - '0') : 0);
  }
  const Bytes seconds = make_tlv(der::kGeneralizedTime, as_bytes(std::string(text.substr(0, point)) + "Z"));
  der::Reader plain(seconds);
  out.time = TRY(plain.time());
  return {};
}

// Accuracy ::= SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER (1..999) OPTIONAL,
//                         micros [1] INTEGER (1..999) OPTIONAL }
Result<std::chrono::microseconds> read_accuracy(ByteView content) {
  der::Reader reader(content);
  std::chrono::microseconds out{0};
  constexpr std::uint64_t kMostSeconds = 366ull * 24 * 3600;  // who is a year off tells no time
  if (const auto seconds = TRY(reader.next_if(der::kInteger))) {
    der::Reader inner(seconds->whole);
    const std::uint64_t value = TRY(inner.small_integer());
    if (value > kMostSeconds) return fail(ErrorKind::limit, "time-stamp: an accuracy of more than a year");
    out += std::chrono::seconds(value);
  }
  for (const unsigned part : {0u, 1u}) {
    const auto found = TRY(reader.next_if(der::context_primitive(part)));
    if (!found) continue;
    const Bytes whole = make_tlv(der::kInteger, found->value);
    der::Reader inner(whole);
    const std::uint64_t value = TRY(inner.small_integer());
    if (value < 1 || value > 999) return bad("an accuracy out of its range");
    out += part == 0 ? std::chrono::microseconds(value * 1000) : std::chrono::microseconds(value);
  }
  TRY(reader.finish());
  return out;
}

// TSTInfo ::= SEQUENCE { version INTEGER { v1(1) }, policy OBJECT IDENTIFIER, messageImprint MessageImprint,
//     serialNumber INTEGER, genTime GeneralizedTime, accuracy Accuracy OPTIONAL, ordering BOOLEAN DEFAULT FALSE,
//     nonce INTEGER OPTIONAL, tsa [0] EXPLICIT GeneralName OPTIONAL, extensions [1] IMPLICIT Extensions OPTIONAL }
Result<TimeStampInfo> read_info(ByteView der) {
  der::Reader outer(der);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  if (TRY(reader.small_integer()) != 1) return fail(ErrorKind::unsupported, "TSTInfo of unknown version");
  TimeStampInfo out;
  out.policy = der::oid_to_text(TRY(reader.oid()));
  out.imprint = TRY(read_imprint(reader));
  constexpr std::size_t kMostSerialOctets = 64;
  const ByteView serial = TRY(reader.integer());
  if (serial.size() > kMostSerialOctets) return fail(ErrorKind::limit, "a serial number that is too long");
  out.serial = to_bytes(serial);
  TRY(read_generation_time(out, reader));
  if (const auto accuracy = TRY(reader.next_if(der::kSequence))) out.accuracy = TRY(read_accuracy(accuracy->value));
  if (const auto ordering = TRY(reader.next_if(der::kBoolean))) {
    out.ordering = TRY(der::Reader(ordering->whole).boolean());
  }
  if (const auto nonce = TRY(reader.next_if(der::kInteger))) out.nonce = TRY(read_nonce(*nonce));
  (void)TRY(reader.next_if(der::context(0)));
  if (const auto extensions = TRY(reader.next_if(der::context(1)))) TRY(read_extensions(extensions->value));
  TRY(reader.finish());
  return out;
}

/// What one ESSCertID or ESSCertIDv2 says.
struct CertificateReference {
  Hash hash = Hash::sha1;
  Bytes digest;
};

// SigningCertificate ::= SEQUENCE { certs SEQUENCE OF ESSCertID, policies SEQUENCE OF PolicyInformation OPTIONAL }
// ESSCertID ::= SEQUENCE { certHash OCTET STRING, issuerSerial IssuerSerial OPTIONAL }; ESSCertIDv2 has in front of it
// hashAlgorithm AlgorithmIdentifier DEFAULT sha256. The first is the signer's own.
Result<CertificateReference> read_reference(ByteView value, bool v2) {
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  der::Reader list = TRY(reader.enter(der::kSequence));
  (void)TRY(reader.next_if(der::kSequence));
  TRY(reader.finish());
  der::Reader one = TRY(list.enter(der::kSequence));
  CertificateReference out;
  if (v2) {
    out.hash = Hash::sha256;
    if (const auto algorithm = TRY(one.next_if(der::kSequence))) {
      der::Reader inner(algorithm->whole);
      const auto identifier = TRY(read_algorithm_identifier(inner));
      out.hash = TRY(hash_of(identifier.oid, identifier.parameters));
    }
  }
  out.digest = to_bytes(TRY(one.octet_string()));
  (void)TRY(one.next_if(der::kSequence));
  TRY(one.finish());
  return out;
}

/// The only value of the only attribute of this type; nullptr if there is none. Two of them are refused.
Result<const Bytes*> single_value(const CmsAttributes& attributes, std::string_view oid) {
  const auto found = attributes.find(oid);
  if (found.empty()) return nullptr;
  if (found.size() > 1 || found.front()->values.size() != 1)
    return bad("attribute " + std::string(oid) + " is doubled");
  return &found.front()->values.front();
}

Status check_reference(const CmsAttributes& attributes, const Certificate& certificate) {
  const Bytes* const v2 = TRY(single_value(attributes, cms::kSigningCertificateV2Oid));
  const Bytes* const v1 = TRY(single_value(attributes, cms::kSigningCertificateOid));
  if (v1 == nullptr && v2 == nullptr) return bad("the signed attributes do not name the signer's certificate");
  for (const Bytes* value : {v2, v1}) {
    if (value == nullptr) continue;
    const CertificateReference reference = TRY(read_reference(*value, value == v2));
    if (reference.digest != digest(reference.hash, certificate.der())) {
      return fail(ErrorKind::invalid_signature,
                  "time-stamp: the signed attributes name another certificate than the signer's");
    }
  }
  return {};
}

Result<SignatureAlgorithm> algorithm_of(const CmsSigner& signer, Hash hash) {
  const FoundAlgorithm& found = signer.signature_algorithm;
  const CmsSignatureAlgorithm known = TRY(cms_signature_algorithm_of(found.oid, found.parameters, hash));
  return known.algorithm;
}

Status check_signature(const TimeStampToken::Data& data, const Certificate& certificate) {
  const CmsSigner& signer = data.signed_data.signers.front();
  if (!signer.signed_attributes) return bad("the signature has no signed attributes");
  const CmsAttributes& attributes = *signer.signed_attributes;
  const Hash hash = TRY(hash_of(signer.digest_algorithm.oid, signer.digest_algorithm.parameters));

  const Bytes* const type = TRY(single_value(attributes, cms::kContentTypeOid));
  if (type == nullptr || *type != der::oid(kTstInfoOid))
    return bad("the signed content type is not that of a time-stamp");
  const Bytes* const message_digest = TRY(single_value(attributes, cms::kMessageDigestOid));
  if (message_digest == nullptr) return bad("no message digest among the signed attributes");
  der::Reader reader(*message_digest);
  const ByteView value = TRY(reader.octet_string());
  if (!equal(value, digest(hash, data.content))) {
    return fail(ErrorKind::invalid_signature, "time-stamp: the signed digest is not that of its content");
  }
  TRY(check_reference(attributes, certificate));
  const SignatureAlgorithm algorithm = TRY(algorithm_of(signer, hash));
  const PublicKey key = TRY(certificate.public_key());
  return key.verify(algorithm.id, attributes.der, signer.signature, algorithm.pss_salt_octets);
}

}  // namespace

MessageImprint imprint_of(Hash hash, ByteView octets) { return {hash, digest(hash, octets)}; }

std::string_view name_of(TimeStampFailure failure) {
  return std::find_if(kFailures.begin(), kFailures.end(), [&](const FailureRow& row) { return row.failure == failure; })
      ->name;
}

Result<TimeStampRequest> TimeStampRequest::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "time-stamp: the request is larger than 16 KiB");
  return in_time_stamp(read_request(der));
}

Bytes TimeStampRequest::to_der() const {
  const Bytes policy_oid = policy.empty() ? Bytes{} : der::oid(std::string_view(policy));
  const Bytes nonce_integer = nonce.empty() ? Bytes{} : make_tlv(der::kInteger, nonce);
  const Bytes wanted = certificate_wanted ? der::boolean(true) : Bytes{};
  return der::sequence({der::integer(1), encode(imprint), policy_oid, nonce_integer, wanted});
}

Result<TimeStampToken> TimeStampToken::from_der(ByteView octets) {
  if (octets.size() > kMostOctets) return fail(ErrorKind::limit, "time-stamp: the token is larger than 1 MiB");
  auto data = std::make_shared<Data>();
  data->der = to_bytes(octets);
  data->signed_data = TRY(in_time_stamp(SignedData::parse(data->der)));
  const SignedData& signed_data = data->signed_data;
  if (signed_data.content_type != kTstInfoOid)
    return bad("the content is no TSTInfo (" + signed_data.content_type + ")");
  if (!signed_data.has_content) return bad("the token has no content");
  if (signed_data.signers.size() != 1) {
    return bad("a token has one signer, this one has " + std::to_string(signed_data.signers.size()));
  }
  // RFC 5652 §5.1: digestAlgorithms is not signed, but it may not say something else than the signer.
  const FoundAlgorithm& used = signed_data.signers.front().digest_algorithm;
  if (std::none_of(signed_data.digest_algorithms.begin(), signed_data.digest_algorithms.end(),
                   [&](const FoundAlgorithm& one) { return one.oid == used.oid; })) {
    return bad("digestAlgorithms does not list the signer's");
  }
  for (const ByteView piece : signed_data.content) append(data->content, piece);
  data->info = TRY(in_time_stamp(read_info(data->content)));
  for (const CmsCertificate& one : signed_data.certificates) {
    if (!one.x509) continue;
    if (auto parsed = Certificate::from_der(one.whole)) data->certificates.push_back(std::move(*parsed));
  }
  return TimeStampToken(std::move(data));
}

const Bytes& TimeStampToken::der() const { return data_->der; }
const TimeStampInfo& TimeStampToken::info() const { return data_->info; }
const std::vector<Certificate>& TimeStampToken::certificates() const { return data_->certificates; }
std::string TimeStampToken::signature_algorithm() const {
  const CmsSigner& signer = data_->signed_data.signers.front();
  if (const auto hash = hash_of(signer.digest_algorithm.oid, signer.digest_algorithm.parameters)) {
    if (const auto known = algorithm_of(signer, *hash)) return std::string(row_of(known->id).name);
  }
  return signer.signature_algorithm.oid;
}

Result<Certificate> verify_token_signature(const TimeStampToken& token, const std::vector<Certificate>& more) {
  const CmsSigner& signer = token.data_->signed_data.signers.front();
  const auto named = [&](const Certificate& one) {
    if (!signer.subject_key_id.empty()) return one.subject_key_id() == signer.subject_key_id;
    return one.issuer().der() == signer.issuer && one.serial() == signer.serial;
  };
  std::optional<Error> failure;
  for (const auto* list : {&token.certificates(), &more}) {
    for (const Certificate& one : *list) {
      if (!named(one)) continue;
      const Status status = in_time_stamp(check_signature(*token.data_, one));
      if (status) return one;
      if (!failure) failure = status.error();
    }
  }
  if (failure) return fail(std::move(*failure));
  return fail(ErrorKind::not_found, "time-stamp: the signer's certificate is not at hand");
}

Result<TimeStampVerdict> verify_time_stamp(const TimeStampToken& token, const MessageImprint& imprint,
                                           const PathVerifier& verifier, PathOptions options) {
  if (!(token.info().imprint == imprint)) {
    return fail(ErrorKind::invalid_signature, "time-stamp: it stamps another content");
  }
  TimeStampVerdict out;
  const Certificate signer = TRY(verify_token_signature(token, {}));
  out.signer = signer;
  if (token.info().time < signer.not_before() || token.info().time > signer.not_after()) {
    return fail(ErrorKind::untrusted, "time-stamp: it says " + format_time(token.info().time) +
                                          ", when the certificate of \"" + signer.subject().to_text() +
                                          "\" was not valid");
  }
  options.purpose = Purpose::time_stamp;
  out.path = verifier.verify(signer, token.certificates(), options);
  if (!out.path.ok()) return fail(ErrorKind::untrusted, "time-stamp: " + out.path.reason);
  return out;
}

// TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken ContentInfo OPTIONAL }
// PKIStatusInfo ::= SEQUENCE { status INTEGER, statusString SEQUENCE OF UTF8String OPTIONAL,
//                              failInfo BIT STRING OPTIONAL }
Result<TimeStampResponse> TimeStampResponse::from_der(ByteView der) {
  if (der.size() > TimeStampToken::kMostOctets)
    return fail(ErrorKind::limit, "time-stamp: the answer is larger than 1 MiB");
  der::Reader outer(der);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  der::Reader info = TRY(reader.enter(der::kSequence));
  TimeStampResponse out;
  const std::uint64_t status = TRY(info.small_integer());
  if (status > static_cast<std::uint64_t>(TimeStampStatus::revocation_notification)) {
    return bad("a status that is none");
  }
  out.status = static_cast<TimeStampStatus>(status);
  if (auto texts = TRY(info.enter_if(der::kSequence))) {
    while (!texts->done()) out.text += (out.text.empty() ? "" : "; ") + std::string(TRY(texts->text()));
  }
  if (!info.done()) {
    const auto bits = TRY(info.bits());
    for (const FailureRow& row : kFailures) {
      if (bits.test(static_cast<std::size_t>(row.failure))) out.failure = row.failure;
    }
  }
  TRY(info.finish());
  const bool granted = out.status == TimeStampStatus::granted || out.status == TimeStampStatus::granted_with_mods;
  if (reader.done() == granted) return bad(granted ? "granted, and no token" : "not granted, and a token");
  if (granted) {
    const Tlv token = TRY(reader.any());
    TRY(reader.finish());
    out.token = TRY(TimeStampToken::from_der(token.whole));
  }
  return out;
}

Result<TimeStampToken> token_of(const TimeStampRequest& request, const TimeStampResponse& response) {
  if (!response.token) {
    return fail(ErrorKind::untrusted,
                "time-stamp: the authority refused" +
                    (response.failure ? ": " + std::string(name_of(*response.failure)) : std::string()) +
                    (response.text.empty() ? "" : " (" + response.text + ")"));
  }
  const TimeStampInfo& info = response.token->info();
  if (!(info.imprint == request.imprint))
    return fail(ErrorKind::untrusted, "time-stamp: the token is of other content");
  if (info.nonce != request.nonce) return fail(ErrorKind::untrusted, "time-stamp: the token is one to another request");
  if (!request.policy.empty() && info.policy != request.policy) {
    return fail(ErrorKind::untrusted, "time-stamp: the token is of policy " + info.policy);
  }
  return *response.token;
}

namespace {

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
Bytes attribute(std::string_view oid, ByteView value) {
  return der::sequence({der::oid(oid), make_tlv(der::kSet, value)});
}

Bytes encode_accuracy(std::chrono::microseconds accuracy) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(accuracy);
  const auto micros = (accuracy - seconds).count();
  const auto part = [](unsigned number, std::uint64_t value) {
    if (value == 0) return Bytes{};
    Bytes out = der::integer(value);
    out[0] = static_cast<std::uint8_t>(der::context_primitive(number));
    return out;
  };
  const Bytes whole = seconds.count() == 0 ? Bytes{} : der::integer(static_cast<std::uint64_t>(seconds.count()));
  return der::sequence(
      {whole, part(0, static_cast<std::uint64_t>(micros / 1000)), part(1, static_cast<std::uint64_t>(micros % 1000))});
}

Bytes refusal(TimeStampFailure failure, std::string_view text) {
  const Bytes bits = der::named_bits(1u << static_cast<unsigned>(failure), 26);
  const auto rejection = static_cast<std::uint64_t>(TimeStampStatus::rejection);
  return der::sequence({der::sequence({der::integer(rejection), der::sequence(der::utf8(text)), bits})});
}

}  // namespace

Result<TimeStampAuthority> TimeStampAuthority::create(Signer& signer, Options options, const Clock& clock,
                                                      RandomSource& random) {
  if (!der::oid_from_text(options.policy)) {
    return fail(ErrorKind::configuration, "a time-stamp authority needs the OID of its policy");
  }
  if (options.accuracy && options.accuracy->count() <= 0) options.accuracy.reset();
  if (signer.certificate_chain().empty()) {
    return fail(ErrorKind::usage, "a time-stamp authority needs a certificate");
  }
  const Certificate own = TRY(Certificate::from_der(signer.certificate_chain().front()));
  if (!equal(own.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the certificate is not that of the signing key");
  }
  const Extension* const purposes = own.find_extension("2.5.29.37");
  const auto& list = own.extended_key_usage();
  if (purposes == nullptr || !purposes->critical || list.size() != 1 || list.front() != kTimeStampingOid) {
    return fail(ErrorKind::not_permitted, "\"" + own.subject().to_text() + "\" is not for time-stamps alone",
                "its certificate needs the critical extended key usage timeStamping and no other (RFC 3161 §2.3)");
  }
  if (signer.algorithms().empty()) return fail(ErrorKind::not_permitted, "the key has no algorithm to sign with");

  TimeStampAuthority out(signer, std::move(options), clock, random);
  out.algorithm_ = out.options_.algorithm.value_or(signer.algorithms().front());
  const Hash hash = row_of(out.algorithm_).hash;
  out.signer_id_ = der::sequence({own.issuer().der(), make_tlv(der::kInteger, own.serial())});
  // ESSCertIDv2, RFC 5035 §3 and RFC 5816
  const Bytes reference_algorithm = hash == Hash::sha256 ? Bytes{} : encode_digest_algorithm(hash);
  const Bytes reference = der::sequence({reference_algorithm, der::octet_string(digest(hash, own.der()))});
  out.fixed_attributes_ = concat({attribute(cms::kContentTypeOid, der::oid(kTstInfoOid)),
                                  attribute(cms::kSigningCertificateV2Oid, der::sequence(der::sequence(reference)))});
  std::vector<Bytes> bag(signer.certificate_chain().begin(), signer.certificate_chain().end());
  // A root is trusted by being known, not by being sent.
  std::erase_if(bag, [&](const Bytes& one) {
    const auto parsed = Certificate::from_der(one);
    return one != own.der() && (!parsed || parsed->self_issued());
  });
  out.certificates_ = der::set_of(std::move(bag));
  out.certificates_[0] = static_cast<std::uint8_t>(der::context(0));
  return out;
}

Result<Bytes> TimeStampAuthority::stamp(const MessageImprint& imprint, ByteView nonce, bool with_certificates) {
  Bytes serial = random_->bytes(16);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7F) | 0x40);  // positive, of one length
  const Bytes info = der::sequence({der::integer(1), der::oid(std::string_view(options_.policy)), encode(imprint),
                                    make_tlv(der::kInteger, serial), der::generalized_time(clock_->now()),
                                    options_.accuracy ? encode_accuracy(*options_.accuracy) : Bytes{},
                                    nonce.empty() ? Bytes{} : make_tlv(der::kInteger, nonce)});

  const Hash hash = row_of(algorithm_).hash;
  const Bytes digest_algorithm = encode_digest_algorithm(hash);
  der::Reader fixed(fixed_attributes_);
  std::vector<Bytes> attributes = {attribute(cms::kMessageDigestOid, der::octet_string(digest(hash, info)))};
  while (!fixed.done()) attributes.push_back(to_bytes(TRY(fixed.any()).whole));
  const Bytes signed_attributes = der::set_of(std::move(attributes));
  const Bytes signature = TRY(signer_->sign_message(algorithm_, signed_attributes));
  if (options_.verify_tokens && !signer_->public_key().verify(algorithm_, signed_attributes, signature)) {
    return fail(ErrorKind::internal, "the key returned a signature that does not verify",
                "the key or the device that holds it is at fault");
  }
  Bytes implicit_attributes = signed_attributes;
  implicit_attributes[0] = static_cast<std::uint8_t>(der::context(0));
  const Bytes signer_info = der::sequence({der::integer(1), signer_id_, digest_algorithm, implicit_attributes,
                                           encode_signature_algorithm(algorithm_), der::octet_string(signature)});
  const Bytes content = der::sequence({der::oid(kTstInfoOid), make_tlv(der::context(0), der::octet_string(info))});
  // RFC 5652 §5.1: version 3, for the content is not id-data.
  const Bytes signed_data =
      der::sequence({der::integer(3), make_tlv(der::kSet, digest_algorithm), content,
                     with_certificates ? certificates_ : Bytes{}, make_tlv(der::kSet, signer_info)});
  return der::sequence({der::oid(cms::kSignedDataOid), make_tlv(der::context(0), signed_data)});
}

Bytes TimeStampAuthority::answer(ByteView request) {
  const auto parsed = TimeStampRequest::from_der(request);
  if (!parsed) {
    // A hash or an extension that is not known, or a request that is none.
    const bool known = parsed.error().kind != ErrorKind::unsupported;
    const bool extension = parsed.error().message.find("extension") != std::string::npos;
    return refusal(known       ? TimeStampFailure::bad_data_format
                   : extension ? TimeStampFailure::unaccepted_extension
                               : TimeStampFailure::bad_algorithm,
                   parsed.error().message);
  }
  // A stamp over a digest that can be made to collide proves nothing.
  if (row_of(parsed->imprint.hash).sunset_year != 0) {
    return refusal(TimeStampFailure::bad_algorithm, std::string(row_of(parsed->imprint.hash).name) + " is history");
  }
  if (!parsed->policy.empty() && parsed->policy != options_.policy) {
    return refusal(TimeStampFailure::unaccepted_policy, "the policy here is " + options_.policy);
  }
  auto token = stamp(parsed->imprint, parsed->nonce, parsed->certificate_wanted);
  if (!token) return refusal(TimeStampFailure::system_failure, "the token could not be signed");
  return der::sequence({der::sequence({der::integer(0)}), *token});
}

}  // namespace karta::crypto
