// Transliteration of Cyrillic names for machine-readable documents: ICAO Doc 9303 part 3, section 6.B.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace karta::identity {

/// Latin capitals for a UTF-8 name of Cyrillic or Latin letters, blanks, hyphens and apostrophes ("Щукин-Ёлкин" gives
/// "SHCHUKIN-ELKIN"). The soft sign and apostrophes are left out. Latin letters are only made capital.
/// Errors: malformed on any other character, its place named but not its neighbours.
Result<std::string> latin_name(std::string_view name);

/// `name` in capitals, YO as YE, apostrophes dropped and runs of blanks and hyphens as one blank: what names are
/// searched by. Characters that are no letters of ours stay as they are.
std::string search_key(std::string_view name);

}  // namespace karta::identity
