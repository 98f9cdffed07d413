#include "crypto/jose/jws.h"

#include <algorithm>
#include <array>

#include "base/base64url.h"
#include "crypto/jose/jwk.h"

namespace karta::crypto {
namespace {

constexpr unsigned kLeastRsaBits = 2048;
constexpr std::size_t kMostCertificateOctets = 8u << 10;

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "JWS: " + what); }

/// The curve an ECDSA algorithm of JOSE is bound to (RFC 7518 §3.4).
std::optional<KeyType> curve_of_algorithm(AlgorithmId algorithm) {
  switch (algorithm) {
    case AlgorithmId::ecdsa_sha256:
      return KeyType::p256;
    case AlgorithmId::ecdsa_sha384:
      return KeyType::p384;
    case AlgorithmId::ecdsa_sha512:
      return KeyType::p521;
    default:
      return std::nullopt;
  }
}

Result<std::string> optional_text(const JsonObject& header, const char* name) {
  if (!header.has(name)) return std::string();
  auto text = header.text(name);
  if (!text) return bad("\"" + std::string(name) + "\" is no text");
  return std::move(*text);
}

Result<JwsHeader> read_header(const JsonObject& object) {
  // §4.1.11: what must be understood and is not. karta knows no extension, b64 (RFC 7797) among them.
  for (const char* const name : {"crit", "b64"}) {
    if (object.has(name)) return fail(ErrorKind::unsupported, "JWS: \"" + std::string(name) + "\" in the header");
  }
  JwsHeader out;
  out.alg = TRY(optional_text(object, "alg"));
  out.kid = TRY(optional_text(object, "kid"));
  out.typ = TRY(optional_text(object, "typ"));
  if (object.has("x5c")) {
    const auto chain = object.texts("x5c");
    if (!chain || chain->empty()) return bad("\"x5c\" is no list of certificates");
    if (chain->size() > Jws::kMostCertificates)
      return fail(ErrorKind::limit, "JWS: \"x5c\" of more than 8 certificates");
    for (const std::string& one : *chain) {
      auto der = from_base64(one);  // §4.1.6: base64, not base64url
      if (!der || der->empty()) return bad("\"x5c\" is not base64");
      if (der->size() > kMostCertificateOctets) return fail(ErrorKind::limit, "JWS: a certificate of more than 8 KiB");
      out.x5c.push_back(std::move(*der));
    }
  }
  if (object.has("jwk")) {
    const auto jwk = object.object("jwk");
    if (!jwk) return bad("\"jwk\" is no object");
    Jwk key = TRY(parse_jwk(*jwk));
    out.jwk = std::move(key.key);
  }
  return out;
}

Result<std::string> encode_header(const JwsHeader& header, AlgorithmId algorithm) {
  std::string text = R"({"alg":")" + std::string(row_of(algorithm).jose) + '"';
  if (!header.typ.empty()) text += R"(,"typ":)" + json_quoted(header.typ);
  if (!header.kid.empty()) text += R"(,"kid":)" + json_quoted(header.kid);
  if (!header.x5c.empty()) {
    std::string chain;
    for (const Bytes& der : header.x5c) chain += (chain.empty() ? "\"" : ",\"") + to_base64(der) + '"';
    text += R"(,"x5c":[)" + chain + "]";
  }
  if (header.jwk) {
    const std::string jwk = TRY(write_jwk(*header.jwk));
    text += R"(,"jwk":)" + jwk;
  }
  text += '}';
  return to_base64url(as_bytes(text));
}

/// Who signs, signs with few headers, which do not change: those encoded lately are kept.
Result<std::string> encoded_header(const JwsHeader& header, AlgorithmId algorithm) {
  struct Encoded {
    std::string typ, kid, text;
    std::vector<Bytes> x5c;
    AlgorithmId algorithm{};
  };
  thread_local std::array<Encoded, 4> lately;
  thread_local std::size_t oldest = 0;
  if (header.jwk) return encode_header(header, algorithm);
  for (const Encoded& one : lately) {
    if (!one.text.empty() && one.algorithm == algorithm && one.typ == header.typ && one.kid == header.kid &&
        one.x5c == header.x5c) {
      return one.text;
    }
  }
  std::string text = TRY(encode_header(header, algorithm));
  lately[oldest++ % lately.size()] = {header.typ, header.kid, text, header.x5c, algorithm};
  return text;
}

}  // namespace

std::optional<AlgorithmId> find_jose_algorithm(std::string_view alg) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (!alg.empty() && row.jose == alg) return row.id;
  }
  return std::nullopt;
}

bool fits_jose(const PublicKey& key, AlgorithmId algorithm) {
  if (row_of(algorithm).jose.empty() || !key.fits(algorithm)) return false;
  if (key.family() == KeyFamily::rsa) return key.bits() >= kLeastRsaBits;
  return key.family() != KeyFamily::ec || curve_of_algorithm(algorithm) == key.type();
}

std::optional<AlgorithmId> jose_algorithm_of(const PublicKey& key) {
  for (const AlgorithmId algorithm : kJoseAlgorithms) {
    if (fits_jose(key, algorithm)) return algorithm;
  }
  return std::nullopt;
}

Result<Jws> Jws::parse(std::string_view text, std::size_t most) {
  if (text.size() > most) return fail(ErrorKind::limit, "JWS: longer than " + std::to_string(most) + " octets");
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) {
    return bad("it has not three parts");
  }
  const Bytes header = TRY(from_base64url(text.substr(0, first)));
  Jws out;
  out.header_object_ = TRY(JsonObject::parse(as_text(header)));
  out.header_ = TRY(read_header(out.header_object_));
  const auto algorithm = find_jose_algorithm(out.header_.alg);
  if (!algorithm) return fail(ErrorKind::unsupported, "JWS: its algorithm is not known here");
  out.algorithm_ = *algorithm;
  out.payload_ = TRY(from_base64url(text.substr(first + 1, second - first - 1)));
  out.signature_ = TRY(from_base64url(text.substr(second + 1)));
  if (out.signature_.empty()) return bad("it has no signature");
  out.signing_input_ = text.substr(0, second);
  return out;
}

Status Jws::verify(const PublicKey& key, std::span<const AlgorithmId> allowed) const {
  if (std::find(allowed.begin(), allowed.end(), algorithm_) == allowed.end()) {
    return fail(ErrorKind::not_permitted, "JWS: " + header_.alg + " is not accepted here");
  }
  if (!fits_jose(key, algorithm_)) {
    return fail(ErrorKind::not_permitted, "JWS: " + header_.alg + " does not go with a " + key.type_name() + " key");
  }
  if (key.family() != KeyFamily::ec) return key.verify(algorithm_, as_bytes(signing_input_), signature_);
  // RFC 7518 §3.4: r || s, each as long as the order; another length is another encoding of the same numbers.
  if (signature_.size() != 2 * ((key.bits() + 7u) / 8u)) {
    return fail(ErrorKind::invalid_signature, "JWS: an ECDSA signature of wrong length");
  }
  const Bytes der = TRY(encode_ecdsa_signature(signature_));
  return key.verify(algorithm_, as_bytes(signing_input_), der);
}

Result<std::string> sign_jws(const JwsHeader& header, std::string_view payload, Signer& signer, AlgorithmId algorithm) {
  const PublicKey& key = signer.public_key();
  if (!fits_jose(key, algorithm)) {
    return fail(ErrorKind::usage,
                "a " + key.type_name() + " key does not sign JWS with " + std::string(row_of(algorithm).name));
  }
  std::string out = TRY(encoded_header(header, algorithm));
  out += '.';
  out += to_base64url(as_bytes(payload));
  Bytes signature = TRY(signer.sign_message(algorithm, as_bytes(out)));
  if (key.family() == KeyFamily::ec) signature = TRY(decode_ecdsa_signature(signature, (key.bits() + 7u) / 8u));
  return out + '.' + to_base64url(signature);
}

}  // namespace karta::crypto
