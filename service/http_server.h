// HttpServer: HTTP/1.1 on TCP, TLS or a local socket: keep-alive, pipelining, limits, a stop that finishes what it
// began.
//
// A server has workers. A worker is one thread with its own event loop, its own connections and its own handler: what a
// handler owns (a database connection, a key, a cache) needs no lock. A handler runs on its worker's loop and holds up
// the other connections of that worker while it does: it must be short (no network, no waiting). What takes longer is
// answered later (later_response.h), what has no end is streamed (response_stream.h).
//
// Overload: beyond the limits a client gets 503 (or, beyond its own rate, 429) with Retry-After and is closed; requests
// wait in the kernel's socket buffers, never in a queue of ours. A connection that dawdles over a request, or over
// reading its answer, is closed when its time is over, however often it sends an octet.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "service/http_message.h"
#include "service/ip_address.h"
#include "service/tcp_peer.h"

namespace karta::service {

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Called on the worker's thread, one request at a time. An exception becomes 500.
  virtual HttpResponse handle(const HttpRequest& request) = 0;
};

struct HttpLimits {
  std::size_t header_octets = 16 * 1024;      ///< request line and fields; browsers with large cookies send 8 KiB
  std::size_t body_octets = 64 * 1024;        ///< the largest OCSP request taken (crypto/x509/ocsp.h)
  std::size_t connections = 4096;             ///< in all
  std::size_t connections_per_address = 256;  ///< IPv6: a /64 counts as one address
  /// Requests a second from one address, and as many at once before that counts; 0: no limit.
  std::size_t requests_per_second = 0;
  std::chrono::seconds request_time{10};  ///< from the first octet of a request to its last; of a TLS handshake too
  std::chrono::seconds answer_time{20};   ///< for the client to take an answer
  std::chrono::seconds idle_time{60};     ///< between requests
  std::chrono::seconds stop_time{10};     ///< for requests in flight when the server stops
  std::size_t later_responses = 256;      ///< open at once, in all; beyond: 503
  std::chrono::seconds later_time{120};   ///< until a later response; beyond: 504
  std::size_t streams = 64;               ///< open at once, in all; beyond: 503
  /// For a PROXY header, from the connection on; "at least 3 seconds to cover a TCP retransmit" (its §2).
  std::chrono::seconds proxy_header_time{5};
};

enum class ClientCertificates : std::uint8_t {
  none,      ///< not asked for
  optional,  ///< asked for; a client without one is served, one with a wrong one is not
  required,  ///< the handshake fails without a good one
  /// Asked for, and any is taken whose key the client proves, with at most nine above it: which of them count is the
  /// handler's to judge (HttpRequest::client_certificate is that of a good one only, shown_certificate that of any).
  any,
};

struct HttpTls {
  std::string certificates_pem;  ///< the server's, then those above it
  SecretBytes private_key;       ///< PKCS #8 PrivateKeyInfo in the clear, DER
  ClientCertificates client_certificates = ClientCertificates::none;
  /// PEM: who may have issued clients' certificates. Each certificate here is a trust anchor, an issuing CA without its
  /// root too. A client's certificate must allow clientAuth where it limits its uses.
  std::string client_roots_pem = {};
  /// Clients are told the names of those roots. People's browsers offer certificates by them; many libraries show
  /// nothing that is of no such issuer (RFC 8446 §4.2.4).
  bool names_client_roots = true;
};

struct HttpServerOptions {
  /// "192.0.2.1:80", "[::1]:8080", "0.0.0.0:80"; port 0: any free one; "unix:/run/x/socket" for a local socket;
  /// "systemd:NAME" for the sockets systemd opened under that name (FileDescriptorName=), "fd:3" for one that was
  /// inherited by number. Inherited sockets stay open in this process when the server stops: who connects meanwhile is
  /// served by the next.
  std::vector<std::string> listen;
  std::size_t workers = 1;
  HttpLimits limits = {};
  std::shared_ptr<const HttpTls> tls = {};  ///< null: no TLS. Local sockets never have it.
  /// Balancers: their TCP connections begin with a PROXY header (service/proxy_header.h), before TLS, and are those of
  /// the address in it from then on, with its limits; one without a good header is closed. Until the header is there at
  /// most half of `limits.connections` wait for theirs. From every other address a header is what it would be without
  /// this: no TLS, no HTTP.
  std::vector<Network> proxy_protocol_from = {};
  /// Told of such connections without a good header: the balancer's address and why. On a worker's thread: short.
  std::function<void(std::string_view balancer, std::string_view reason)> on_bad_proxy_header = {};
  unsigned local_socket_mode = 0;  ///< permissions of the files of "unix:" sockets; 0: as the umask leaves them
  /// Asked before anything is read of a TCP connection; false: it is closed, and counted as refused. is_own_user()
  /// keeps other users of the machine away from a loopback address. Empty: everybody may. On a worker's thread: short.
  std::function<bool(const TcpConnection& connection)> admit = {};
  /// Asked where an address has all its connections (HttpLimits::connections_per_address): a name beside it whose own
  /// room the next one takes, as many again; empty: it is turned away. On loopback every user of the machine is one
  /// address: room_of_user() keeps one from shutting out the others. On a worker's thread: short.
  std::function<std::string(const TcpConnection& connection)> room_of = {};
  /// Told of TLS handshakes that failed: the client's address and why ("certificate has expired"). On a worker's
  /// thread: short.
  std::function<void(std::string_view peer, std::string_view reason)> on_failed_handshake = {};
};

/// What the server counted since it began.
struct HttpCounts {
  std::uint64_t connections = 0;          ///< taken
  std::uint64_t open_connections = 0;     ///< at present
  std::uint64_t refused_connections = 0;  ///< beyond a limit
  std::uint64_t requests = 0;
  std::uint64_t limited_requests = 0;  ///< beyond an address's rate
  std::uint64_t bad_requests = 0;      ///< broken or too large
  std::uint64_t timed_out = 0;         ///< connections closed for being slow
  std::uint64_t failed_handshakes = 0;
  std::uint64_t bad_proxy_headers = 0;  ///< connections of balancers closed for their header
  std::uint64_t open_later = 0;         ///< later responses not given yet, at present
  std::uint64_t open_streams = 0;       ///< at present
};

class HttpServer {
 public:
  /// A handler for each worker; called once a worker, on the caller's thread.
  using HandlerFactory = std::function<Result<std::unique_ptr<HttpHandler>>(std::size_t worker)>;

  /// Binds, makes the handlers, starts the workers. Errors: configuration (an address that is none, a broken
  /// certificate), not_permitted, already_exists (address in use), io, and the factory's.
  static Result<HttpServer> start(HttpServerOptions options, const HandlerFactory& make_handler);
  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) = delete;
  /// Stops without waiting for requests in flight, if stop() was not called.
  ~HttpServer();

  /// Where it listens, with the port it got: "127.0.0.1:40123".
  const std::vector<std::string>& addresses() const;
  /// New handlers take over between two requests; the old ones go. Nothing changes if the factory fails.
  Status replace_handlers(const HandlerFactory& make_handler);
  /// The same in two steps, for who replaces those of several servers or of none: what is returned lets them take over,
  /// once, and cannot fail; called before stop() and before the server goes, or never.
  Result<std::function<void()>> prepare_handlers(const HandlerFactory& make_handler);
  /// Another certificate, key and roots for connections that begin from then on, in two steps as above; those that are
  /// open keep theirs. Fails with configuration where they cannot be used, or the server was started without TLS.
  Result<std::function<void()>> prepare_tls(const HttpTls& tls);
  /// Takes no more connections, answers what has arrived (later responses too), ends streams, closes; returns when
  /// that is done, or limits.stop_time over. Whoever would answer after that finds the client gone.
  void stop();
  HttpCounts counts() const;

  class Impl;

 private:
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::service
