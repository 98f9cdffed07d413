#include "service/supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace karta::service {
namespace {

sigset_t signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

}  // namespace

Supervisor::Supervisor() {
  const sigset_t set = signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const char* const microseconds = std::getenv("WATCHDOG_USEC");
  const char* const pid = std::getenv("WATCHDOG_PID");
  if (microseconds != nullptr && (pid == nullptr || std::to_string(::getpid()) == pid)) {
    // Twice in its time, as sd_watchdog_enabled(3) advises.
    watchdog_ = std::chrono::milliseconds(std::strtoull(microseconds, nullptr, 10) / 2000);
  }
}

Signal Supervisor::next(std::chrono::milliseconds wait) {
  const sigset_t set = signals();
  timespec time{};
  time.tv_sec = static_cast<std::time_t>(wait.count() / 1000);
  time.tv_nsec = static_cast<long>(wait.count() % 1000) * 1'000'000;
  const int number = sigtimedwait(&set, nullptr, &time);
  if (number == SIGHUP) return Signal::reload;
  return number == SIGTERM || number == SIGINT ? Signal::stop : Signal::none;
}

void Supervisor::notify(std::string_view lines) const {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = 0;  // the abstract namespace
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  // Nothing can be done where systemd does not take it: it will see for itself.
  (void)::sendto(socket, lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  ::close(socket);
}

void Supervisor::notify_reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

}  // namespace karta::service
