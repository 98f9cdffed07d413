#include "base/clock.h"

#include <cstdio>

namespace karta {
namespace {

/// `count` decimal digits of `text` from `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

Time SystemClock::now() const { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

std::string format_time(Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  const int year = static_cast<int>(date.year());
  if (year >= 0 && year <= 9999) {
    // Nearly always; every signed answer has several.
    std::string out = "0000-00-00T00:00:00Z";
    const auto put = [&out](std::size_t last, int value) {
      for (; value != 0; value /= 10) out[last--] = static_cast<char>('0' + value % 10);
    };
    put(3, year);
    put(6, static_cast<int>(static_cast<unsigned>(date.month())));
    put(9, static_cast<int>(static_cast<unsigned>(date.day())));
    put(12, static_cast<int>(clock.hours().count()));
    put(15, static_cast<int>(clock.minutes().count()));
    put(18, static_cast<int>(clock.seconds().count()));
    return out;
  }
  char out[40];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02dZ", year, static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return out;
}

Result<Time> parse_time(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorKind::malformed, "\"" + std::string(text) + "\" is not a date or time",
                "write 2026-11-21 or 2026-11-21T08:30:00Z");
  };
  const bool bare = text.size() == 10;
  if (!bare && !(text.size() == 20 && text[10] == 'T' && text[13] == ':' && text[16] == ':' && text[19] == 'Z'))
    return bad();
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (year < 0 || month < 0 || day < 0 || text[4] != '-' || text[7] != '-') return bad();
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return bad();
  Time time = std::chrono::sys_days(date);
  if (!bare) {
    const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return bad();
    time += std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
  }
  return time;
}

}  // namespace karta
