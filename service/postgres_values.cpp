#include "service/postgres_values.h"

#include <charconv>

namespace karta::service::detail {
namespace {

// Of pg_type.dat.
enum TypeOid : Oid {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kNumeric = 1700,
};

std::int64_t big_endian(const char* data, std::size_t size) {
  std::uint64_t value = size != 0 && (static_cast<std::uint8_t>(data[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<std::uint8_t>(data[i]);
  return static_cast<std::int64_t>(value);
}

/// What sum() of BIGINT comes as: digits of base 10000, the highest of weight `weight`; a fraction is cut off.
std::int64_t numeric_value(const char* data, std::size_t size) {
  if (size < 8) return 0;
  const std::int64_t digits = big_endian(data, 2), weight = big_endian(data + 2, 2);
  const bool negative = big_endian(data + 4, 2) == 0x4000;
  std::int64_t value = 0;
  for (std::int64_t i = 0; i <= weight; ++i) {
    const auto at = static_cast<std::size_t>(8 + 2 * i);
    value = value * 10000 + (i < digits && at + 2 <= size ? big_endian(data + at, 2) : 0);
  }
  return negative ? -value : value;
}

}  // namespace

Status OutgoingValues::take(Parameters parameters) {
  integers_.resize(parameters.size());
  values_.assign(parameters.size(), nullptr);
  lengths_.assign(parameters.size(), 0);
  types_.assign(parameters.size(), 0);
  std::size_t i = 0;
  for (const Parameter& parameter : parameters) {
    if (const auto* value = std::get_if<std::int64_t>(&parameter.value())) {
      for (std::size_t k = 0; k < 8; ++k) {
        integers_[i][k] = static_cast<char>(static_cast<std::uint64_t>(*value) >> (56 - 8 * k));
      }
      values_[i] = integers_[i].data();
      lengths_[i] = 8;
      types_[i] = kInt8;
    } else if (const auto* text = std::get_if<std::string_view>(&parameter.value())) {
      if (text->find('\0') != std::string_view::npos) {
        return fail(ErrorKind::malformed, "database: a text holds the character U+0000");
      }
      values_[i] = text->data() ? text->data() : "";
      lengths_[i] = static_cast<int>(text->size());
      types_[i] = kText;
    } else if (const auto* octets = std::get_if<ByteView>(&parameter.value())) {
      values_[i] = octets->data() ? reinterpret_cast<const char*>(octets->data()) : "";
      lengths_[i] = static_cast<int>(octets->size());
      types_[i] = kBytea;
    }
    ++i;
  }
  return {};
}

bool OutgoingValues::fit(const std::vector<Oid>& declared) const {
  for (std::size_t i = 0; i < types_.size(); ++i) {
    if (types_[i] != 0 && declared[i] != 0 && types_[i] != declared[i]) return false;
  }
  return true;
}

std::int64_t integer_of(const PGresult* rows, int row, int column) {
  const char* data = pq().getvalue(rows, row, column);
  const auto size = static_cast<std::size_t>(pq().getlength(rows, row, column));
  switch (pq().ftype(rows, column)) {
    case kBool:
    case kInt2:
    case kInt4:
    case kInt8:
      return big_endian(data, size);
    case kNumeric:
      return numeric_value(data, size);
    default: {
      std::int64_t value = 0;
      std::from_chars(data, data + size, value);
      return value;
    }
  }
}

}  // namespace karta::service::detail
