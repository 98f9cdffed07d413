#include "identity/utf8.h"

namespace karta::identity {

std::optional<char32_t> take_code_point(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = octet(0);
  if (lead < 0x80) {
    text.remove_prefix(1);
    return lead;
  }
  // RFC 3629 §4: the second octet's range depends on the first; this is what keeps overlong forms and surrogates out.
  std::size_t length = 0;
  std::uint8_t least = 0x80, most = 0xBF;
  char32_t value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    value = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    value = lead & 0x0Fu;
    if (lead == 0xE0) least = 0xA0;
    if (lead == 0xED) most = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    value = lead & 0x07u;
    if (lead == 0xF0) least = 0x90;
    if (lead == 0xF4) most = 0x8F;
  } else {
    return std::nullopt;
  }
  if (text.size() < length) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t tail = octet(i);
    if (tail < least || tail > most) return std::nullopt;
    value = value << 6 | (tail & 0x3Fu);
    least = 0x80;
    most = 0xBF;
  }
  text.remove_prefix(length);
  return value;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  const std::size_t size = text.size();
  while (!text.empty()) {
    if (static_cast<std::uint8_t>(text.front()) < 0x80) {
      text.remove_prefix(1);
    } else if (!take_code_point(text)) {
      return size - text.size();
    }
  }
  return std::nullopt;
}

std::size_t characters_of(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    if (static_cast<std::uint8_t>(text.front()) < 0x80 || !take_code_point(text)) text.remove_prefix(1);
  }
  return count;
}

bool shows_what_it_is(std::string_view text) {
  while (!text.empty()) {
    const auto point = take_code_point(text);
    if (!point || *point < 0x20 || (*point >= 0x7F && *point < 0xA0)) return false;
    const bool turns_or_hides = (*point >= 0x200B && *point <= 0x200F) || (*point >= 0x2028 && *point <= 0x202E) ||
                                (*point >= 0x2060 && *point <= 0x206F) || *point == 0xFEFF;
    if (turns_or_hides) return false;
  }
  return true;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&](char32_t octet) { out.push_back(static_cast<char>(octet)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view no_break = "\u00A0";
  for (bool more = true; more;) {
    more = true;
    if (text.starts_with(' ') || text.starts_with('\t')) {
      text.remove_prefix(1);
    } else if (text.starts_with(no_break)) {
      text.remove_prefix(no_break.size());
    } else if (text.ends_with(' ') || text.ends_with('\t')) {
      text.remove_suffix(1);
    } else if (text.ends_with(no_break)) {
      text.remove_suffix(no_break.size());
    } else {
      more = false;
    }
  }
  return text;
}

}  // namespace karta::identity
