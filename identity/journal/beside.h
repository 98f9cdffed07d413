// The names of the files that stand beside a journal.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace karta::identity::detail {

inline std::filesystem::path beside(const std::filesystem::path& path, std::string_view suffix) {
  return std::filesystem::path(path.string() + std::string(suffix));
}

}  // namespace karta::identity::detail
