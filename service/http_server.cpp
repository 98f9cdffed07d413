#include "service/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <future>

#include "service/http_connection.h"
#include "service/http_listening.h"
#include "service/http_proxied.h"
#include "service/http_tls.h"
#include "service/rate_limit.h"

namespace karta::service {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;
using serving::ConnectionBase;
using serving::Counters;
using serving::Peer;
using serving::Remote;
using serving::Socket;
using serving::SteadyClock;
using serving::TcpListener;
using serving::Worker;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of descriptors

IpAddress ip_address_of(const net::ip::address& address) {
  return address.is_v4() ? *IpAddress::from_octets(address.to_v4().to_bytes())
                         : *IpAddress::from_octets(address.to_v6().to_bytes());
}

std::optional<PeerCredentials> credentials_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return std::nullopt;
  return PeerCredentials{peer.uid, peer.gid, peer.pid};
}

}  // namespace

class HttpServer::Impl {
 public:
  explicit Impl(HttpServerOptions options) : shared_(std::move(options)) {}
  ~Impl() {
    for (auto& worker : workers_) worker->context.stop();
    join();
    abandon();
  }

  Status open(const HandlerFactory& make_handler) {
    const std::size_t count = std::max<std::size_t>(1, shared_.options.workers);
    for (std::size_t i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<Worker>(shared_));
      workers_.back()->handler = TRY(make_handler(i));
    }
    if (shared_.options.tls) {
      tls_ = TRY(context_of(*shared_.options.tls));
    }
    listening_.emplace(workers_.front()->context, shared_.options.local_socket_mode);
    for (const std::string& text : shared_.options.listen) TRY(listening_->listen(text));
    for (auto& worker : workers_) worker->sweep();
    for (auto& listener : listening_->tcp()) accept(*listener);
    for (auto& listener : listening_->local()) accept(*listener);
    sweep_peers();
    for (auto& worker : workers_) {
      worker->thread = std::thread([&context = worker->context] { context.run(); });
    }
    return {};
  }

  Result<std::function<void()>> prepare_tls(const HttpTls& tls) {
    if (!tls_) return fail(ErrorKind::configuration, "TLS begins with a restart");
    auto fresh = TRY(context_of(tls));
    return [this, fresh = std::move(fresh)]() mutable {
      std::promise<void> done;
      // Whoever takes connections, takes them with one or the other.
      net::post(workers_.front()->context, [&] {
        tls_.swap(fresh);
        done.set_value();
      });
      done.get_future().wait();
      fresh.reset();
    };
  }

  Result<std::function<void()>> prepare(const HandlerFactory& make_handler) {
    auto fresh = std::make_shared<std::vector<std::unique_ptr<HttpHandler>>>();
    for (std::size_t i = 0; i < workers_.size(); ++i) fresh->push_back(TRY(make_handler(i)));
    return [this, fresh] {
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        Worker& worker = *workers_[i];
        std::promise<void> done;
        net::post(worker.context, [&] {
          worker.handler.swap((*fresh)[i]);
          done.set_value();
        });
        done.get_future().wait();
      }
      fresh->clear();
    };
  }

  void stop() {
    if (shared_.stopping.exchange(true)) return;
    const auto deadline = SteadyClock::now() + shared_.options.limits.stop_time;
    // The first worker owns the listening sockets: what the kernel has accepted for us is taken still, then they close.
    std::promise<void> closed;
    net::post(workers_.front()->context, [&] {
      for (auto& listener : listening_->tcp()) drain_backlog(*listener);
      for (auto& listener : listening_->local()) drain_backlog(*listener);
      peer_timer_.reset();
      closed.set_value();
    });
    closed.get_future().wait();
    for (auto& worker : workers_) {
      net::post(worker->context, [&one = *worker, deadline] { wind_up(one, deadline); });
    }
    join();
    abandon();
  }

  HttpCounts counts() const {
    const Counters& from = shared_.counters;
    HttpCounts out;
    out.connections = from.connections.load();
    out.open_connections = from.open.load();
    out.refused_connections = from.refused.load();
    out.requests = from.requests.load();
    out.limited_requests = from.limited.load();
    out.bad_requests = from.bad.load();
    out.timed_out = from.timed_out.load();
    out.failed_handshakes = from.failed_handshakes.load();
    out.bad_proxy_headers = from.bad_proxy_headers.load();
    out.open_later = from.later.load();
    out.open_streams = from.streams.load();
    return out;
  }

  const std::vector<std::string>& addresses() const { return listening_->addresses(); }

 private:
  void join() {
    for (auto& worker : workers_) {
      if (worker->thread.joinable()) worker->thread.join();
    }
  }

  /// After the workers' threads have ended: nobody may wake a connection whose loop is gone.
  void abandon() {
    for (auto& worker : workers_) {
      const std::vector<ConnectionBase*> all(worker->connections.begin(), worker->connections.end());
      for (ConnectionBase* one : all) {
        if (worker->connections.contains(one)) one->abandon();
      }
    }
  }

  static void wind_up(Worker& worker, SteadyClock::time_point deadline) {
    const std::vector<ConnectionBase*> all(worker.connections.begin(), worker.connections.end());
    for (ConnectionBase* one : all) {
      if (worker.connections.contains(one)) one->wind_up();
    }
    if (worker.connections.empty() || SteadyClock::now() > deadline) {
      worker.context.stop();
      return;
    }
    auto timer = std::make_shared<net::steady_timer>(worker.context, std::chrono::milliseconds(10));
    timer->async_wait([&worker, deadline, timer](error_code) { wind_up(worker, deadline); });
  }

  template <class AnyListener>
  void accept(AnyListener& listener) {
    Worker& worker = *workers_[next_++ % workers_.size()];
    auto socket = std::make_shared<Socket>(worker.context);
    listener.acceptor.async_accept(*socket, [this, &listener, &worker, socket](error_code code) {
      if (code == net::error::operation_aborted || !listener.acceptor.is_open()) return;
      if (code) {
        // Out of descriptors: what is open must end first.
        listener.pause.expires_after(kAcceptPause);
        listener.pause.async_wait([this, &listener](error_code stopped) {
          if (!stopped) accept(listener);
        });
        return;
      }
      admit(std::move(*socket), worker, std::is_same_v<AnyListener, TcpListener>);
      accept(listener);
    });
  }

  template <class AnyListener>
  void drain_backlog(AnyListener& listener) {
    error_code code;
    listener.acceptor.non_blocking(true, code);
    while (!code) {
      Worker& worker = *workers_[next_++ % workers_.size()];
      Socket socket(worker.context);
      listener.acceptor.accept(socket, code);
      if (!code) admit(std::move(socket), worker, std::is_same_v<AnyListener, TcpListener>);
    }
    listener.pause.cancel();
    listener.acceptor.close(code);
  }

  static Result<std::shared_ptr<net::ssl::context>> context_of(const HttpTls& tls) {
    auto out = std::make_shared<net::ssl::context>(net::ssl::context::tls_server);
    TRY(serving::set_up_tls(*out, tls));
    return out;
  }

  /// Both ends of a TCP connection; nothing where it is gone.
  static std::optional<TcpConnection> ends_of(const Socket& socket, const tcp::endpoint& peer) {
    error_code code;
    const auto other = socket.local_endpoint(code);
    if (code) return std::nullopt;
    tcp::endpoint own;
    std::memcpy(own.data(), other.data(), std::min(own.capacity(), other.size()));
    return TcpConnection{peer.address().to_string(), peer.port(), own.address().to_string(), own.port()};
  }
  /// What the options' `admit` says; without one, yes.
  bool may_enter(const Socket& socket, const tcp::endpoint& peer) const {
    if (!shared_.options.admit) return true;
    const auto ends = ends_of(socket, peer);
    return ends && shared_.options.admit(*ends);
  }
  /// The name of `room_of`'s room behind an address; empty: there is none.
  std::string room_behind(const std::string& key, const Socket& socket, const tcp::endpoint& peer) const {
    if (!shared_.options.room_of) return {};
    const auto ends = ends_of(socket, peer);
    std::string name = ends ? shared_.options.room_of(*ends) : std::string();
    return name.empty() ? name : key + " " + name;
  }

  bool is_balancer(const IpAddress& address) const {
    const auto& all = shared_.options.proxy_protocol_from;
    return std::any_of(all.begin(), all.end(), [&](const Network& one) { return one.contains(address); });
  }

  void turn_away(Socket& socket, bool encrypted) {
    shared_.counters.refused.fetch_add(1, std::memory_order_relaxed);
    serving::turn_away(socket, encrypted);
  }

  /// Whose a balancer's connection is, its header will tell: until then it takes nobody's places but those of who
  /// waits.
  void admit_proxied(Socket socket, Worker& worker, const IpAddress& balancer) {
    Counters& counters = shared_.counters;
    const std::size_t most = shared_.options.limits.connections;
    if (counters.open.load(std::memory_order_relaxed) >= most ||
        counters.awaiting_header.load(std::memory_order_relaxed) >= (most + 1) / 2) {
      turn_away(socket, tls_ != nullptr);
      return;
    }
    counters.connections.fetch_add(1, std::memory_order_relaxed);
    counters.open.fetch_add(1, std::memory_order_relaxed);
    counters.awaiting_header.fetch_add(1, std::memory_order_relaxed);
    net::post(worker.context,
              [&worker, tls = tls_, balancer, moved = std::make_shared<Socket>(std::move(socket))]() mutable {
                serving::await_proxy_header(std::move(*moved), std::move(tls), worker, balancer);
              });
  }

  void admit(Socket socket, Worker& worker, bool is_tcp) {
    Counters& counters = shared_.counters;
    const bool encrypted = is_tcp && tls_ != nullptr;
    Remote remote{.address = "unix"};
    std::string key = "unix";
    error_code code;
    tcp::endpoint endpoint;
    if (!is_tcp) {
      remote.credentials = credentials_of(socket.native_handle());
      if (remote.credentials) key += " uid " + std::to_string(remote.credentials->uid);
    }
    if (is_tcp) {
      // A generic endpoint holds the same octets as the TCP one.
      const auto other = socket.remote_endpoint(code);
      if (code) return;
      std::memcpy(endpoint.data(), other.data(), std::min(endpoint.capacity(), other.size()));
      const IpAddress address = ip_address_of(endpoint.address());
      remote.address = address.text();
      if (!may_enter(socket, endpoint)) {
        counters.refused.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      socket.set_option(tcp::no_delay(true), code);
      if (is_balancer(address)) {
        admit_proxied(std::move(socket), worker, address);
        return;
      }
      key = network_of(remote.address);
    }
    std::shared_ptr<Peer> peer;
    if (counters.open.load(std::memory_order_relaxed) < shared_.options.limits.connections) {
      peer = shared_.peers.enter(key);
      if (!peer && is_tcp) {
        const std::string room = room_behind(key, socket, endpoint);
        if (!room.empty()) peer = shared_.peers.enter(room);
      }
    }
    if (!peer) {
      turn_away(socket, encrypted);
      return;
    }
    counters.connections.fetch_add(1, std::memory_order_relaxed);
    counters.open.fetch_add(1, std::memory_order_relaxed);
    net::post(
        worker.context, [&worker, tls = encrypted ? tls_ : nullptr, peer = std::move(peer), remote = std::move(remote),
                         moved = std::make_shared<Socket>(std::move(socket))]() mutable {
          serving::start_connection(std::move(*moved), std::move(tls), worker, std::move(peer), std::move(remote));
        });
  }

  void sweep_peers() {
    if (!peer_timer_) peer_timer_.emplace(workers_.front()->context);
    peer_timer_->expires_after(serving::kPeerMemory);
    peer_timer_->async_wait([this](error_code code) {
      if (code) return;
      shared_.peers.sweep();
      sweep_peers();
    });
  }

  // The order matters: connections go with their worker's context, before what they count in.
  serving::Shared shared_;
  std::shared_ptr<net::ssl::context> tls_;  // of the first worker's thread; connections keep that which they began with
  std::vector<std::unique_ptr<Worker>> workers_;
  std::optional<serving::HttpListening> listening_;
  std::optional<net::steady_timer> peer_timer_;
  std::size_t next_ = 0;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;

Result<HttpServer> HttpServer::start(HttpServerOptions options, const HandlerFactory& make_handler) {
  if (options.listen.empty()) return fail(ErrorKind::configuration, "there is no address to listen at");
  auto impl = std::make_unique<Impl>(std::move(options));
  TRY(impl->open(make_handler));
  return HttpServer(std::move(impl));
}

const std::vector<std::string>& HttpServer::addresses() const { return impl_->addresses(); }
Result<std::function<void()>> HttpServer::prepare_tls(const HttpTls& tls) { return impl_->prepare_tls(tls); }
Result<std::function<void()>> HttpServer::prepare_handlers(const HandlerFactory& make_handler) {
  return impl_->prepare(make_handler);
}
Status HttpServer::replace_handlers(const HandlerFactory& make_handler) {
  const auto take_over = TRY(impl_->prepare(make_handler));
  take_over();
  return {};
}
void HttpServer::stop() { impl_->stop(); }
HttpCounts HttpServer::counts() const { return impl_->counts(); }

}  // namespace karta::service
