// The files a terminal's trust comes in: found in folders, and kept in one of our own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::daemon::detail {

/// Files named, and files with the suffix in folders named, in order of their names in each.
struct FoundFiles {
  std::vector<std::filesystem::path> files;
  std::string mark;  ///< another one where a file has come, gone or changed
};
FoundFiles find_files(const std::vector<std::filesystem::path>& places, std::string_view suffix);

std::string sha256_hex(ByteView octets);

}  // namespace karta::daemon::detail
