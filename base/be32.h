// Big-endian numbers of four octets, as cards count: counters, sequences, moments.
#pragma once

#include "base/bytes.h"

namespace karta {

inline std::uint32_t load_be32(ByteView at_least_four) {
  return static_cast<std::uint32_t>(load_be16(at_least_four)) << 16 | load_be16(at_least_four.subspan(2));
}
inline void append_be32(Bytes& out, std::uint32_t value) {
  append_be16(out, static_cast<std::uint16_t>(value >> 16));
  append_be16(out, static_cast<std::uint16_t>(value));
}

}  // namespace karta
