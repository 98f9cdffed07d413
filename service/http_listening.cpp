#include "service/http_listening.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>

#include "service/inherited_sockets.h"

namespace karta::service::serving {
namespace {

using net::ip::tcp;

constexpr std::string_view kLocal = "unix:", kSystemd = "systemd:", kNumber = "fd:";

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

}  // namespace

bool is_listening_address(const std::string& text) {
  const std::string_view all = text;
  if (all.starts_with(kSystemd)) return all.size() > kSystemd.size();
  if (all.starts_with(kNumber)) {
    const std::string_view number = all.substr(kNumber.size());
    return !number.empty() && number.size() <= 6 && number.find_first_not_of("0123456789") == std::string_view::npos;
  }
  if (all.starts_with(kLocal)) return all.substr(kLocal.size()).starts_with('/') && all.size() <= kLocal.size() + 100;
  return parse_endpoint(text).has_value();
}

HttpListening::~HttpListening() {
  for (const std::string& path : socket_files_) ::unlink(path.c_str());
}

/// A socket somebody else opened. A duplicate is used: what was inherited stays open for the next server.
Status HttpListening::adopt(int inherited, const std::string& text) {
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
  error_code code;
  if (domain == AF_UNIX) {
    auto local = std::make_unique<LocalListener>(context_);
    local->acceptor.assign(net::local::stream_protocol(), own, code);
    if (!code) addresses_.push_back("unix:" + local->acceptor.local_endpoint(code).path());
    local_.push_back(std::move(local));
  } else {
    auto listener = std::make_unique<TcpListener>(context_);
    listener->acceptor.assign(domain == AF_INET ? tcp::v4() : tcp::v6(), own, code);
    if (!code) addresses_.push_back(text_of(listener->acceptor.local_endpoint(code)));
    tcp_.push_back(std::move(listener));
  }
  if (code) return fail(ErrorKind::io, "\"" + text + "\": " + code.message());
  return {};
}

Status HttpListening::listen_local(const std::string& text, const std::string& path) {
  error_code code;
  // A socket file that nobody listens at is what an earlier run left.
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0 && S_ISSOCK(about.st_mode)) {
    net::local::stream_protocol::socket probe(context_);
    probe.connect(net::local::stream_protocol::endpoint(path), code);
    if (!code) return fail(ErrorKind::already_exists, "another program listens at \"" + path + "\"");
    ::unlink(path.c_str());
    code = {};
  }
  auto local = std::make_unique<LocalListener>(context_);
  local->acceptor.open(net::local::stream_protocol(), code);
  if (!code) local->acceptor.bind(net::local::stream_protocol::endpoint(path), code);
  if (!code && local_socket_mode_ != 0 && ::chmod(path.c_str(), local_socket_mode_) != 0) {
    code = error_code(errno, boost::system::system_category());
  }
  if (!code) local->acceptor.listen(net::socket_base::max_listen_connections, code);
  if (code) return fail(kind_of(code), "cannot listen at \"" + text + "\": " + code.message());
  socket_files_.push_back(path);
  addresses_.push_back(text);
  local_.push_back(std::move(local));
  return {};
}

Status HttpListening::listen(const std::string& text) {
  if (!is_listening_address(text)) return bad_address(text);
  error_code code;
  if (text.starts_with(kSystemd)) {
    const std::vector<int> sockets = TRY(inherited_sockets(std::string_view(text).substr(kSystemd.size())));
    for (const int one : sockets) TRY(adopt(one, text));
    return {};
  }
  if (text.starts_with(kNumber)) return adopt(std::stoi(text.substr(kNumber.size())), text);
  if (text.starts_with(kLocal)) {
    return listen_local(text, text.substr(kLocal.size()));
  }
  const tcp::endpoint endpoint = TRY(parse_endpoint(text));
  auto listener = std::make_unique<TcpListener>(context_);
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
  tcp_.push_back(std::move(listener));
  return {};
}

}  // namespace karta::service::serving
