// TcpPeer: whose program is at the other end of a TCP connection within this machine (Linux: /proc/net/tcp, tcp6).
//
// A local socket tells that by itself (SO_PEERCRED), a TCP one does not: a server on a loopback address can be reached
// by every user of the machine. The kernel's table of sockets names the owner of each, the caller's end among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace karta::service {

struct TcpConnection {
  std::string peer_address;  ///< "127.0.0.1", "::1"
  std::uint16_t peer_port = 0;
  std::string own_address;
  std::uint16_t own_port = 0;
};

/// The user id of the other end's socket; nothing where the tables have no such connection (it comes from another
/// machine, was given up, or the tables cannot be read): who cannot be named is nobody to be trusted.
std::optional<unsigned> uid_of_peer(const TcpConnection& connection);

/// The same from the text of one table. `mapped`: IPv4 addresses stand in it as ::ffff:a.b.c.d.
std::optional<unsigned> find_peer_uid(std::string_view table, const TcpConnection& connection, bool mapped = false);

/// True if the other end is a program of the user this one runs as: for HttpServerOptions::admit.
bool is_own_user(const TcpConnection& connection);

/// The other end's user as a name, empty where it cannot be told: for HttpServerOptions::room_of.
std::string room_of_user(const TcpConnection& connection);

}  // namespace karta::service
