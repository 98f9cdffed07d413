// FarmWire: how cards in the farm's process reach the reader they lie on, a driver in pcscd (farm_reader.cpp), and how
// the farm's kartad, a process that is killed, tells what it does. Messages of a length (4 octets, this machine's
// order), a letter and what it says. Headers only: the driver is loaded into a program that is not ours.
//
//   news of a reader, to the driver:  I             a card is in    R   none is
//   commands, from the driver:        C command     an APDU         U   power on   O   power off   Z   warm reset
//   commands, to the driver:          A answer      or the ATR      G   the card is gone
//   control, to the daemon:           X reader      it is unplugged         B reader   it is back
//   control, from the daemon:         U             it is up
//                                     E reader|word what its thread does: in, out, begin, end, card-out
//                                     D reader|decision|settled     a tap is over
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace karta::test {

struct FarmMessage {
  char letter = 0;
  Bytes octets;
  std::string text() const { return {octets.begin(), octets.end()}; }
};

inline bool send_message(int socket, char letter, ByteView octets) {
  Bytes out(5);
  const auto length = static_cast<std::uint32_t>(octets.size());
  std::memcpy(out.data(), &length, 4);
  out[4] = static_cast<std::uint8_t>(letter);
  out.insert(out.end(), octets.begin(), octets.end());
  for (std::size_t at = 0; at < out.size();) {
    const ssize_t sent = ::send(socket, out.data() + at, out.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

/// Nothing: the other side is gone.
inline std::optional<FarmMessage> receive_message(int socket) {
  const auto whole = [&](std::uint8_t* to, std::size_t octets) {
    for (std::size_t at = 0; at < octets;) {
      const ssize_t got = ::recv(socket, to + at, octets - at, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += static_cast<std::size_t>(got);
    }
    return true;
  };
  std::uint8_t head[5];
  if (!whole(head, sizeof head)) return std::nullopt;
  std::uint32_t length = 0;
  std::memcpy(&length, head, 4);
  FarmMessage message{static_cast<char>(head[4]), Bytes(length)};
  if (length > 0 && !whole(message.octets.data(), length)) return std::nullopt;
  return message;
}

// A reader's two sockets are abstract, of the network namespace the farm runs in: the name, and the port that
// tools/private-pcscd has written into the reader's device name.
inline const std::string kFarmNews = "karta-farm/news/", kFarmCommands = "karta-farm/commands/";

/// The kernel's form of an abstract name, and its length.
inline std::pair<sockaddr_un, socklen_t> farm_address(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

/// A connected socket; -1: nobody listens there.
inline int connect_to_farm(const std::string& name) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const auto [address, length] = farm_address(name);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), length) == 0) return socket;
  ::close(socket);
  return -1;
}

}  // namespace karta::test
