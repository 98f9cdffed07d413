// What callers may be allowed: the verbs of the API, by the mode that has them. docs/openapi names each at its
// operations.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace karta::daemon {

struct VerbRow {
  std::string_view mode;  ///< empty: of the daemon itself
  std::string_view verb;
  bool of_the_desk = true;  ///< a desk's page asks for it
};
inline constexpr VerbRow kVerbs[] = {
    {"", "status"},
    {"", "events"},
    {"", "journal", false},
    {"", "metrics", false},
    {"clinic", "visit"},
    {"pharmacy", "entitlements"},
    {"pharmacy", "redeem"},
    {"transit", "gates"},
    {"transit", "inspect"},
    {"counter", "activate"},
    {"counter", "unblock"},
    {"counter", "renew"},
    {"counter", "application"},
    {"counter", "replace"},
    {"counter", "account"},
};
inline constexpr std::string_view kEveryVerb = "*";

/// "status, events, ...", for people
inline std::string verb_names() {
  std::string out(kEveryVerb);
  for (const VerbRow& row : kVerbs) out += ", " + std::string(row.verb);
  return out;
}

constexpr bool is_verb(std::string_view name) {
  return name == kEveryVerb ||
         std::any_of(std::begin(kVerbs), std::end(kVerbs), [&](const VerbRow& row) { return row.verb == name; });
}

}  // namespace karta::daemon
