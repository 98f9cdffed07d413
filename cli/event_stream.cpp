#include "cli/event_stream.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace karta::cli {
namespace {

constexpr std::string_view kHttp = "http://";

tl::unexpected<Error> broken() { return fail(ErrorKind::malformed, "the daemon's answer cannot be read"); }

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<Socket> connect_local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::usage, "the socket's path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno == EACCES ? ErrorKind::not_permitted : ErrorKind::io,
                "kartad cannot be reached at \"" + path + "\": " + std::strerror(errno),
                "is it running? systemctl status kartad; --socket or --url say where it listens");
  }
  return socket;
}

Result<Socket> connect_tcp(const std::string& authority) {
  const std::size_t colon = authority.rfind(':');
  std::string host = authority.substr(0, colon);
  const std::string port = colon == std::string::npos ? "80" : authority.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return fail(ErrorKind::usage, "\"" + authority + "\" is no address", "--url http://127.0.0.1:8470");
  }
  int error = 0;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Socket socket(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    if (socket.get() >= 0 && ::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) {
      ::freeaddrinfo(found);
      return socket;
    }
    error = errno;
  }
  ::freeaddrinfo(found);
  return fail(ErrorKind::io, "kartad cannot be reached at " + authority + ": " + std::strerror(error),
              "is it running? systemctl status kartad");
}

Status send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return fail(ErrorKind::io, std::string("the connection to kartad broke: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

bool has_chunks(std::string_view head) {
  std::string lower(head);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::size_t field = lower.find("\r\ntransfer-encoding:");
  return field != std::string::npos && lower.find("chunked", field) != std::string::npos;
}

}  // namespace

Status EventStreamReader::take_head() {
  const std::size_t end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  const std::string head = buffer_.substr(0, end + 2);
  const std::size_t space = head.find(' ');
  if (!head.starts_with("HTTP/1.") || space == std::string::npos) return broken();
  const char* const digits = head.data() + space + 1;
  if (std::from_chars(digits, head.data() + head.size(), status_).ec != std::errc()) return broken();
  buffer_.erase(0, end + 4);
  state_ = has_chunks(head) ? State::size : State::plain;
  return {};
}

Status EventStreamReader::take_problem() {
  const auto problem = nlohmann::json::parse(buffer_, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* name) {
    const auto found = problem.is_object() ? problem.find(name) : problem.end();
    return problem.is_object() && found != problem.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (problem.is_discarded()) return {};  // it may not have come whole yet
  const std::string detail = text("detail");
  return fail(status_ == 401 || status_ == 403 ? ErrorKind::not_permitted : ErrorKind::io,
              detail.empty() ? "kartad answers " + std::to_string(status_) : detail, text("hint"));
}

void EventStreamReader::take_line(std::string_view line, const OnEvent& event) {
  if (line.empty()) {
    if (!event_.data.empty()) event(event_);
    event_ = {};
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "id") event_.id = value;
  if (name == "event") event_.kind = value;
  if (name == "data") event_.data += (event_.data.empty() ? "" : "\n") + std::string(value);
}

void EventStreamReader::take_text(std::string_view text, const OnEvent& event) {
  line_ += text;
  std::size_t begin = 0;
  for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n', begin)) {
    std::string_view line = std::string_view(line_).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_line(line, event);
    begin = end + 1;
  }
  line_.erase(0, begin);
}

Status EventStreamReader::feed(std::string_view octets, const OnEvent& event) {
  buffer_ += octets;
  while (state_ != State::end) {
    const State before = state_;
    const std::size_t size_before = buffer_.size();
    switch (state_) {
      case State::head:
        TRY(take_head());
        break;
      case State::size: {
        const std::size_t end = buffer_.find("\r\n");
        if (end == std::string::npos) break;
        const auto read = std::from_chars(buffer_.data(), buffer_.data() + end, left_, 16);
        if (read.ec != std::errc() || left_ > kMostOctets) return broken();
        buffer_.erase(0, end + 2);
        state_ = left_ == 0 ? State::end : State::chunk;
        break;
      }
      case State::chunk: {
        const std::size_t count = std::min(left_, buffer_.size());
        if (status_ == 200) {
          take_text(std::string_view(buffer_).substr(0, count), event);
        } else {
          line_ += buffer_.substr(0, count);
        }
        buffer_.erase(0, count);
        left_ -= count;
        if (left_ == 0) state_ = State::chunk_end;
        break;
      }
      case State::chunk_end:
        if (buffer_.size() < 2) break;
        if (!buffer_.starts_with("\r\n")) return broken();
        buffer_.erase(0, 2);
        state_ = State::size;
        break;
      case State::plain:
        if (status_ == 200) {
          take_text(std::exchange(buffer_, {}), event);
        } else {
          TRY(take_problem());
        }
        break;
      case State::end:
        break;
    }
    if (state_ == before && buffer_.size() == size_before) break;
  }
  if (buffer_.size() > kMostOctets || line_.size() > kMostOctets) {
    return fail(ErrorKind::limit, "the daemon's answer is too long for an event");
  }
  return {};
}

Status read_events(const EventSource& source, const std::string& after,
                   const std::function<bool(const StreamedEvent&)>& event) {
  std::string host = "localhost";
  if (source.socket.empty()) {
    if (!source.url.starts_with(kHttp)) return fail(ErrorKind::usage, "the URL must begin with http://");
    host = source.url.substr(kHttp.size());
    host = host.substr(0, host.find('/'));
  }
  const Socket socket = source.socket.empty() ? TRY(connect_tcp(host)) : TRY(connect_local(source.socket));
  std::string request = "GET /v1/events HTTP/1.1\r\nHost: " + host + "\r\nAccept: text/event-stream\r\n";
  if (!source.token.empty()) request += "Authorization: Bearer " + source.token + "\r\n";
  if (!after.empty()) request += "Last-Event-ID: " + after + "\r\n";
  TRY(send_all(socket.get(), request + "\r\n"));
  EventStreamReader reader;
  bool wanted = true;
  const auto hand_on = [&](const StreamedEvent& one) {
    if (wanted) wanted = event(one);
  };
  while (wanted && !reader.ended()) {
    char octets[16 * 1024];
    const ssize_t count = ::recv(socket.get(), octets, sizeof octets, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorKind::io, std::string("the connection to kartad broke: ") + std::strerror(errno));
    if (count == 0) break;
    TRY(reader.feed(std::string_view(octets, static_cast<std::size_t>(count)), hand_on));
  }
  return {};
}

}  // namespace karta::cli
