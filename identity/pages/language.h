// Language: which of the two languages a page speaks, and how words, dates and times look in it.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "service/http_message.h"

namespace karta::identity {

enum class Language : std::uint8_t { english, russian };

/// "en", "ru": the lang attribute.
std::string_view name_of(Language language);
/// By its name; `otherwise` for every other word.
Language find_language(std::string_view name, Language otherwise);

/// A text in both languages; a room keeps its texts in one table of these.
struct Words {
  std::string_view english, russian;
  constexpr std::string_view in(Language language) const { return language == Language::russian ? russian : english; }
};

/// What a person chose on a page before (the cookie kLanguageCookie), else the first of `ui_locales` (OpenID Connect
/// Core §3.1.2.1: tags with blanks between) and then of Accept-Language that there are pages in, else English.
Language language_of(const service::HttpRequest& request, std::string_view ui_locales = {});
inline constexpr std::string_view kLanguageCookie = "__Host-karta-language";

/// "22 Nov 2026, 13:05 UTC" or "22.11.2026 13:05 UTC".
std::string show_time(Language language, Time time);
/// "22 Nov 2026" or "22.11.2026".
std::string show_day(Language language, Time time);
/// "30 minutes", "12 ч": rounded to the largest unit that fits, at least one minute.
std::string show_span(Language language, std::chrono::seconds span);

}  // namespace karta::identity
