// A citizen as commands are told of one.
#pragma once

#include "identity/registry.h"

namespace karta::cli {

/// By SNILS (with or without dashes) or by the registry's id. Fails with `not_found`, `usage`.
Result<identity::CitizenId> citizen_of(identity::Registry& registry, const std::string& text);

}  // namespace karta::cli
