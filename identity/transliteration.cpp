#include "identity/transliteration.h"

#include <algorithm>
#include <array>

#include "identity/utf8.h"

namespace karta::identity {
namespace {

struct LetterRow {
  char32_t capital;
  std::string_view latin;
};

// ICAO Doc 9303 part 3, section 6.B, in the readings it recommends for Russian names where it gives several; sorted.
constexpr auto kLetters = std::to_array<LetterRow>({
    {U'Ё', "E"},  {U'Ђ', "D"},  {U'Ѓ', "G"},  {U'Є', "IE"}, {U'Ѕ', "DZ"},   {U'І', "I"},  {U'Ї', "I"},
    {U'Ј', "J"},  {U'Љ', "LJ"}, {U'Њ', "NJ"}, {U'Ћ', "C"},  {U'Ќ', "K"},    {U'Ў', "U"},  {U'Џ', "DZ"},
    {U'А', "A"},  {U'Б', "B"},  {U'В', "V"},  {U'Г', "G"},  {U'Д', "D"},    {U'Е', "E"},  {U'Ж', "ZH"},
    {U'З', "Z"},  {U'И', "I"},  {U'Й', "I"},  {U'К', "K"},  {U'Л', "L"},    {U'М', "M"},  {U'Н', "N"},
    {U'О', "O"},  {U'П', "P"},  {U'Р', "R"},  {U'С', "S"},  {U'Т', "T"},    {U'У', "U"},  {U'Ф', "F"},
    {U'Х', "KH"}, {U'Ц', "TS"}, {U'Ч', "CH"}, {U'Ш', "SH"}, {U'Щ', "SHCH"}, {U'Ъ', "IE"}, {U'Ы', "Y"},
    {U'Ь', ""},   {U'Э', "E"},  {U'Ю', "IU"}, {U'Я', "IA"}, {U'Ѫ', "U"},    {U'Ѵ', "Y"},  {U'Ґ', "G"},
});
static_assert(std::ranges::is_sorted(kLetters, {}, &LetterRow::capital));

/// The capital of a Cyrillic or Latin letter (Basic Latin, Latin-1, Cyrillic with its extensions); others stay.
char32_t capital(char32_t c) {
  if (c >= U'a' && c <= U'z') return c - 0x20;
  if (c >= 0xE0 && c <= 0xFE && c != 0xF7) return c - 0x20;
  if (c >= 0x430 && c <= 0x44F) return c - 0x20;
  if (c >= 0x450 && c <= 0x45F) return c - 0x50;
  // Extensions come in pairs, capital first; U+04C1 to U+04CE run the other way round.
  if (c >= 0x460 && c <= 0x481) return c & ~char32_t{1};
  if (c >= 0x48A && c <= 0x4BF) return c & ~char32_t{1};
  if (c >= 0x4C1 && c <= 0x4CE) return c % 2 == 0 ? c - 1 : c;
  if (c >= 0x4D0 && c <= 0x52F) return c & ~char32_t{1};
  return c;
}

bool apostrophe(char32_t c) { return c == U'\'' || c == 0x2019 || c == 0x02BC || c == U'`'; }

}  // namespace

Result<std::string> latin_name(std::string_view name) {
  std::string latin;
  std::size_t place = 0;
  while (!name.empty()) {
    ++place;
    const auto c = take_code_point(name);
    if (!c) return fail(ErrorKind::malformed, "character " + std::to_string(place) + " is not UTF-8");
    const char32_t letter = capital(*c);
    if (apostrophe(letter)) continue;
    if ((letter >= U'A' && letter <= U'Z') || letter == U' ' || letter == U'-') {
      latin.push_back(static_cast<char>(letter));
      continue;
    }
    const auto row = std::ranges::lower_bound(kLetters, letter, {}, &LetterRow::capital);
    if (row == kLetters.end() || row->capital != letter) {
      return fail(ErrorKind::malformed,
                  "character " + std::to_string(place) + " has no transliteration in ICAO Doc 9303",
                  "give the Latin name as the person's passport has it");
    }
    latin += row->latin;
  }
  return latin;
}

std::string search_key(std::string_view name) {
  std::string key;
  bool gap = false;
  while (!name.empty()) {
    const auto c = take_code_point(name);
    if (!c) {
      name.remove_prefix(1);
      continue;
    }
    char32_t letter = capital(*c);
    if (letter == U'Ё') letter = U'Е';
    if (apostrophe(letter)) continue;
    if (letter == U' ' || letter == U'-' || letter == U'\t' || letter == 0xA0) {
      gap = !key.empty();
      continue;
    }
    if (gap) key.push_back(' ');
    gap = false;
    append_utf8(key, letter);
  }
  return key;
}

}  // namespace karta::identity
