// A citizen as one line of JSON: {"snils": "...", "family": "...", ...}. Keys are those of citizen_fields().
//
// Values are strings or null; numbers are refused, since they lose leading zeros. "concessions" is a string as in CSV,
// or an array of such strings and of objects {"kind", "from", "until"}.
#pragma once

#include <vector>

#include "identity/citizen.h"

namespace karta::identity {

struct CitizenJson {
  /// One text for each key there, in the order of the line; what set_field() takes.
  struct Value {
    CitizenField field;
    std::string text;
  };
  std::vector<Value> values;
};

/// Reads one line. malformed and what is wrong otherwise; keys that are not known are an error unless `ignore_unknown`
/// or they begin with "x_". Nesting is bounded by the form itself.
Result<CitizenJson> read_citizen_json(std::string_view line, bool ignore_unknown);

}  // namespace karta::identity
