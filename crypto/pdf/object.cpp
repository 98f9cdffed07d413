#include "crypto/pdf/object.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace karta::crypto::pdf {
namespace {

constexpr auto kHexValues = [] {
  std::array<std::int8_t, 256> out{};
  out.fill(-1);
  for (int i = 0; i < 10; ++i) out[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    out[static_cast<std::size_t>('a' + i)] = out[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return out;
}();

int hex_value(std::uint8_t c) { return kHexValues[c]; }

/// An entry whose key stands there before, or nullptr. Readers disagree on which of two counts: that is a way to show
/// different people different documents.
const DictionaryEntry* key_twice(const std::vector<DictionaryEntry>& entries) {
  constexpr std::size_t kFew = 16;  // most dictionaries; a list of thousands is possible and is sorted
  if (entries.size() <= kFew) {
    for (std::size_t i = 1; i < entries.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (entries[i].key == entries[j].key) return &entries[i];
      }
    }
    return nullptr;
  }
  std::vector<const DictionaryEntry*> sorted;
  for (const DictionaryEntry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key == b->key; });
  return twice == sorted.end() ? nullptr : *twice;
}

/// Without a branch in the loop, so that compilers make vectors of it.
bool all_digits(ByteView octets) {
  unsigned other = 0;
  for (const std::uint8_t c : octets) {
    const unsigned decimal = static_cast<std::uint8_t>(c - '0') < 10u;
    const unsigned letter = static_cast<std::uint8_t>((c | 0x20) - 'a') < 6u;
    other |= 1u ^ (decimal | letter);
  }
  return other == 0;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// The code point at `at`, which moves on; a broken octet counts as itself.
std::uint32_t next_code_point(std::string_view utf8, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(utf8[i]); };
  const std::uint8_t first = byte(at);
  const std::size_t count = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 1;
  if (count == 1 || at + count > utf8.size()) {
    ++at;
    return first;
  }
  std::uint32_t code = first & (0xFF >> (count + 1));
  for (std::size_t i = 1; i < count; ++i) code = code << 6 | (byte(at + i) & 0x3F);
  at += count;
  return code;
}

}  // namespace

const Object* Object::find(std::string_view key) const {
  for (const DictionaryEntry& entry : entries) {
    if (entry.key == key) return entry.value.kind == Kind::null ? nullptr : &entry.value;
  }
  return nullptr;
}

Object* Object::find(std::string_view key) { return const_cast<Object*>(std::as_const(*this).find(key)); }

void Object::set(std::string_view key, Object value) {
  for (DictionaryEntry& entry : entries) {
    if (entry.key != key) continue;
    entry.value = std::move(value);
    return;
  }
  entries.push_back({std::string(key), std::move(value)});
}

void Object::erase(std::string_view key) {
  std::erase_if(entries, [&](const DictionaryEntry& entry) { return entry.key == key; });
}

Object Object::make_integer(std::int64_t value) {
  Object out;
  out.kind = Kind::integer;
  out.integer = value;
  return out;
}
Object Object::make_real(double value) {
  Object out;
  out.kind = Kind::real;
  // No exponent and no decimal comma, whatever the locale: tenths of thousandths of a point are plenty.
  const auto scaled = static_cast<std::int64_t>(value * 10000 + (value < 0 ? -0.5 : 0.5));
  const std::uint64_t magnitude = static_cast<std::uint64_t>(scaled < 0 ? -scaled : scaled);
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%s%llu.%04llu", scaled < 0 ? "-" : "",
                static_cast<unsigned long long>(magnitude / 10000), static_cast<unsigned long long>(magnitude % 10000));
  out.text = buffer;
  out.integer = static_cast<std::int64_t>(value);
  return out;
}
Object Object::make_name(std::string_view name) {
  Object out;
  out.kind = Kind::name;
  out.text = name;
  return out;
}
Object Object::make_string(std::string_view octets) {
  Object out;
  out.kind = Kind::string;
  out.text = octets;
  return out;
}
Object Object::make_reference(Ref ref) {
  Object out;
  out.kind = Kind::reference;
  out.ref = ref;
  return out;
}
Object Object::make_array(std::vector<Object> items) {
  Object out;
  out.kind = Kind::array;
  out.items = std::move(items);
  return out;
}
Object Object::make_dictionary(std::vector<DictionaryEntry> entries) {
  Object out;
  out.kind = Kind::dictionary;
  out.entries = std::move(entries);
  return out;
}

Object make_text(std::string_view utf8) {
  const bool ascii = std::all_of(utf8.begin(), utf8.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (ascii) return Object::make_string(utf8);
  std::string out = "\xFE\xFF";
  const auto unit = [&](std::uint32_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xFF);
  };
  for (std::size_t at = 0; at < utf8.size();) {
    const std::uint32_t code = next_code_point(utf8, at);
    if (code < 0x10000) {
      unit(code);
    } else {
      unit(0xD800 + ((code - 0x10000) >> 10 & 0x3FF));
      unit(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return Object::make_string(out);
}

Bytes octets_of(const Object& string, std::size_t most) {
  if (string.raw.empty()) return to_bytes(as_bytes(string.text).first(std::min(most, string.text.size())));
  Bytes out(std::min(most, string.raw.size() / 2));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>(hex_value(string.raw[2 * i]) << 4 | hex_value(string.raw[2 * i + 1]));
  }
  return out;
}

std::string text_of(const Object& string) {
  const std::string text = string.raw.empty() ? string.text : std::string(as_text(octets_of(string)));
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  std::string out;
  if (text.starts_with("\xFE\xFF")) {
    for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
      std::uint32_t code = static_cast<std::uint32_t>(byte(i) << 8 | byte(i + 1));
      if (code >= 0xD800 && code < 0xDC00 && i + 3 < text.size()) {
        const std::uint32_t low = static_cast<std::uint32_t>(byte(i + 2) << 8 | byte(i + 3));
        if (low >= 0xDC00 && low < 0xE000) {
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          i += 2;
        }
      }
      append_utf8(out, code >= 0xD800 && code < 0xE000 ? '?' : code);
    }
    return out;
  }
  if (text.starts_with("\xEF\xBB\xBF")) return text.substr(3);
  for (const char c : text) out += static_cast<std::uint8_t>(c) < 0x80 ? c : '?';
  return out;
}

bool same(const Object& a, const Object& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Object::Kind::null:
      return true;
    case Object::Kind::boolean:
      return a.boolean == b.boolean;
    case Object::Kind::integer:
      return a.integer == b.integer;
    case Object::Kind::string:
      if (!a.raw.empty() || !b.raw.empty()) return equal(a.raw, b.raw) || octets_of(a) == octets_of(b);
      return a.text == b.text;
    case Object::Kind::real:
    case Object::Kind::name:
      return a.text == b.text;
    case Object::Kind::reference:
      return a.ref == b.ref;
    case Object::Kind::array:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
    case Object::Kind::dictionary:
    case Object::Kind::stream:
      break;
  }
  const bool stream = a.kind == Object::Kind::stream;
  if (stream && !equal(a.raw, b.raw)) return false;
  const auto within = [&](const Object& one, const Object& other) {
    return std::all_of(one.entries.begin(), one.entries.end(), [&](const DictionaryEntry& entry) {
      if (entry.value.kind == Object::Kind::null || (stream && entry.key == "Length")) return true;
      const Object* const found = other.find(entry.key);
      return found != nullptr && same(entry.value, *found);
    });
  };
  return within(a, b) && within(b, a);
}

bool is_blank(std::uint8_t c) { return c == 0 || c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == ' '; }
bool is_delimiter(std::uint8_t c) {
  return c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == '{' || c == '}' || c == '/' ||
         c == '%';
}

tl::unexpected<Error> Parser::bad(const std::string& what) const {
  return fail(ErrorKind::malformed, what + " at offset " + std::to_string(at_));
}

void Parser::skip_blanks() {
  while (at_ < input_.size()) {
    if (is_blank(input_[at_])) {
      ++at_;
    } else if (input_[at_] == '%') {
      while (at_ < input_.size() && input_[at_] != '\n' && input_[at_] != '\r') ++at_;
    } else {
      return;
    }
  }
}

bool Parser::keyword(std::string_view word) {
  skip_blanks();
  const std::string_view rest = as_text(input_.subspan(at_));
  if (!rest.starts_with(word)) return false;
  if (rest.size() > word.size()) {
    const auto next = static_cast<std::uint8_t>(rest[word.size()]);
    if (!is_blank(next) && !is_delimiter(next)) return false;
  }
  at_ += word.size();
  return true;
}

// §7.3.8.1: CR LF or LF, not CR alone.
bool Parser::stream_follows() {
  skip_blanks();
  const std::string_view rest = as_text(input_.subspan(at_));
  if (rest.starts_with("stream\r\n")) {
    at_ += 8;
    return true;
  }
  if (rest.starts_with("stream\n")) {
    at_ += 7;
    return true;
  }
  return false;
}

Result<Object> Parser::object() {
  Result<Object> out;
  if (Status read = object(limits_.depth, *out); !read) return tl::unexpected(std::move(read).error());
  return out;
}

Result<std::int64_t> Parser::integer() {
  skip_blanks();
  // Cross-reference tables are nothing but these.
  std::size_t i = at_;
  std::int64_t value = 0;
  for (; i < input_.size() && i - at_ < 18 && input_[i] >= '0' && input_[i] <= '9'; ++i) {
    value = value * 10 + (input_[i] - '0');
  }
  if (i != at_ && i < input_.size() && is_blank(input_[i])) {
    at_ = i;
    return value;
  }
  Object number_object;
  TRY(number(number_object));
  if (!number_object.is(Object::Kind::integer)) return bad("an integer is missing before what stands");
  return number_object.integer;
}

bool Parser::digits_follow() const { return at_ < input_.size() && input_[at_] >= '0' && input_[at_] <= '9'; }

Status Parser::number(Object& out) {
  out.offset = at_;
  std::size_t i = at_;
  const bool negative = i < input_.size() && input_[i] == '-';
  if (i < input_.size() && (input_[i] == '-' || input_[i] == '+')) ++i;
  std::int64_t value = 0;
  std::size_t digits = 0;
  bool point = false;
  for (; i < input_.size(); ++i) {
    const std::uint8_t c = input_[i];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      if (++digits > 18) return bad("a number of too many digits");
      if (!point) value = value * 10 + (c - '0');
    } else {
      break;
    }
  }
  if (digits == 0) return bad("an object is missing");
  if (i < input_.size() && !is_blank(input_[i]) && !is_delimiter(input_[i])) return bad("a number that is none");
  out.kind = point ? Object::Kind::real : Object::Kind::integer;
  out.integer = negative ? -value : value;
  if (point) out.text = as_text(input_.subspan(at_, i - at_));
  at_ = i;
  out.end = i;
  return {};
}

Result<std::string> Parser::literal_string() {
  std::string out;
  std::size_t depth = 1;
  ++at_;
  while (at_ < input_.size()) {
    const std::uint8_t c = input_[at_++];
    if (c == '(') {
      ++depth;
    } else if (c == ')') {
      if (--depth == 0) return out;
    } else if (c == '\r') {
      // §7.3.4.2: an end of line in a string reads as LF.
      if (at_ < input_.size() && input_[at_] == '\n') ++at_;
      out += '\n';
      continue;
    } else if (c == '\\') {
      if (at_ >= input_.size()) break;
      const std::uint8_t e = input_[at_++];
      switch (e) {
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case '\r':
          if (at_ < input_.size() && input_[at_] == '\n') ++at_;
          break;
        case '\n':
          break;
        default:
          if (e >= '0' && e <= '7') {
            unsigned value = e - '0';
            for (int i = 0; i < 2 && at_ < input_.size() && input_[at_] >= '0' && input_[at_] <= '7'; ++i) {
              value = value * 8 + (input_[at_++] - '0');
            }
            out += static_cast<char>(value & 0xFF);
          } else {
            out += static_cast<char>(e);
          }
      }
      continue;
    }
    out += static_cast<char>(c);
  }
  return bad("a string that does not end");
}

Status Parser::hexadecimal_string(Object& out) {
  ++at_;
  const ByteView rest = input_.subspan(at_);
  const std::size_t close = as_text(rest).find('>');
  if (close == std::string_view::npos) return bad("a hexadecimal string that does not end");
  // The Contents of a signature is some thousand digits in pairs, and there is one for each signature.
  if (close > kLongDigits && close % 2 == 0 && all_digits(rest.first(close))) {
    out.raw = rest.first(close);
    at_ += close + 1;
    return {};
  }
  out.text.reserve(close / 2 + 1);
  int high = -1;
  for (const std::size_t end = at_ + close; at_ < end; ++at_) {
    if (is_blank(input_[at_])) continue;
    const int value = hex_value(input_[at_]);
    if (value < 0) return bad("a hexadecimal string with another character");
    if (high < 0) {
      high = value;
    } else {
      out.text += static_cast<char>(high << 4 | value);
      high = -1;
    }
  }
  ++at_;
  if (high >= 0) out.text += static_cast<char>(high << 4);
  return {};
}

Result<std::string> Parser::name() {
  std::string out;
  ++at_;
  while (at_ < input_.size() && !is_blank(input_[at_]) && !is_delimiter(input_[at_])) {
    const std::uint8_t c = input_[at_++];
    if (c == '#' && at_ + 1 < input_.size() && hex_value(input_[at_]) >= 0 && hex_value(input_[at_ + 1]) >= 0) {
      out += static_cast<char>(hex_value(input_[at_]) << 4 | hex_value(input_[at_ + 1]));
      at_ += 2;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

Status Parser::object(std::size_t depth, Object& out) {
  skip_blanks();
  if (depth == 0) return fail(ErrorKind::limit, "objects nested too deep at offset " + std::to_string(at_));
  if (++items_ > limits_.items) return fail(ErrorKind::limit, "an object of too many parts");
  if (at_ >= input_.size()) return bad("an object is missing");
  out.offset = at_;
  const std::uint8_t c = input_[at_];
  const bool two = at_ + 1 < input_.size() && input_[at_ + 1] == c;
  if (c == '<' && two) {
    at_ += 2;
    out.kind = Object::Kind::dictionary;
    for (;;) {
      skip_blanks();
      if (at_ + 1 < input_.size() && input_[at_] == '>' && input_[at_ + 1] == '>') break;
      if (at_ >= input_.size() || input_[at_] != '/') return bad("a dictionary whose key is no name");
      DictionaryEntry& entry = out.entries.emplace_back();
      entry.key = TRY(name());
      TRY(object(depth - 1, entry.value));
    }
    at_ += 2;
    if (const DictionaryEntry* const twice = key_twice(out.entries)) {
      return bad("a dictionary with the key \"" + twice->key + "\" twice");
    }
  } else if (c == '[') {
    ++at_;
    out.kind = Object::Kind::array;
    for (;;) {
      skip_blanks();
      if (at_ < input_.size() && input_[at_] == ']') break;
      TRY(object(depth - 1, out.items.emplace_back()));
    }
    ++at_;
  } else if (c == '(') {
    out.kind = Object::Kind::string;
    out.text = TRY(literal_string());
  } else if (c == '<') {
    out.kind = Object::Kind::string;
    out.hexadecimal = true;
    TRY(hexadecimal_string(out));
  } else if (c == '/') {
    out.kind = Object::Kind::name;
    out.text = TRY(name());
  } else if (digits_follow()) {
    TRY(number(out));
    if (out.is(Object::Kind::integer) && out.integer <= 0xFFFFFFFF) {
      // "12 0 R" is a reference; anything else leaves the number alone.
      Parser ahead = *this;
      ahead.skip_blanks();
      Object generation;
      if (ahead.digits_follow() && ahead.number(generation) && generation.is(Object::Kind::integer) &&
          generation.integer <= 65535 && ahead.keyword("R")) {
        out.kind = Object::Kind::reference;
        out.ref = {static_cast<std::uint32_t>(out.integer), static_cast<std::uint16_t>(generation.integer)};
        out.integer = 0;
        at_ = ahead.at_;
      }
    }
  } else if (keyword("true")) {
    out.kind = Object::Kind::boolean;
    out.boolean = true;
  } else if (keyword("false")) {
    out.kind = Object::Kind::boolean;
  } else if (!keyword("null")) {
    TRY(number(out));
  }
  out.end = at_;
  return {};
}

void write(std::string& out, const Object& object) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  switch (object.kind) {
    case Object::Kind::null:
      out += "null";
      return;
    case Object::Kind::boolean:
      out += object.boolean ? "true" : "false";
      return;
    case Object::Kind::integer:
      out += std::to_string(object.integer);
      return;
    case Object::Kind::real:
      out += object.text;
      return;
    case Object::Kind::string:
      out += '<';
      out += as_text(object.raw);
      for (const char c : object.text) {
        out += kHex[static_cast<std::uint8_t>(c) >> 4];
        out += kHex[static_cast<std::uint8_t>(c) & 15];
      }
      out += '>';
      return;
    case Object::Kind::name:
      out += '/';
      for (const char c : object.text) {
        const auto octet = static_cast<std::uint8_t>(c);
        if (octet <= 0x20 || octet >= 0x7F || octet == '#' || is_delimiter(octet)) {
          out += '#';
          out += kHex[octet >> 4];
          out += kHex[octet & 15];
        } else {
          out += c;
        }
      }
      return;
    case Object::Kind::array:
      out += '[';
      for (std::size_t i = 0; i < object.items.size(); ++i) {
        if (i != 0) out += ' ';
        write(out, object.items[i]);
      }
      out += ']';
      return;
    case Object::Kind::reference:
      out += to_text(object.ref) + " R";
      return;
    case Object::Kind::dictionary:
    case Object::Kind::stream:
      break;
  }
  out += "<<";
  for (const DictionaryEntry& entry : object.entries) {
    write(out, Object::make_name(entry.key));
    out += ' ';
    if (object.kind == Object::Kind::stream && entry.key == "Length") {
      out += std::to_string(object.raw.size());
    } else {
      write(out, entry.value);
    }
    out += '\n';
  }
  out += ">>";
  if (object.kind == Object::Kind::stream) {
    out += "\nstream\n";
    out += as_text(object.raw);
    out += "\nendstream";
  }
}

std::string to_text(const Object& object) {
  std::string out;
  write(out, object);
  return out;
}

std::string to_text(Ref ref) { return std::to_string(ref.number) + " " + std::to_string(ref.generation); }

}  // namespace karta::crypto::pdf
