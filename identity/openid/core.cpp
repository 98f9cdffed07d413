#include "identity/openid/core.h"

#include <array>

#include "base/base64url.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "identity/timed_key.h"
#include "service/log.h"

namespace karta::identity {
namespace {

constexpr std::size_t kNonceOctets = 16;
/// A nonce is good in its window and the next.
constexpr std::int64_t kNonceWindow = 120;
constexpr std::size_t kMostKnownClients = 256;  // in one worker

std::array<std::uint8_t, 8> be64(std::uint64_t value) {
  std::array<std::uint8_t, 8> out{};
  for (int i = 7; i >= 0; --i, value >>= 8) out[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value);
  return out;
}

}  // namespace

OauthError fault(const Error& error) {
  service::log_error("the provider", error);
  const bool passing = error.kind == ErrorKind::busy || error.kind == ErrorKind::io;
  if (passing) return {503, "temporarily_unavailable", "try again in a moment"};
  return {500, "server_error", "the fault is on our side"};
}

OpenidCore::OpenidCore(const OpenidConfig& given_config, std::shared_ptr<const OpenidKeys> given_keys,
                       const RoomSurroundings& given_around)
    : config(given_config),
      keys(std::move(given_keys)),
      around(given_around),
      signers(keys),
      ledger_(given_around.database, given_around.clock) {}

Result<std::shared_ptr<const LoadedClient>> OpenidCore::client(std::string_view id) {
  auto known = clients_.find(id);
  if (known != clients_.end() && known->second.read == now()) return known->second.loaded;
  auto row = TRY(ledger_.find_row(id));
  if (!row || !row->active) {
    if (known != clients_.end()) clients_.erase(known);
    return std::shared_ptr<const LoadedClient>();
  }
  if (known == clients_.end() || known->second.row != *row) {
    auto loaded = std::make_shared<LoadedClient>();
    loaded->client = TRY(read_client(*row));
    if (!loaded->client.jwks.empty()) loaded->keys = TRY(crypto::parse_jwk_set(loaded->client.jwks));
    // Only those that exist: made-up ids fill no memory.
    if (clients_.size() >= kMostKnownClients) clients_.clear();
    known = clients_.insert_or_assign(std::string(id), KnownClient{std::move(*row), std::move(loaded), {}}).first;
  }
  known->second.read = now();
  return known->second.loaded;
}

std::string OpenidCore::new_handle() { return new_timed_secret(now(), around.random); }

Bytes OpenidCore::hash_of(std::string_view handle) { return crypto::digest(crypto::Hash::sha256, as_bytes(handle)); }

std::int64_t OpenidCore::new_grant_id() {
  for (;;) {
    const Bytes octets = around.random.bytes(8);
    std::uint64_t value = 0;
    for (const std::uint8_t octet : octets) value = value << 8 | octet;
    value &= 0x7FFF'FFFF'FFFF'FFFF;
    if (value != 0) return static_cast<std::int64_t>(value);
  }
}

std::string OpenidCore::subject(const Client& client, CitizenId citizen) const {
  return keys->subject(client.sector, citizen);
}

std::string OpenidCore::sid(std::string_view client_id, std::string_view session_id) const {
  return keys->sid(client_id, session_id);
}

std::string OpenidCore::interaction_id(std::string_view request_handle) const {
  return to_base64url(keys->derive("interaction", {as_bytes(request_handle)}));
}

const std::string& OpenidCore::nonce_of(std::int64_t window) const {
  // Every answer offers one: of the two windows that count, each is made once.
  auto& [made, nonce] = nonces_[static_cast<std::size_t>(window & 1)];
  if (made == window) return nonce;
  const auto number = be64(static_cast<std::uint64_t>(window));
  Bytes octets = keys->derive("dpop-nonce", {number});
  octets.resize(kNonceOctets);
  nonce = to_base64url(octets);
  made = window;
  return nonce;
}

std::string OpenidCore::dpop_nonce() const { return nonce_of(now().time_since_epoch().count() / kNonceWindow); }

bool OpenidCore::is_dpop_nonce(std::string_view nonce) const {
  const std::int64_t window = now().time_since_epoch().count() / kNonceWindow;
  return nonce == nonce_of(window) || nonce == nonce_of(window - 1);
}

OauthResult<IdTokenHint> OpenidCore::read_id_token(std::string_view token) const {
  const auto jws = crypto::Jws::parse(token);
  if (!jws) return refuse("invalid_request", "id_token_hint is no ID token");
  if (const OpenidKeys::Key* const key = keys->find(jws->header().kid)) {
    const crypto::AlgorithmId algorithm[] = {key->algorithm};
    if (!jws->verify(key->key, algorithm)) {
      return refuse("invalid_request", "id_token_hint is not signed by the key of this provider that it names");
    }
  }
  auto claims = crypto::parse_claims(jws->payload_text());
  // Of the same keys are log-out tokens and signed introspection, whose types say what they are, and signed UserInfo,
  // which has no end.
  const bool id_token = jws->header().typ == "JWT" && claims && claims->iss == config.issuer && !claims->sub.empty() &&
                        claims->exp.has_value();
  if (!id_token) return refuse("invalid_request", "id_token_hint is no ID token of this provider");
  return IdTokenHint{std::move(*claims), keys->find(jws->header().kid) != nullptr};
}

}  // namespace karta::identity
