// A client of the barest kind for tests of servers: octets out, octets in, with a deadline on every wait.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

namespace karta::service {

class TestSocket {
 public:
  /// Connects to "ADDRESS:PORT" of IPv4, from `from` if it is given, or to "unix:/PATH".
  explicit TestSocket(const std::string& where, const char* from = nullptr)
      : socket_(::socket(where.starts_with("unix:") ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (where.starts_with("unix:")) {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      std::strncpy(to.sun_path, where.c_str() + 5, sizeof to.sun_path - 1);
      connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
      return;
    }
    if (from != nullptr) {
      sockaddr_in own = address(from, 0);
      ::bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own);
    }
    const std::size_t colon = where.rfind(':');
    sockaddr_in to = address(where.substr(0, colon).c_str(), std::stoi(where.substr(colon + 1)));
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  TestSocket(TestSocket&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_), rest_(std::move(other.rest_)) {}
  TestSocket& operator=(TestSocket&&) = delete;
  ~TestSocket() { close(); }

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  /// Nothing more will be sent: the other side reads the end.
  void end_sending() const { ::shutdown(socket_, SHUT_WR); }
  /// One response, head and body by its Content-Length; what came before the connection ended or `seconds` were over
  /// if there is no whole one.
  std::string response(int seconds = 20) {
    for (;;) {
      const std::size_t head = rest_.find("\r\n\r\n");
      if (head != std::string::npos) {
        std::size_t length = 0;
        const std::size_t field = rest_.find("Content-Length: ");
        if (field < head) length = std::stoul(rest_.substr(field + 16));
        if (rest_.size() >= head + 4 + length) {
          std::string out = rest_.substr(0, head + 4 + length);
          rest_.erase(0, head + 4 + length);
          return out;
        }
      }
      if (!more(seconds)) return std::exchange(rest_, {});
    }
  }
  /// Everything up to and with `text`; what came before the connection ended or `seconds` were over if it does not
  /// come.
  std::string until(std::string_view text, int seconds = 20) {
    for (;;) {
      const std::size_t at = rest_.find(text);
      if (at != std::string::npos) {
        std::string out = rest_.substr(0, at + text.size());
        rest_.erase(0, at + text.size());
        return out;
      }
      if (!more(seconds)) return std::exchange(rest_, {});
    }
  }
  /// What arrives next; nothing if the connection ends or `seconds` are over before.
  std::string some(int seconds = 20) {
    if (rest_.empty()) more(seconds);
    return std::exchange(rest_, {});
  }
  /// True if the other side ends the connection within `seconds`.
  bool ends(int seconds = 20) {
    while (more(seconds)) {
    }
    return ended_;
  }

 private:
  static sockaddr_in address(const char* host, int port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, host, &out.sin_addr);
    return out;
  }
  bool more(int seconds) {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, seconds * 1000) <= 0) return false;
    char buffer[4096];
    const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    ended_ = count <= 0;
    if (count > 0) rest_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }

  int socket_;
  bool connected_ = false;
  bool ended_ = false;
  std::string rest_;
};

}  // namespace karta::service
