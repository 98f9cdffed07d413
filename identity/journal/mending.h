// Mending: the part of a damaged journal that is whole takes its place, and the damaged one is kept as it was found.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "service/database.h"

namespace karta::identity::detail {

/// Finishes a mending that a crash cut short. Returns the name of PATH.damaged-N; empty: there was none to finish, or
/// nothing to keep.
Result<std::string> finish_mending(const std::filesystem::path& path);
/// `damaged`: none where the file cannot even be opened. Returns the name of PATH.damaged-N; empty: nothing was left to
/// keep.
Result<std::string> mend(const std::filesystem::path& path, std::optional<service::Database> damaged,
                         const std::string& terminal);

}  // namespace karta::identity::detail
