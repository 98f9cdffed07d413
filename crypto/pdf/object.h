// Object: one PDF object (ISO 32000-1 §7.3), read strictly, with the place it was read from.
//
// A plain value: dictionaries keep the order and the octets they had, streams alias the file. Nothing is decoded or
// decrypted here.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace karta::crypto::pdf {

/// An indirect reference: "12 0 R".
struct Ref {
  std::uint32_t number = 0;
  std::uint16_t generation = 0;
  friend auto operator<=>(const Ref&, const Ref&) = default;
};

struct DictionaryEntry;

struct Object {
  enum class Kind : std::uint8_t {
    null,
    boolean,
    integer,
    real,
    string,
    name,
    array,
    dictionary,
    stream,
    reference,
  };
  Kind kind = Kind::null;
  bool boolean = false;
  bool hexadecimal = false;              ///< a string written <...>
  std::int64_t integer = 0;              ///< an integer's value; a real's, rounded down
  std::string text = {};                 ///< a string's octets, a name without its slash, a real as it stood; see raw
  Ref ref = {};                          ///< a reference's target
  std::vector<Object> items = {};        ///< an array's
  std::vector<DictionaryEntry> entries;  ///< a dictionary's, or a stream's dictionary's
  /// A stream's octets as they stand in the file, aliased. Or the digits of a hexadecimal string longer than
  /// kLongDigits, whose text is empty then: the Contents of signatures are read by few who meet them (see octets_of).
  ByteView raw = {};
  std::size_t offset = 0;  ///< of its first octet, in what was parsed
  std::size_t end = 0;     ///< behind its last one

  bool is(Kind k) const { return kind == k; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
  bool is_dictionary() const { return kind == Kind::dictionary || kind == Kind::stream; }
  /// The value under `key` of a dictionary or stream; nullptr if there is none (or it is null) or this is neither.
  const Object* find(std::string_view key) const;
  Object* find(std::string_view key);
  /// Sets or adds `key`.
  void set(std::string_view key, Object value);
  void erase(std::string_view key);

  static Object make_integer(std::int64_t value);
  static Object make_real(double value);
  static Object make_name(std::string_view name);
  static Object make_string(std::string_view octets);
  static Object make_reference(Ref ref);
  static Object make_array(std::vector<Object> items);
  static Object make_dictionary(std::vector<DictionaryEntry> entries);
};

struct DictionaryEntry {
  std::string key;
  Object value;
};

inline constexpr std::size_t kLongDigits = 1024;  ///< a hexadecimal string of more stays as it stands
/// A string's octets, however it is kept; the first `most` of them.
Bytes octets_of(const Object& string, std::size_t most = static_cast<std::size_t>(-1));

/// A text string (§7.9.2.2) of UTF-8: PDFDocEncoding where it is plain ASCII, else UTF-16BE with its mark.
Object make_text(std::string_view utf8);
/// UTF-8 of a text string: UTF-16BE or UTF-8 with their marks; otherwise octets over 127 become "?".
std::string text_of(const Object& string);

/// Same meaning: places and ways of writing aside. Streams: dictionary (but for Length) and octets.
bool same(const Object& a, const Object& b);

struct ParseLimits {
  std::size_t depth = 64;       ///< arrays and dictionaries in one another; writers use a handful
  std::size_t items = 1 << 22;  ///< in one object: a page tree of millions fits
};

/// Walks tokens forward only. `at` is where to begin in `input`; offsets in objects count from the front of `input`.
class Parser {
 public:
  explicit Parser(ByteView input, std::size_t at = 0, ParseLimits limits = {})
      : input_(input), at_(at), limits_(limits) {}

  std::size_t at() const { return at_; }
  /// Objects parsed so far, those within others too.
  std::size_t items() const { return items_; }
  /// Over blanks and comments.
  void skip_blanks();
  bool done() {
    skip_blanks();
    return at_ >= input_.size();
  }
  /// The next object; not a stream (see stream_follows), references included.
  Result<Object> object();
  Result<std::int64_t> integer();
  /// Consumes the keyword if it is next.
  bool keyword(std::string_view word);
  /// Consumes "stream" and its line end if they are next; then at() is the first octet of the stream.
  bool stream_follows();

 private:
  Status object(std::size_t depth, Object& out);
  Status number(Object& out);
  bool digits_follow() const;
  Result<std::string> literal_string();
  Status hexadecimal_string(Object& out);
  Result<std::string> name();
  tl::unexpected<Error> bad(const std::string& what) const;

  ByteView input_;
  std::size_t at_;
  ParseLimits limits_;
  std::size_t items_ = 0;
};

bool is_blank(std::uint8_t octet);
bool is_delimiter(std::uint8_t octet);

/// Writes an object; strings in hexadecimal. Streams: their dictionary, then the octets of `raw`.
void write(std::string& out, const Object& object);
std::string to_text(const Object& object);
/// "12 0": for messages.
std::string to_text(Ref ref);

}  // namespace karta::crypto::pdf
