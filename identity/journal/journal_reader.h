// JournalReader: a journal for looking at, also while its writer runs. One thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "identity/journal/record.h"

namespace karta::identity {

/// What a walk along the chain found.
struct JournalReport {
  std::uint64_t records = 0;
  JournalPosition anchor;  ///< what the oldest record stands on: {0, origin} while nothing has been pruned
  JournalPosition last;
  std::uint64_t uploaded_to = 0;
  std::vector<JournalDamage> damages;  ///< said by the journal itself
  struct Finding {
    std::uint64_t number = 0;
    std::string words;
  };
  std::vector<Finding> findings;  ///< broken links; empty: the chain is whole
  bool whole() const { return findings.empty(); }
};

class JournalReader {
 public:
  /// Fails with not_found, not_permitted, malformed.
  static Result<JournalReader> open(const std::filesystem::path& path);
  JournalReader(JournalReader&&) noexcept;
  ~JournalReader();

  const std::string& terminal() const;
  /// At most `limit` records with numbers above `after`, ascending.
  Result<std::vector<JournalRecord>> pages(std::uint64_t after, std::size_t limit) const;
  /// Walks the whole chain and compares its end with PATH.head. Fails only where the file cannot be read at all.
  Result<JournalReport> verify() const;

 private:
  struct State;
  explicit JournalReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace karta::identity
