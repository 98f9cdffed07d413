// Values in PostgreSQL's binary format: parameters as they go out, columns as they come.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "service/database.h"
#include "service/postgres_library.h"

namespace karta::service::detail {

/// The values of $1 ... as libpq takes them. Those of text and octets are still the caller's.
class OutgoingValues {
 public:
  /// malformed where a text holds U+0000, which PostgreSQL cannot store.
  Status take(Parameters parameters);
  const std::vector<const char*>& values() const { return values_; }  ///< a null one is NULL
  const std::vector<int>& lengths() const { return lengths_; }
  const std::vector<Oid>& types() const { return types_; }  ///< 0: NULL, which is of any type
  /// Whether a statement prepared for `declared` types takes these.
  bool fit(const std::vector<Oid>& declared) const;

 private:
  std::vector<std::array<char, 8>> integers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<Oid> types_;
};

/// The whole number in a column, from whatever type it came as; a fraction is cut off. Of text: the number it begins
/// with, as SQLite has it.
std::int64_t integer_of(const PGresult* rows, int row, int column);

}  // namespace karta::service::detail
