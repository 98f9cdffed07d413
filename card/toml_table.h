// TomlTable: one table of a TOML file, read by name. Whatever was not asked for when finish() comes is a mistake of the
// writer's, and is told with its line.
//
// Shared by the readers of card profiles and of departments' profiles; nobody else's.
#pragma once

#include <toml++/toml.h>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "card/file.h"

namespace karta::card {

inline constexpr std::size_t kMostTomlOctets = 262'144;
inline constexpr std::size_t kMostTomlEntries = 32;

class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string_view source, std::string where)
      : table_(table), source_(source), where_(std::move(where)) {}

  tl::unexpected<Error> wrong(const toml::source_region& at, const std::string& what) const {
    return fail(ErrorKind::configuration,
                source_ + ":" + std::to_string(at.begin.line) + ": " + what + (where_.empty() ? "" : " in " + where_));
  }
  tl::unexpected<Error> wrong(const std::string& what) const { return wrong(table_.source(), what); }
  tl::unexpected<Error> wrong_key(std::string_view key, const std::string& what) const {
    const toml::node* node = table_.get(key);
    return wrong(node != nullptr ? node->source() : table_.source(), "\"" + std::string(key) + "\" " + what);
  }

  Result<std::optional<std::string>> text(std::string_view key) {
    const toml::node* node = take(key);
    if (node == nullptr) return std::optional<std::string>();
    const auto value = node->value_exact<std::string>();
    if (!value) return wrong_key(key, "must be text");
    constexpr std::size_t kMaxText = 200;
    if (value->size() > kMaxText) return wrong_key(key, "is longer than 200 octets");
    return value;
  }
  Result<std::string> required_text(std::string_view key) {
    auto value = TRY(text(key));
    if (!value || value->empty()) return wrong("\"" + std::string(key) + "\" is missing");
    return *value;
  }
  Result<std::int64_t> number(std::string_view key, std::int64_t absent, std::int64_t least, std::int64_t most) {
    const toml::node* node = take(key);
    if (node == nullptr) return absent;
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      return wrong_key(key, "must be a number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return *value;
  }
  Result<bool> boolean(std::string_view key, bool absent) {
    const toml::node* node = take(key);
    if (node == nullptr) return absent;
    const auto value = node->value_exact<bool>();
    if (!value) return wrong_key(key, "must be true or false");
    return *value;
  }
  Result<std::optional<Bytes>> hexadecimal(std::string_view key, std::size_t least, std::size_t most) {
    const auto value = TRY(text(key));
    if (!value) return std::optional<Bytes>();
    auto octets = from_hex(*value);
    if (!octets || octets->size() < least || octets->size() > most) {
      return wrong_key(key,
                       "must be " + std::to_string(least) + " to " + std::to_string(most) + " octets in hexadecimal");
    }
    return std::move(*octets);
  }
  Result<std::uint16_t> file_id(std::string_view key, std::uint16_t absent) {
    const auto octets = TRY(hexadecimal(key, 2, 2));
    if (!octets) return absent;
    const std::uint16_t id = load_be16(*octets);
    if (id == kMasterFile || id == 0x3FFF || id == 0xFFFF || id == 0) return wrong_key(key, "is a reserved identifier");
    return id;
  }
  Result<std::vector<std::string>> texts(std::string_view key) {
    std::vector<std::string> out;
    const toml::node* node = take(key);
    if (node == nullptr) return out;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_key(key, "must be a list");
    for (const toml::node& element : *array) {
      const auto value = element.value_exact<std::string>();
      if (!value || out.size() == kMostTomlEntries) return wrong_key(key, "must be a list of words");
      out.push_back(*value);
    }
    return out;
  }
  Result<std::vector<std::int64_t>> numbers(std::string_view key, std::int64_t least, std::int64_t most) {
    std::vector<std::int64_t> out;
    const toml::node* node = take(key);
    if (node == nullptr) return out;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_key(key, "must be a list");
    for (const toml::node& element : *array) {
      const auto value = element.value_exact<std::int64_t>();
      if (!value || *value < least || *value > most || out.size() == kMostTomlEntries) {
        return wrong_key(key,
                         "must be a list of numbers from " + std::to_string(least) + " to " + std::to_string(most));
      }
      out.push_back(*value);
    }
    return out;
  }
  Result<std::optional<TomlTable>> table(std::string_view key) {
    const toml::node* node = take(key);
    if (node == nullptr) return std::optional<TomlTable>();
    const toml::table* inner = node->as_table();
    if (inner == nullptr) return wrong_key(key, "must be a table");
    return TomlTable(*inner, source_, "[" + std::string(key) + "]");
  }
  Result<std::vector<TomlTable>> tables(std::string_view key) {
    std::vector<TomlTable> out;
    const toml::node* node = take(key);
    if (node == nullptr) return out;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_key(key, "must be written [[" + std::string(key) + "]]");
    for (const toml::node& element : *array) {
      const toml::table* inner = element.as_table();
      if (inner == nullptr || out.size() == kMostTomlEntries) return wrong_key(key, "must be a list of tables");
      out.emplace_back(*inner, source_, "[[" + std::string(key) + "]]");
    }
    return out;
  }
  Status finish() const {
    for (const auto& [key, node] : table_) {
      if (!asked_.contains(std::string(key.str()))) {
        return wrong(node.source(), "unknown key \"" + std::string(key.str()) + "\"");
      }
    }
    return {};
  }

 private:
  const toml::node* take(std::string_view key) {
    asked_.insert(std::string(key));
    return table_.get(key);
  }

  const toml::table& table_;
  std::string source_;
  std::string where_;
  std::set<std::string> asked_;
};

/// Parses `text` and hands its root to `read`; `source` names it in messages. toml++ reports a fault by throwing; it
/// goes no further than this. Fails with `configuration`, `limit`.
template <class Read>
auto read_toml(std::string_view text, std::string_view source, Read read)
    -> decltype(read(std::declval<TomlTable&>())) {
  if (text.size() > kMostTomlOctets) return fail(ErrorKind::limit, std::string(source) + ": a profile over 256 KiB");
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, std::string(source) + ":" + std::to_string(error.source().begin.line) + ": " +
                                              std::string(error.description()));
  }
  TomlTable root(table, source, "");
  return read(root);
}
/// The text of a profile's file.
Result<std::string> read_toml_file(const std::string& file);

}  // namespace karta::card
