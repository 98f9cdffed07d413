#include "identity/citizen.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "identity/transliteration.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

constexpr auto kConcessionKinds = std::to_array<ConcessionKindRow>({
    {ConcessionKind::pensioner, "pensioner", "пенсионер"},
    {ConcessionKind::disabled_1, "disabled-1", "инвалид-1"},
    {ConcessionKind::disabled_2, "disabled-2", "инвалид-2"},
    {ConcessionKind::disabled_3, "disabled-3", "инвалид-3"},
    {ConcessionKind::disabled_child, "disabled-child", "ребёнок-инвалид"},
    {ConcessionKind::student, "student", "студент"},
    {ConcessionKind::pupil, "pupil", "школьник"},
    {ConcessionKind::large_family, "large-family", "многодетная семья"},
    {ConcessionKind::veteran, "veteran", "ветеран"},
    {ConcessionKind::orphan, "orphan", "сирота"},
    {ConcessionKind::donor, "donor", "почётный донор"},
});

constexpr auto kFields = std::to_array<CitizenFieldRow>({
    {CitizenField::snils, "snils", "СНИЛС", true, 32},
    {CitizenField::family, "family", "Фамилия", true, 256},
    {CitizenField::given, "given", "Имя", true, 256},
    {CitizenField::patronymic, "patronymic", "Отчество", false, 256},
    {CitizenField::birth_date, "birth_date", "Дата рождения", true, 32},
    {CitizenField::sex, "sex", "Пол", false, 32},
    {CitizenField::inn, "inn", "ИНН", false, 32},
    {CitizenField::enp, "enp", "ЕНП", false, 32},
    {CitizenField::insurer, "insurer", "Страховая организация", false, 400},
    {CitizenField::region, "region", "Регион", false, 16},
    {CitizenField::family_latin, "family_latin", "Фамилия латиницей", false, 256},
    {CitizenField::given_latin, "given_latin", "Имя латиницей", false, 256},
    {CitizenField::concessions, "concessions", "Льготы", false, 1024},
    {CitizenField::portrait, "portrait", "Фотография", false, 255},
});

struct SexRow {
  std::string_view key;  // as search_key() gives it
  Sex sex;
};
constexpr auto kSexes = std::to_array<SexRow>({
    {"M", Sex::male},
    {"MALE", Sex::male},
    {"М", Sex::male},
    {"МУЖ", Sex::male},
    {"МУЖСКОЙ", Sex::male},
    {"F", Sex::female},
    {"FEMALE", Sex::female},
    {"Ж", Sex::female},
    {"ЖЕН", Sex::female},
    {"ЖЕНСКИЙ", Sex::female},
});

constexpr Date kEarliest{std::chrono::year(1900), std::chrono::month(1), std::chrono::day(1)};
constexpr Date kLatest{std::chrono::year(2200), std::chrono::month(12), std::chrono::day(31)};

FieldProblem problem(CitizenField field, std::string code, std::string reason, std::string hint = {}) {
  return {field, std::move(code), std::move(reason), std::move(hint)};
}

bool cyrillic_letter(char32_t c) { return c >= 0x400 && c <= 0x52F && !(c >= 0x482 && c <= 0x489); }
bool latin_letter(char32_t c) {
  return (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z') || (c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7);
}

std::optional<FieldProblem> set_name(std::string& name, CitizenField field, std::string_view text) {
  std::size_t characters = 0;
  bool cyrillic = false, latin = false, begun = false;
  for (std::string_view rest = text; !rest.empty();) {
    const auto c = take_code_point(rest);
    if (!c) return problem(field, "malformed", "is not UTF-8");
    ++characters;
    if (cyrillic_letter(*c) || latin_letter(*c)) {
      (cyrillic_letter(*c) ? cyrillic : latin) = true;
      begun = true;
    } else if (*c == U' ' || *c == U'-') {
      cyrillic = latin = false;  // each part of a double name may be in a script of its own
    } else if (*c != U'\'' && *c != 0x2019 && *c != U'.') {
      return problem(field, "malformed", "character " + std::to_string(characters) + " may not stand in a name",
                     "letters, blanks, hyphens, apostrophes and full stops may");
    }
    if (!begun) return problem(field, "malformed", "begins with something that is not a letter");
    if (cyrillic && latin) {
      return problem(field, "malformed",
                     "mixes Cyrillic and Latin letters in one word (character " + std::to_string(characters) + ")",
                     "letters that look alike were typed in the wrong layout: type the word again");
    }
  }
  if (characters > kNameCharacters) {
    return problem(field, "too-long", "has more than " + std::to_string(kNameCharacters) + " characters");
  }
  name = text;
  return std::nullopt;
}

std::optional<FieldProblem> set_latin(std::string& name, CitizenField field, std::string_view text) {
  std::string latin;
  for (const char c : text) {
    const char letter = c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    const bool allowed = (letter >= 'A' && letter <= 'Z') || (!latin.empty() && (letter == ' ' || letter == '-'));
    if (letter == '\'') continue;  // ICAO Doc 9303 part 3 §4.6: left out
    if (!allowed) return problem(field, "malformed", "may hold Latin letters A to Z, blanks and hyphens only");
    latin.push_back(letter);
  }
  if (latin.size() > kNameCharacters) {
    return problem(field, "too-long", "has more than " + std::to_string(kNameCharacters) + " characters");
  }
  name = std::move(latin);
  return std::nullopt;
}

std::optional<FieldProblem> set_concessions(std::vector<Concession>& concessions, std::string_view text) {
  constexpr CitizenField field = CitizenField::concessions;
  constexpr const char* kHint = "write kind, kind:2026-01-01 or kind:2026-01-01..2026-12-31, several joined by |";
  std::vector<Concession> read;
  while (true) {
    const auto bar = text.find('|');
    const std::string_view one = trim(text.substr(0, bar));
    const auto colon = one.find(':');
    const std::string key = search_key(trim(one.substr(0, colon)));
    const auto row = std::ranges::find_if(kConcessionKinds, [&](const ConcessionKindRow& kind) {
      return search_key(kind.name) == key || search_key(kind.russian) == key;
    });
    if (row == kConcessionKinds.end()) {
      return problem(field, "unknown-value", "names a concession that is not known", kHint);
    }
    Concession concession{row->kind, {}, {}};
    if (colon != std::string_view::npos) {
      const std::string_view span = one.substr(colon + 1);
      const auto dots = span.find("..");
      const auto from = parse_date(trim(span.substr(0, dots)));
      if (!from) return problem(field, "malformed", "beginning of a concession: " + from.error().message, kHint);
      concession.valid_from = *from;
      if (dots != std::string_view::npos && !trim(span.substr(dots + 2)).empty()) {
        const auto until = parse_date(trim(span.substr(dots + 2)));
        if (!until) return problem(field, "malformed", "end of a concession: " + until.error().message, kHint);
        if (*until < *from) return problem(field, "out-of-range", "a concession ends before it begins");
        concession.valid_until = *until;
      }
    }
    read.push_back(concession);
    if (read.size() > kConcessionsMax) {
      return problem(field, "too-long", "has more than " + std::to_string(kConcessionsMax) + " concessions");
    }
    if (bar == std::string_view::npos) break;
    text.remove_prefix(bar + 1);
  }
  concessions = std::move(read);
  return std::nullopt;
}

template <class Number>
std::optional<FieldProblem> set_number(Number& number, CitizenField field, const auto& parsed) {
  if (!parsed) {
    return problem(field, parsed.error().message == kCheckDigitFault ? "check-digit" : "malformed",
                   parsed.error().message, parsed.error().hint);
  }
  number = *parsed;
  return std::nullopt;
}

}  // namespace

std::string format_date(Date date) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  return text;
}

Result<Date> parse_date(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<unsigned> {
    unsigned value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value;
  };
  std::optional<unsigned> year, month, day;
  if (text.size() == 10 && text[4] == '-' && text[7] == '-') {
    year = number(text.substr(0, 4)), month = number(text.substr(5, 2)), day = number(text.substr(8, 2));
  } else if (text.size() == 10 && text[2] == '.' && text[5] == '.') {
    day = number(text.substr(0, 2)), month = number(text.substr(3, 2)), year = number(text.substr(6, 4));
  }
  if (!year || !month || !day) {
    return fail(ErrorKind::malformed, "is not a date", "write 2026-11-21 or 21.11.2026");
  }
  const Date date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return fail(ErrorKind::malformed, "is a day the calendar does not have");
  return date;
}

std::span<const ConcessionKindRow> concession_kinds() { return kConcessionKinds; }
const ConcessionKindRow& row_of(ConcessionKind kind) {
  const auto row = std::ranges::find(kConcessionKinds, kind, &ConcessionKindRow::kind);
  KARTA_CHECK(row != kConcessionKinds.end());
  return *row;
}

std::span<const CitizenFieldRow> citizen_fields() { return kFields; }
const CitizenFieldRow& row_of(CitizenField field) { return kFields[static_cast<std::size_t>(field)]; }

std::vector<CitizenField> differing_fields(const Citizen& a, const Citizen& b) {
  const auto differs = [&](CitizenField field) {
    switch (field) {
      case CitizenField::snils:
        return a.snils != b.snils;
      case CitizenField::family:
        return a.family != b.family;
      case CitizenField::given:
        return a.given != b.given;
      case CitizenField::patronymic:
        return a.patronymic != b.patronymic;
      case CitizenField::birth_date:
        return a.birth_date != b.birth_date;
      case CitizenField::sex:
        return a.sex != b.sex;
      case CitizenField::inn:
        return a.inn != b.inn;
      case CitizenField::enp:
        return a.enp != b.enp;
      case CitizenField::insurer:
        return a.insurer != b.insurer;
      case CitizenField::region:
        return a.region != b.region;
      case CitizenField::family_latin:
        return a.family_latin != b.family_latin;
      case CitizenField::given_latin:
        return a.given_latin != b.given_latin;
      case CitizenField::concessions:
        return a.concessions != b.concessions;
      case CitizenField::portrait:
        return false;
    }
    return false;
  };
  std::vector<CitizenField> fields;
  for (const CitizenFieldRow& row : kFields) {
    if (differs(row.field)) fields.push_back(row.field);
  }
  return fields;
}

std::optional<FieldProblem> set_field(Citizen& citizen, CitizenField field, std::string_view text) {
  const CitizenFieldRow& row = row_of(field);
  if (text.size() > row.max_octets) {
    return problem(field, "too-long", "is longer than " + std::to_string(row.max_octets) + " octets");
  }
  text = trim(text);
  if (text.empty()) {
    if (row.required) return problem(field, "required", "is empty");
    return std::nullopt;
  }
  switch (field) {
    case CitizenField::snils:
      return set_number(citizen.snils, field, Snils::parse(text));
    case CitizenField::inn:
      return set_number(citizen.inn, field, Inn::parse_person(text));
    case CitizenField::enp:
      return set_number(citizen.enp, field, Enp::parse(text));
    case CitizenField::family:
      return set_name(citizen.family, field, text);
    case CitizenField::given:
      return set_name(citizen.given, field, text);
    case CitizenField::patronymic:
      return set_name(citizen.patronymic, field, text);
    case CitizenField::family_latin:
      return set_latin(citizen.family_latin, field, text);
    case CitizenField::given_latin:
      return set_latin(citizen.given_latin, field, text);
    case CitizenField::birth_date:
      return set_number(citizen.birth_date, field, parse_date(text));
    case CitizenField::concessions:
      return set_concessions(citizen.concessions, text);
    case CitizenField::sex: {
      const auto known = std::ranges::find(kSexes, search_key(text), &SexRow::key);
      if (known == kSexes.end()) return problem(field, "unknown-value", "is neither male nor female", "write m or f");
      citizen.sex = known->sex;
      return std::nullopt;
    }
    case CitizenField::region: {
      const bool code = text.size() == 2 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
      if (!code || text == "00") {
        return problem(field, "malformed", "is not the two-digit code of a subject of the federation");
      }
      citizen.region = text;
      return std::nullopt;
    }
    case CitizenField::insurer: {
      for (std::string_view rest = text; !rest.empty();) {
        const auto c = take_code_point(rest);
        if (!c || *c < 0x20 || (*c >= 0x7F && *c < 0xA0)) {
          return problem(field, "malformed", "holds a control character");
        }
      }
      citizen.insurer = text;
      return std::nullopt;
    }
    case CitizenField::portrait:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<FieldProblem> complete(Citizen& citizen, Date today) {
  std::vector<FieldProblem> problems;
  if (citizen.birth_date.ok() && (citizen.birth_date < kEarliest || citizen.birth_date > today)) {
    problems.push_back(problem(CitizenField::birth_date, "out-of-range",
                               citizen.birth_date > today ? "is in the future" : "is before 1900-01-01"));
  }
  for (auto [name, latin, field] : {std::tuple{&citizen.family, &citizen.family_latin, CitizenField::family_latin},
                                    std::tuple{&citizen.given, &citizen.given_latin, CitizenField::given_latin}}) {
    if (!latin->empty() || name->empty()) continue;
    std::string source = *name;
    std::erase(source, '.');
    auto derived = latin_name(source);
    if (derived && derived->find_first_not_of(" -") == std::string::npos) {
      derived = fail(ErrorKind::malformed, "nothing is left of the name in Latin letters");
    }
    if (!derived) {
      problems.push_back(problem(field, "required", "must be given: " + derived.error().message, derived.error().hint));
    } else if (derived->size() > kNameCharacters) {
      problems.push_back(
          problem(field, "required",
                  "must be given: the transliteration has more than " + std::to_string(kNameCharacters) + " characters",
                  "shorten it as ICAO Doc 9303 part 3 §4.2 says"));
    } else {
      *latin = *derived;
    }
  }
  for (Concession& concession : citizen.concessions) {
    if (!concession.valid_from.ok()) concession.valid_from = citizen.birth_date;
    if (concession.valid_from < kEarliest || concession.valid_until.value_or(kEarliest) > kLatest) {
      problems.push_back(problem(CitizenField::concessions, "out-of-range", "a concession lies outside 1900 to 2200"));
      break;
    }
  }
  std::ranges::sort(citizen.concessions, [](const Concession& a, const Concession& b) {
    return std::pair(a.kind, a.valid_from) < std::pair(b.kind, b.valid_from);
  });
  const auto twice = std::ranges::adjacent_find(citizen.concessions, [](const Concession& a, const Concession& b) {
    return a.kind == b.kind && a.valid_from == b.valid_from;
  });
  if (twice != citizen.concessions.end()) {
    problems.push_back(problem(CitizenField::concessions, "malformed", "names one concession twice"));
  }
  return problems;
}

}  // namespace karta::identity
