// OpenidStore: the provider's rows: requests, grants, handles (codes and tokens, by hash), consents, proofs seen,
// log-outs to be told. Functions that write run inside a transaction of the caller's (service::GroupCommit::Work); each
// is written so that a row it relies on is one it changes.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/openid/authorization_request.h"
#include "identity/openid/interaction.h"
#include "identity/openid/proofs.h"
#include "service/database.h"
#include "service/group_commit.h"

namespace karta::identity {

/// What one log-in gave one portal; every code and token of it hangs on this row.
struct OpenidGrant {
  CitizenId citizen{};
  std::int64_t id = 0;
  std::string client_id;
  std::string session_id;
  std::optional<CardId> card;
  bool offline = false;  ///< outlives its session
  std::vector<std::string> scopes, claims, amr;
  std::string acr, nonce, redirect_uri, challenge, dpop_jkt, resource;
  std::string issuer;  ///< with `serial` of the certificate the citizen logged in with; empty: with none
  Bytes serial;
  Time auth_time{};
  Time created{};
  Time ends{};  ///< no handle of it lives longer
};

enum class HandleKind : std::uint8_t { code = 1, access = 2, refresh = 3 };

struct OpenidHandle {
  HandleKind kind = HandleKind::access;
  OpenidGrant grant;
  std::string binding;  ///< "jkt:..." or "x5t:..."; empty: to nothing
  bool used = false;    ///< of a code
  Time expires{};
  std::optional<CardState> card_state;  ///< none: no card, or the registry knows it no more
  bool card_over = false;               ///< its validity has ended
  bool card_changed = false;            ///< its state has, since the log-in: it may be active again, this stays over
  bool revoked = false;                 ///< the certificate of the log-in is revoked or on hold
  bool consented = false;               ///< consent covers the claims now
};

namespace openid_store {

/// False: it has been seen before.
Result<bool> remember(service::Database& database, const SeenProof& proof);
enum class Remembered : std::uint8_t { fresh, assertion_seen, dpop_seen };
/// Those that there are, at once.
Result<Remembered> remember(service::Database& database, const std::optional<SeenProof>& assertion,
                            const std::optional<SeenProof>& dpop);

Status insert_request(service::Database& database, ByteView id_hash, const AuthorizationRequest& request, Time now,
                      Time expires);
struct StoredRequest {
  AuthorizationRequest request;
  Time created{}, expires{};
};
/// The requests read last, so that the next step of a log-in does not read the same text again. What it gives is as
/// the text just read from the registry says, never older.
class RequestMemory {
 public:
  Result<AuthorizationRequest> read(ByteView id_hash, std::string_view document);

 private:
  struct Slot {
    std::string document;
    AuthorizationRequest request;
  };
  std::array<Slot, 64> slots_;
};
Result<std::optional<StoredRequest>> find_request(service::Database& database, RequestMemory& memory, ByteView id_hash);
/// False: it was not there, or somebody else has just taken it.
Result<bool> take_request(service::Database& database, ByteView id_hash);

Status insert_grant(service::Database& database, const OpenidGrant& grant);
Status extend_grant(service::Database& database, const OpenidGrant& grant, Time ends);
Status end_grant(service::Database& database, CitizenId citizen, std::int64_t grant_id);
Status insert_handle(service::Database& database, ByteView hash, HandleKind kind, const OpenidGrant& grant,
                     std::string_view binding, Time expires);
/// With its grant, of which it must be a living part: a handle whose grant has ended is none. Expired ones are found.
Result<std::optional<OpenidHandle>> find_handle(service::Database& database, ByteView hash, HandleKind kind, Time now);
/// False: it has been used before.
Result<bool> use_code(service::Database& database, ByteView hash, Time now);
Status delete_handle(service::Database& database, ByteView hash);

/// State of a card now, and whether its validity has ended; none: there is no such card of this citizen.
struct CardNow {
  CardState state = CardState::ordered;
  bool over = false;
};

/// Changes nothing of the citizen's session but holds its row: whoever ends it meanwhile collides with the caller.
/// None: it has ended.
Result<std::optional<SessionCertificate>> touch_session(service::Database& database, CitizenId citizen,
                                                        std::string_view session_id, Time now);

struct StoredConsent {
  std::vector<std::string> claims;    ///< that stand now
  std::vector<std::string> declined;  ///< that the citizen left out, and need not be asked for now
  Time given{}, until{};              ///< until: of the one that lasts longest
};
Result<std::optional<StoredConsent>> find_consent(service::Database& database, CitizenId citizen,
                                                  std::string_view client, Time now);
/// All that a log-in's end is decided by, in one look.
struct RequestToFinish {
  StoredRequest stored;
  std::optional<CardNow> card;  ///< none: no card was asked for, or the citizen has no such card
  std::optional<StoredConsent> consent;
};
Result<std::optional<RequestToFinish>> find_request_to_finish(service::Database& database, RequestMemory& memory,
                                                              ByteView id_hash, CitizenId citizen,
                                                              std::optional<CardId> card, std::string_view client,
                                                              Time now);
/// The claims that stand at `now`, of the column `claims` of a row that ends at `row_ends`.
std::vector<std::string> standing_claims(std::string_view column, Time row_ends, Time now);
/// Each datum is given, or left out, for as long as was said when it was last asked for; what stands beside keeps its
/// own end. What was given and is left out now is given no more. In a transaction.
Status put_consent(service::Database& database, CitizenId citizen, std::string_view client,
                   const std::vector<std::string>& claims, const std::vector<std::string>& declined, Time now,
                   Time until);
/// Changes nothing of a consent this transaction has read but holds its row: whoever revokes it meanwhile collides with
/// the caller. Costs no round trip.
Status hold_consent(service::Database& database, CitizenId citizen, std::string_view client);
/// False: there was none. Ends every grant of that client, too.
Result<bool> revoke_consent(service::Database& database, CitizenId citizen, std::string_view client);

Result<std::vector<OpenidGrant>> grants_of_session(service::Database& database, std::string_view session_id);
Result<std::vector<OpenidGrant>> grants_of_citizen(service::Database& database, CitizenId citizen);

struct LogoutNotice {
  std::string id;  ///< jti of its token, the same at every try
  std::string client_id, subject, sid;
  std::int64_t tries = 0;
  Time expires{};
};
Status insert_notice(service::Database& database, const LogoutNotice& notice, Time now);
/// Notices that are due, each taken for `lease` so that no other process sends it meanwhile.
Result<std::vector<LogoutNotice>> take_notices(service::Database& database, Time now, std::chrono::seconds lease,
                                               std::size_t limit);
Status postpone_notice(service::Database& database, const LogoutNotice& notice, Time next);
/// All notices of a client that are due.
Status postpone_client(service::Database& database, std::string_view client, Time now, Time next);
Status delete_notice(service::Database& database, std::string_view id);

/// Deletes rows whose time is over, at most `limit` of each kind, a write for each kind. Returns how many went.
/// `database`: without a transaction or unread rows.
Result<std::int64_t> purge(service::Database& database, service::GroupCommit& writes, Time now, std::int64_t limit);

}  // namespace openid_store
}  // namespace karta::identity
