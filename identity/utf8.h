// UTF-8 (RFC 3629): reading text code point by code point, strictly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace karta::identity {

/// Takes the first code point off `text`; none if `text` is empty or does not begin with a well-formed sequence
/// (overlong forms, surrogates and values above U+10FFFF are not well-formed). `text` moves on only on success.
std::optional<char32_t> take_code_point(std::string_view& text);

/// Offset of the first octet that begins no well-formed sequence; none if the text is all UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

/// Blanks, tabs and no-break spaces cut from both ends.
std::string_view trim(std::string_view text);

}  // namespace karta::identity
