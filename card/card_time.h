// CardTime: days and moments as the health and transit applications hold them: counted from 2000-01-01, in two octets
// and in four. A day of zeros is one that was not given: "since ever", "without end".
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "base/cursor.h"

namespace karta::card {

/// A day that may be open. The calendar's days from 2000-01-02 (1) to 2179-06-06 (65535) can be told.
using CardDay = std::optional<std::chrono::year_month_day>;

/// Two octets, big-endian. Fails with `usage` for days no card can hold.
Result<std::uint16_t> day_number(CardDay day);
/// Every number is a day, zero an open one.
CardDay day_of_number(std::uint16_t number);
/// "2026-11-22", "-" for an open one.
std::string to_string(const CardDay& day);

/// Seconds since 2000-01-01T00:00:00Z; moments before are 0, after 2136 the last there is.
std::uint32_t moment_number(Time time);
Time time_of_moment(std::uint32_t moment);

/// True where `day` lies in the closed interval; open ends hold everything.
bool is_valid_on(const CardDay& from, const CardDay& until, std::chrono::year_month_day day);

}  // namespace karta::card
