// Bytes: how karta borrows, owns, prints and compares octets.
//
// Borrow as ByteView, own as Bytes. Nothing here knows what the octets mean.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

/// The octets of `text`, aliased.
inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// `octets` as characters, aliased; no encoding is checked.
inline std::string_view as_text(ByteView octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

/// An owned copy.
inline Bytes to_bytes(ByteView octets) { return {octets.begin(), octets.end()}; }

/// Appends `tail` to `out`. `tail` must not alias `out`.
void append(Bytes& out, ByteView tail);

/// The parts one after another.
Bytes concat(std::initializer_list<ByteView> parts);

/// Lower-case hexadecimal, two digits an octet, no separators.
std::string to_hex(ByteView octets);

/// Upper-case hexadecimal with `separator` between octets, for people.
std::string to_hex_upper(ByteView octets, std::string_view separator = "");

/// Reads hexadecimal of either case; blanks and colons between octets are skipped.
/// Fails (`ErrorKind::malformed`) on an odd number of digits or any other character.
Result<Bytes> from_hex(std::string_view text);

/// Standard base64 (RFC 4648 §4) with padding, no line breaks.
std::string to_base64(ByteView octets);

/// Reads standard base64: no line breaks, padding to a multiple of four, unused bits zero. Fails (malformed) otherwise.
Result<Bytes> from_base64(std::string_view text);

/// True if equal. Not for secrets: use SecretBytes::equals.
bool equal(ByteView a, ByteView b);

/// Big-endian encodings of ISO 7816 and DER.
inline std::uint16_t load_be16(ByteView at_least_two) {
  return static_cast<std::uint16_t>((at_least_two[0] << 8) | at_least_two[1]);
}
inline void append_be16(Bytes& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

}  // namespace karta
