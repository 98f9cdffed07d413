#include "identity/openid/session_ends.h"

#include <algorithm>
#include <set>

#include "base/base64url.h"
#include "crypto/x509/crl.h"
#include "identity/openid/clients.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

/// How long a portal that cannot be reached is tried.
constexpr std::chrono::hours kNoticeLife{24};
constexpr std::size_t kNoticeOctets = 32;
/// Ended in one transaction.
constexpr std::size_t kEnded = 100;
/// Looked at in one second: with a million live sessions each is looked at every three to four minutes.
constexpr std::int64_t kLooked = 5000;

constexpr std::string_view kDelete =
    "DELETE FROM sessions WHERE citizen_id = $1 AND session_id = $2 AND cookie_hash = $3";

std::int64_t raw(Time time) { return time.time_since_epoch().count(); }

}  // namespace

Status SessionEnds::tell(Database& database, const std::vector<OpenidGrant>& grants) {
  ClientLedger clients(database, clock_);
  const Time now = clock_.now();
  std::set<std::pair<std::string_view, std::string_view>> told;
  for (const OpenidGrant& grant : grants) {
    if (!told.emplace(grant.client_id, grant.session_id).second) continue;
    const auto client = TRY(clients.find(grant.client_id));
    if (!client || !client->active || client->logout_uri.empty()) continue;
    const openid_store::LogoutNotice notice{to_base64url(random_.bytes(kNoticeOctets)),
                                            grant.client_id,
                                            keys_->subject(client->sector, grant.citizen),
                                            keys_->sid(grant.client_id, grant.session_id),
                                            0,
                                            now + kNoticeLife};
    TRY(openid_store::insert_notice(database, notice, now));
  }
  return {};
}

Status SessionEnds::end(Database& database, std::string_view session_id, SessionEnd why) {
  const auto grants = TRY(openid_store::grants_of_session(database, session_id));
  if (grants.empty()) return {};
  TRY(tell(database, grants));
  const bool all = why == SessionEnd::distrusted;
  TRY(database.execute(all ? "DELETE FROM openid_grants WHERE session_id = $1"
                           : "DELETE FROM openid_grants WHERE session_id = $1 AND offline = 0",
                       {session_id}));
  return {};
}

Status SessionEnds::end_all(Database& database, CitizenId citizen) {
  const auto grants = TRY(openid_store::grants_of_citizen(database, citizen));
  TRY(tell(database, grants));
  TRY(database.execute("DELETE FROM openid_grants WHERE citizen_id = $1", {static_cast<std::int64_t>(citizen)}));
  return {};
}

Result<bool> SessionEnds::revoke(Database& database, CitizenId citizen, std::string_view client_id) {
  auto grants = TRY(openid_store::grants_of_citizen(database, citizen));
  std::erase_if(grants, [&](const OpenidGrant& one) { return one.client_id != client_id; });
  TRY(tell(database, grants));
  const bool consent = TRY(openid_store::revoke_consent(database, citizen, client_id));
  return consent || !grants.empty();
}

Status SessionEnds::look_for_over(Database& database, std::vector<Found>& out) const {
  Statement row = TRY(database.prepare(
      "SELECT citizen_id, session_id, cookie_hash FROM sessions WHERE over_at <= $1 ORDER BY over_at LIMIT $2"));
  TRY(row.query({raw(clock_.now()), static_cast<std::int64_t>(kEnded)}));
  while (TRY(row.next())) {
    out.push_back({row.integer(0), std::string(row.text(1)), to_bytes(row.octets(2)), SessionEnd::over});
  }
  return {};
}

// No index leads from a card's state to sessions, and none has to: the table is walked through in the order of its key.
Status SessionEnds::look_for_distrusted(Database& database, std::vector<Found>& out) {
  const Time now = clock_.now();
  if (now == looked_at_) return {};
  Statement row = TRY(database.prepare(
      "SELECT s.citizen_id, s.session_id, s.cookie_hash, s.auth_at, s.card_id, c.state, c.changed_at, c.valid_until, "
      "r.reason FROM sessions AS s LEFT JOIN cards AS c ON c.citizen_id = s.citizen_id AND c.card_id = s.card_id LEFT "
      "JOIN revocations AS r ON r.issuer = s.issuer AND r.serial = s.serial WHERE (s.citizen_id, s.session_id) > ($1, "
      "$2) ORDER BY s.citizen_id, s.session_id LIMIT $3"));
  TRY(row.query({after_citizen_, after_session_, kLooked}));
  std::int64_t seen = 0;
  bool full = false;
  while (!full && TRY(row.next())) {
    ++seen;
    after_citizen_ = row.integer(0);
    after_session_ = row.text(1);
    const bool card_good =
        row.is_null(4) || (static_cast<CardState>(row.integer(5)) == CardState::active &&
                           row.integer(6) <= row.integer(3) && (row.is_null(7) || raw(now) < row.integer(7)));
    const auto reason = row.integer_or_null(8);
    const bool revoked = reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl);
    if (card_good && !revoked) continue;
    out.push_back({after_citizen_, after_session_, to_bytes(row.octets(2)), SessionEnd::distrusted});
    full = out.size() == kEnded;
  }
  if (full) return {};
  looked_at_ = now;
  if (seen < kLooked) {
    after_citizen_ = kFirst;
    after_session_.clear();
  }
  return {};
}

Result<SessionEnds::Swept> SessionEnds::sweep(Database& database, service::GroupCommit& writes) {
  Swept out;
  for (const SessionEnd why : {SessionEnd::distrusted, SessionEnd::over}) {
    std::vector<Found> found;
    TRY(why == SessionEnd::over ? look_for_over(database, found) : look_for_distrusted(database, found));
    if (found.empty()) continue;
    std::int64_t ended = 0;
    TRY(writes.write(database, [&](Database& own) -> Status {
      ended = 0;
      for (const Found& one : found) {
        // What was seen may be so no more: a step up has another cookie, a session that was used ends later.
        auto deleted = why == SessionEnd::over ? own.execute(std::string(kDelete) + " AND over_at <= $4",
                                                             {one.citizen, one.id, one.cookie, raw(clock_.now())})
                                               : own.execute(kDelete, {one.citizen, one.id, one.cookie});
        const std::int64_t gone = TRY(std::move(deleted));
        if (gone == 0) continue;
        TRY(own.execute("DELETE FROM session_by_cookie WHERE cookie_hash = $1", {one.cookie}));
        TRY(end(own, one.id, one.why));
        ++ended;
      }
      return {};
    }));
    out.ended += ended;
    out.more = out.more || found.size() == kEnded;
  }
  return out;
}

}  // namespace karta::identity
