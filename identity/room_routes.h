// RoomRoutes: the routes of one room of karta-identity (the provider, the log-in, the console ...), for one worker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "identity/registry.h"
#include "service/database.h"
#include "service/group_commit.h"
#include "service/http_message.h"
#include "service/metrics.h"

namespace karta::identity {

/// What the rooms of one worker have in common. All of it outlives them.
struct RoomSurroundings {
  const Clock& clock;
  RandomSource& random;
  service::Metrics& metrics;
  Registry& registry;            ///< this worker's
  service::Database& database;   ///< this worker's, on the registry's store: for the tables of rooms
  service::GroupCommit& writes;  ///< the process's: small writes go through it
};

class RoomRoutes {
 public:
  virtual ~RoomRoutes() = default;
  /// `request.path` is whole; it begins with one of the room's prefixes.
  virtual service::HttpResponse answer(const service::HttpRequest& request) = 0;
  /// What is wrong, for /healthz.
  virtual std::vector<std::string> problems() { return {}; }
  /// Brings gauges up to date, before /metrics is answered.
  virtual void measure() {}
};

}  // namespace karta::identity
