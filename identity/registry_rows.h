// What the registry's files share to read and write its rows. Private to the registry.
#pragma once

#include <cstdint>
#include <string_view>

#include "identity/registry.h"

namespace karta::identity::detail {

inline std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
inline std::int64_t raw(CardId id) { return static_cast<std::int64_t>(id); }

/// A text that says who, why or what: stated where `required` (usage), at most kStatementCharacters (limit), UTF-8
/// (malformed). `what` names it in the error.
Status check_statement(std::string_view text, const char* what, bool required);

/// not_found.
tl::unexpected<Error> no_citizen(CitizenId id);
/// A row holds a `what` that cannot be read.
tl::unexpected<Error> damaged(const char* what);

}  // namespace karta::identity::detail
