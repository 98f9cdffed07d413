#include "service/tcp_peer.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace karta::service {
namespace {

constexpr std::string_view kTimeWait = "06";  // nobody's any more

/// An address and a port as the tables write them: words of 32 bits as this machine reads them, in hexadecimal.
std::string table_form(const std::string& address, std::uint16_t port, bool mapped) {
  std::array<std::uint8_t, 16> octets{};
  std::size_t size = 0;
  if (in_addr v4{}; ::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    if (mapped) {
      octets[10] = octets[11] = 0xFF;
      std::memcpy(octets.data() + 12, &v4, 4);
      size = 16;
    } else {
      std::memcpy(octets.data(), &v4, 4);
      size = 4;
    }
  } else if (::inet_pton(AF_INET6, address.c_str(), octets.data()) == 1) {
    size = 16;
  } else {
    return {};
  }
  std::string out;
  std::array<char, 16> text{};
  for (std::size_t at = 0; at < size; at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, octets.data() + at, 4);
    std::snprintf(text.data(), text.size(), "%08X", word);
    out += text.data();
  }
  std::snprintf(text.data(), text.size(), ":%04X", port);
  return out + text.data();
}

std::string_view next_word(std::string_view& line) {
  const std::size_t first = line.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::string read_table(const char* path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

}  // namespace

std::optional<unsigned> find_peer_uid(std::string_view table, const TcpConnection& connection, bool mapped) {
  const std::string local = table_form(connection.peer_address, connection.peer_port, mapped);
  const std::string remote = table_form(connection.own_address, connection.own_port, mapped);
  if (local.empty() || remote.empty()) return std::nullopt;
  while (!table.empty()) {
    const std::size_t end = table.find('\n');
    std::string_view line = table.substr(0, end);
    table = end == std::string_view::npos ? std::string_view{} : table.substr(end + 1);
    // proc(5): sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...
    (void)next_word(line);
    if (next_word(line) != local || next_word(line) != remote || next_word(line) == kTimeWait) continue;
    for (int skipped = 0; skipped < 3; ++skipped) (void)next_word(line);
    const std::string_view digits = next_word(line);
    unsigned uid = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), uid);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
    return uid;
  }
  return std::nullopt;
}

std::optional<unsigned> uid_of_peer(const TcpConnection& connection) {
  const bool v6 = connection.peer_address.find(':') != std::string::npos;
  if (!v6) {
    if (const auto uid = find_peer_uid(read_table("/proc/net/tcp"), connection)) return uid;
  }
  // A program may reach an IPv4 address through an IPv6 socket.
  return find_peer_uid(read_table("/proc/net/tcp6"), connection, !v6);
}

bool is_own_user(const TcpConnection& connection) { return uid_of_peer(connection) == ::geteuid(); }

std::string room_of_user(const TcpConnection& connection) {
  const auto uid = uid_of_peer(connection);
  return uid ? "uid " + std::to_string(*uid) : std::string();
}

}  // namespace karta::service
