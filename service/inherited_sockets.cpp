#include "service/inherited_sockets.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

namespace karta::service {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 1024;

std::optional<long> number_of(const char* text) {
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  long out = 0;
  const auto read = std::from_chars(view.data(), view.data() + view.size(), out);
  if (read.ec != std::errc{} || read.ptr != view.data() + view.size()) return std::nullopt;
  return out;
}

}  // namespace

Result<std::vector<int>> inherited_sockets(std::string_view name) {
  const auto pid = number_of(std::getenv("LISTEN_PID"));
  const auto count = number_of(std::getenv("LISTEN_FDS"));
  if (!pid || *pid != ::getpid() || !count || *count < 1 || *count > kMost) {
    return fail(ErrorKind::configuration, "no socket was inherited for \"systemd:" + std::string(name) + "\"",
                "start the program by its .socket unit, or name an address to listen at");
  }
  const char* const given = std::getenv("LISTEN_FDNAMES");
  std::string_view names = given == nullptr ? std::string_view{} : std::string_view(given);
  std::vector<int> out;
  std::string known;
  for (int i = 0; i < *count; ++i) {
    const std::size_t colon = names.find(':');
    // sd_listen_fds_with_names(3): without names each is called "unknown".
    const std::string_view one = given == nullptr ? "unknown" : names.substr(0, colon);
    names = colon == std::string_view::npos ? std::string_view{} : names.substr(colon + 1);
    known += (known.empty() ? "" : ", ") + std::string(one);
    if (one != name) continue;
    const int fd = kFirst + i;
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) return fail(ErrorKind::configuration, "the inherited socket " + std::to_string(fd) + " is not open");
    ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    out.push_back(fd);
  }
  if (out.empty()) {
    return fail(ErrorKind::configuration, "no inherited socket is called \"" + std::string(name) + "\"",
                "there are: " + known);
  }
  return out;
}

}  // namespace karta::service
