#include "crypto/jose/jwk.h"

#include <algorithm>
#include <array>

#include "base/base64url.h"
#include "crypto/digest.h"

namespace karta::crypto {
namespace {

constexpr unsigned kLeastRsaBits = 2048;  // RFC 7518 §3.3 and §3.5
// Anybody may send a key in a proof: one that is larger makes verifying dear.
constexpr unsigned kMostRsaBits = 4096, kMostExponentBits = 32;

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2).
constexpr auto kSecretMembers = std::to_array<std::string_view>({"d", "p", "q", "dp", "dq", "qi", "oth", "k"});

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "JWK: " + what); }

Result<Bytes> octets_of(const JsonObject& object, const char* name) {
  const auto text = object.text(name);
  if (!text || text->empty()) return bad("\"" + std::string(name) + "\" is missing");
  const auto octets = from_base64url(*text);
  if (!octets) return bad("\"" + std::string(name) + "\" is not base64url");
  return *octets;
}

Result<std::string> optional_text(const JsonObject& object, const char* name) {
  if (!object.has(name)) return std::string();
  auto text = object.text(name);
  if (!text || text->empty()) return bad("\"" + std::string(name) + "\" is no text");
  return std::move(*text);
}

const KeyTypeRow* row_of_curve(KeyFamily family, std::string_view curve) {
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family == family && !curve.empty() && row.jose_curve == curve) return &row;
  }
  return nullptr;
}

// RFC 7518 §6.3.1.1: base64urlUInt has the fewest octets.
Result<Bytes> magnitude_of(const JsonObject& object, const char* name) {
  Bytes octets = TRY(octets_of(object, name));
  if (octets.front() == 0) return bad("\"" + std::string(name) + "\" is longer than it needs to be");
  return octets;
}

Result<PublicKey> read_key(const JsonObject& object) {
  const auto type = object.text("kty");
  if (!type) return bad("\"kty\" is missing");
  if (*type == "RSA") {
    const Bytes modulus = TRY(magnitude_of(object, "n"));
    const Bytes exponent = TRY(magnitude_of(object, "e"));
    if (modulus.size() > kMostRsaBits / 8 || exponent.size() > kMostExponentBits / 8) {
      return fail(ErrorKind::unsupported, "JWK: RSA key of more than 4096 bits, or an exponent of more than 32");
    }
    PublicKey key = TRY(PublicKey::from_rsa(modulus, exponent));
    if (key.bits() < kLeastRsaBits) return fail(ErrorKind::unsupported, "JWK: RSA key of less than 2048 bits");
    return key;
  }
  const auto curve = object.text("crv");
  if (*type == "EC") {
    const KeyTypeRow* const row = curve ? row_of_curve(KeyFamily::ec, *curve) : nullptr;
    if (row == nullptr) return fail(ErrorKind::unsupported, "JWK: its curve is not known here");
    const std::size_t coordinate = (row->key_bits + 7u) / 8u;
    const Bytes x = TRY(octets_of(object, "x"));
    const Bytes y = TRY(octets_of(object, "y"));
    // §6.2.1.2: the full length, leading zeros and all.
    if (x.size() != coordinate || y.size() != coordinate) return bad("a coordinate of wrong length");
    const std::uint8_t uncompressed = 0x04;
    const Bytes point = concat({ByteView(&uncompressed, 1), x, y});
    // A portal's key comes with every proof it sends: what was read and checked a moment ago stays so.
    thread_local std::array<std::optional<PublicKey>, 16> lately;
    std::optional<PublicKey>& place = lately[point.back() % lately.size()];
    if (place && place->type() == row->id && equal(place->key_octets(), point)) return *place;
    PublicKey key = TRY(PublicKey::from_point(row->id, point));
    place = key;
    return key;
  }
  if (*type == "OKP") {
    const KeyTypeRow* const row = curve ? row_of_curve(KeyFamily::ed25519, *curve) : nullptr;
    if (row == nullptr) return fail(ErrorKind::unsupported, "JWK: its curve is not known here");
    return PublicKey::from_point(row->id, TRY(octets_of(object, "x")));
  }
  return fail(ErrorKind::unsupported, "JWK: its key type is not known here");
}

/// The members RFC 7638 §3.2 (and RFC 8037 §2) call required, in the order of their names: what a thumbprint hashes.
Result<std::string> required_members(const PublicKey& key) {
  const auto unsupported = [&] {
    return fail(ErrorKind::unsupported, "JOSE has no name for a " + key.type_name() + " key");
  };
  switch (key.family()) {
    case KeyFamily::rsa:
      return R"("e":")" + to_base64url(key.exponent()) + R"(","kty":"RSA","n":")" + to_base64url(key.modulus()) + '"';
    case KeyFamily::ec: {
      const KeyTypeRow& row = row_of(*key.type());
      const std::size_t coordinate = (row.key_bits + 7u) / 8u;
      if (row.jose_curve.empty()) return unsupported();
      Bytes point = to_bytes(key.key_octets());
      if (point.size() != 1 + 2 * coordinate) return unsupported();
      return R"("crv":")" + std::string(row.jose_curve) + R"(","kty":"EC","x":")" +
             to_base64url(ByteView(point).subspan(1, coordinate)) + R"(","y":")" +
             to_base64url(ByteView(point).last(coordinate)) + '"';
    }
    case KeyFamily::ed25519:
      return R"("crv":"Ed25519","kty":"OKP","x":")" + to_base64url(key.key_octets()) + '"';
    case KeyFamily::gost:
      break;
  }
  return unsupported();
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ',';
  out += json_quoted(name);
  out += ':';
  out += json_quoted(value);
}

}  // namespace

Result<Jwk> parse_jwk(const JsonObject& object) {
  for (const std::string_view name : kSecretMembers) {
    if (object.has(name)) {
      return fail(ErrorKind::not_permitted, "JWK: it holds private or symmetric parts", "give the public key only");
    }
  }
  PublicKey key = TRY(read_key(object));
  Jwk out{.key = std::move(key), .kid = {}, .alg = {}, .use = {}};
  out.kid = TRY(optional_text(object, "kid"));
  out.alg = TRY(optional_text(object, "alg"));
  out.use = TRY(optional_text(object, "use"));
  return out;
}

Result<Jwk> parse_jwk(std::string_view json) {
  const JsonObject object = TRY(JsonObject::parse(json));
  return parse_jwk(object);
}

const Jwk* JwkSet::find(std::string_view kid) const {
  if (kid.empty()) return keys.size() == 1 ? &keys.front() : nullptr;
  const Jwk* found = nullptr;
  for (const Jwk& one : keys) {
    if (one.kid != kid) continue;
    if (found != nullptr) return nullptr;
    found = &one;
  }
  return found;
}

Result<JwkSet> parse_jwk_set(std::string_view json) {
  const JsonObject object = TRY(JsonObject::parse(json));
  const auto keys = object.objects("keys");
  if (!keys) return bad("\"keys\" is missing");
  if (keys->size() > JwkSet::kMostKeys) return fail(ErrorKind::limit, "JWK: a set of more than 64 keys");
  JwkSet out;
  for (const JsonObject& one : *keys) {
    auto key = parse_jwk(one);
    if (key) {
      out.keys.push_back(std::move(*key));
    } else if (key.error().kind != ErrorKind::unsupported) {
      return fail(std::move(key).error());
    }
  }
  return out;
}

Result<std::string> write_jwk(const PublicKey& key, std::string_view kid, std::string_view alg, std::string_view use) {
  std::string out = "{" + TRY(required_members(key));
  append_member(out, "kid", kid);
  append_member(out, "alg", alg);
  append_member(out, "use", use);
  return out + "}";
}

Result<std::string> write_jwk_set(const std::vector<Jwk>& keys) {
  std::string out;
  for (const Jwk& one : keys) {
    const std::string written = TRY(write_jwk(one.key, one.kid, one.alg, one.use));
    out += out.empty() ? "" : ",";
    out += written;
  }
  return R"({"keys":[)" + out + "]}";
}

Result<std::string> jwk_thumbprint(const PublicKey& key) {
  const std::string members = TRY(required_members(key));
  return to_base64url(digest(Hash::sha256, as_bytes("{" + members + "}")));
}

}  // namespace karta::crypto
