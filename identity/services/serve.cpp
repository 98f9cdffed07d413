#include "identity/services/serve.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "identity/login/login_keeper.h"
#include "identity/openid/keeper.h"
#include "identity/services/handler.h"
#include "service/rate_limit.h"
#include "service/supervisor.h"

namespace karta::identity {
namespace {

using service::HttpServer;

constexpr std::chrono::milliseconds kTick{500};

/// Nothing this process holds may end up in a core file, or be read by another process of the same user.
void keep_secrets_in() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

/// As many descriptors as the system allows: a connection is one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// One configuration with everything it opens.
struct Services {
  ServerConfig config;
  std::shared_ptr<const ServiceKeys> keys;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<OpenidKeeper> openid_keeper;  // null: no [openid]
  std::unique_ptr<LoginKeeper> login_keeper;    // null: no [login]
};

Result<Services> open_services(const std::filesystem::path& file, const AuthorityPorts& ports, const Clock& clock,
                               Shelves& shelves) {
  Services out;
  out.config = TRY(load_server_config(file));
  out.keys = TRY(open_service_keys(out.config, ports));
  out.publisher = std::make_unique<Publisher>(TRY(Publisher::create(out.config, clock, shelves)));
  return out;
}

/// What works in the background, once the configuration is taken.
Status start_keepers(Services& services, const Clock& clock, service::Metrics& metrics) {
  const RoomKeys& rooms = rooms_of(*services.keys);
  if (!rooms.openid) return {};
  services.openid_keeper = TRY(OpenidKeeper::start(*services.config.openid, rooms.openid, services.config.database,
                                                   rooms.writes, clock, metrics));
  if (rooms.login) services.login_keeper = TRY(LoginKeeper::start(services.config.database, rooms.writes, clock));
  return {};
}

/// Of both doors, of what is shown.
service::HttpCounts sum(service::HttpCounts a, const service::HttpCounts& b) {
  a.connections += b.connections;
  a.open_connections += b.open_connections;
  a.refused_connections += b.refused_connections;
  a.requests += b.requests;
  a.limited_requests += b.limited_requests;
  a.bad_requests += b.bad_requests;
  a.timed_out += b.timed_out;
  a.bad_proxy_headers += b.bad_proxy_headers;
  return a;
}

class Gauges {
 public:
  explicit Gauges(service::Metrics& metrics)
      : connections_(metrics.counter("karta_http_connections_total", "Connections taken")),
        open_(metrics.gauge("karta_http_connections_open", "Connections open at present")),
        refused_(metrics.counter("karta_http_connections_refused_total", "Connections beyond a limit")),
        requests_(metrics.counter("karta_http_requests_total", "Requests read")),
        limited_(metrics.counter("karta_http_requests_limited_total", "Requests beyond an address's rate")),
        bad_(metrics.counter("karta_http_requests_bad_total", "Requests broken or too large")),
        timed_out_(metrics.counter("karta_http_timeouts_total", "Connections closed for being slow")),
        bad_headers_(metrics.counter("karta_http_proxy_headers_bad_total",
                                     "Connections from balancers closed for want of a good PROXY header")) {}
  void show(const service::HttpCounts& counts) {
    connections_.raise_to(static_cast<double>(counts.connections));
    open_.set(static_cast<double>(counts.open_connections));
    refused_.raise_to(static_cast<double>(counts.refused_connections));
    requests_.raise_to(static_cast<double>(counts.requests));
    limited_.raise_to(static_cast<double>(counts.limited_requests));
    bad_.raise_to(static_cast<double>(counts.bad_requests));
    timed_out_.raise_to(static_cast<double>(counts.timed_out));
    bad_headers_.raise_to(static_cast<double>(counts.bad_proxy_headers));
  }

 private:
  service::Counter connections_;
  service::Gauge open_;
  service::Counter refused_, requests_, limited_, bad_, timed_out_, bad_headers_;
};

/// Lines of the log that others bring about, as often as they like: so many of each peer, and the next one says how
/// many were left out. From any thread.
class BoundedWarnings {
 public:
  void tell(std::string_view peer, const std::string& text) {
    const std::lock_guard lock(mutex_);
    // By a clock nobody sets.
    const Time now{std::chrono::floor<Time::duration>(std::chrono::steady_clock::now().time_since_epoch())};
    if (turns_.take(service::network_of(peer), now) != std::chrono::seconds(0)) {
      ++left_out_;
      return;
    }
    const std::string more = left_out_ > 0 ? " (" + std::to_string(left_out_) + " such lines were left out)" : "";
    left_out_ = 0;
    service::log_warning(text + more);
  }

 private:
  std::mutex mutex_;
  service::RateLimit turns_{{.burst = 10, .interval = std::chrono::minutes(1)}};
  std::uint64_t left_out_ = 0;
};

}  // namespace

Status check_server(const std::filesystem::path& file, const AuthorityPorts& ports) {
  const SystemClock clock;
  Shelves shelves;
  service::Metrics metrics;
  const Services services = TRY(open_services(file, ports, clock, shelves));
  TRY(make_service_handler(services.config, *services.keys, {clock, metrics, shelves}));
  return {};
}

Status serve(const std::filesystem::path& file, const AuthorityPorts& ports) {
  service::Supervisor supervisor;
  keep_secrets_in();
  raise_descriptor_limit();
  const SystemClock clock;
  Shelves shelves;
  service::Metrics metrics;
  Gauges gauges(metrics);
  service::set_up_log({.level = service::LogLevel::info, .for_journal = std::getenv("JOURNAL_STREAM") != nullptr});

  Services services = TRY(open_services(file, ports, clock, shelves));
  service::set_up_log({.level = services.config.log_level, .for_journal = std::getenv("JOURNAL_STREAM") != nullptr});
  // The first lists are there before anybody can ask for them.
  services.publisher->tick();
  TRY(start_keepers(services, clock, metrics));
  const auto handlers_of = [&](const Services& of, bool mtls) -> HttpServer::HandlerFactory {
    return [&, mtls](std::size_t) {
      return make_service_handler(of.config, *of.keys, {clock, metrics, shelves, mtls});
    };
  };
  service::HttpServerOptions options;
  options.listen = services.config.listen;
  options.workers = services.config.workers;
  options.limits = services.config.limits;
  if (services.config.authority) {
    options.limits.body_octets = std::max(options.limits.body_octets, services.config.authority->journal_octets);
  }
  service::Counter handshakes = metrics.counter("karta_http_handshakes_failed_total",
                                                "TLS handshakes that failed, refused certificates among them");
  options.on_failed_handshake = [&handshakes](std::string_view peer, std::string_view reason) {
    handshakes.add();
    service::log_warning("TLS with " + std::string(peer) + " failed: " + std::string(reason));
  };
  BoundedWarnings bad_headers;
  options.proxy_protocol_from = services.config.proxy_protocol_from;
  options.on_bad_proxy_header = [&bad_headers](std::string_view balancer, std::string_view reason) {
    bad_headers.tell(balancer, "the balancer " + std::string(balancer) +
                                   " was sent away for its PROXY header: " + std::string(reason));
  };
  options.tls = tls_of(*services.keys);
  service::HttpServerOptions mtls_options;
  const bool has_mtls = services.config.openid && !services.config.openid->mtls_listen.empty();
  if (has_mtls) {
    mtls_options.listen = services.config.openid->mtls_listen;
    mtls_options.workers = options.workers;
    mtls_options.limits = options.limits;
    mtls_options.on_failed_handshake = options.on_failed_handshake;
    mtls_options.proxy_protocol_from = services.config.openid->mtls_proxy_protocol_from;
    mtls_options.on_bad_proxy_header = options.on_bad_proxy_header;
    mtls_options.tls = mtls_of(*services.keys);
  }
  HttpServer server = TRY(HttpServer::start(std::move(options), handlers_of(services, false)));
  // Portals and citizens that show certificates come in by a door of their own: browsers ask their users about
  // certificates wherever a server asks for one.
  std::optional<HttpServer> mtls_server;
  if (has_mtls) mtls_server.emplace(TRY(HttpServer::start(std::move(mtls_options), handlers_of(services, true))));
  std::string where;
  for (const std::string& one : server.addresses()) where += (where.empty() ? "" : ", ") + one;
  if (mtls_server) {
    for (const std::string& one : mtls_server->addresses()) where += ", " + one + " (certificates)";
  }
  service::log_info("karta-identity " KARTA_VERSION " listens at " + where);
  supervisor.notify("READY=1\nSTATUS=listening at " + where);

  // Both doors or neither: handlers refer to what goes with their configuration.
  const auto replace_both = [&](const Services& fresh) -> Status {
    const auto first = TRY(server.prepare_handlers(handlers_of(fresh, false)));
    std::function<void()> second = [] {}, tls = [] {}, mtls = [] {};
    if (mtls_server) second = TRY(mtls_server->prepare_handlers(handlers_of(fresh, true)));
    // TLS itself begins and ends with a restart, as listeners do.
    if (const auto renewed = tls_of(*fresh.keys); renewed && tls_of(*services.keys))
      tls = TRY(server.prepare_tls(*renewed));
    if (const auto renewed = mtls_of(*fresh.keys); renewed && mtls_server)
      mtls = TRY(mtls_server->prepare_tls(*renewed));
    first();
    second();
    tls();
    mtls();
    return {};
  };
  auto told_watchdog = std::chrono::steady_clock::now();
  for (;;) {
    const service::Signal signal = supervisor.next(kTick);
    if (signal == service::Signal::stop) break;
    if (signal == service::Signal::reload) {
      supervisor.notify_reloading();
      auto fresh = open_services(file, ports, clock, shelves);
      Status taken = fresh ? Status{} : Status(fail(fresh.error()));
      if (fresh) {
        taken = start_keepers(*fresh, clock, metrics);
        if (taken) taken = replace_both(*fresh);
      }
      if (taken) {
        services = std::move(*fresh);
        service::log_info("the configuration was read again");
      } else {
        service::log_error("the configuration stays as it was", taken.error());
      }
      supervisor.notify("READY=1");
    }
    services.publisher->tick();
    gauges.show(mtls_server ? sum(server.counts(), mtls_server->counts()) : server.counts());
    const auto interval = supervisor.watchdog_interval();
    if (interval.count() > 0 && std::chrono::steady_clock::now() - told_watchdog >= interval) {
      supervisor.notify("WATCHDOG=1");
      told_watchdog = std::chrono::steady_clock::now();
    }
  }
  supervisor.notify("STOPPING=1\nSTATUS=finishing requests");
  service::log_info("stopping: no new connections, requests that arrived are answered");
  if (mtls_server) mtls_server->stop();
  server.stop();
  service::log_info("stopped");
  return {};
}

}  // namespace karta::identity
