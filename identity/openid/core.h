// OpenidCore: what the provider and its endpoints share in one worker: settings, keys, clients, names derived from the
// provider's secret.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "identity/openid/clients.h"
#include "identity/openid/keys.h"
#include "identity/openid/oauth_error.h"
#include "identity/openid/proofs.h"
#include "identity/openid/store.h"
#include "identity/room_routes.h"

namespace karta::identity {

struct IdTokenHint {
  crypto::JwtClaims claims;
  /// By a key we have. Otherwise the key it names has left the configuration, or was never there: the claims are
  /// anybody's word, and all they are good for is to be refused where they contradict.
  bool verified = false;
};

class OpenidCore {
 public:
  OpenidCore(const OpenidConfig& given_config, std::shared_ptr<const OpenidKeys> given_keys,
             const RoomSurroundings& given_around);

  const OpenidConfig config;
  std::shared_ptr<const OpenidKeys> keys;
  RoomSurroundings around;
  OpenidSigners signers;
  openid_store::RequestMemory requests;

  Time now() const { return around.clock.now(); }
  /// A client that may be served; null: unknown or revoked. Its row is read anew every second of the clock,
  /// its document and keys when they are others than before.
  Result<std::shared_ptr<const LoadedClient>> client(std::string_view id);
  /// 256 random bits, base64url: a code, a token, the end of a request URI.
  std::string new_handle();
  /// What a handle is stored under.
  static Bytes hash_of(std::string_view handle);
  std::int64_t new_grant_id();

  /// `sub` of a citizen for a portal: the same within its sector, unrelated elsewhere (OpenID Connect Core §8.1).
  std::string subject(const Client& client, CitizenId citizen) const;
  /// `sid`: the session, as one client knows it.
  std::string sid(std::string_view client_id, std::string_view session_id) const;
  /// An interaction's id from the handle in its request URI, which its portal knows: the portal must not know the id.
  std::string interaction_id(std::string_view request_handle) const;

  std::string dpop_nonce() const;
  bool is_dpop_nonce(std::string_view nonce) const;

  /// Reads one of our ID tokens, expired or not; for hints.
  OauthResult<IdTokenHint> read_id_token(std::string_view token) const;

 private:
  const std::string& nonce_of(std::int64_t window) const;

  ClientLedger ledger_;
  struct KnownClient {
    ClientRow row;
    std::shared_ptr<const LoadedClient> loaded;
    Time read{};
  };
  std::map<std::string, KnownClient, std::less<>> clients_;
  mutable std::array<std::pair<std::int64_t, std::string>, 2> nonces_{{{-1, {}}, {-1, {}}}};
};

}  // namespace karta::identity
