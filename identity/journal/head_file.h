// PATH.head: number and hash of the last record acknowledged, which tells when the end of a journal was lost.
#pragma once

#include <filesystem>
#include <optional>

#include "base/result.h"
#include "identity/journal/record.h"

namespace karta::identity::detail {

/// None where there is none, or it is damaged.
std::optional<JournalPosition> read_head(const std::filesystem::path& path);

/// HeadFile: where the writer puts it down.
class HeadFile {
 public:
  /// Of the journal `path`.
  static Result<HeadFile> open(const std::filesystem::path& path);
  HeadFile(HeadFile&& other) noexcept;
  HeadFile& operator=(HeadFile&&) = delete;
  ~HeadFile();

  /// Fails silently: it only warns of lost records, the records themselves are safe.
  void write(const JournalPosition& position) const;

 private:
  explicit HeadFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace karta::identity::detail
