// Rooms: the parts of karta-identity that people and their portals meet, joined for one worker: the OpenID Provider,
// the log-in and the citizen's pages, the operator's console, requests between departments. Each has its routes, its
// table of identity.toml and its keys; a room that is not configured answers nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "identity/login/login_routes.h"
#include "identity/openid/keys.h"
#include "identity/room_routes.h"
#include "identity/services/config.h"
#include "identity/services/key.h"

namespace karta::identity {

/// What rooms share in a process, opened once for all workers.
struct RoomKeys {
  std::shared_ptr<service::GroupCommit> writes;  ///< null: no room is configured
  std::shared_ptr<const OpenidKeys> openid;      ///< null: no [openid]
  std::shared_ptr<const LoginKeys> login;        ///< null: no [login]
  std::shared_ptr<const ServiceKey> requests;    ///< null: no [requests]
};
Result<RoomKeys> open_room_keys(const ServerConfig& config);

class Rooms {
 public:
  struct Surroundings {
    const Clock& clock;
    service::Metrics& metrics;
    bool mtls = false;  ///< behind the listener that asks for clients' certificates
  };
  /// Null if no room is configured. `config`, `keys` and what is in `around` must outlive it.
  static Result<std::unique_ptr<Rooms>> open(const ServerConfig& config, const RoomKeys& keys,
                                             const Surroundings& around);
  ~Rooms();

  /// The room whose prefix `path` begins with; null: none, or it is not configured.
  RoomRoutes* find(std::string_view path);
  /// The room of `path` judges certificates by itself, those too that the listener found not to be good.
  static bool judges_certificates(std::string_view path);
  /// What is wrong, for /healthz.
  std::vector<std::string> problems();
  /// Brings gauges up to date, before /metrics is answered.
  void measure();

 private:
  struct Impl;
  explicit Rooms(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
