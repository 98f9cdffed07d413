// PendingFolder: a terminal's memory of commits whose answer never came: one file a ledger, written before COMMIT goes
// out, gone once it is known what became of it. docs/transactions.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "card/ledger.h"

namespace karta::cli {

/// What --pending is, in --help.
inline constexpr const char* kPendingWords = "folder that remembers commits whose answer was lost";

class PendingFolder {
 public:
  /// `folder` is made where it is missing; empty: nothing is remembered.
  explicit PendingFolder(std::string folder) : folder_(std::move(folder)) {}
  bool named() const { return !folder_.empty(); }

  /// What is pending for the ledger with this serial. Fails with `malformed` where the file is damaged.
  Result<std::optional<card::PendingCommit>> find(ByteView serial) const;
  /// Before COMMIT: takes the place of what was pending for the ledger. Fails with `io`.
  Status keep(const card::PendingCommit& pending) const;
  /// The outcome is known.
  void forget(ByteView serial) const;

  /// The next step where COMMIT was sent and no answer came.
  std::string hint_of_lost_answer() const;

 private:
  std::filesystem::path path(ByteView serial) const;

  std::string folder_;
};

}  // namespace karta::cli
