#include "identity/pages/language.h"

#include <array>
#include <cstdio>

#include "identity/pages/cookie.h"

namespace karta::identity {
namespace {

constexpr auto kMonths = std::to_array<std::string_view>(
    {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"});

bool is_letter(char a, char small) { return a == small || a == small - 'a' + 'A'; }

/// The language of a tag, "ru-RU" or "RU"; nothing if there are no pages in it.
std::optional<Language> language_of_tag(std::string_view tag) {
  const std::string_view primary = tag.substr(0, tag.find_first_of("-_;"));
  if (primary.size() != 2) return std::nullopt;
  if (is_letter(primary[0], 'r') && is_letter(primary[1], 'u')) return Language::russian;
  if (is_letter(primary[0], 'e') && is_letter(primary[1], 'n')) return Language::english;
  return std::nullopt;
}

/// The first tag of a list that there are pages in. Weights are left aside: browsers write languages in order.
std::optional<Language> first_of(std::string_view list, std::string_view separators) {
  while (!list.empty()) {
    const auto end = list.find_first_of(separators);
    if (const auto found = language_of_tag(list.substr(0, end))) return found;
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Language language) { return language == Language::russian ? "ru" : "en"; }

Language find_language(std::string_view name, Language otherwise) { return language_of_tag(name).value_or(otherwise); }

Language language_of(const service::HttpRequest& request, std::string_view ui_locales) {
  if (const auto chosen = language_of_tag(cookie_of(request, kLanguageCookie))) return *chosen;
  if (const auto asked = first_of(ui_locales, " ")) return *asked;
  return first_of(request.field("Accept-Language"), ", ").value_or(Language::english);
}

std::string show_day(Language language, Time time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  const int year = static_cast<int>(day.year());
  const unsigned month = static_cast<unsigned>(day.month()), number = static_cast<unsigned>(day.day());
  std::array<char, 40> out{};
  if (language == Language::russian) {
    std::snprintf(out.data(), out.size(), "%02u.%02u.%04d", number, month, year);
  } else {
    std::snprintf(out.data(), out.size(), "%u %s %04d", number, kMonths[month - 1].data(), year);
  }
  return out.data();
}

std::string show_time(Language language, Time time) {
  const auto of_day = time - std::chrono::floor<std::chrono::days>(time);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(of_day).count();
  std::array<char, 24> out{};
  std::snprintf(out.data(), out.size(), "%02d:%02d UTC", static_cast<int>(minutes / 60),
                static_cast<int>(minutes % 60));
  return show_day(language, time) + (language == Language::russian ? " " : ", ") + out.data();
}

std::string show_span(Language language, std::chrono::seconds span) {
  struct Unit {
    std::int64_t seconds;
    std::string_view one, many, russian;
  };
  static constexpr auto kUnits = std::to_array<Unit>(
      {{86400, "day", "days", "дн."}, {3600, "hour", "hours", "ч"}, {60, "minute", "minutes", "мин"}});
  const std::int64_t seconds = std::max<std::int64_t>(span.count(), 60);
  for (const Unit& unit : kUnits) {
    if (seconds < unit.seconds) continue;
    const std::int64_t count = (seconds + unit.seconds - 1) / unit.seconds;
    const std::string_view word = language == Language::russian ? unit.russian : count == 1 ? unit.one : unit.many;
    return std::to_string(count) + " " + std::string(word);
  }
  return {};
}

}  // namespace karta::identity
