#include "service/http_server.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <cerrno>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "service/inherited_sockets.h"
#include "service/pending_response.h"

namespace karta::service {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;
using Socket = net::generic::stream_protocol::socket;
using Parser = http::request_parser<http::vector_body<std::uint8_t>>;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadOctets = 8 * 1024;  // asked of the kernel at once: a request with room
constexpr std::size_t kMostFields = 128;       // of a request; browsers send twenty
constexpr std::chrono::milliseconds kSweepInterval{250};
constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of descriptors
constexpr std::size_t kMostPeers = 100'000;             // addresses remembered for their rate
constexpr std::chrono::seconds kPeerMemory{30};
constexpr std::size_t kJoinedOctets = 16 * 1024;  // answers up to this long leave in one piece with their head

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
};

/// An address as its limits count it: a /64 of IPv6 is one subscriber.
std::string peer_key(const net::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return net::ip::make_address_v4(net::ip::v4_mapped, v6).to_string();
  const auto octets = v6.to_bytes();
  return std::string(reinterpret_cast<const char*>(octets.data()), 8);
}

tl::unexpected<Error> bad_address(const std::string& text) {
  return fail(ErrorKind::configuration, "\"" + text + "\" is no address to listen at",
              "ADDRESS:PORT, [IPv6]:PORT, unix:/PATH, systemd:NAME or fd:NUMBER");
}

Result<tcp::endpoint> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad_address(text);
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return bad_address(text);
  }
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos) {
    return bad_address(text);
  }
  const unsigned long number = std::stoul(port);
  error_code code;
  const auto address = net::ip::make_address(host, code);
  if (code || number > 65535) return bad_address(text);
  return tcp::endpoint(address, static_cast<std::uint16_t>(number));
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

ErrorKind kind_of(const error_code& code) {
  if (code == net::error::access_denied) return ErrorKind::not_permitted;
  if (code == net::error::address_in_use) return ErrorKind::already_exists;
  return ErrorKind::io;
}

/// The parser's fields as the handler sees them.
void describe(const http::request<http::vector_body<std::uint8_t>>& message, HttpRequest& out) {
  switch (message.method()) {
    case http::verb::get:
      out.method = HttpMethod::get;
      break;
    case http::verb::head:
      out.method = HttpMethod::head;
      break;
    case http::verb::post:
      out.method = HttpMethod::post;
      break;
    case http::verb::put:
      out.method = HttpMethod::put;
      break;
    case http::verb::delete_:
      out.method = HttpMethod::del;
      break;
    default:
      out.method = HttpMethod::other;
  }
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t mark = target.find('?');
  out.path = target.substr(0, mark);
  out.query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  out.fields.clear();
  for (const auto& one : message) {
    const auto name = one.name_string();
    const auto value = one.value();
    out.fields.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
  }
  out.body = message.body();
}

/// What is wrong with a request that was read, if anything: its status.
int fault_of(const http::request<http::vector_body<std::uint8_t>>& message) {
  if (message.version() != 10 && message.version() != 11) return 505;
  std::size_t fields = 0, hosts = 0;
  for (const auto& one : message) {
    ++fields;
    if (one.name() == http::field::host) ++hosts;
  }
  if (fields > kMostFields) return 431;
  // RFC 9112 §3.2: one Host, and never two.
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) return 400;
  // RFC 9112 §6.1: both of these is what request smuggling is made of.
  if (message.count(http::field::transfer_encoding) != 0 && message.count(http::field::content_length) != 0) return 400;
  if (message.target().empty() || message.target().front() != '/') return 400;
  return 0;
}

int status_of_parse_error(const error_code& code) {
  if (code == http::error::header_limit) return 431;
  if (code == http::error::body_limit) return 413;
  return 400;
}

void set_limits(Parser& parser, const HttpLimits& limits) {
  parser.header_limit(static_cast<std::uint32_t>(limits.header_octets));
  parser.body_limit(limits.body_octets);
  parser.eager(true);
}

struct Worker;

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

std::optional<PeerCredentials> credentials_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return std::nullopt;
  return PeerCredentials{peer.uid, peer.gid, peer.pid};
}

/// A certificate a client was verified by.
struct ClientCertificate {
  Bytes der = {};
  std::time_t not_after = 0;
};

ClientCertificate client_certificate_of(SSL* connection) {
  ClientCertificate out;
  X509* const certificate = SSL_get1_peer_certificate(connection);
  if (certificate == nullptr) return out;
  tm end{};
  unsigned char* octets = nullptr;
  const int size = i2d_X509(certificate, &octets);
  // One whose end cannot be read has ended.
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1) out.not_after = ::timegm(&end);
  if (size > 0) out.der.assign(octets, octets + size);
  OPENSSL_free(octets);
  X509_free(certificate);
  return out;
}

/// The parts of a stream that differ with and without TLS.
struct Plain {
  explicit Plain(Socket socket, net::ssl::context*) : stream(std::move(socket)) {}
  static constexpr bool kHandshake = false;
  Socket& lowest() { return stream; }
  Socket stream;
};
struct Encrypted {
  explicit Encrypted(Socket socket, net::ssl::context* context) : stream(std::move(socket), *context) {}
  static constexpr bool kHandshake = true;
  Socket& lowest() { return stream.next_layer(); }
  net::ssl::stream<Socket> stream;
};

template <class Layer>
class Connection final : public ConnectionBase,
                         public detail::Waker,
                         public std::enable_shared_from_this<Connection<Layer>> {
 public:
  Connection(Socket socket, net::ssl::context* tls, Worker& worker, std::shared_ptr<Peer> peer, Remote remote)
      : layer_(std::move(socket), tls),
        worker_(worker),
        limits_(worker.shared.options.limits),
        peer_(std::move(peer)),
        remote_(std::move(remote)),
        buffer_(limits_.header_octets + limits_.body_octets + kReadOctets) {
    worker_.connections.insert(this);
    request_.peer = remote_.address;
    request_.peer_credentials = remote_.credentials;
    request_.fields.reserve(16);
  }
  ~Connection() override {
    worker_.connections.erase(this);
    worker_.shared.counters.open.fetch_sub(1, std::memory_order_relaxed);
    Peers::leave(*peer_);
  }

  void start() {
    until(limits_.request_time);
    if constexpr (Layer::kHandshake) {
      state_ = State::handshake;
      layer_.stream.async_handshake(net::ssl::stream_base::server, [self = this->shared_from_this()](error_code code) {
        if (code) {
          self->tell_failed_handshake(code);
          if (self->state_ != State::closing) self->finish();  // so that the alert arrives
          return;
        }
        self->client_ = client_certificate_of(self->layer_.stream.native_handle());
        self->request_.client_certificate = self->client_.der;
        self->next_request();
      });
    } else {
      next_request();
    }
  }

  void check(SteadyClock::time_point now) override {
    if (state_ == State::waiting) {
      if (now >= deadline_) give_up_waiting();
      return;
    }
    if (state_ == State::streaming && !writing_) return;  // nothing to say is no fault of the client
    if (now < deadline_ || (state_ == State::closing && !lingering_)) return;
    if (lingering_) {
      close();
      return;
    }
    if (state_ != State::idle) worker_.shared.counters.timed_out.fetch_add(1, std::memory_order_relaxed);
    // Half a request gets a word of why, if the client will take it without delay.
    if (state_ == State::reading && !Layer::kHandshake) {
      static constexpr std::string_view kLate =
          "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      error_code ignored;
      layer_.lowest().non_blocking(true, ignored);
      layer_.lowest().write_some(net::buffer(kLate), ignored);
    }
    close();
  }

  void wind_up() override {
    if (state_ == State::streaming) {
      ending_ = true;
      pump();
      return;
    }
    if (state_ != State::idle) return;
    error_code ignored;
    // What has arrived and was not read yet is a request in flight.
    if (layer_.lowest().available(ignored) > 0) return;
    close();
  }

  void abandon() override {
    state_ = State::closing;
    const auto self = leave();
  }

  /// From any thread; the connection is attached, so it lives.
  void wake() override {
    net::post(worker_.context, [self = this->shared_from_this()] { self->woken(); });
  }

 private:
  enum class State : std::uint8_t { handshake, idle, reading, waiting, streaming, writing, closing };

  void until(std::chrono::seconds time) { deadline_ = SteadyClock::now() + time; }

  void close() {
    const auto self = leave();
    state_ = State::closing;
    lingering_ = false;
    error_code ignored;
    layer_.lowest().shutdown(Socket::shutdown_both, ignored);
    layer_.lowest().close(ignored);
  }

  void next_request() {
    parser_.emplace();
    set_limits(*parser_, limits_);
    continued_ = false;
    if (buffer_.size() > 0) {  // pipelined
      begin_reading();
      parse();
      return;
    }
    if (worker_.shared.stopping.load(std::memory_order_relaxed)) {
      error_code ignored;
      if (layer_.lowest().available(ignored) == 0) {
        close();
        return;
      }
    }
    state_ = State::idle;
    until(first_ ? limits_.request_time : limits_.idle_time);
    read();
  }

  void begin_reading() {
    state_ = State::reading;
    until(limits_.request_time);
  }

  void tell_failed_handshake(const error_code& code) {
    worker_.shared.counters.failed_handshakes.fetch_add(1, std::memory_order_relaxed);
    if constexpr (Layer::kHandshake) {
      const auto& tell = worker_.shared.options.on_failed_handshake;
      if (!tell) return;
      const long verified = SSL_get_verify_result(layer_.stream.native_handle());
      tell(remote_.address, verified == X509_V_OK ? code.message() : X509_verify_cert_error_string(verified));
    }
  }

  void read() {
    if (ahead_pending_) return;  // it goes on from there
    layer_.stream.async_read_some(buffer_.prepare(std::min(kReadOctets, buffer_.max_size() - buffer_.size())),
                                  [self = this->shared_from_this()](error_code code, std::size_t octets) {
                                    if (code || self->state_ == State::closing) return;
                                    self->buffer_.commit(octets);
                                    if (self->state_ == State::idle) self->begin_reading();
                                    self->parse();
                                  });
  }

  void parse() {
    first_ = false;
    error_code code;
    while (!parser_->is_done()) {
      if (buffer_.size() == 0) break;
      const auto arrived = buffer_.data();
      const std::size_t taken = parser_->put(arrived, code);
      wipe({static_cast<std::uint8_t*>(arrived.data()), taken});  // it may have held a PIN
      buffer_.consume(taken);
      if (code == http::error::need_more) {
        code = {};
        break;
      }
      if (code) {
        refuse(status_of_parse_error(code));
        return;
      }
    }
    if (parser_->is_done()) {
      dispatch();
      return;
    }
    if (parser_->is_header_done() && !continued_) {
      continued_ = true;
      const auto expected = parser_->get()[http::field::expect];
      if (!expected.empty()) {
        // RFC 9110 §10.1.1
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        net::async_write(layer_.stream, net::buffer(kContinue),
                         [self = this->shared_from_this()](error_code failed, std::size_t) {
                           if (failed || self->state_ == State::closing) return;
                           self->read();
                         });
        return;
      }
    }
    if (buffer_.size() >= buffer_.max_size()) {
      refuse(431);
      return;
    }
    read();
  }

  /// While an answer is awaited or a stream is written: what the client sends next, and whether it is still there.
  void read_ahead() {
    if (ahead_pending_ || buffer_.size() + ahead_.size() > buffer_.max_size()) return;
    ahead_pending_ = true;
    layer_.stream.async_read_some(net::buffer(ahead_),
                                  [self = this->shared_from_this()](error_code code, std::size_t octets) {
                                    self->ahead_pending_ = false;
                                    self->take_ahead(code, octets);
                                  });
  }

  void take_ahead(error_code code, std::size_t octets) {
    if (state_ == State::closing) return;
    if (code) {
      // Whether the answer under way still finds a reader, writing it will tell.
      if (state_ != State::writing) close();
      return;
    }
    buffer_.commit(net::buffer_copy(buffer_.prepare(octets), net::buffer(ahead_, octets)));
    wipe({ahead_.data(), octets});
    if (state_ == State::idle) begin_reading();
    if (state_ == State::reading) parse();
    if (state_ == State::waiting || state_ == State::streaming) read_ahead();
  }

  void refuse(int status) {
    worker_.shared.counters.bad.fetch_add(1, std::memory_order_relaxed);
    keep_alive_ = false;
    head_only_ = false;
    send(HttpResponse::text(status, reason_phrase(status)));
  }

  void dispatch() {
    Counters& counters = worker_.shared.counters;
    counters.requests.fetch_add(1, std::memory_order_relaxed);
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    if (const int fault = fault_of(message); fault != 0) {
      refuse(fault);
      return;
    }
    head_only_ = message.method() == http::verb::head;
    if (limits_.requests_per_second != 0 && !peer_->take(static_cast<double>(limits_.requests_per_second))) {
      counters.limited.fetch_add(1, std::memory_order_relaxed);
      HttpResponse response = HttpResponse::text(429, "more requests than this address may make; try again later");
      response.fields = "Retry-After: 1\r\n";
      keep_alive_ = false;
      send(std::move(response));
      return;
    }
    if constexpr (Layer::kHandshake) {
      if (!client_.der.empty() && std::time(nullptr) > client_.not_after) {
        keep_alive_ = false;
        send(HttpResponse::text(403, "the client's certificate has expired since it connected"));
        return;
      }
    }
    describe(message, request_);
    HttpResponse response;
    try {
      response = worker_.handler->handle(request_);
    } catch (const std::exception&) {
      response = HttpResponse::text(500, "an internal error");
    }
    wipe(parser_->get().body());
    if (response.pending) {
      wait_for(std::move(response.pending));
    } else {
      send(std::move(response));
    }
  }

  static HttpResponse too_many() {
    HttpResponse out = HttpResponse::text(503, "as many of these as this server keeps open; try again in a moment");
    out.fields = "Retry-After: 2\r\n";
    return out;
  }

  void wait_for(std::shared_ptr<detail::PendingResponse> pending) {
    auto& open = worker_.shared.counters.later;
    if (open.fetch_add(1, std::memory_order_relaxed) >= limits_.later_responses) {
      open.fetch_sub(1, std::memory_order_relaxed);
      pending->leave();
      send(too_many());
      return;
    }
    state_ = State::waiting;
    until(limits_.later_time);
    self_ = this->shared_from_this();
    pending_ = std::move(pending);
    pending_->attach(this);
    read_ahead();
  }

  /// Parts from whoever would answer later. The caller holds what is returned, and with it this object, to its end.
  std::shared_ptr<Connection> leave() {
    if (pending_) {
      pending_->leave();
      pending_.reset();
      worker_.shared.counters.later.fetch_sub(1, std::memory_order_relaxed);
    }
    if (stream_) {
      stream_->leave();
      stream_.reset();
      worker_.shared.counters.streams.fetch_sub(1, std::memory_order_relaxed);
    }
    return std::move(self_);
  }

  void give_up_waiting() {
    const auto self = leave();
    keep_alive_ = false;
    send(HttpResponse::text(504, "the answer took longer than this server waits"));
  }

  void woken() {
    if (state_ == State::streaming) {
      pump();
      return;
    }
    if (state_ != State::waiting) return;
    auto answer = pending_->take();
    if (!answer) return;
    const auto self = leave();
    if (answer->pending) {
      answer->pending->leave();
      *answer = HttpResponse::text(500, "an internal error");
    }
    send(std::move(*answer));
  }

  void begin_stream(std::shared_ptr<detail::PendingStream> stream) {
    auto& open = worker_.shared.counters.streams;
    if (open.fetch_add(1, std::memory_order_relaxed) >= limits_.streams) {
      open.fetch_sub(1, std::memory_order_relaxed);
      stream->leave();
      send(too_many());
      return;
    }
    chunked_ = parser_->get().version() == 11;
    if (!chunked_) keep_alive_ = false;  // the end of the connection is the end of the body
    head_only_ = parser_->get().method() == http::verb::head;
    begin_head();
    if (chunked_) head_ += "Transfer-Encoding: chunked\r\n";
    end_head();
    state_ = State::streaming;
    ending_ = head_only_;
    self_ = this->shared_from_this();
    stream_ = std::move(stream);
    stream_->attach(this);
    read_ahead();
    write_stream();
  }

  /// Sends what waits, if nothing is under way; ends the stream when there is no more to come.
  void pump() {
    if (writing_) return;
    detail::PendingStream::Taken taken = stream_->take();
    if (taken.overflowed) {
      worker_.shared.counters.timed_out.fetch_add(1, std::memory_order_relaxed);
      close();
      return;
    }
    if (head_only_) taken.text.clear();
    const bool last = taken.closed || ending_;
    if (taken.text.empty() && !last) return;
    head_.clear();
    if (chunked_ && !taken.text.empty()) {
      std::array<char, 20> size{};
      std::snprintf(size.data(), size.size(), "%zx\r\n", taken.text.size());
      head_ += size.data();
    }
    head_ += taken.text;
    if (chunked_ && !taken.text.empty()) head_ += "\r\n";
    if (!last) {
      write_stream();
      return;
    }
    const auto self = leave();
    if (worker_.shared.stopping.load(std::memory_order_relaxed) && buffer_.size() == 0) keep_alive_ = false;
    if (chunked_ && !head_only_) head_ += "0\r\n\r\n";
    state_ = State::writing;
    until(limits_.answer_time);
    net::async_write(layer_.stream, net::buffer(head_), written());
  }

  void write_stream() {
    writing_ = true;
    until(limits_.answer_time);
    net::async_write(layer_.stream, net::buffer(head_),
                     [self = this->shared_from_this()](error_code code, std::size_t) {
                       self->writing_ = false;
                       if (self->state_ == State::closing) return;
                       if (code) {
                         self->close();
                       } else {
                         self->pump();
                       }
                     });
  }

  void begin_head() {
    head_.clear();
    head_ += "HTTP/1.1 ";
    head_ += std::to_string(response_.status);
    head_ += ' ';
    head_ += reason_phrase(response_.status);
    head_ += "\r\n";
    head_ += worker_.date_field();
    if (!response_.media_type.empty()) {
      head_ += "Content-Type: ";
      head_ += response_.media_type;
      head_ += "\r\n";
    }
    head_ += response_.fields;
  }
  void end_head() {
    if (!keep_alive_) head_ += "Connection: close\r\n";
    head_ += "\r\n";
  }

  /// What happens once an answer is written.
  auto written() {
    return [self = this->shared_from_this()](error_code code, std::size_t) {
      if (code || self->state_ == State::closing) return;
      self->response_ = {};
      if (self->keep_alive_) {
        self->next_request();
      } else {
        self->finish();
      }
    };
  }

  void send(HttpResponse response) {
    if (worker_.shared.stopping.load(std::memory_order_relaxed) && buffer_.size() == 0) keep_alive_ = false;
    response_ = std::move(response);
    if (response_.pending_stream) {
      begin_stream(std::move(response_.pending_stream));
      return;
    }
    const ByteView content = response_.content();
    const bool bodiless = response_.status == 304 || response_.status == 204;  // RFC 9110 §8.6
    begin_head();
    if (!bodiless) {
      head_ += "Content-Length: ";
      head_ += std::to_string(content.size());
      head_ += "\r\n";
    }
    end_head();
    const bool body = !head_only_ && !bodiless;
    state_ = State::writing;
    until(limits_.answer_time);
    if (!body || content.size() <= kJoinedOctets) {
      if (body) head_ += as_text(content);
      net::async_write(layer_.stream, net::buffer(head_), written());
    } else {
      const std::array<net::const_buffer, 2> parts = {net::buffer(head_), net::buffer(content.data(), content.size())};
      net::async_write(layer_.stream, parts, written());
    }
  }

  /// The answer must reach the client though octets of it that nobody will read are still under way: the sending side
  /// is closed first, and what comes is thrown away for a moment (RFC 9112 §9.6).
  void finish() {
    error_code ignored;
    layer_.lowest().shutdown(Socket::shutdown_send, ignored);
    state_ = State::closing;
    deadline_ = SteadyClock::now() + std::chrono::seconds(1);
    drained_ = 0;
    drain();
  }

  void drain() {
    // Bounded in time by the sweep that sees `lingering_`, and in octets here.
    lingering_ = true;
    layer_.lowest().async_read_some(
        net::buffer(rest_), [self = this->shared_from_this()](error_code code, std::size_t octets) {
          self->drained_ += octets;
          constexpr std::size_t kMostDrained = 256 * 1024;
          if (code || self->drained_ > kMostDrained || SteadyClock::now() > self->deadline_) {
            self->close();
            return;
          }
          self->drain();
        });
  }

  Layer layer_;
  Worker& worker_;
  const HttpLimits& limits_;
  std::shared_ptr<Peer> peer_;
  Remote remote_;
  ClientCertificate client_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  HttpRequest request_;
  HttpResponse response_;
  std::string head_;
  SteadyClock::time_point deadline_;
  State state_ = State::idle;
  bool first_ = true;
  bool continued_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;
  bool lingering_ = false;
  std::size_t drained_ = 0;
  std::array<char, 512> rest_;
  // Answers from other threads.
  std::shared_ptr<detail::PendingResponse> pending_;
  std::shared_ptr<detail::PendingStream> stream_;
  std::shared_ptr<Connection> self_;  // while one of the two is there: it may be all that keeps this object
  std::array<std::uint8_t, 1024> ahead_;
  bool ahead_pending_ = false;
  bool writing_ = false;  // a piece of a stream is under way
  bool chunked_ = false;
  bool ending_ = false;  // the stream ends with what waits
};

}  // namespace

Status with_parsed_request(ByteView octets, const std::function<void(const HttpRequest&)>& use) {
  const HttpLimits limits;
  Parser parser;
  set_limits(parser, limits);
  error_code code;
  while (!octets.empty() && !parser.is_done()) {
    const std::size_t taken = parser.put(net::const_buffer(octets.data(), octets.size()), code);
    octets = octets.subspan(taken);
    if (code == http::error::need_more) break;
    if (code) {
      return fail(status_of_parse_error(code) == 400 ? ErrorKind::malformed : ErrorKind::limit, code.message());
    }
  }
  if (!parser.is_done()) return fail(ErrorKind::malformed, "the request is not whole");
  if (const int fault = fault_of(parser.get()); fault != 0) {
    return fail(ErrorKind::malformed, std::string(reason_phrase(fault)));
  }
  HttpRequest request;
  request.peer = "192.0.2.1";
  describe(parser.get(), request);
  use(request);
  return {};
}

class HttpServer::Impl {
 public:
  explicit Impl(HttpServerOptions options) : shared_(std::move(options)) {}
  ~Impl() {
    for (auto& worker : workers_) worker->context.stop();
    join();
    abandon();
    for (const std::string& path : socket_files_) ::unlink(path.c_str());
  }

  Status open(const HandlerFactory& make_handler) {
    const std::size_t count = std::max<std::size_t>(1, shared_.options.workers);
    for (std::size_t i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<Worker>(shared_));
      workers_.back()->handler = TRY(make_handler(i));
    }
    if (shared_.options.tls) TRY(open_tls(*shared_.options.tls));
    for (const std::string& text : shared_.options.listen) TRY(listen(text));
    for (auto& worker : workers_) worker->sweep();
    for (auto& acceptor : acceptors_) accept(*acceptor);
    for (auto& local : locals_) accept(*local);
    sweep_peers();
    for (auto& worker : workers_) {
      worker->thread = std::thread([&context = worker->context] { context.run(); });
    }
    return {};
  }

  Status replace(const HandlerFactory& make_handler) {
    std::vector<std::unique_ptr<HttpHandler>> fresh;
    for (std::size_t i = 0; i < workers_.size(); ++i) fresh.push_back(TRY(make_handler(i)));
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = *workers_[i];
      std::promise<void> done;
      net::post(worker.context, [&] {
        worker.handler.swap(fresh[i]);
        done.set_value();
      });
      done.get_future().wait();
    }
    return {};
  }

  void stop() {
    if (shared_.stopping.exchange(true)) return;
    const auto deadline = SteadyClock::now() + shared_.options.limits.stop_time;
    // The first worker owns the listening sockets: what the kernel has accepted for us is taken still, then they close.
    std::promise<void> closed;
    net::post(workers_.front()->context, [&] {
      for (auto& acceptor : acceptors_) drain_backlog(*acceptor);
      for (auto& local : locals_) drain_backlog(*local);
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
    out.open_later = from.later.load();
    out.open_streams = from.streams.load();
    return out;
  }

  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  template <class Acceptor>
  struct Listener {
    explicit Listener(net::io_context& context) : acceptor(context), pause(context) {}
    Acceptor acceptor;
    net::steady_timer pause;
  };
  using TcpListener = Listener<tcp::acceptor>;
  using LocalListener = Listener<net::local::stream_protocol::acceptor>;

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

  Status open_tls(const HttpTls& tls) {
    tls_.emplace(net::ssl::context::tls_server);
    SSL_CTX* const context = tls_->native_handle();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    // ECDHE with AEAD only, for TLS 1.2; 1.3 has nothing else.
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    error_code code;
    tls_->use_certificate_chain(net::buffer(tls.certificates_pem), code);
    if (code) return fail(ErrorKind::configuration, "TLS: the certificate cannot be used: " + code.message());
    const ByteView der = tls.private_key.expose_secret();
    const unsigned char* at = der.data();
    EVP_PKEY* const key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
    const bool taken = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    if (!taken || SSL_CTX_check_private_key(context) != 1) {
      return fail(ErrorKind::configuration, "TLS: the key is not that of the certificate");
    }
    if (tls.client_certificates != ClientCertificates::none) TRY(ask_for_certificates(*context, tls));
    return {};
  }

  static Status ask_for_certificates(SSL_CTX& context, const HttpTls& tls) {
    X509_STORE* const store = SSL_CTX_get_cert_store(&context);
    BIO* const pem = BIO_new_mem_buf(tls.client_roots_pem.data(), static_cast<int>(tls.client_roots_pem.size()));
    std::size_t roots = 0;
    while (X509* const root = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) {
      if (X509_STORE_add_cert(store, root) == 1 && SSL_CTX_add_client_CA(&context, root) == 1) ++roots;
      X509_free(root);
    }
    BIO_free(pem);
    ERR_clear_error();  // the end of the text
    if (roots == 0) return fail(ErrorKind::configuration, "TLS: there is no root that clients' certificates stand on");
    // An issuing CA is anchor enough; the purpose is checked by OpenSSL (clientAuth, where the certificate limits it).
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&context), X509_V_FLAG_PARTIAL_CHAIN);
    const bool required = tls.client_certificates == ClientCertificates::required;
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    // A resumed session would bring a certificate back that nobody looks at again.
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(&context, 0);
    return {};
  }

  /// A socket somebody else opened. A duplicate is used: what was inherited stays open for the next server.
  Status adopt(int inherited, const std::string& text) {
    const auto option = [&](int name) {
      int value = 0;
      socklen_t size = sizeof value;
      return ::getsockopt(inherited, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
    };
    const int domain = option(SO_DOMAIN);
    const bool stream = option(SO_TYPE) == SOCK_STREAM && option(SO_ACCEPTCONN) == 1;
    if (!stream || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)) {
      return fail(ErrorKind::configuration, "\"" + text + "\" is no listening socket of streams");
    }
    const int own = ::fcntl(inherited, F_DUPFD_CLOEXEC, 3);
    if (own < 0) return fail(ErrorKind::io, "\"" + text + "\": " + std::strerror(errno));
    net::io_context& context = workers_.front()->context;
    error_code code;
    if (domain == AF_UNIX) {
      auto local = std::make_unique<LocalListener>(context);
      local->acceptor.assign(net::local::stream_protocol(), own, code);
      if (!code) addresses_.push_back("unix:" + local->acceptor.local_endpoint(code).path());
      locals_.push_back(std::move(local));
    } else {
      auto listener = std::make_unique<TcpListener>(context);
      listener->acceptor.assign(domain == AF_INET ? tcp::v4() : tcp::v6(), own, code);
      if (!code) addresses_.push_back(text_of(listener->acceptor.local_endpoint(code)));
      acceptors_.push_back(std::move(listener));
    }
    if (code) return fail(ErrorKind::io, "\"" + text + "\": " + code.message());
    return {};
  }

  Status listen(const std::string& text) {
    net::io_context& context = workers_.front()->context;
    constexpr std::string_view kLocal = "unix:", kSystemd = "systemd:", kNumber = "fd:";
    error_code code;
    if (text.starts_with(kSystemd)) {
      const std::vector<int> sockets = TRY(inherited_sockets(std::string_view(text).substr(kSystemd.size())));
      for (const int one : sockets) TRY(adopt(one, text));
      return {};
    }
    if (text.starts_with(kNumber)) {
      const std::string number = text.substr(kNumber.size());
      if (number.empty() || number.size() > 6 || number.find_first_not_of("0123456789") != std::string::npos) {
        return bad_address(text);
      }
      return adopt(std::stoi(number), text);
    }
    if (text.starts_with(kLocal)) {
      const std::string path = text.substr(kLocal.size());
      if (path.empty() || path.front() != '/' || path.size() > 100) return bad_address(text);
      // A socket file that nobody listens at is what an earlier run left.
      struct stat about {};
      if (::stat(path.c_str(), &about) == 0 && S_ISSOCK(about.st_mode)) {
        net::local::stream_protocol::socket probe(context);
        probe.connect(net::local::stream_protocol::endpoint(path), code);
        if (!code) return fail(ErrorKind::already_exists, "another program listens at \"" + path + "\"");
        ::unlink(path.c_str());
        code = {};
      }
      auto local = std::make_unique<LocalListener>(context);
      local->acceptor.open(net::local::stream_protocol(), code);
      if (!code) local->acceptor.bind(net::local::stream_protocol::endpoint(path), code);
      if (!code && shared_.options.local_socket_mode != 0 &&
          ::chmod(path.c_str(), shared_.options.local_socket_mode) != 0) {
        code = error_code(errno, boost::system::system_category());
      }
      if (!code) local->acceptor.listen(net::socket_base::max_listen_connections, code);
      if (code) return fail(kind_of(code), "cannot listen at \"" + text + "\": " + code.message());
      socket_files_.push_back(path);
      addresses_.push_back(text);
      locals_.push_back(std::move(local));
      return {};
    }
    const tcp::endpoint endpoint = TRY(parse_endpoint(text));
    auto listener = std::make_unique<TcpListener>(context);
    tcp::acceptor& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), code);
    if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
    if (!code && endpoint.address().is_v6()) acceptor.set_option(net::ip::v6_only(true), code);
    if (!code) acceptor.bind(endpoint, code);
    if (!code) acceptor.listen(net::socket_base::max_listen_connections, code);
    if (code) {
      return fail(kind_of(code), "cannot listen at \"" + text + "\": " + code.message(),
                  kind_of(code) == ErrorKind::already_exists ? "another program has this port; name another" : "");
    }
    addresses_.push_back(text_of(acceptor.local_endpoint()));
    acceptors_.push_back(std::move(listener));
    return {};
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

  void admit(Socket socket, Worker& worker, bool is_tcp) {
    Counters& counters = shared_.counters;
    const bool encrypted = is_tcp && tls_.has_value();
    Remote remote{.address = "unix"};
    std::string key = "unix";
    error_code code;
    if (!is_tcp) remote.credentials = credentials_of(socket.native_handle());
    if (is_tcp) {
      // A generic endpoint holds the same octets as the TCP one.
      const auto other = socket.remote_endpoint(code);
      if (code) return;
      tcp::endpoint endpoint;
      std::memcpy(endpoint.data(), other.data(), std::min(endpoint.capacity(), other.size()));
      remote.address = endpoint.address().to_string();
      key = peer_key(endpoint.address());
      socket.set_option(tcp::no_delay(true), code);
    }
    const HttpLimits& limits = shared_.options.limits;
    std::shared_ptr<Peer> peer;
    if (counters.open.load(std::memory_order_relaxed) < limits.connections) peer = shared_.peers.enter(key);
    if (!peer) {
      counters.refused.fetch_add(1, std::memory_order_relaxed);
      if (!encrypted) {
        static constexpr std::string_view kFull =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        socket.non_blocking(true, code);
        socket.write_some(net::buffer(kFull), code);
        socket.shutdown(Socket::shutdown_send, code);
      }
      return;
    }
    counters.connections.fetch_add(1, std::memory_order_relaxed);
    counters.open.fetch_add(1, std::memory_order_relaxed);
    net::ssl::context* const tls = encrypted ? &*tls_ : nullptr;
    net::post(worker.context, [&worker, tls, peer = std::move(peer), remote = std::move(remote),
                               moved = std::make_shared<Socket>(std::move(socket))]() mutable {
      if (tls != nullptr) {
        std::make_shared<Connection<Encrypted>>(std::move(*moved), tls, worker, std::move(peer), std::move(remote))
            ->start();
      } else {
        std::make_shared<Connection<Plain>>(std::move(*moved), tls, worker, std::move(peer), std::move(remote))
            ->start();
      }
    });
  }

  void sweep_peers() {
    if (!peer_timer_) peer_timer_.emplace(workers_.front()->context);
    peer_timer_->expires_after(kPeerMemory);
    peer_timer_->async_wait([this](error_code code) {
      if (code) return;
      shared_.peers.sweep();
      sweep_peers();
    });
  }

  // The order matters: connections go with their worker's context, before what they count in.
  Shared shared_;
  std::optional<net::ssl::context> tls_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<TcpListener>> acceptors_;
  std::vector<std::unique_ptr<LocalListener>> locals_;
  std::optional<net::steady_timer> peer_timer_;
  std::vector<std::string> addresses_;
  std::vector<std::string> socket_files_;
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
Status HttpServer::replace_handlers(const HandlerFactory& make_handler) { return impl_->replace(make_handler); }
void HttpServer::stop() { impl_->stop(); }
HttpCounts HttpServer::counts() const { return impl_->counts(); }

}  // namespace karta::service
