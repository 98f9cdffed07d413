// StatusWord: SW1-SW2, the last two octets of every answer (ISO 7816-4 §5.6), and the one table of what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace karta::card {

struct StatusWord {
  std::uint16_t value = 0;

  constexpr std::uint8_t sw1() const { return static_cast<std::uint8_t>(value >> 8); }
  constexpr std::uint8_t sw2() const { return static_cast<std::uint8_t>(value); }
  /// 9000, or 61xx: completed, more to fetch.
  constexpr bool ok() const { return value == 0x9000; }
  /// 62xx: completed with a warning, the data are good (6282: end of file reached before Le octets).
  constexpr bool warning() const { return sw1() == 0x62; }
  /// 63Cx: x further tries.
  constexpr std::optional<unsigned> remaining_tries() const {
    if ((value & 0xFFF0) != 0x63C0) return std::nullopt;
    return value & 0xFu;
  }
  friend constexpr bool operator==(StatusWord, StatusWord) = default;
};

inline constexpr StatusWord kSwOk{0x9000}, kSwEndOfFile{0x6282}, kSwDeactivated{0x6283}, kSwWrongLength{0x6700},
    kSwSecurityStatus{0x6982}, kSwBlocked{0x6983}, kSwConditions{0x6985}, kSwWrongData{0x6A80}, kSwNotFound{0x6A82},
    kSwNotEnoughMemory{0x6A84}, kSwReferenceNotFound{0x6A88}, kSwFileExists{0x6A89}, kSwWrongOffset{0x6B00};

/// A row: every status word equal to `value` under `mask`.
struct StatusWordRow {
  std::uint16_t value;
  std::uint16_t mask;
  ErrorKind kind;
  std::string_view meaning;  ///< what the standard says, lower case
  std::string_view hint;     ///< next step; empty: the kind's default
};

/// All rows, the more specific first.
std::span<const StatusWordRow> status_words();

/// The first row that fits; every value has one.
const StatusWordRow& row_of(StatusWord status);

/// The error for a command that was to answer 9000: "select DF 5015: file not found (6A82)".
Error error_of(StatusWord status, std::string_view deed);

/// "6A82"
std::string to_string(StatusWord status);

}  // namespace karta::card
