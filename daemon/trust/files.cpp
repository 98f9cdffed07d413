#include "daemon/trust/files.h"

#include <algorithm>

#include "crypto/digest.h"

namespace karta::daemon::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 10'000;  // in a folder

}  // namespace

FoundFiles find_files(const std::vector<fs::path>& places, std::string_view suffix) {
  FoundFiles found;
  const auto add = [&](const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    const auto time = error ? fs::file_time_type{} : fs::last_write_time(file, error);
    found.mark += file.string() + "|" + (error ? "-" : std::to_string(size)) + "|" +
                  std::to_string(time.time_since_epoch().count()) + "\n";
    found.files.push_back(file);
  };
  for (const fs::path& place : places) {
    std::error_code error;
    if (!fs::is_directory(place, error)) {
      add(place);
      continue;
    }
    std::vector<fs::path> inside;
    for (fs::directory_iterator entry(place, error), end; !error && entry != end && inside.size() < kMostFiles;
         entry.increment(error)) {
      if (entry->path().filename().string().ends_with(suffix)) inside.push_back(entry->path());
    }
    std::sort(inside.begin(), inside.end());
    for (const fs::path& file : inside) add(file);
  }
  return found;
}

std::string sha256_hex(ByteView octets) { return to_hex(crypto::digest(crypto::Hash::sha256, octets)); }

}  // namespace karta::daemon::detail
