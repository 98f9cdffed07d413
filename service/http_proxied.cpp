#include "service/http_proxied.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "service/http_connection.h"
#include "service/proxy_header.h"
#include "service/rate_limit.h"

namespace karta::service::serving {
namespace {

/// Behind the header TLS begins, which reads the socket by itself: here not one octet more than the header is taken. So
/// what has arrived is looked at first and taken afterwards, in as much as it belongs to the header.
class Proxied final : public ConnectionBase, public std::enable_shared_from_this<Proxied> {
 public:
  Proxied(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker, const IpAddress& balancer)
      : socket_(std::move(socket)),
        tls_(std::move(tls)),
        worker_(worker),
        balancer_(balancer),
        deadline_(SteadyClock::now() + worker.shared.options.limits.proxy_header_time) {
    worker_.connections.insert(this);
  }
  ~Proxied() override {
    worker_.connections.erase(this);
    counters().awaiting_header.fetch_sub(1, std::memory_order_relaxed);
    if (!begun_) counters().open.fetch_sub(1, std::memory_order_relaxed);
  }

  void start() { wait(); }

  void check(SteadyClock::time_point now) override {
    error_code ignored;
    if (now < deadline_ || !socket_.is_open()) return;
    if (socket_.available(ignored) > 0) return;  // this server is the one that is late
    if (only_looks()) {
      close();
      return;
    }
    counters().timed_out.fetch_add(1, std::memory_order_relaxed);
    refuse("the header is not whole in time");
  }

  void wind_up() override {
    error_code ignored;
    if (socket_.is_open() && socket_.available(ignored) == 0) close();
  }

  void abandon() override {}

 private:
  Counters& counters() { return worker_.shared.counters; }

  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  void refuse(std::string_view reason) {
    counters().bad_proxy_headers.fetch_add(1, std::memory_order_relaxed);
    const auto& tell = worker_.shared.options.on_bad_proxy_header;
    if (tell) tell(balancer_.text(), reason);
    close();
  }

  /// A balancer's own connection that has said so, and nothing else yet.
  bool only_looks() const { return own_ && left_ == 0; }

  void wait() {
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code code) {
      if (!code && self->socket_.is_open()) self->go_on();
    });
  }

  void go_on() {
    for (;;) {
      const Step step = left_ > 0 ? skip() : !whose_ ? read_header() : begin();
      if (step == Step::again) continue;
      if (step == Step::wait) wait();
      return;
    }
  }

  enum class Step : std::uint8_t { again, wait, over };

  /// What `received` (recv(2)) says where it is no number of octets.
  Step ended(ssize_t received) {
    if (received < 0 && errno == EINTR) return Step::again;
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Step::wait;
    // Whoever goes without a word does nothing wrong, nor does who has only looked: balancers try servers so.
    if (only_looks() || size_ == 0) {
      close();
    } else {
      refuse("the connection ended within the header");
    }
    return Step::over;
  }

  ssize_t receive(void* to, std::size_t octets, int flags) {
    return ::recv(socket_.native_handle(), to, octets, MSG_DONTWAIT | flags);
  }

  Step read_header() {
    const ssize_t seen = receive(octets_.data() + size_, octets_.size() - size_, MSG_PEEK);
    if (seen <= 0) return ended(seen);
    const std::size_t all = size_ + static_cast<std::size_t>(seen);
    const auto header = read_proxy_header({octets_.data(), all});
    if (!header || (!*header && all == octets_.size())) {
      refuse(header ? std::string_view("the header has no end") : header.error().message);
      return Step::over;
    }
    if (*header) {
      const ProxyHeader& told = **header;
      whose_ = client_of(told, balancer_);
      // A balancer that speaks version 1 names itself where it only tries the server (§2.1).
      own_ = told.own || *whose_ == balancer_;
      left_ = told.octets - size_;
    } else {
      left_ = static_cast<std::size_t>(seen);  // all of it is the header's
    }
    size_ = all;
    return skip();
  }

  /// Takes the rest of the header, or what was seen of it.
  Step skip() {
    while (left_ > 0) {
      const ssize_t taken = receive(nullptr, left_, MSG_TRUNC);  // tcp(7): thrown away
      if (taken <= 0) {
        const Step step = ended(taken);
        if (step == Step::again) continue;
        return step;
      }
      left_ -= static_cast<std::size_t>(taken);
    }
    return Step::again;
  }

  Step begin() {
    if (own_) {
      std::uint8_t first = 0;
      const ssize_t seen = receive(&first, 1, MSG_PEEK);
      if (seen <= 0) return ended(seen);
    }
    Remote remote{.address = whose_->text()};
    auto peer = worker_.shared.peers.enter(network_of(remote.address));
    if (!peer) {
      counters().refused.fetch_add(1, std::memory_order_relaxed);
      turn_away(socket_, tls_ != nullptr);
      close();
      return Step::over;
    }
    begun_ = true;
    start_connection(std::move(socket_), std::move(tls_), worker_, std::move(peer), std::move(remote));
    return Step::over;
  }

  Socket socket_;
  std::shared_ptr<net::ssl::context> tls_;
  Worker& worker_;
  const IpAddress balancer_;
  const SteadyClock::time_point deadline_;
  std::array<std::uint8_t, kMostProxyLineOctets> octets_{};  ///< what has arrived of the header
  std::size_t size_ = 0;
  std::size_t left_ = 0;            ///< of the header, to be taken still
  std::optional<IpAddress> whose_;  ///< once the header has told
  bool own_ = false;                ///< the balancer's own
  bool begun_ = false;
};

}  // namespace

void await_proxy_header(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker,
                        const IpAddress& balancer) {
  std::make_shared<Proxied>(std::move(socket), std::move(tls), worker, balancer)->start();
}

}  // namespace karta::service::serving
