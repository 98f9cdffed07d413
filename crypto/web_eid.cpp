#include "crypto/web_eid.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/jose/json_object.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kApplication = "https://karta.example/kartad";
constexpr std::size_t kMostVersionOctets = 256;

tl::unexpected<Error> bad(const char* what) {
  return fail(ErrorKind::malformed, std::string("web-eid token: ") + what);
}

Result<Bytes> octets_of(const JsonObject& object, const char* name) {
  const auto text = object.text(name);
  if (!text || text->empty()) return bad("a member is missing");
  auto octets = from_base64(*text);
  if (!octets) return bad("a member is not base64");
  return std::move(*octets);
}

/// "web-eid:1.0" and what later minor versions of 1 add: they are compatible, says the specification.
bool is_known_format(std::string_view format) {
  constexpr std::string_view major = "web-eid:1.";
  if (!format.starts_with(major) || format.size() == major.size() || format.size() > major.size() + 4) return false;
  return std::all_of(format.begin() + major.size(), format.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_web_eid_algorithm(AlgorithmId algorithm) {
  const AlgorithmRow& row = row_of(algorithm);
  return !row.jose.empty() && (row.family == KeyFamily::ec || row.family == KeyFamily::rsa);
}

std::optional<AlgorithmId> web_eid_algorithm(const PublicKey& key, bool pss) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (!is_web_eid_algorithm(row.id) || !fits_jose(key, row.id)) continue;
    if (row.family == KeyFamily::rsa && (row.hash != Hash::sha256 || (row.padding == Padding::pss) != pss)) continue;
    return row.id;
  }
  return std::nullopt;
}

Bytes web_eid_hash(AlgorithmId algorithm, std::string_view origin, std::string_view nonce) {
  const Hash hash = row_of(algorithm).hash;
  return digest(hash, concat({digest(hash, as_bytes(origin)), digest(hash, as_bytes(nonce))}));
}

Result<std::string> write_web_eid_token(ByteView certificate, const PublicKey& key, AlgorithmId algorithm,
                                        ByteView signature) {
  if (!is_web_eid_algorithm(algorithm) || !fits_jose(key, algorithm)) {
    return fail(ErrorKind::unsupported, "a web-eid token cannot be made with a " + key.type_name() + " key and " +
                                            std::string(row_of(algorithm).name));
  }
  Bytes plain = to_bytes(signature);
  if (key.family() == KeyFamily::ec) plain = TRY(decode_ecdsa_signature(signature, (key.bits() + 7u) / 8u));
  return R"({"unverifiedCertificate":")" + to_base64(certificate) + R"(","algorithm":")" +
         std::string(row_of(algorithm).jose) + R"(","signature":")" + to_base64(plain) + R"(","format":")" +
         std::string(kWebEidFormat) + R"(","appVersion":")" + std::string(kApplication) + R"("})";
}

Result<WebEidToken> parse_web_eid_token(std::string_view json) {
  if (json.size() > WebEidToken::kMostOctets) return fail(ErrorKind::limit, "web-eid token: larger than 16 KiB");
  const JsonObject object = TRY(JsonObject::parse(json));
  const auto format = object.text("format");
  if (!format) return bad("\"format\" is missing");
  if (!is_known_format(*format)) return fail(ErrorKind::unsupported, "web-eid token: of a format that is not 1.x");
  const auto name = object.text("algorithm");
  if (!name) return bad("\"algorithm\" is missing");
  const auto algorithm = find_jose_algorithm(*name);
  if (!algorithm || !is_web_eid_algorithm(*algorithm)) {
    return fail(ErrorKind::unsupported, "web-eid token: of an algorithm the format has not");
  }
  WebEidToken out;
  out.algorithm = *algorithm;
  out.certificate = TRY(octets_of(object, "unverifiedCertificate"));
  out.signature = TRY(octets_of(object, "signature"));
  if (object.has("appVersion")) {
    auto version = object.text("appVersion");
    if (!version || version->size() > kMostVersionOctets) return bad("\"appVersion\" is no short text");
    out.app_version = std::move(*version);
  }
  return out;
}

Status verify_web_eid(const WebEidToken& token, const PublicKey& key, std::string_view origin, std::string_view nonce) {
  if (!fits_jose(key, token.algorithm)) {
    return fail(ErrorKind::not_permitted,
                "web-eid token: its algorithm does not go with a " + key.type_name() + " key");
  }
  Bytes signature = token.signature;
  if (key.family() == KeyFamily::ec) {
    if (signature.size() != 2 * ((key.bits() + 7u) / 8u)) {
      return fail(ErrorKind::invalid_signature, "web-eid token: an ECDSA signature of wrong length");
    }
    signature = TRY(encode_ecdsa_signature(token.signature));
  }
  return key.verify_digest(token.algorithm, web_eid_hash(token.algorithm, origin, nonce), signature);
}

}  // namespace karta::crypto
