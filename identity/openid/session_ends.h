// SessionEnds: what the end of a citizen's session does to the provider's rows, in the transaction that ends the
// session: its grants go, and every portal that took part gets a notice (logout.h sends them). And the sweep that finds
// the sessions nobody has ended: those whose time is over, and those whose card or certificate is no longer good,
// whoever brought that about.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "identity/openid/keys.h"
#include "identity/openid/store.h"
#include "service/group_commit.h"

namespace karta::identity {

/// Used by one thread at a time.
class SessionEnds {
 public:
  /// `clock` and `random` must outlive it.
  SessionEnds(std::shared_ptr<const OpenidKeys> keys, const Clock& clock, RandomSource& random)
      : keys_(std::move(keys)), clock_(clock), random_(random) {}

  // In a transaction of the caller's, in which the session's own row is deleted, too.

  Status end(service::Database& database, std::string_view session_id, SessionEnd why);
  /// Every grant of the citizen.
  Status end_all(service::Database& database, CitizenId citizen);
  /// The consent and the grants of one portal. False if there was neither.
  Result<bool> revoke(service::Database& database, CitizenId citizen, std::string_view client_id);

  struct Swept {
    std::int64_t ended = 0;
    bool more = false;  ///< there are more to end at once
  };
  /// Ends sessions that are over or no longer good, some at a time: these are looked for at most once a second of the
  /// clock, a part of the table each time. Any number of processes may sweep one database. `database`: without a
  /// transaction or unread rows.
  Result<Swept> sweep(service::Database& database, service::GroupCommit& writes);

 private:
  static constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
  struct Found {
    std::int64_t citizen = 0;
    std::string id;
    Bytes cookie;  ///< its hash: another one after a step up
    SessionEnd why = SessionEnd::over;
  };
  Status tell(service::Database& database, const std::vector<OpenidGrant>& grants);
  Status look_for_over(service::Database& database, std::vector<Found>& out) const;
  Status look_for_distrusted(service::Database& database, std::vector<Found>& out);

  std::shared_ptr<const OpenidKeys> keys_;
  const Clock& clock_;
  RandomSource& random_;
  Time looked_at_{};
  std::int64_t after_citizen_ = kFirst;  ///< where the next look begins, with the one below
  std::string after_session_;
};

}  // namespace karta::identity
