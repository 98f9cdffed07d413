#include "card/cv_certificate.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "crypto/digest.h"
#include "crypto/ec_arithmetic.h"

namespace karta::card {
namespace {

// TR-03110-3 D.2: data objects.
constexpr Tag kCertificate = 0x7F21, kBody = 0x7F4E, kProfile = 0x5F29, kAuthority = 0x42, kPublicKey = 0x7F49,
              kHolder = 0x5F20, kChat = 0x7F4C, kEffective = 0x5F25, kExpiration = 0x5F24, kExtensions = 0x65,
              kTemplate = 0x73, kSignature = 0x5F37, kAuthentication = 0x67;

using crypto::AlgorithmId;
// TR-03110-3 A.6.4: id-TA { bsi-de protocols(2) smartcard(2) 2 }.
constexpr auto kAlgorithms = std::to_array<CvAlgorithm>({
    {"0.4.0.127.0.7.2.2.2.1.1", "TA-RSA-v1-5-SHA-1", AlgorithmId::rsa_pkcs1_sha1},
    {"0.4.0.127.0.7.2.2.2.1.2", "TA-RSA-v1-5-SHA-256", AlgorithmId::rsa_pkcs1_sha256},
    {"0.4.0.127.0.7.2.2.2.1.4", "TA-RSA-PSS-SHA-256", AlgorithmId::rsa_pss_sha256},
    {"0.4.0.127.0.7.2.2.2.1.5", "TA-RSA-v1-5-SHA-512", AlgorithmId::rsa_pkcs1_sha512},
    {"0.4.0.127.0.7.2.2.2.1.6", "TA-RSA-PSS-SHA-512", AlgorithmId::rsa_pss_sha512},
    {"0.4.0.127.0.7.2.2.2.2.1", "TA-ECDSA-SHA-1", AlgorithmId::ecdsa_sha1},
    {"0.4.0.127.0.7.2.2.2.2.3", "TA-ECDSA-SHA-256", AlgorithmId::ecdsa_sha256},
    {"0.4.0.127.0.7.2.2.2.2.4", "TA-ECDSA-SHA-384", AlgorithmId::ecdsa_sha384},
    {"0.4.0.127.0.7.2.2.2.2.5", "TA-ECDSA-SHA-512", AlgorithmId::ecdsa_sha512},
});

bool is_ec(const CvAlgorithm& algorithm) { return row_of(algorithm.algorithm).family == crypto::KeyFamily::ec; }

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "CV certificate: " + what); }

std::string text_of(ByteView octets) { return std::string(as_text(octets)); }

Result<std::string> reference(const Tlv& object, const char* what) {
  const std::string text = text_of(object.value);
  if (text.empty() || text.size() > kMostCvReference) return bad(std::string(what) + " of a wrong length");
  for (const char c : text) {
    // ISO 8859-1 without control characters; shown to people, so kept to what every terminal prints.
    if (c < 0x20 || c > 0x7E) return bad(std::string(what) + " with characters that cannot be printed");
  }
  return text;
}

// 7F49 { 06, 81 modulus, 82 exponent } or 7F49 { 06, [81 p, 82 a, 83 b, 84 G, 85 n,] 86 Y [, 87 f] }
Result<CvPublicKey> parse_public_key(ByteView content) {
  der::Reader reader(content);
  const std::string oid = der::oid_to_text(TRY(reader.oid()));
  CvPublicKey key;
  for (const CvAlgorithm& row : kAlgorithms) {
    if (row.oid == oid) key.algorithm = &row;
  }
  if (key.algorithm == nullptr) {
    return fail(ErrorKind::unsupported, "CV certificate: the public key is for " + oid + ", which karta does not use");
  }
  const auto magnitude = [&](Tag tag) -> Result<ByteView> {
    const Tlv object = TRY(reader.expect(tag));
    if (object.value.empty()) return bad("an empty number in the public key");
    return object.value;
  };
  if (!is_ec(*key.algorithm)) {
    key.modulus = to_bytes(TRY(magnitude(0x81)));
    key.exponent = to_bytes(TRY(magnitude(0x82)));
    TRY(reader.finish());
    return key;
  }
  if (const auto prime = TRY(reader.next_if(0x81))) {
    crypto::ExplicitCurve explicit_curve{prime->value, {}, {}, {}, {}, {}};
    explicit_curve.a = TRY(magnitude(0x82));
    explicit_curve.b = TRY(magnitude(0x83));
    explicit_curve.generator = TRY(magnitude(0x84));
    explicit_curve.order = TRY(magnitude(0x85));
    key.point = to_bytes(TRY(magnitude(0x86)));
    explicit_curve.cofactor = TRY(magnitude(0x87));
    key.curve = TRY(crypto::curve_of(explicit_curve));
    TRY(crypto::check_ec_point(*key.curve, key.point));
  } else {
    key.point = to_bytes(TRY(magnitude(0x86)));
  }
  TRY(reader.finish());
  return key;
}

// 65 { 73 { 06, ... } ... }
Result<std::vector<CvExtension>> parse_extensions(ByteView content) {
  std::vector<CvExtension> extensions;
  der::Reader reader(content);
  while (!reader.done()) {
    const Tlv one = TRY(reader.expect(kTemplate));
    if (extensions.size() == kMostCvExtensions) return bad("too many extensions");
    der::Reader inner(one.value);
    CvExtension extension;
    extension.oid = der::oid_to_text(TRY(inner.oid()));
    if (!der::oid_from_text(extension.oid)) return bad("an extension with an arc beyond 128 bits");
    extension.content = to_bytes(one.value.subspan(inner.offset()));
    while (!inner.done()) TRY(inner.any());
    for (const CvExtension& other : extensions) {
      if (other.oid == extension.oid) return bad("the extension " + extension.oid + " stands twice");
    }
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

Bytes encode_extensions(const std::vector<CvExtension>& extensions) {
  if (extensions.empty()) return {};
  Bytes content;
  for (const CvExtension& extension : extensions) {
    append(content, make_tlv(kTemplate, {der::oid(std::string_view(extension.oid)), extension.content}));
  }
  return make_tlv(kExtensions, content);
}

Status profile(der::Reader& reader) {
  const Tlv identifier = TRY(reader.expect(kProfile));
  if (identifier.value.size() != 1 || identifier.value[0] != 0) return bad("a profile other than version 1");
  return {};
}

Result<CvContent> parse_body(ByteView body) {
  der::Reader reader(body);
  TRY(profile(reader));
  CvContent content;
  const Tlv authority = TRY(reader.expect(kAuthority));
  content.authority = TRY(reference(authority, "an authority reference"));
  const Tlv key = TRY(reader.expect(kPublicKey));
  content.public_key = TRY(parse_public_key(key.value));
  const Tlv holder = TRY(reader.expect(kHolder));
  content.holder = TRY(reference(holder, "a holder reference"));
  const Tlv chat = TRY(reader.expect(kChat));
  content.chat = TRY(Chat::parse_content(chat.value));
  const Tlv effective = TRY(reader.expect(kEffective));
  content.effective = TRY(parse_cv_date(effective.value));
  const Tlv expiration = TRY(reader.expect(kExpiration));
  content.expiration = TRY(parse_cv_date(expiration.value));
  if (const auto extensions = TRY(reader.next_if(kExtensions))) {
    content.extensions = TRY(parse_extensions(extensions->value));
  }
  TRY(reader.finish());
  if (content.expiration < content.effective) return bad("it expires before it begins");
  return content;
}

// Over the whole of what is signed; EC in the plain form r || s.
Result<Bytes> plain_signature(crypto::Signer& signer, AlgorithmId algorithm, ByteView octets) {
  Bytes signature = TRY(signer.sign_message(algorithm, octets));
  if (signer.public_key().family() == crypto::KeyFamily::ec) {
    const std::size_t coordinate = (signer.public_key().bits() + 7u) / 8u;
    signature = TRY(crypto::decode_ecdsa_signature(signature, coordinate));
  }
  return signature;
}

std::string named(const CvCertificate& certificate) {
  return "the certificate of \"" + certificate.holder() + "\" by \"" + certificate.authority() + "\"";
}

}  // namespace

Bytes encode_cv_date(CvDate date) {
  const unsigned year = static_cast<unsigned>(static_cast<int>(date.year())) % 100,
                 month = static_cast<unsigned>(date.month()), day = static_cast<unsigned>(date.day());
  Bytes out;
  for (const unsigned part : {year, month, day}) {
    out.push_back(static_cast<std::uint8_t>(part / 10));
    out.push_back(static_cast<std::uint8_t>(part % 10));
  }
  return out;
}

Result<CvDate> parse_cv_date(ByteView six_octets) {
  if (six_octets.size() != 6) return bad("a date that is not six octets");
  for (const std::uint8_t digit : six_octets) {
    if (digit > 9) return bad("a date with something other than digits");
  }
  const auto two = [&](std::size_t at) { return six_octets[at] * 10 + six_octets[at + 1]; };
  const CvDate date{std::chrono::year{2000 + two(0)}, std::chrono::month{static_cast<unsigned>(two(2))},
                    std::chrono::day{static_cast<unsigned>(two(4))}};
  if (!date.ok()) return bad("a day the calendar does not have");
  return date;
}

std::string to_string(CvDate date) { return format_time(Time(std::chrono::sys_days(date))).substr(0, 10); }

CvDate cv_date_of(Time time) { return CvDate(std::chrono::floor<std::chrono::days>(time)); }

std::span<const CvAlgorithm> cv_algorithms() { return kAlgorithms; }

const CvAlgorithm* find_cv_algorithm(AlgorithmId algorithm) {
  for (const CvAlgorithm& row : kAlgorithms) {
    if (row.algorithm == algorithm) return &row;
  }
  return nullptr;
}

Result<crypto::PublicKey> CvPublicKey::key(std::optional<crypto::KeyType> inherited) const {
  if (!is_ec(*algorithm)) return crypto::PublicKey::from_rsa(modulus, exponent);
  const std::optional<crypto::KeyType> on = curve ? curve : inherited;
  if (!on) return bad("a public key without a curve, and none to inherit");
  return crypto::PublicKey::from_point(*on, point);
}

Result<Bytes> CvPublicKey::encode() const {
  Bytes content = der::oid(algorithm->oid);
  if (!is_ec(*algorithm)) {
    append(content, make_tlv(0x81, modulus));
    append(content, make_tlv(0x82, exponent));
  } else if (curve) {
    const crypto::CurveNumbers numbers = TRY(crypto::numbers_of(*curve));
    append(content, make_tlv(0x81, numbers.prime));
    append(content, make_tlv(0x82, numbers.a));
    append(content, make_tlv(0x83, numbers.b));
    append(content, make_tlv(0x84, numbers.generator));
    append(content, make_tlv(0x85, numbers.order));
    append(content, make_tlv(0x86, point));
    append(content, make_tlv(0x87, numbers.cofactor));
  } else {
    append(content, make_tlv(0x86, point));
  }
  return make_tlv(kPublicKey, content);
}

Result<CvPublicKey> cv_public_key_of(const crypto::PublicKey& key, AlgorithmId algorithm, bool with_curve) {
  CvPublicKey out;
  out.algorithm = find_cv_algorithm(algorithm);
  if (out.algorithm == nullptr || !key.fits(algorithm)) {
    return fail(ErrorKind::usage, "a key of type " + key.type_name() + " makes no " +
                                      std::string(row_of(algorithm).name) + " signature that cards verify");
  }
  if (is_ec(*out.algorithm)) {
    if (with_curve) out.curve = key.type();
    out.point = to_bytes(key.key_octets());
  } else {
    out.modulus = to_bytes(key.modulus());
    out.exponent = to_bytes(key.exponent());
  }
  return out;
}

Status check_cv_reference(std::string_view text) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool sized = text.size() >= 8 && text.size() <= kMostCvReference;
  bool good = sized && upper(text[0]) && upper(text[1]);
  for (const char c : text) good = good && (upper(c) || digit(c) || (c >= 'a' && c <= 'z'));
  if (!good) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no holder reference",
                "two capitals of the country, 1 to 9 letters or digits, 5 of sequence: RUCLINIC00001");
  }
  return {};
}

Result<Bytes> CvContent::encode() const {
  const Bytes key = TRY(public_key.encode());
  return make_tlv(kBody,
                  {make_tlv(kProfile, Bytes{0}), make_tlv(kAuthority, as_bytes(authority)), key,
                   make_tlv(kHolder, as_bytes(holder)), chat.encode(), make_tlv(kEffective, encode_cv_date(effective)),
                   make_tlv(kExpiration, encode_cv_date(expiration)), encode_extensions(extensions)});
}

Result<CvCertificate> CvCertificate::parse(ByteView octets) {
  if (octets.size() > kMostCvOctets) return fail(ErrorKind::limit, "CV certificate: longer than any");
  CvCertificate certificate;
  certificate.octets_ = to_bytes(octets);
  const ByteView own = certificate.octets_;
  TlvCursor outer(own, TlvLimits::der());
  const Tlv whole = TRY(outer.expect(kCertificate));
  if (outer.offset() != own.size()) return bad("something stands behind it");
  der::Reader reader(whole.value);
  const Tlv body = TRY(reader.expect(kBody));
  const Tlv signature = TRY(reader.expect(kSignature));
  TRY(reader.finish());
  if (signature.value.empty()) return bad("an empty signature");
  certificate.content_ = TRY(parse_body(body.value));
  certificate.body_at_ = static_cast<std::size_t>(body.whole.data() - own.data());
  certificate.body_octets_ = body.whole.size();
  certificate.signature_at_ = static_cast<std::size_t>(signature.value.data() - own.data());
  certificate.signature_octets_ = signature.value.size();
  return certificate;
}

ByteView CvCertificate::body() const { return ByteView(octets_).subspan(body_at_, body_octets_); }
ByteView CvCertificate::body_and_signature() const { return ByteView(octets_).subspan(body_at_); }
ByteView CvCertificate::signature() const { return ByteView(octets_).subspan(signature_at_, signature_octets_); }

ByteView CvCertificate::extension(std::string_view oid) const {
  for (const CvExtension& extension : content_.extensions) {
    if (extension.oid == oid) return extension.content;
  }
  return {};
}

Result<CvCertificate> sign_cv_certificate(const CvContent& content, crypto::Signer& signer, AlgorithmId algorithm) {
  if (find_cv_algorithm(algorithm) == nullptr || !signer.public_key().fits(algorithm)) {
    return fail(ErrorKind::usage,
                "the authority's key makes no " + std::string(row_of(algorithm).name) + " signature that cards verify");
  }
  const Bytes body = TRY(content.encode());
  const Bytes signature = TRY(plain_signature(signer, algorithm, body));
  return CvCertificate::parse(make_tlv(kCertificate, {body, make_tlv(kSignature, signature)}));
}

Status verify_cv_signature(const crypto::PublicKey& key, AlgorithmId algorithm, ByteView octets, ByteView signature) {
  if (!key.fits(algorithm)) {
    return fail(ErrorKind::invalid_signature, "a signature that its issuer's key cannot have made");
  }
  if (key.family() != crypto::KeyFamily::ec) return key.verify(algorithm, octets, signature);
  if (signature.size() != 2 * ((key.bits() + 7u) / 8u)) {
    return fail(ErrorKind::invalid_signature, "an ECDSA signature of a wrong length");
  }
  const Bytes der = TRY(crypto::encode_ecdsa_signature(signature));
  return key.verify(algorithm, octets, der);
}

Result<CvTrust> CvTrust::of(const CvCertificate& anchor) {
  if (anchor.chat().role != HolderRole::cvca) {
    return fail(ErrorKind::untrusted, named(anchor) + " is no CVCA's: it cannot be a trust anchor");
  }
  const CvContent& content = anchor.content();
  if (!content.public_key.curve && is_ec(*content.public_key.algorithm)) {
    return bad("a CVCA without domain parameters");
  }
  crypto::PublicKey key = TRY(content.public_key.key({}));
  CvTrust trust{content.holder,        std::move(key),    content.public_key.algorithm->algorithm,
                content.chat,          content.effective, content.expiration,
                anchor.sector_rights()};
  if (anchor.self_signed()) {
    if (!verify_cv_signature(trust.key, trust.algorithm, anchor.body(), anchor.signature())) {
      return fail(ErrorKind::invalid_signature, named(anchor) + " is not signed by its own key");
    }
  }
  return trust;
}

// TR-03110-3 §2.5, and rules 24 to 27 of docs/terminals-certificates.md.
Result<CvTrust> verify_cv_link(const CvTrust& issuer, const CvCertificate& certificate, CvDate date) {
  const CvContent& content = certificate.content();
  const HolderRole above = issuer.chat.role, role = content.chat.role;
  const auto untrusted = [&](const std::string& why) {
    return fail(ErrorKind::untrusted, named(certificate) + " " + why);
  };
  if (content.authority != issuer.holder) return untrusted("is not by \"" + issuer.holder + "\"");
  // 24: CVCA over CVCA (a link) or DV, DV over terminal; nothing else.
  const bool dv = role == HolderRole::domestic_dv || role == HolderRole::foreign_dv;
  const bool above_dv = above == HolderRole::domestic_dv || above == HolderRole::foreign_dv;
  const bool ordered =
      (above == HolderRole::cvca && (role == HolderRole::cvca || dv)) || (above_dv && role == HolderRole::terminal);
  if (!ordered) {
    return untrusted("is a " + std::string(name_of(role)) + " below a " + std::string(name_of(above)));
  }
  // 25: one type along the whole chain.
  if (content.chat.type != issuer.chat.type) {
    return untrusted("is of type " + std::string(row_of(content.chat.type).name) + " below " +
                     std::string(row_of(issuer.chat.type).name));
  }
  const bool link = role == HolderRole::cvca;
  // 27: an expired anchor signs links only; an expired link is still good.
  if (!link && issuer.expiration < date) return untrusted("is by an expired authority");
  if (!link && content.expiration < date) return untrusted("expired on " + to_string(content.expiration));
  const std::optional<crypto::KeyType> inherited =
      issuer.key.family() == crypto::KeyFamily::ec ? issuer.key.type() : std::nullopt;
  if (link && is_ec(*content.public_key.algorithm) && !content.public_key.curve) {
    return untrusted("links to a CVCA without domain parameters");
  }
  if (!link && content.public_key.curve) return untrusted("brings domain parameters, which only a CVCA may");
  if (!verify_cv_signature(issuer.key, issuer.algorithm, certificate.body(), certificate.signature())) {
    return fail(ErrorKind::invalid_signature, named(certificate) + " is not signed by \"" + issuer.holder + "\"");
  }
  crypto::PublicKey key = TRY(content.public_key.key(inherited));
  Chat chat = content.chat;
  // A new CVCA decides its rights anew; below it they only shrink.
  if (!link) chat.rights &= issuer.chat.rights;
  SectorRights sector_rights = certificate.sector_rights();
  if (!link) sector_rights &= issuer.sector_rights;
  return CvTrust{content.holder,     std::move(key), content.public_key.algorithm->algorithm, chat, content.effective,
                 content.expiration, sector_rights};
}

Result<CvTrust> verify_cv_chain(const std::vector<CvCertificate>& anchors, const std::vector<CvCertificate>& chain,
                                CvDate date) {
  if (chain.empty()) return fail(ErrorKind::usage, "an empty chain of CV certificates");
  const auto anchor = std::find_if(anchors.begin(), anchors.end(),
                                   [&](const CvCertificate& one) { return one.holder() == chain.front().authority(); });
  if (anchor == anchors.end()) {
    return fail(ErrorKind::untrusted, named(chain.front()) + " leads to no trusted CVCA",
                "a link certificate from a CVCA that is trusted may be missing");
  }
  CvTrust trust = TRY(CvTrust::of(*anchor));
  for (const CvCertificate& certificate : chain) trust = TRY(verify_cv_link(trust, certificate, date));
  return trust;
}

// C.2.1: 7F21 { 7F4E { 5F29, 42?, 7F49, 5F20, 65? }, 5F37 }; C.2.3: 67 { 7F21, 42, 5F37 }
Result<CvRequest> CvRequest::parse(ByteView octets, std::optional<crypto::KeyType> inherited) {
  if (octets.size() > kMostCvOctets) return fail(ErrorKind::limit, "CV request: longer than any");
  CvRequest request;
  request.octets = to_bytes(octets);
  der::Reader file{ByteView(request.octets)};
  ByteView certificate_whole;
  if (const auto outer = TRY(file.enter_if(kAuthentication))) {
    der::Reader reader = *outer;
    const Tlv inner = TRY(reader.expect(kCertificate));
    const Tlv by = TRY(reader.expect(kAuthority));
    const Tlv signature = TRY(reader.expect(kSignature));
    TRY(reader.finish());
    request.renewed_by = TRY(reference(by, "the present holder's reference"));
    request.outer_signed = concat({inner.whole, by.whole});
    request.outer_signature = to_bytes(signature.value);
    certificate_whole = inner.whole;
  } else {
    const Tlv inner = TRY(file.expect(kCertificate));
    certificate_whole = inner.whole;
  }
  TRY(file.finish());
  der::Reader outer_reader(certificate_whole);
  der::Reader reader = TRY(outer_reader.enter(kCertificate));
  const Tlv body = TRY(reader.expect(kBody));
  const Tlv signature = TRY(reader.expect(kSignature));
  TRY(reader.finish());
  der::Reader fields(body.value);
  TRY(profile(fields));
  if (const auto authority = TRY(fields.next_if(kAuthority))) {
    request.authority = TRY(reference(*authority, "an authority reference"));
  }
  const Tlv key_object = TRY(fields.expect(kPublicKey));
  request.public_key = TRY(parse_public_key(key_object.value));
  const Tlv holder = TRY(fields.expect(kHolder));
  request.holder = TRY(reference(holder, "a holder reference"));
  if (const auto extensions = TRY(fields.next_if(kExtensions))) {
    request.extensions = TRY(parse_extensions(extensions->value));
  }
  TRY(fields.finish());
  const crypto::PublicKey key = TRY(request.public_key.key(inherited));
  if (!verify_cv_signature(key, request.public_key.algorithm->algorithm, body.whole, signature.value)) {
    return fail(ErrorKind::invalid_signature, "the request of \"" + request.holder + "\" is not signed by its own key");
  }
  return request;
}

Result<Bytes> make_cv_request(std::string_view authority, std::string_view holder,
                              const std::vector<CvExtension>& extensions, crypto::Signer& signer,
                              AlgorithmId algorithm) {
  TRY(check_cv_reference(holder));
  const CvPublicKey public_key = TRY(cv_public_key_of(signer.public_key(), algorithm, true));
  const Bytes key = TRY(public_key.encode());
  const Bytes body = make_tlv(
      kBody, {make_tlv(kProfile, Bytes{0}), authority.empty() ? Bytes{} : make_tlv(kAuthority, as_bytes(authority)),
              key, make_tlv(kHolder, as_bytes(holder)), encode_extensions(extensions)});
  const Bytes signature = TRY(plain_signature(signer, algorithm, body));
  return make_tlv(kCertificate, {body, make_tlv(kSignature, signature)});
}

Result<Bytes> countersign_cv_request(ByteView request, std::string_view present_holder, crypto::Signer& present,
                                     AlgorithmId algorithm) {
  const Bytes holder = make_tlv(kAuthority, as_bytes(present_holder));
  const Bytes signature = TRY(plain_signature(present, algorithm, concat({request, holder})));
  return make_tlv(kAuthentication, {request, holder, make_tlv(kSignature, signature)});
}

}  // namespace karta::card
