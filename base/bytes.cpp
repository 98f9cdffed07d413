#include "base/bytes.h"

#include <algorithm>

namespace karta {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string hex_with(ByteView octets, std::string_view digits, std::string_view separator) {
  std::string out;
  out.reserve(octets.size() * (2 + separator.size()));
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (i != 0) out += separator;
    out += digits[octets[i] >> 4];
    out += digits[octets[i] & 15];
  }
  return out;
}

}  // namespace

void append(Bytes& out, ByteView tail) { out.insert(out.end(), tail.begin(), tail.end()); }

Bytes concat(std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (ByteView part : parts) size += part.size();
  Bytes out;
  out.reserve(size);
  for (ByteView part : parts) append(out, part);
  return out;
}

std::string to_hex(ByteView octets) { return hex_with(octets, "0123456789abcdef", ""); }

std::string to_hex_upper(ByteView octets, std::string_view separator) {
  return hex_with(octets, "0123456789ABCDEF", separator);
}

Result<Bytes> from_hex(std::string_view text) {
  Bytes out;
  out.reserve(text.size() / 2);
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == ' ' || text[i] == ':' || text[i] == '\n' || text[i] == '\t') {
      ++i;
      continue;
    }
    const int high = nibble(text[i]);
    if (high < 0) return fail(ErrorKind::malformed, "not a hexadecimal digit at position " + std::to_string(i + 1));
    if (i + 1 >= text.size() || nibble(text[i + 1]) < 0) {
      return fail(ErrorKind::malformed, "half an octet of hexadecimal at position " + std::to_string(i + 1));
    }
    out.push_back(static_cast<std::uint8_t>(high << 4 | nibble(text[i + 1])));
    i += 2;
  }
  return out;
}

std::string to_base64(ByteView octets) {
  static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, octets.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? octets[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= have ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto value_of = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  const auto bad = [] { return fail(ErrorKind::malformed, "this is not base64"); };
  if (text.size() % 4 != 0) return bad();
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const int value = value_of(c);
    if (value < 0) return bad();
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<std::uint8_t>(group >> bits));
    group &= (1u << bits) - 1;
  }
  if (group != 0) return bad();
  return out;
}

bool equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace karta
