// The byte vocabulary of the card operating system: views, big-endian integers, wiping and comparing secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace karta::os {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

using ByteView = std::span<const u8>;
using ByteSpan = std::span<u8>;

constexpr u16 read_u16(const u8* p) { return static_cast<u16>(p[0] << 8 | p[1]); }
constexpr u32 read_u32(const u8* p) {
  return static_cast<u32>(p[0]) << 24 | static_cast<u32>(p[1]) << 16 | static_cast<u32>(p[2]) << 8 | p[3];
}
constexpr void write_u16(u8* p, u16 v) {
  p[0] = static_cast<u8>(v >> 8);
  p[1] = static_cast<u8>(v);
}
constexpr void write_u32(u8* p, u32 v) {
  write_u16(p, static_cast<u16>(v >> 16));
  write_u16(p + 2, static_cast<u16>(v));
}

// Sets `data` to zero through a volatile pointer, so that the compiler cannot drop it as a dead store.
void wipe(ByteSpan data);

// True when both hold the same bytes. Reads every byte of equally long views whatever they hold; only the lengths,
// which are public, decide early.
bool equal_constant_time(ByteView a, ByteView b);

// Plain equality for public data.
bool equal(ByteView a, ByteView b);

// Copies `from` to the beginning of `to`, which must be at least as long.
void copy(ByteSpan to, ByteView from);

// Wipes what it names when the scope ends, on every way out of it.
class WipeOnExit {
 public:
  explicit WipeOnExit(ByteSpan data) : data_(data) {}
  ~WipeOnExit() { wipe(data_); }
  WipeOnExit(const WipeOnExit&) = delete;
  WipeOnExit& operator=(const WipeOnExit&) = delete;

 private:
  ByteSpan data_;
};

}  // namespace karta::os
