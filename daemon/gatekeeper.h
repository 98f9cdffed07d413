// Gatekeeper: who may call the daemon's API and what: programs by what the kernel says of them or by a token, the desk
// by its session; nobody by a page from elsewhere. And RefusalLog, where those end who may not.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/config.h"
#include "daemon/page_server.h"
#include "service/json_problem.h"
#include "service/loopback_guard.h"
#include "service/rate_limit.h"

namespace karta::identity {
class Journal;
}

namespace karta::daemon {

class EventHub;

class Gatekeeper {
 public:
  /// `pages` may be null; it outlives the gatekeeper. `ports`: those the daemon listens at on loopback.
  static Result<Gatekeeper> make(const DaemonConfig& config, std::vector<std::uint16_t> ports, PageServer* pages);

  struct Admission {
    std::shared_ptr<const Caller> caller;         ///< null: refused
    std::optional<service::JsonProblem> problem;  ///< why
  };
  /// Whether a request is one of this machine's own at all: Host and Origin.
  std::optional<service::JsonProblem> check_origin(const service::HttpRequest& request) const;
  /// Who calls. A request without any proof of who it is gets 401.
  Admission admit(const service::HttpRequest& request) const;

 private:
  Gatekeeper(service::LoopbackGuard guard) : guard_(std::move(guard)) {}

  struct Program {
    std::optional<unsigned> uid, gid;
    std::shared_ptr<const Caller> caller;
  };
  service::LoopbackGuard guard_;
  service::BearerTokens tokens_;
  std::vector<Program> programs_;
  PageServer* pages_ = nullptr;
};

/// The ports in addresses as the server names them: "127.0.0.1:8440".
std::vector<std::uint16_t> loopback_ports(const std::vector<std::string>& addresses);

/// Writes refusals into the journal on a thread of its own, so that whoever is refused cannot hold up others. Of each
/// reason and user so many are written as kRule allows, so that nobody fills the disk by being refused; the others are
/// counted in the next one that is.
class RefusalLog {
 public:
  static constexpr service::RateRule kRule{.burst = 100, .interval = std::chrono::seconds(15)};

  /// Both outlive it.
  RefusalLog(identity::Journal& journal, EventHub& events);
  ~RefusalLog();
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  struct Refusal {
    std::string why;   ///< a problem's name: "foreign-origin"
    std::string path;  ///< of the API, without query; what is longer than 80 octets is cut
    std::string peer;  ///< "127.0.0.1", "unix"
    std::optional<service::PeerCredentials> credentials;
    std::string host, origin;
    std::string caller;  ///< where it is known
  };
  void add(Refusal refusal);
  /// Waits until all that was added is in the journal; for tests and the end.
  void flush();

 private:
  void run();

  identity::Journal& journal_;
  EventHub& events_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Refusal> queue_;
  std::uint64_t left_out_ = 0;
  bool writing_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace karta::daemon
