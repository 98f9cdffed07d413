// LoginKeeper: what the log-in does by itself, in a thread of its own: it deletes codes, brakes and used nonces that
// are over. Sessions are the provider's to end (openid/session_ends.h). Any number of processes may keep one database.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "service/database.h"
#include "service/group_commit.h"

namespace karta::identity {

/// Deletes what is over, of each table at most `most` rows, in a short transaction each; returns the most that went of
/// one table: if that is `most` there may be more. `database`: without a transaction.
Result<std::int64_t> sweep_login(service::Database& database, service::GroupCommit& writes, Time now,
                                 std::int64_t most = 1000);

class LoginKeeper {
 public:
  /// `database`: the URL. `clock` must outlive it.
  static Result<std::unique_ptr<LoginKeeper>> start(const std::string& database,
                                                    std::shared_ptr<service::GroupCommit> writes, const Clock& clock);
  ~LoginKeeper();

 private:
  class Impl;
  explicit LoginKeeper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
