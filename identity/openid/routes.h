// OpenidRoom: the OpenID Provider of one worker: its Provider for the log-in's pages, and its endpoints
// (docs/openid.md).
//
//   GET       /.well-known/openid-configuration, /.well-known/oauth-authorization-server, /openid/jwks
//   POST      /openid/par                         RFC 9126
//   GET POST  /openid/authorize                   what the browser brings
//   POST      /openid/token                       RFC 6749, RFC 9449, RFC 8705
//   GET POST  /openid/userinfo                    OpenID Connect Core §5.3
//   POST      /openid/revoke, /openid/introspect  RFC 7009, RFC 7662
//   GET POST  /openid/end-session                 OpenID Connect RP-Initiated Logout 1.0
//
// Behind the mTLS listener the same, and the client's certificate counts.
#pragma once

#include <memory>

#include "identity/openid/interaction.h"
#include "identity/openid/keys.h"
#include "identity/room_routes.h"

namespace karta::identity {

class OpenidRoom {
 public:
  /// What is in `around` must outlive it.
  static Result<std::unique_ptr<OpenidRoom>> open(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys,
                                                  const RoomSurroundings& around);
  ~OpenidRoom();

  Provider& provider();
  /// `login` (null: nobody can log in here) and this room must outlive them. Call once.
  std::unique_ptr<RoomRoutes> routes(LoginPort* login, bool mtls);

 private:
  struct Impl;
  explicit OpenidRoom(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
