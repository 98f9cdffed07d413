// Interaction: a portal's request that waits for its citizen, and what the pages of the log-in and the provider say to
// each other about it. Neither knows more of the other than stands here.
//
//   /openid/authorize -> LoginPort::begin(interaction) -> pages -> Provider::finish(id, authentication) -> the portal
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/openid/client.h"
#include "identity/registry.h"
#include "service/database.h"
#include "service/http_message.h"

namespace karta::identity {

/// How a citizen was let in. Levels, lowest first: "low" (one-time code), "substantial" (TLS certificate), "high"
/// (card, PIN and the card's state now).
struct Authentication {
  CitizenId citizen{};
  std::string session_id;  ///< of the session it belongs to; not its cookie
  std::string acr;
  std::vector<std::string> amr;  ///< RFC 8176: "hwk", "pin", "otp"
  Time auth_time{};              ///< when the citizen last proved who he is
  std::optional<CardId> card;    ///< of ways in with a card: every token ends with it
  Time session_ends{};           ///< at the latest; what the portal was given is known at least until then
};

/// What a session was begun with: a certificate's issuer as the registry has it, and its serial number (INTEGER content
/// octets); empty: none.
struct SessionCertificate {
  std::string issuer;
  Bytes serial;
};

/// Why a session ends.
enum class SessionEnd : std::uint8_t {
  over,        ///< its time, or the citizen's wish: tokens for use off line stay
  distrusted,  ///< what it was begun with is no longer good: they go, too
};

/// 0, 1, 2 for "low", "substantial", "high"; nothing for any other word.
std::optional<int> acr_level(std::string_view acr);

struct Interaction {
  std::string id;  ///< unguessable; for this browser's eyes only. Bind it to the browser with a cookie.
  Client client;
  std::vector<std::string> scopes;     ///< asked for and allowed, "openid" among them
  std::vector<std::string> claims;     ///< personal data asked for: names of openid/scopes.h, in its order
  std::vector<std::string> essential;  ///< those of them the portal cannot do without; the citizen may leave out others
  std::string acr;                     ///< the least level that will do
  std::optional<std::chrono::seconds> max_age;
  bool prompt_none = false;     ///< no page may be shown: finish() at once or refuse()
  bool prompt_login = false;    ///< a live session is not enough
  bool prompt_consent = false;  ///< ask again, though consent stands
  std::string locale;           ///< "ru", "en", or empty: of ui_locales
  std::string login_hint;
  Time expires{};
};

/// What a portal may be told instead of a code (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
enum class AuthorizationError : std::uint8_t {
  access_denied,
  login_required,
  consent_required,
  interaction_required,
  unmet_authentication_requirements,
  temporarily_unavailable,
  server_error,
};
std::string_view name_of(AuthorizationError error);

struct ConsentState {
  bool given = false;                 ///< nothing is left to ask
  std::vector<std::string> missing;   ///< claims the citizen has said nothing of, or no to what is essential now
  std::vector<std::string> declined;  ///< voluntary ones he has left out before
  std::optional<Time> until;          ///< of the consent there is
};

/// What the citizen answers to the question for consent: yes, until then, to all that is asked for but `declined`.
struct ConsentAnswer {
  ConsentAnswer(Time given_until, std::vector<std::string> left_out = {})
      : until(given_until), declined(std::move(left_out)) {}
  Time until;
  std::vector<std::string> declined;  ///< holds as long: he is not asked for it again
};

/// A portal the citizen has consented to, for his own page.
struct Grant {
  std::string client_id;
  TwoLanguages client_name;
  std::string client_origin;
  std::vector<std::string> claims;
  Time given{};
  Time until{};
  std::size_t live_tokens = 0;  ///< log-ins of that portal that have not ended
};

/// A log-out that a portal asks for (OpenID Connect RP-Initiated Logout 1.0), already checked.
struct LogoutRequest {
  std::optional<Client> client;  ///< known by id_token_hint or client_id
  /// Whether id_token_hint is of this session; null: there was no hint. Another session than the browser's: ask first.
  std::function<bool(std::string_view session_id)> is_of;
  std::string return_url;  ///< where to go afterwards, with `state`; empty: stay
  std::string locale;
};

/// Provider::finish() within a transaction of somebody else's: a log-in's session and its code are written together.
class Finishing {
 public:
  virtual ~Finishing() = default;
  /// In a writing transaction, which may run more than once: the last time decides. `authentication` and `certificate`
  /// of a session that this transaction has written. A refusal is no error here: outcome() tells it.
  virtual Status run(service::Database& database, const Authentication& authentication,
                     const SessionCertificate& certificate) = 0;
  /// Once that is committed: what finish() returns.
  virtual Result<std::string> outcome() = 0;
};

/// What the log-in's pages call. One a worker; used by its thread only.
class Provider {
 public:
  virtual ~Provider() = default;

  /// None if there is no such interaction, or its time is over, or it has been finished.
  virtual Result<std::optional<Interaction>> interaction(std::string_view id) = 0;

  /// Makes a code and returns the URL to send the browser to with 303. One use: already finished is not_found. All is
  /// looked up again in the one transaction: not_permitted (with words for the citizen's page) if the session has
  /// ended, the card is not active, the consent does not cover what is asked, or the client is gone. Where the level or
  /// the age of the authentication does not do, the URL carries that error to the portal. `answer`: the citizen has
  /// consented here and now; it is remembered in the same transaction. not_permitted if it leaves out what is
  /// essential. The portal gets what was consented to, and no more.
  virtual Result<std::string> finish(std::string_view id, const Authentication& authentication,
                                     const std::optional<ConsentAnswer>& answer = {}) = 0;
  /// The same in parts; what is used by run() later must not go before. Errors: not_found, not_permitted as there.
  virtual Result<std::unique_ptr<Finishing>> finishing(std::string_view id) = 0;
  /// The URL that tells the portal why there is no code. One use, as finish().
  virtual Result<std::string> refuse(std::string_view id, AuthorizationError error) = 0;

  virtual Result<ConsentState> consent(CitizenId citizen, const Client& client, const std::vector<std::string>& claims,
                                       const std::vector<std::string>& essential = {}) = 0;
  virtual Status remember_consent(CitizenId citizen, const Client& client, const std::vector<std::string>& claims,
                                  Time until) = 0;

  /// Ends every token that hangs on the session and has the portals told (back-channel). In the transaction of the
  /// caller's that deletes the session, on its connection: both happen or neither.
  virtual Status end_session(service::Database& database, std::string_view session_id, SessionEnd why) = 0;
  /// "Log out everywhere": every token of the citizen, those for use off line too. In a transaction, as above.
  virtual Status end_all(service::Database& database, CitizenId citizen) = 0;

  /// Consents that stand, newest first.
  virtual Result<std::vector<Grant>> grants_of(CitizenId citizen) = 0;
  /// Takes the consent back and ends every token given on it. not_found if there is none.
  virtual Status revoke_grant(CitizenId citizen, std::string_view client_id) = 0;
};

/// What the provider's endpoints call: the pages of the log-in.
class LoginPort {
 public:
  virtual ~LoginPort() = default;
  /// /openid/authorize made an interaction: answer with a page or a 303, or finish at once with a live session.
  virtual service::HttpResponse begin(const service::HttpRequest& request, const Interaction& interaction) = 0;
  /// The request cannot be answered to the portal (unknown client, wrong redirect_uri): a page for the person in front.
  /// `error` as in OAuth, `description` in English for the portal's developer.
  virtual service::HttpResponse problem(const service::HttpRequest& request, int status, std::string_view error,
                                        std::string_view description) = 0;
  /// /openid/end-session: ask or end the session at once, end with a 303 to return_url where there is one.
  virtual service::HttpResponse end_session(const service::HttpRequest& request, const LogoutRequest& logout) = 0;
};

}  // namespace karta::identity
