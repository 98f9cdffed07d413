// FarmWire: how the farm's daemon, a process of its own, reaches cards that outlive it. Two sockets a reader and one
// for all: messages of a length (4 octets, this machine's order), a letter and what it says.
//
//   control, to the daemon:    I reader   a card is in           R reader   it is out
//                              X reader   the reader is gone     A reader   it is there
//                              P reader   pcscd is gone with all readers, and comes back; no card is in any
//   control, from the daemon:  U          it is up               D reader decision   a tap is over
//   reader, from the daemon:   C command  an APDU                Z          a reset
//   reader, to the daemon:     A answer                          G          the card is gone   L  the reader is
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace karta::test {

struct FarmMessage {
  char letter = 0;
  Bytes octets;
  std::string text() const { return std::string(as_text(octets)); }
};

inline bool send_message(int socket, char letter, ByteView octets) {
  Bytes out(5);
  const auto length = static_cast<std::uint32_t>(octets.size());
  std::memcpy(out.data(), &length, 4);
  out[4] = static_cast<std::uint8_t>(letter);
  append(out, octets);
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

}  // namespace karta::test
