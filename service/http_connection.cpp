#include "service/http_connection.h"

#include <openssl/x509.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <map>

#include "service/pending_response.h"

namespace karta::service {
namespace serving {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::vector_body<std::uint8_t>>;

constexpr std::size_t kReadOctets = 8 * 1024;     // asked of the kernel at once: a request with room
constexpr std::size_t kMostFields = 128;          // of a request; browsers send twenty
constexpr std::size_t kJoinedOctets = 16 * 1024;  // answers up to this long leave in one piece with their head

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

/// A certificate whose key a client has proved.
struct ClientCertificate {
  Bytes der = {};
  bool verified = false;  ///< and it was good when the connection began
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
  out.verified = SSL_get_verify_result(connection) == X509_V_OK;
  OPENSSL_free(octets);
  X509_free(certificate);
  return out;
}

/// The parts of a stream that differ with and without TLS.
struct Plain {
  explicit Plain(Socket socket, const std::shared_ptr<net::ssl::context>&) : stream(std::move(socket)) {}
  static constexpr bool kHandshake = false;
  Socket& lowest() { return stream; }
  Socket stream;
};
struct Encrypted {
  explicit Encrypted(Socket socket, std::shared_ptr<net::ssl::context> given)
      : context(std::move(given)), stream(std::move(socket), *context) {}
  static constexpr bool kHandshake = true;
  Socket& lowest() { return stream.next_layer(); }
  const std::shared_ptr<net::ssl::context> context;  // the server may have another one by now
  net::ssl::stream<Socket> stream;
};

template <class Layer>
class Connection final : public ConnectionBase,
                         public detail::Waker,
                         public std::enable_shared_from_this<Connection<Layer>> {
 public:
  Connection(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker, std::shared_ptr<Peer> peer,
             Remote remote)
      : layer_(std::move(socket), std::move(tls)),
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
        self->request_.shown_certificate = self->client_.der;
        if (self->client_.verified) self->request_.client_certificate = self->client_.der;
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

  bool takes_any() const {
    const auto& tls = worker_.shared.options.tls;
    return tls && tls->client_certificates == ClientCertificates::any;
  }

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
      // Where any certificate is taken, none is what the handshake failed by.
      const long verified = takes_any() ? X509_V_OK : SSL_get_verify_result(layer_.stream.native_handle());
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
      if (client_.verified && std::time(nullptr) > client_.not_after) {
        if (!takes_any()) {
          keep_alive_ = false;
          send(HttpResponse::text(403, "the client's certificate has expired since it connected"));
          return;
        }
        client_.verified = false;
        request_.client_certificate = {};
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
    if (!body || (content.size() <= kJoinedOctets && !response_.secret_body)) {
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

void start_connection(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker, std::shared_ptr<Peer> peer,
                      Remote remote) {
  const auto start = [&]<class Layer>() {
    std::make_shared<Connection<Layer>>(std::move(socket), std::move(tls), worker, std::move(peer), std::move(remote))
        ->start();
  };
  if (tls != nullptr) {
    start.template operator()<Encrypted>();
  } else {
    start.template operator()<Plain>();
  }
}

void turn_away(Socket& socket, bool encrypted) {
  if (encrypted) return;
  static constexpr std::string_view kFull =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(net::buffer(kFull), ignored);
  socket.shutdown(Socket::shutdown_send, ignored);
  // What has arrived and nobody reads would turn the end into a reset, which takes the words away (RFC 9112 §9.6).
  constexpr std::size_t kMostArrived = 64 * 1024;
  (void)::recv(socket.native_handle(), nullptr, kMostArrived, MSG_TRUNC | MSG_DONTWAIT);  // tcp(7): thrown away
}

}  // namespace serving

Status with_parsed_request(ByteView octets, const std::function<void(const HttpRequest&)>& use) {
  using namespace serving;
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

}  // namespace karta::service
