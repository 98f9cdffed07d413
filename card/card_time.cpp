#include "card/card_time.h"

namespace karta::card {
namespace {

using std::chrono::sys_days;
constexpr sys_days kEpoch = std::chrono::year(2000) / 1 / 1;

}  // namespace

Result<std::uint16_t> day_number(CardDay day) {
  if (!day) return std::uint16_t{0};
  const auto number = day->ok() ? (sys_days(*day) - kEpoch).count() : 0;
  if (number < 1 || number > 0xFFFF) {
    return fail(ErrorKind::usage, "a day that a card cannot hold", "days from 2000-01-02 to 2179-06-06");
  }
  return static_cast<std::uint16_t>(number);
}

CardDay day_of_number(std::uint16_t number) {
  if (number == 0) return std::nullopt;
  return std::chrono::year_month_day(kEpoch + std::chrono::days(number));
}

std::string to_string(const CardDay& day) { return day ? format_time(sys_days(*day)).substr(0, 10) : std::string("-"); }

std::uint32_t moment_number(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time - kEpoch).count();
  if (seconds < 0) return 0;
  return seconds > 0xFFFFFFFF ? 0xFFFFFFFF : static_cast<std::uint32_t>(seconds);
}

Time time_of_moment(std::uint32_t moment) { return Time(kEpoch + std::chrono::seconds(moment)); }

bool is_valid_on(const CardDay& from, const CardDay& until, std::chrono::year_month_day day) {
  return (!from || *from <= day) && (!until || day <= *until);
}

}  // namespace karta::card
