// GroupCommit: many workers' small writes, few commits.
//
// A commit on SQLite waits for the disk, and one writes at a time: workers that come while a commit is under way are
// joined into the next one. Whoever finds nobody writing writes at once, for himself and for all that have come by
// then; so a single writer never waits for company, and a thousand share the disk. PostgreSQL joins commits itself:
// there the write runs at the caller, on its own connection, in a transaction of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "service/database.h"

namespace karta::service {

class GroupCommit {
 public:
  /// A small write: some statements on the connection it is given (never on another), no waiting, no network. It may
  /// run on another thread and more than once, the last time decides: it must undo nothing but its own variables. It
  /// neither begins nor commits. If it fails, what it wrote is rolled back and nothing else is.
  using Work = std::function<Status(Database&)>;

  /// One for a process, for all its workers; usable from any thread.
  static Result<std::shared_ptr<GroupCommit>> open(std::string_view url, DatabaseOptions options = {});
  ~GroupCommit();

  /// Runs `work` with Isolation::snapshot and returns once what it wrote survives a power cut. `own` is the caller's
  /// connection to the same database, without a transaction or unread rows. Errors: those of `work`, and of the commit
  /// (is_outcome_unknown() where nobody can tell).
  Status write(Database& own, const Work& work);

  struct Counts {
    std::uint64_t writes = 0;   ///< asked for
    std::uint64_t commits = 0;  ///< that it took
  };
  Counts counts() const;

 private:
  struct Impl;
  explicit GroupCommit(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::size_t kMostJoinedWrites = 128;  ///< in one commit; the rest is the next one's

}  // namespace karta::service
