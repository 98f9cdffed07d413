// JsonObject: one JSON object (RFC 8259) as JOSE wants it (RFC 7515 §4, RFC 7519 §4): strict, with no member named
// twice, and bounded in size and depth. Immutable, cheap to copy, usable from several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta::crypto {

class JsonObject {
 public:
  static constexpr std::size_t kMostOctets = 64u << 10;
  static constexpr std::size_t kMostDepth = 8;      ///< objects and arrays in one another, the outermost counts
  static constexpr std::size_t kMostValues = 1024;  ///< in all

  /// The empty object.
  JsonObject();

  /// Fails with malformed (no object, not UTF-8, a member twice at any depth, anything after it), or limit.
  static Result<JsonObject> parse(std::string_view text);

  bool has(std::string_view name) const;
  std::size_t size() const;
  /// Names in the order of the text.
  std::vector<std::string> names() const;

  // Absent, or of another type: an empty optional.
  std::optional<std::string> text(std::string_view name) const;
  /// A whole number that fits.
  std::optional<std::int64_t> integer(std::string_view name) const;
  std::optional<bool> boolean(std::string_view name) const;
  /// An array of strings only.
  std::optional<std::vector<std::string>> texts(std::string_view name) const;
  /// A member that is an object.
  std::optional<JsonObject> object(std::string_view name) const;
  /// A member that is an array of objects only.
  std::optional<std::vector<JsonObject>> objects(std::string_view name) const;
  /// Any member, written anew as JSON without blanks.
  std::optional<std::string> json(std::string_view name) const;
  /// A number, fractions cut off towards the past (RFC 7519 §2 NumericDate); for years 1970 to 9999.
  std::optional<std::int64_t> numeric_date(std::string_view name) const;

  /// The whole object, without blanks.
  std::string dump() const;

 private:
  struct Data;
  explicit JsonObject(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// `text` as a JSON string with its quotes; octets that are no UTF-8 become U+FFFD. For those who write small documents
/// by hand.
std::string json_quoted(std::string_view text);

}  // namespace karta::crypto
