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

/// How many code points there are; an octet that belongs to none counts for one. Lengths of what people write are
/// bounded by it, and so their octets by four times as many.
std::size_t characters_of(std::string_view text);

/// Of a name people are to judge by: whether it shows what it is. No control characters (C0, C1, DEL), and none that
/// turn the direction of writing or hide (U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF). False for what
/// is no UTF-8, too.
bool shows_what_it_is(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

/// Blanks, tabs and no-break spaces cut from both ends.
std::string_view trim(std::string_view text);

}  // namespace karta::identity
