// Citizen: what the registry knows of a person, as it was checked at the door.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/numbers.h"

namespace karta::identity {

using Date = std::chrono::year_month_day;

/// "2026-11-21".
std::string format_date(Date date);
/// Reads "2026-11-21" or "21.11.2026"; malformed on anything else and on days the calendar does not have.
Result<Date> parse_date(std::string_view text);

enum class Sex : std::uint8_t { not_stated, male, female };

/// Grounds for a discount or a free service; one row each in concession_kinds(). Never renumber: cards carry them.
enum class ConcessionKind : std::uint8_t {
  pensioner = 1,
  disabled_1 = 2,
  disabled_2 = 3,
  disabled_3 = 4,
  disabled_child = 5,
  student = 6,
  pupil = 7,
  large_family = 8,
  veteran = 9,
  orphan = 10,
  donor = 11,
};
struct ConcessionKindRow {
  ConcessionKind kind;
  std::string_view name;     ///< in files and --json: "large-family"
  std::string_view russian;  ///< in files, for people: the same in Russian
};
std::span<const ConcessionKindRow> concession_kinds();
const ConcessionKindRow& row_of(ConcessionKind kind);

struct Concession {
  ConcessionKind kind = ConcessionKind::pensioner;
  Date valid_from{};
  std::optional<Date> valid_until;  ///< the last day; none: without end

  friend bool operator==(const Concession&, const Concession&) = default;
};

/// Names are UTF-8 in the spelling of the person's documents, without leading or trailing blanks.
struct Citizen {
  std::string family;
  std::string given;
  std::string patronymic;    ///< empty if there is none
  std::string family_latin;  ///< Latin capitals, as card and certificate show it
  std::string given_latin;
  Date birth_date{};
  Sex sex = Sex::not_stated;
  Snils snils = Snils::from_number(1);
  std::optional<Inn> inn;  ///< a person's, 12 digits
  std::optional<Enp> enp;
  std::string insurer;                  ///< of compulsory medical insurance; empty if not known
  std::string region;                   ///< code of the subject of the federation, two digits; empty if not known
  std::vector<Concession> concessions;  ///< sorted by kind, then valid_from

  friend bool operator==(const Citizen&, const Citizen&) = default;
};

/// Every datum of a Citizen, in the order files list them; the table behind CSV headers, JSON keys and reports.
enum class CitizenField : std::uint8_t {
  snils,
  family,
  given,
  patronymic,
  birth_date,
  sex,
  inn,
  enp,
  insurer,
  region,
  family_latin,
  given_latin,
  concessions,
  portrait,  ///< of a Citizen's record, not of Citizen: portrait.h
};
struct CitizenFieldRow {
  CitizenField field;
  std::string_view name;     ///< column and JSON key: "birth_date"
  std::string_view russian;  ///< column name in Russian, also accepted
  bool required;
  std::size_t max_octets;  ///< of the text in a file
};
std::span<const CitizenFieldRow> citizen_fields();
const CitizenFieldRow& row_of(CitizenField field);

/// Fields in which the two differ, in table order.
std::vector<CitizenField> differing_fields(const Citizen& a, const Citizen& b);

/// A fault of one datum. `reason` never repeats the datum.
struct FieldProblem {
  CitizenField field = CitizenField::snils;
  std::string code;    ///< stable: "required", "malformed", "check-digit", "too-long", "out-of-range", "unknown-value"
  std::string reason;  ///< for people
  std::string hint;
};

/// Sets `field` of `citizen` from the text of a file (blanks around it are cut). An empty text leaves the field empty.
/// A portrait's text is the name of its file: what is the file's is looked at elsewhere.
/// Concessions read "kind", "kind:from", "kind:from..until", several joined by "|"; without `from`: valid from birth.
std::optional<FieldProblem> set_field(Citizen& citizen, CitizenField field, std::string_view text);

/// What remains once all fields are set: births not before 1900-01-01 and not after `today`, Latin names derived (ICAO
/// 9303) where none are given, concessions sorted and none without a beginning. Returns everything that is wrong.
std::vector<FieldProblem> complete(Citizen& citizen, Date today);

inline constexpr std::size_t kNameCharacters = 64;  ///< of one name, as X.520 bounds surname and givenName
inline constexpr std::size_t kConcessionsMax = 16;  ///< of one citizen

}  // namespace karta::identity
