#include "identity/citizen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/transliteration.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono;

constexpr Date kToday{year(2026), month(11), day(21)};

Citizen sample() {
  Citizen citizen;
  citizen.family = "Образцов";
  citizen.given = "Пример";
  citizen.birth_date = Date(year(1990), month(5), day(17));
  return citizen;
}

TEST(Transliteration, FollowsDoc9303) {
  EXPECT_EQ(latin_name("абвгдеёжзийклмнопрстуфхцчшщъыьэюя"), "ABVGDEEZHZIIKLMNOPRSTUFKHTSCHSHSHCHIEYEIUIA");
  EXPECT_EQ(latin_name("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"), "ABVGDEEZHZIIKLMNOPRSTUFKHTSCHSHSHCHIEYEIUIA");
  EXPECT_EQ(latin_name("Щукин-Ёлкин"), "SHCHUKIN-ELKIN");
  EXPECT_EQ(latin_name("Подъяблонский"), "PODIEIABLONSKII");
  EXPECT_EQ(latin_name("О’Образцов"), "OOBRAZTSOV");
  EXPECT_EQ(latin_name("Ґатів Її Єва Ўрок"), "GATIV II IEVA UROK");
  EXPECT_EQ(latin_name("Sample"), "SAMPLE");
}

TEST(Transliteration, NamesTheCharacterItHasNoLetterFor) {
  const auto latin = latin_name("Әлмәт");
  ASSERT_FALSE(latin);
  EXPECT_THAT(latin.error().message, HasSubstr("character 1 "));
  EXPECT_FALSE(latin_name("Имя7"));
  EXPECT_FALSE(latin_name("\xD0"));
}

TEST(SearchKey, LevelsCaseYoHyphensAndBlanks) {
  EXPECT_EQ(search_key("  Семёнов - Тестов   Пётр "), "СЕМЕНОВ ТЕСТОВ ПЕТР");
  EXPECT_EQ(search_key("ӘЛМӘТ"), search_key("әлмәт"));
  EXPECT_EQ(search_key("O'Sample"), "OSAMPLE");
  EXPECT_EQ(search_key("\xFF\xD0"), "");
}

TEST(Utf8, TakesWellFormedSequencesOnly) {
  std::string all;
  for (const char32_t c : {U'a', U'Ж', U'€', U'𝄞', char32_t{0x10FFFF}, char32_t{0xD7FF}, char32_t{0xE000}}) {
    append_utf8(all, c);
  }
  EXPECT_EQ(find_invalid_utf8(all), std::nullopt);
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xD0", "\xE2\x82", "\xD0\x41"}) {
    EXPECT_EQ(find_invalid_utf8(std::string("ok") + bad), 2u);
  }
}

TEST(CitizenDate, ReadsBothWaysAndKnowsTheCalendar) {
  EXPECT_EQ(parse_date("2024-02-29"), Date(year(2024), month(2), day(29)));
  EXPECT_EQ(parse_date("29.02.2024"), Date(year(2024), month(2), day(29)));
  for (const char* bad : {"2023-02-29", "2024-13-01", "2024-00-01", "2024-1-1", "24-01-01", "2024/01/01", "",
                          "20240101", "2024-0a-01", "+024-01-01"}) {
    EXPECT_FALSE(parse_date(bad)) << bad;
  }
  EXPECT_EQ(format_date(*parse_date("05.09.1999")), "1999-09-05");
}

TEST(CitizenFields, TableIsInEnumOrder) {
  for (std::size_t i = 0; i < citizen_fields().size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(citizen_fields()[i].field), i);
    EXPECT_EQ(&row_of(citizen_fields()[i].field), &citizen_fields()[i]);
  }
}

TEST(CitizenFields, GoodTextsAreTaken) {
  Citizen citizen;
  EXPECT_FALSE(set_field(citizen, CitizenField::family, " Образцов-Примерный "));
  EXPECT_EQ(citizen.family, "Образцов-Примерный");
  EXPECT_FALSE(set_field(citizen, CitizenField::sex, "Ж"));
  EXPECT_EQ(citizen.sex, Sex::female);
  EXPECT_FALSE(set_field(citizen, CitizenField::inn, "500100732259"));
  EXPECT_FALSE(set_field(citizen, CitizenField::region, "77"));
  EXPECT_FALSE(set_field(citizen, CitizenField::family_latin, "Obraztsov"));
  EXPECT_EQ(citizen.family_latin, "OBRAZTSOV");
  EXPECT_FALSE(set_field(citizen, CitizenField::patronymic, ""));
  EXPECT_FALSE(set_field(citizen, CitizenField::concessions,
                         "Пенсионер:2026-01-01 | large-family:2026-01-01..31.12.2030|student"));
  ASSERT_EQ(citizen.concessions.size(), 3u);
  EXPECT_EQ(citizen.concessions[1].kind, ConcessionKind::large_family);
  EXPECT_EQ(citizen.concessions[1].valid_until, Date(year(2030), month(12), day(31)));
}

struct BadText {
  CitizenField field;
  const char* text;
  const char* code;
};
TEST(CitizenFields, BadTextsAreNamedAndNeverRepeated) {
  const BadText cases[] = {
      {CitizenField::snils, "", "required"},
      {CitizenField::snils, "112-233-445 96", "check-digit"},
      {CitizenField::snils, "112-233", "malformed"},
      {CitizenField::inn, "7707083893", "malformed"},
      {CitizenField::inn, "500100732258", "check-digit"},
      {CitizenField::enp, "1234567890123456", "check-digit"},
      {CitizenField::family, "", "required"},
      {CitizenField::family, "Образц0в", "malformed"},
      {CitizenField::family, "Oбразцов", "malformed"},  // a Latin O
      {CitizenField::family, "-Образцов", "malformed"},
      {CitizenField::family, "Образ\nцов", "malformed"},
      {CitizenField::given, "Прим\u202Eер", "malformed"},
      {CitizenField::birth_date, "31.02.1990", "malformed"},
      {CitizenField::sex, "среднее", "unknown-value"},
      {CitizenField::region, "00", "malformed"},
      {CitizenField::region, "7", "malformed"},
      {CitizenField::insurer, "Страх\x01овая", "malformed"},
      {CitizenField::family_latin, "Образцов", "malformed"},
      {CitizenField::concessions, "пенсионер|", "unknown-value"},
      {CitizenField::concessions, "pensioner:2026-02-30", "malformed"},
      {CitizenField::concessions, "pensioner:2026-02-03..2026-02-02", "out-of-range"},
  };
  for (const BadText& bad : cases) {
    Citizen citizen;
    const auto problem = set_field(citizen, bad.field, bad.text);
    ASSERT_TRUE(problem) << bad.text;
    EXPECT_EQ(problem->code, bad.code) << bad.text << ": " << problem->reason;
    EXPECT_EQ(problem->field, bad.field);
    if (*bad.text) {
      EXPECT_THAT(problem->reason + problem->hint, testing::Not(HasSubstr(bad.text)));
    }
  }
  Citizen citizen;
  std::string longest, longer;
  for (std::size_t i = 0; i < kNameCharacters; ++i) longest += "щ";
  longer = longest + "щ";
  EXPECT_FALSE(set_field(citizen, CitizenField::family, longest));
  EXPECT_EQ(set_field(citizen, CitizenField::family, longer)->code, "too-long");
  EXPECT_EQ(set_field(citizen, CitizenField::insurer, std::string(401, 'x'))->code, "too-long");
}

TEST(CitizenComplete, DerivesLatinNamesAndSortsConcessions) {
  Citizen citizen = sample();
  citizen.concessions = {{ConcessionKind::student, Date(year(2026), month(9), day(1)), {}},
                         {ConcessionKind::pensioner, {}, {}}};
  EXPECT_TRUE(complete(citizen, kToday).empty());
  EXPECT_EQ(citizen.family_latin, "OBRAZTSOV");
  EXPECT_EQ(citizen.given_latin, "PRIMER");
  EXPECT_EQ(citizen.concessions.front().kind, ConcessionKind::pensioner);
  EXPECT_EQ(citizen.concessions.front().valid_from, citizen.birth_date);

  Citizen given = sample();
  given.family_latin = "OBRAZCOV";
  EXPECT_TRUE(complete(given, kToday).empty());
  EXPECT_EQ(given.family_latin, "OBRAZCOV");
}

TEST(CitizenComplete, FindsWhatNoSingleFieldShows) {
  Citizen unborn = sample();
  unborn.birth_date = Date(year(2026), month(11), day(22));
  EXPECT_EQ(complete(unborn, kToday).at(0).code, "out-of-range");
  Citizen old = sample();
  old.birth_date = Date(year(1899), month(12), day(31));
  EXPECT_EQ(complete(old, kToday).at(0).code, "out-of-range");
  Citizen foreign = sample();
  foreign.family = "Әлмәт";
  EXPECT_EQ(complete(foreign, kToday).at(0).field, CitizenField::family_latin);
  Citizen wide = sample();
  wide.family.clear();
  for (int i = 0; i < 20; ++i) wide.family += "Щ";  // 80 letters in Latin
  EXPECT_EQ(complete(wide, kToday).at(0).field, CitizenField::family_latin);
  Citizen soft = sample();
  soft.given = "Ь";
  EXPECT_EQ(complete(soft, kToday).at(0).field, CitizenField::given_latin);
  Citizen twice = sample();
  twice.concessions = {{ConcessionKind::student, {}, {}}, {ConcessionKind::student, {}, {}}};
  EXPECT_EQ(complete(twice, kToday).at(0).field, CitizenField::concessions);
}

TEST(CitizenComplete, DifferencesAreNamedFieldByField) {
  const Citizen a = sample();
  Citizen b = a;
  EXPECT_THAT(differing_fields(a, b), ElementsAre());
  b.given = "Образец";
  b.snils = Snils::from_number(2);
  b.concessions = {{ConcessionKind::donor, {}, {}}};
  EXPECT_THAT(differing_fields(a, b), ElementsAre(CitizenField::snils, CitizenField::given, CitizenField::concessions));
}

}  // namespace
}  // namespace karta::identity
