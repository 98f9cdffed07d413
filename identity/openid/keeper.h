// OpenidKeeper: what the provider does by itself, in threads of its own: it deletes what is over, ends sessions
// that nobody has ended (session_ends.h), and tells portals that a session has ended (OpenID Connect Back-Channel
// Logout 1.0). Any number of processes may keep one database: a notice is taken for a while by whoever sends it.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "identity/openid/config.h"
#include "identity/openid/keys.h"
#include "service/group_commit.h"
#include "service/metrics.h"

namespace karta::identity {

class OpenidKeeper {
 public:
  /// `clock` and `metrics` must outlive it.
  static Result<std::unique_ptr<OpenidKeeper>> start(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys,
                                                     const std::string& database,
                                                     std::shared_ptr<service::GroupCommit> writes, const Clock& clock,
                                                     service::Metrics& metrics);
  /// Ends the thread; a notice on its way is waited for.
  ~OpenidKeeper();

 private:
  class Impl;
  explicit OpenidKeeper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
