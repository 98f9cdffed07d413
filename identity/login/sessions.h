// Sessions: citizens who are logged in to the identity system itself, each by a cookie in one browser.
//
// The cookie holds 256 random bits, the database their SHA-256. A session ends when nobody has used it for a while,
// when its time is over, when it is ended, and when the card it was begun with changes its state or its certificate is
// revoked or put on hold: that is looked up at every use, so it holds at once, on every server, whoever did it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/openid/interaction.h"
#include "identity/room_routes.h"

namespace karta::identity {

struct SessionOptions {
  std::chrono::seconds idle{30 * 60};
  std::chrono::seconds life{12 * 3600};
};

struct Session {
  std::string id;  ///< 32 hexadecimal digits; no secret: tokens and log-outs name the session by it
  CitizenId citizen{};
  std::string acr;               ///< "low", "substantial", "high"
  std::vector<std::string> amr;  ///< RFC 8176
  std::optional<CardId> card;    ///< where the way in was a card
  Time began{};
  Time auth_time{};     ///< when the citizen last proved who he is
  Time last_used{};     ///< exact to a minute
  Time ends{};          ///< at the latest
  std::string address;  ///< where it was begun from
  std::string browser;  ///< User-Agent, cut to kMostBrowser
  std::string csrf;     ///< for its forms; empty in lists

  Authentication authentication() const { return {citizen, id, acr, amr, auth_time, card, ends}; }
};
inline constexpr std::size_t kMostBrowser = 200;
inline constexpr std::string_view kSessionCookie = "__Host-karta-session";

/// What the citizen has just shown.
struct SessionProof {
  CitizenId citizen{};
  std::string acr;
  std::vector<std::string> amr;
  std::optional<CardId> card = {};
  std::string issuer = {};  ///< of the certificate shown, as the registry has it; with `serial`, or both empty
  Bytes serial = {};        ///< INTEGER content octets
};

struct OpenedSession {
  Session session;
  std::string fields;  ///< the Set-Cookie field for the answer
};

/// What else happens in the transaction that ends a session.
using SessionEnding = std::function<Status(service::Database&, std::string_view session_id, SessionEnd why)>;
/// The provider ends the tokens and has the portals told. `provider` must outlive it.
inline SessionEnding ending_of(Provider& provider) {
  return [&provider](service::Database& database, std::string_view session_id, SessionEnd why) {
    return provider.end_session(database, session_id, why);
  };
}

/// What else is written once a session is, in its transaction.
using AfterBegin = std::function<Status(service::Database&, const Session& session)>;

/// Used by one thread at a time. What `around` refers to must outlive it.
class Sessions {
 public:
  /// `ending` runs for every session that is ended here but those of end_all(); empty: nobody is told.
  explicit Sessions(const RoomSurroundings& around, SessionOptions options = {}, SessionEnding ending = {})
      : around_(around), options_(options), ending_(std::move(ending)) {}

  /// The session of the request's cookie; none if there is none or it is no session any more.
  Result<std::optional<Session>> find(const service::HttpRequest& request);
  /// After a successful log-in. A live session of the same citizen goes on under the same id (a step up) with a new
  /// cookie; the old cookie is worth nothing from then on, and whatever cookie the request brought is never taken over.
  /// A session of somebody else that this browser had ends. `before` and `after` run in the transaction that writes the
  /// session, on either side of that, for what must hold together with it.
  Result<OpenedSession> begin(const service::HttpRequest& request, const SessionProof& proof,
                              const service::GroupCommit::Work& before = {}, const AfterBegin& after = {});
  /// Those alive, last used first.
  Result<std::vector<Session>> list(CitizenId citizen);
  // Sessions that end by themselves (their time, their card) are found and ended by the provider's SessionEnds.

  /// False if the citizen has no such session.
  Result<bool> end(CitizenId citizen, std::string_view id);
  /// `more` runs in the same transaction.
  Status end_all(CitizenId citizen, const service::GroupCommit::Work& more);
  /// Those begun with a card that is no longer good. Returns their ids.
  Result<std::vector<std::string>> end_of_card(CitizenId citizen, CardId card);

  /// The field that takes the cookie away.
  static std::string drop_cookie_field();
  const SessionOptions& options() const { return options_; }

 private:
  struct Row;
  Result<std::optional<Row>> load(ByteView cookie_hash);

  RoomSurroundings around_;
  SessionOptions options_;
  SessionEnding ending_;
};

}  // namespace karta::identity
