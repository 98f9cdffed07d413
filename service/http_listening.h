// HttpListening: the sockets a server takes connections from: TCP, local, or inherited from who started the program.
// Private to the server.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "service/http_worker.h"

namespace karta::service::serving {

template <class Acceptor>
struct Listener {
  explicit Listener(net::io_context& context) : acceptor(context), pause(context) {}
  Acceptor acceptor;
  net::steady_timer pause;
};
using TcpListener = Listener<net::ip::tcp::acceptor>;
using LocalListener = Listener<net::local::stream_protocol::acceptor>;

/// Whether HttpListening::listen() takes an address written so; nothing is opened.
bool is_listening_address(const std::string& text);

class HttpListening {
 public:
  /// On the loop of `context`, which outlives it. `local_socket_mode`: of socket files; 0: as the umask leaves it.
  HttpListening(net::io_context& context, unsigned local_socket_mode)
      : context_(context), local_socket_mode_(local_socket_mode) {}
  /// Removes the socket files it made.
  ~HttpListening();
  HttpListening(const HttpListening&) = delete;
  HttpListening& operator=(const HttpListening&) = delete;

  /// "ADDRESS:PORT", "[IPv6]:PORT", "unix:/PATH", "systemd:NAME", "fd:NUMBER". Fails with configuration, already_exists
  /// (another program is there), not_permitted, io.
  Status listen(const std::string& text);

  const std::vector<std::unique_ptr<TcpListener>>& tcp() const { return tcp_; }
  const std::vector<std::unique_ptr<LocalListener>>& local() const { return local_; }
  /// With the ports that were got.
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  Status adopt(int inherited, const std::string& text);
  Status listen_local(const std::string& text, const std::string& path);

  net::io_context& context_;
  unsigned local_socket_mode_;
  std::vector<std::unique_ptr<TcpListener>> tcp_;
  std::vector<std::unique_ptr<LocalListener>> local_;
  std::vector<std::string> addresses_;
  std::vector<std::string> socket_files_;
};

}  // namespace karta::service::serving
