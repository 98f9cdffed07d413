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
  std::string out((octets.size() * 4 + 2) / 3, '\0');
  char* to = out.data();
  const std::uint8_t* from = octets.data();
  std::size_t left = octets.size();
  for (; left >= 3; left -= 3, from += 3) {
    const std::uint32_t group = std::uint32_t{from[0]} << 16 | std::uint32_t{from[1]} << 8 | from[2];
    *to++ = kDigits[group >> 18];
    *to++ = kDigits[group >> 12 & 63];
    *to++ = kDigits[group >> 6 & 63];
    *to++ = kDigits[group & 63];
  }
  if (left > 0) {
    const std::uint32_t group = std::uint32_t{from[0]} << 8 | (left == 2 ? from[1] : 0u);
    *to++ = kDigits[group >> 10];
    *to++ = kDigits[group >> 4 & 63];
    if (left == 2) *to++ = kDigits[group << 2 & 63];
  }
  return out;
}

Result<Bytes> from_base64url(std::string_view text) {
  const auto bad = [] { return fail(ErrorKind::malformed, "this is not base64url"); };
  if (text.size() % 4 == 1) return bad();
  Bytes out(text.size() / 4 * 3 + (text.size() % 4 == 0 ? 0 : text.size() % 4 - 1));
  std::uint8_t* to = out.data();
  // Digits are below 64; anything else sets the sign, looked at once at the end.
  std::int32_t any = 0, group = 0;
  const auto digit = [&](std::size_t at) {
    const std::int32_t value = kValues[static_cast<unsigned char>(text[at])];
    any |= value;
    return value & 63;
  };
  std::size_t at = 0;
  for (; at + 4 <= text.size(); at += 4) {
    group = digit(at) << 18 | digit(at + 1) << 12 | digit(at + 2) << 6 | digit(at + 3);
    *to++ = static_cast<std::uint8_t>(group >> 16);
    *to++ = static_cast<std::uint8_t>(group >> 8);
    *to++ = static_cast<std::uint8_t>(group);
  }
  if (const std::size_t left = text.size() - at; left > 0) {
    group = digit(at) << 18 | digit(at + 1) << 12 | (left == 3 ? digit(at + 2) << 6 : 0);
    *to++ = static_cast<std::uint8_t>(group >> 16);
    if (left == 3) *to++ = static_cast<std::uint8_t>(group >> 8);
    // The unused bits of the last character.
    if ((group & (left == 3 ? 0xFF : 0xFFFF)) != 0) return bad();
  }
  if (any < 0) return bad();
  return out;
}

}  // namespace karta
