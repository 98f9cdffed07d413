// Server: a program that serves on loopback as a child, what it costs, and a load of one repeated request on it. For
// benchmarks: whatever fails ends the program.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/bench/bench.h"

namespace karta::bench {

using Stopwatch = std::chrono::steady_clock;

inline constexpr double kSeconds = 3;  // of load, for each figure

inline sockaddr_in local(int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

inline int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  demand(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
             ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0,
         "no free port");
  ::close(socket);
  return ntohs(address.sin_port);
}

inline int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(port);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket);
    return -1;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

/// A server as a process, with whatever it forks in a group of its own. It is up when it answers `request`; an empty
/// one: when it takes a connection.
class Server {
 public:
  Server(std::vector<std::string> words, int port, const std::string& request) {
    std::fflush(stdout);
    group_ = ::fork();
    if (group_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a benchmark that fails leaves nobody behind
      ::setpgid(0, 0);
      demand(std::freopen("/dev/null", "w", stdout) != nullptr && std::freopen("/dev/null", "w", stderr) != nullptr,
             "");
      std::vector<char*> pointers;
      for (std::string& one : words) pointers.push_back(one.data());
      pointers.push_back(nullptr);
      ::execvp(pointers[0], pointers.data());
      std::_Exit(127);
    }
    ::setpgid(group_, group_);
    const auto deadline = Stopwatch::now() + std::chrono::seconds(20);
    // A whole request, answered: openssl's responder never recovers from a connection that says nothing.
    for (bool answered = false; !answered;) {
      demand(Stopwatch::now() < deadline, "the server does not come up");
      const int probe = connect_to(port);
      if (probe < 0) {
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
        continue;
      }
      const timeval patience{10, 0};
      ::setsockopt(probe, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      char octet = 0;
      answered = request.empty() ||
                 (::send(probe, request.data(), request.size(), MSG_NOSIGNAL) > 0 && ::recv(probe, &octet, 1, 0) == 1);
      ::close(probe);
    }
  }
  ~Server() {
    ::kill(-group_, SIGTERM);
    while (::waitpid(-group_, nullptr, 0) > 0) {
    }
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// CPU seconds of the whole group.
  double cpu() const {
    double ticks = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream in(entry.path() / "stat");
      std::string text;
      if (!std::getline(in, text)) continue;
      const std::size_t end = text.rfind(')');
      if (end == std::string::npos) continue;
      int parent = 0, group = 0;
      unsigned long user = 0, system = 0;
      if (std::sscanf(text.c_str() + end + 2, "%*c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent, &group,
                      &user, &system) == 4 &&
          group == group_) {
        ticks += static_cast<double>(user + system);
      }
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

  /// Resident memory of the process itself.
  double resident_mib() const {
    std::ifstream in("/proc/" + std::to_string(group_) + "/statm");
    double size = 0, resident = 0;
    in >> size >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
  }

 private:
  pid_t group_;
};

struct Load {
  double rate = 0;          ///< answers a second
  double microseconds = 0;  ///< of the server's CPU an answer
};

/// Asks `request` over `connections` kept open (opened again where the server closes), one request on each at a time.
inline Load load(const Server& server, int port, const std::string& request, int connections) {
  const int poll = ::epoll_create1(0);
  std::vector<std::string> partial(1024);
  const auto open = [&] {
    const int socket = connect_to(port);
    demand(socket >= 0 && socket < 1024, "no connection");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
    partial[static_cast<std::size_t>(socket)].clear();
    demand(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()),
           "send");
  };
  for (int i = 0; i < connections; ++i) open();
  std::uint64_t answers = 0;
  double cpu = server.cpu();
  auto begin = Stopwatch::now();
  bool warm = false;
  std::vector<char> buffer(65536);
  for (;;) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll, events, 64, 5000);
    demand(ready > 0, "the server does not answer");
    for (int i = 0; i < ready; ++i) {
      const int socket = events[i].data.fd;
      std::string& text = partial[static_cast<std::size_t>(socket)];
      const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
      const std::size_t head =
          count > 0 ? (text.append(buffer.data(), static_cast<std::size_t>(count)), text.find("\r\n\r\n"))
                    : text.find("\r\n\r\n");
      bool whole = false;
      if (head != std::string::npos) {
        std::size_t field = text.find("Content-Length: ");
        if (field == std::string::npos) field = text.find("Content-length: ");
        whole = field < head ? text.size() >= head + 4 + std::stoul(text.substr(field + 16)) : count <= 0;
      }
      if (whole) {
        demand(text.find(" 200 ") != std::string::npos, "an answer that is no 200");
        ++answers;
        text.clear();
      }
      if (count <= 0) {
        ::close(socket);
        open();
      } else if (whole && ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        ::close(socket);
        open();
      }
    }
    const double spent = std::chrono::duration<double>(Stopwatch::now() - begin).count();
    if (!warm && spent > 0.5) {  // what is learnt once is learnt
      warm = true;
      answers = 0;
      cpu = server.cpu();
      begin = Stopwatch::now();
    } else if (warm && spent > kSeconds) {
      const double used = server.cpu() - cpu;
      for (int socket = 3; socket < 1024; ++socket) {
        if (socket != poll && ::epoll_ctl(poll, EPOLL_CTL_DEL, socket, nullptr) == 0) ::close(socket);
      }
      ::close(poll);
      const auto count = static_cast<double>(answers);
      return {count / spent, used * 1e6 / count};
    }
  }
}

}  // namespace karta::bench
