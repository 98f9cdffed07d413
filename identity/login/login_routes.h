// LoginRoutes: the log-in's pages, for one worker (docs/login.md).
//
//   GET      /login                     who asks, for what, and the ways in
//   GET      /login/hello, /login/here  whether the agent is there: a small window, to the agent and back
//   GET      /login/card, /login/answer to the agent with a signed request, and back with the card's token
//   GET      /login/certificate         behind the listener that asks for certificates; from there to
//   GET      /login/certified           the pages again
//   POST     /login/name; GET POST /login/code
//   POST     /login/cancel
//   GET POST /consent, /logout
//   GET      /assets/...
//
// A log-in that has only begun leaves nothing in the database: what must come back is in tickets the browser carries,
// marked by the server and bound to a cookie. A log-in that succeeds is one write: the nonce used up and the session.
#pragma once

#include <memory>

#include "identity/login/card_proof.h"
#include "identity/login/config.h"
#include "identity/login/login_secret.h"
#include "identity/login/messenger.h"
#include "identity/openid/interaction.h"
#include "identity/room_routes.h"
#include "identity/services/key.h"

namespace karta::identity {

/// What the workers share, opened once.
struct LoginKeys {
  LoginSecret secret;
  std::shared_ptr<const CardAuthorities> authorities;
  std::optional<ServiceKey> agent;
  std::unique_ptr<Messenger> messenger;  ///< null: none is configured
};
/// Errors: those of the files it names; configuration: an agent's key whose certificate does not name the host of
/// `config.address`.
Result<std::shared_ptr<const LoginKeys>> open_login_keys(const LoginConfig& config);

struct LoginOptions {
  std::chrono::seconds consent_life{365 * 24 * 3600};  ///< the longest a consent is given for
  bool asks_certificates = false;                      ///< behind the listener that asks for certificates
};

class LoginRoutes : public RoomRoutes, public LoginPort {
 public:
  /// `provider` and what `around` refers to must outlive it.
  static Result<std::unique_ptr<LoginRoutes>> open(const LoginConfig& config, std::shared_ptr<const LoginKeys> keys,
                                                   const RoomSurroundings& around, Provider& provider,
                                                   const LoginOptions& options);
};

}  // namespace karta::identity
