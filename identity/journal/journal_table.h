// A journal's tables: its records, and one row that says whose it is and how far it was checked, uploaded and pruned.
// Functions on a Database, inside a transaction of the caller's where they say nothing else.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "identity/journal/clock_guard.h"
#include "identity/journal/record.h"
#include "service/database.h"

namespace karta::identity::detail {

/// Small: kartad has 64 MB for everything.
inline constexpr std::string_view kJournalTuning = "PRAGMA cache_size=-2048; PRAGMA wal_autocheckpoint=1000";

struct JournalMeta {
  std::string terminal;
  JournalPosition anchor, uploaded;
  std::uint64_t checked = 0;  ///< the chain is known to be whole up to this number
  std::optional<Time> clock_latest;
  bool clock_fine = true;
};

/// Of a new journal: two of one terminal differ from their first record on.
JournalMeta fresh_meta(const std::string& terminal);
/// Fails with malformed, unsupported (a newer program's), internal (no such table).
Result<JournalMeta> read_meta(service::Database& database);
Status make_tables(service::Database& database, const JournalMeta& meta);
/// A new file with the tables in it.
Result<service::Database> create_journal_file(const std::filesystem::path& path, const JournalMeta& meta);

Status set_anchor(service::Database& database, const JournalPosition& anchor);
Status set_uploaded(service::Database& database, const JournalPosition& uploaded);
Status set_checked(service::Database& database, std::uint64_t number);
Status set_clock(service::Database& database, std::optional<Time> latest, ClockState state);

Status insert_record(service::Database& database, const JournalRecord& record);
Status remove_up_to(service::Database& database, std::uint64_t number);
/// None: there is no record.
Result<std::optional<JournalPosition>> last_position(service::Database& database);
/// At most `limit`, and 10,000, records with numbers above `after`, ascending.
Result<std::vector<JournalRecord>> read_page(service::Database& database, std::uint64_t after, std::size_t limit);

/// Calls each(record) for all above `after` until it says false. A page at a time: no cursor stays open over a long
/// walk.
template <class Each>
Status walk(service::Database& database, std::uint64_t after, Each&& each) {
  constexpr std::size_t kPage = 1'000;
  while (true) {
    const std::vector<JournalRecord> page = TRY(read_page(database, after, kPage));
    for (const JournalRecord& record : page) {
      if (!each(record)) return {};
      after = record.number;
    }
    if (page.size() < kPage) return {};
  }
}

/// All above a number, one row after another: what can be read before a damage is handed out.
class RecordRows {
 public:
  static Result<RecordRows> above(service::Database& database, std::uint64_t after);
  /// Nullopt after the last one.
  Result<std::optional<JournalRecord>> next();

 private:
  explicit RecordRows(service::Statement rows) : rows_(std::move(rows)) {}
  service::Statement rows_;
};

}  // namespace karta::identity::detail
