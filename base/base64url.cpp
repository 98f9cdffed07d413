#include "base/base64url.h"

#include <algorithm>
#include <array>

namespace karta {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr auto kValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

}  // namespace

std::string to_base64url(ByteView octets) {
  std::string out;
  out.reserve((octets.size() * 4 + 2) / 3);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const std::uint8_t octet : octets) {
    group = group << 8 | octet;
    for (bits += 8; bits >= 6; bits -= 6) out += kDigits[group >> (bits - 6) & 63];
  }
  if (bits > 0) out += kDigits[group << (6 - bits) & 63];
  return out;
}

Result<Bytes> from_base64url(std::string_view text) {
  const auto bad = [] { return fail(ErrorKind::malformed, "this is not base64url"); };
  if (text.size() % 4 == 1) return bad();
  Bytes out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) return bad();
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<std::uint8_t>(group >> bits));
  }
  // What is left are the unused bits of the last character.
  if ((group & ((1u << bits) - 1)) != 0) return bad();
  return out;
}

}  // namespace karta
