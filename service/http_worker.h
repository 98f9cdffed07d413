// HttpWorker: what the parts of the HTTP server have in common: one thread's loop with its connections and its handler,
// what all of them count in, and the remote addresses with their rates. Private to the server.
#pragma once

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "service/http_server.h"

namespace karta::service::serving {

namespace net = boost::asio;
using boost::system::error_code;
using Socket = net::generic::stream_protocol::socket;
using SteadyClock = std::chrono::steady_clock;

inline constexpr std::chrono::milliseconds kSweepInterval{250};
inline constexpr std::size_t kMostPeers = 100'000;  // addresses remembered for their rate
inline constexpr std::chrono::seconds kPeerMemory{30};

/// One remote address: its connections and its rate.
struct Peer {
  std::mutex mutex;
  std::size_t connections = 0;
  double tokens = 0;
  SteadyClock::time_point at = SteadyClock::now();

  /// False if the address is beyond its rate.
  bool take(double rate) {
    const std::lock_guard lock(mutex);
    const auto now = SteadyClock::now();
    tokens = std::min(rate, tokens + std::chrono::duration<double>(now - at).count() * rate);
    at = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }
};

class Peers {
 public:
  explicit Peers(const HttpLimits& limits) : limits_(limits) {}

  /// Null: the address has as many connections as it may.
  std::shared_ptr<Peer> enter(const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (peers_.size() >= kMostPeers) forget();
    auto& peer = peers_[key];
    if (!peer) {
      peer = std::make_shared<Peer>();
      peer->tokens = static_cast<double>(limits_.requests_per_second);
    }
    const std::lock_guard peer_lock(peer->mutex);
    if (peer->connections >= limits_.connections_per_address) return nullptr;
    ++peer->connections;
    return peer;
  }
  static void leave(Peer& peer) {
    const std::lock_guard lock(peer.mutex);
    --peer.connections;
  }
  void sweep() {
    const std::lock_guard lock(mutex_);
    forget();
  }

 private:
  void forget() {
    const auto now = SteadyClock::now();
    std::erase_if(peers_, [&](const auto& item) {
      const std::lock_guard lock(item.second->mutex);
      return item.second->connections == 0 && now - item.second->at > kPeerMemory;
    });
  }

  const HttpLimits& limits_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Peer>> peers_;
};

struct Counters {
  std::atomic<std::uint64_t> connections{0}, open{0}, refused{0}, requests{0}, limited{0}, bad{0}, timed_out{0};
  std::atomic<std::uint64_t> failed_handshakes{0}, later{0}, streams{0};
  std::atomic<std::uint64_t> awaiting_header{0}, bad_proxy_headers{0};
};

/// What all workers share.
struct Shared {
  explicit Shared(HttpServerOptions given) : options(std::move(given)), peers(options.limits) {}
  HttpServerOptions options;
  Peers peers;
  Counters counters;
  std::atomic<bool> stopping{false};
};

class ConnectionBase {
 public:
  virtual ~ConnectionBase() = default;
  /// Ends the connection if its time is over.
  virtual void check(SteadyClock::time_point now) = 0;
  /// The server stops: an idle connection goes, a busy one ends with its answer.
  virtual void wind_up() = 0;
  /// The worker's loop has ended: whoever would answer later is told, and nobody may wake this connection any more.
  virtual void abandon() = 0;
};

/// One thread, its loop, its connections, its handler.
struct Worker {
  explicit Worker(Shared& all) : shared(all), timer(context) {}
  Shared& shared;
  std::unique_ptr<HttpHandler> handler;
  std::unordered_set<ConnectionBase*> connections;  // they keep themselves alive by their operations
  std::time_t date_second = 0;
  std::string date;
  net::io_context context{1};  // goes before what its connections refer to
  net::steady_timer timer;
  std::thread thread;

  const std::string& date_field() {
    const std::time_t now = std::time(nullptr);
    if (now != date_second) {
      date_second = now;
      date = "Date: " + http_date(now) + "\r\n";
    }
    return date;
  }
  void sweep() {
    timer.expires_after(kSweepInterval);
    timer.async_wait([this](error_code code) {
      if (code) return;
      const auto now = SteadyClock::now();
      // A check may end a connection, and with it its place in the set.
      const std::vector<ConnectionBase*> all(connections.begin(), connections.end());
      for (ConnectionBase* one : all) {
        if (connections.contains(one)) one->check(now);
      }
      sweep();
    });
  }
};

/// Who is at the other end.
struct Remote {
  std::string address;
  std::optional<PeerCredentials> credentials = {};
};

}  // namespace karta::service::serving
