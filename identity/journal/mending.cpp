#include "identity/journal/mending.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "identity/journal/beside.h"
#include "identity/journal/journal_table.h"

namespace karta::identity::detail {
namespace {

namespace fs = std::filesystem;
using service::Database;
using service::Transaction;

constexpr std::size_t kCopiedAtOnce = 5'000;

Status rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return fail(ErrorKind::io, "cannot rename \"" + from.string() + "\": " + std::strerror(errno));
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// The first of PATH.damaged-1, -2 ... that is free.
fs::path damaged_name(const fs::path& path) {
  for (unsigned n = 1;; ++n) {
    fs::path name = beside(path, ".damaged-" + std::to_string(n));
    if (!is_there(name)) return name;
  }
}

fs::path log_of(const fs::path& database) { return beside(database, "-wal"); }

/// Puts PATH.mending, which is complete, in the place of PATH, which is kept. Each step may have been done before a
/// crash. The old log goes first: SQLite must not take it for the new file's.
Result<std::string> swap_mended(const fs::path& path) {
  fs::path kept;
  if (is_there(path)) {
    kept = damaged_name(path);
    if (is_there(log_of(path))) TRY(rename_file(log_of(path), log_of(kept)));
    ::unlink(beside(path, "-shm").c_str());
    if (::link(path.c_str(), kept.c_str()) != 0) TRY(rename_file(path, kept));
  }
  TRY(rename_file(beside(path, ".mending"), path));
  TRY(sync_folder_of(path));
  return kept.filename().string();
}

/// The records of `damaged` above `end`, and where nothing tells what the first one stands on, all of them.
Status copy_whole_part(Database& damaged, std::optional<JournalPosition> end, Database& mended) {
  auto rows = RecordRows::above(damaged, end ? end->number : 0);
  std::optional<Transaction> transaction;
  for (std::size_t copied = 1;; ++copied) {
    // How the rows end does not matter: what came is what there is.
    const auto next = rows ? rows->next() : std::optional<JournalRecord>();
    if (!next || !*next) break;
    const JournalRecord& record = **next;
    if (!end) {
      // The head is lost: the first record tells what it stands on.
      end = {record.number - 1, record.previous};
      TRY(set_anchor(mended, *end));
    }
    const JournalFit fit = fit_of(*end, record);
    if (fit != JournalFit::next && fit != JournalFit::mended) break;
    if (!transaction) transaction.emplace(TRY(mended.begin()));
    TRY(insert_record(mended, record));
    end = record.position();
    if (copied % kCopiedAtOnce == 0) {
      TRY(transaction->commit());
      transaction.reset();
    }
  }
  if (transaction) TRY(transaction->commit());
  return {};
}

/// The part of the chain in `damaged` that is whole, in a new file PATH.mending.
Status make_mended(const fs::path& path, Database* damaged, const std::string& terminal) {
  const fs::path draft = beside(path, ".mending-draft");
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink(beside(draft, suffix).c_str());
  JournalMeta meta = fresh_meta(terminal);
  std::optional<JournalPosition> anchor;
  if (damaged != nullptr) {
    if (auto found = read_meta(*damaged)) {
      meta = std::move(*found);
      anchor = meta.anchor;
    }
  }
  meta.checked = 0;
  {
    Database mended = TRY(create_journal_file(draft, meta));
    if (damaged != nullptr) TRY(copy_whole_part(*damaged, anchor, mended));
  }
  // Closed: its log is folded in.
  return rename_file(draft, beside(path, ".mending"));
}

}  // namespace

Result<std::string> finish_mending(const fs::path& path) {
  if (!is_there(beside(path, ".mending"))) return std::string();
  return swap_mended(path);
}

Result<std::string> mend(const fs::path& path, std::optional<Database> damaged, const std::string& terminal) {
  TRY(make_mended(path, damaged ? &*damaged : nullptr, terminal));
  damaged.reset();
  return swap_mended(path);
}

}  // namespace karta::identity::detail
