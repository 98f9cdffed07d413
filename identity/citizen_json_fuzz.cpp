// Fuzzes a line of JSON and, with it, what every field of a citizen accepts.
#include "identity/citizen_json.h"
#include "identity/transliteration.h"
#include "identity/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta::identity;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  (void)search_key(line);
  (void)latin_name(line);
  const auto read = read_citizen_json(line, size % 2 == 0);
  if (!read) return 0;
  Citizen citizen;
  bool good = true;
  for (const CitizenJson::Value& value : read->values) {
    if (find_invalid_utf8(value.text)) __builtin_trap();
    if (set_field(citizen, value.field, value.text)) good = false;
  }
  const Date today(std::chrono::year(2026), std::chrono::month(11), std::chrono::day(21));
  if (!good || !complete(citizen, today).empty()) return 0;
  // What was taken must be taken again as the registry would write it.
  Citizen again;
  for (const auto& [field, text] :
       {std::pair{CitizenField::family, citizen.family}, std::pair{CitizenField::given, citizen.given},
        std::pair{CitizenField::snils, citizen.snils.text()}}) {
    if (!text.empty() && set_field(again, field, text)) __builtin_trap();
  }
  return 0;
}
