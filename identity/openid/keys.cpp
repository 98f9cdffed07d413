#include "identity/openid/keys.h"

#include <algorithm>

#include "base/base64url.h"
#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"
#include "crypto/kdf.h"

namespace karta::identity {
namespace {

constexpr std::size_t kNameOctets = 24;

}  // namespace

Status OpenidKeys::set_secret(const SecretBytes& secret) {
  if (secret.size() < kLeastSecret) {
    return fail(ErrorKind::configuration, "the provider's secret is shorter than 32 characters",
                "make one: openssl rand -base64 48");
  }
  secret_ = secret.clone();
  return {};
}

Status OpenidKeys::add(const OpenidKeyConfig& config, const crypto::PublicKey& key, OpenSigner open) {
  if (!crypto::fits_jose(key, config.algorithm)) {
    return fail(ErrorKind::configuration, "the key \"" + config.key.key + "\" (" + key.type_name() +
                                              ") does not make " + std::string(crypto::row_of(config.algorithm).jose));
  }
  std::string kid = TRY(crypto::jwk_thumbprint(key));
  keys_.push_back(Key{config.algorithm, config.from, key, std::move(kid), std::move(open)});
  return {};
}

const OpenidKeys::Key* OpenidKeys::signing_key(crypto::AlgorithmId algorithm, Time now) const {
  const Key* out = nullptr;
  for (const Key& one : keys_) {
    if (one.algorithm != algorithm || one.from > now) continue;
    if (out == nullptr || one.from > out->from) out = &one;
  }
  return out;
}

const OpenidKeys::Key* OpenidKeys::find(std::string_view kid) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& one) { return one.kid == kid; });
  return found == keys_.end() ? nullptr : &*found;
}

Result<std::string> OpenidKeys::jwks(Time now, std::chrono::seconds tail) const {
  std::vector<crypto::Jwk> out;
  for (const Key& one : keys_) {
    const bool over = std::any_of(keys_.begin(), keys_.end(), [&](const Key& next) {
      return next.algorithm == one.algorithm && next.from > one.from && next.from + tail <= now;
    });
    const bool twice = std::any_of(out.begin(), out.end(), [&](const crypto::Jwk& jwk) { return jwk.kid == one.kid; });
    if (over || twice) continue;
    out.push_back(crypto::Jwk{one.key, one.kid, std::string(crypto::row_of(one.algorithm).jose), "sig"});
  }
  return crypto::write_jwk_set(out);
}

std::vector<std::string> OpenidKeys::algorithms(Time now) const {
  std::vector<std::string> out;
  for (const crypto::AlgorithmId one : crypto::kJoseAlgorithms) {
    if (signing_key(one, now) != nullptr) out.emplace_back(crypto::row_of(one).jose);
  }
  return out;
}

Bytes OpenidKeys::derive(std::string_view label, std::initializer_list<ByteView> parts) const {
  // Each part with its length in front, so that no two lists of parts give the same octets.
  Bytes octets = to_bytes(as_bytes(label));
  octets.push_back(0);
  for (const ByteView part : parts) {
    append_be16(octets, static_cast<std::uint16_t>(part.size()));
    append(octets, part);
  }
  const SecretBytes out = crypto::hmac(crypto::Hash::sha256, secret_.expose_secret(), {octets});
  return to_bytes(out.expose_secret());
}

std::string OpenidKeys::subject(std::string_view sector, CitizenId citizen) const {
  Bytes id;
  for (int shift = 56; shift >= 0; shift -= 8) {
    id.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(citizen) >> shift));
  }
  Bytes octets = derive("subject", {as_bytes(sector), id});
  octets.resize(kNameOctets);
  return to_base64url(octets);
}

std::string OpenidKeys::sid(std::string_view client_id, std::string_view session_id) const {
  Bytes octets = derive("session", {as_bytes(client_id), as_bytes(session_id)});
  octets.resize(kNameOctets);
  return to_base64url(octets);
}

Result<std::string> OpenidSigners::sign(crypto::AlgorithmId algorithm, Time now, std::string_view type,
                                        std::string_view payload) {
  const OpenidKeys::Key* const key = keys_->signing_key(algorithm, now);
  if (key == nullptr) {
    return fail(ErrorKind::configuration,
                "there is no key that signs with " + std::string(crypto::row_of(algorithm).jose) + " now");
  }
  auto& signer = signers_[key->kid];
  if (!signer) signer = TRY(key->open());
  crypto::JwsHeader header;
  header.kid = key->kid;
  header.typ = type;
  return crypto::sign_jws(header, payload, *signer, algorithm);
}

}  // namespace karta::identity
