#include "identity/journal/journal_file.h"

#include "identity/journal/mending.h"

namespace karta::identity::detail {
namespace {

namespace fs = std::filesystem;
using service::Database;
using service::DatabaseOptions;
using service::Statement;

Result<Database> open_existing(const fs::path& path) {
  return Database::open(path.string(),
                        {.open = DatabaseOptions::Open::existing, .busy_timeout = std::chrono::seconds(10)});
}

/// None: it is no database any more.
Result<std::optional<Database>> open_or_create(const fs::path& path, const std::string& terminal) {
  auto opened = open_existing(path);
  if (!opened) {
    if (opened.error().kind == ErrorKind::malformed) return std::optional<Database>();
    if (opened.error().kind != ErrorKind::not_found) return fail(std::move(opened).error());
    return std::optional(TRY(create_journal_file(path, fresh_meta(terminal))));
  }
  bool empty = false;
  {
    Statement tables = TRY(opened->prepare("SELECT count(*) FROM sqlite_master"));
    TRY(tables.query());
    TRY(tables.next());
    empty = tables.integer(0) == 0;
  }
  // Made, and never filled before a crash.
  if (empty) TRY(make_tables(*opened, fresh_meta(terminal)));
  return std::optional(std::move(*opened));
}

struct Examined {
  bool whole = false;  ///< what follows is known as far as the chain is
  JournalMeta meta;
  JournalPosition end;
  std::uint64_t walked = 0;
};

/// Walks the chain from the last place known to be whole. An error only where that says nothing of the file.
Result<Examined> examine(Database& database) {
  Examined out;
  const auto judged = [&](const Error& error) -> Result<Examined> {
    // "internal": a table or column that is not there, where the schema's page was damaged.
    if (error.kind == ErrorKind::malformed || error.kind == ErrorKind::internal) return out;
    return fail(error);
  };
  auto meta = read_meta(database);
  if (!meta) return judged(meta.error());
  out.meta = std::move(*meta);
  out.end = out.meta.anchor;
  if (out.meta.checked > out.end.number) {
    const auto page = read_page(database, out.meta.checked - 1, 1);
    if (!page) return judged(page.error());
    if (!page->empty() && page->front().number == out.meta.checked && hash_of(page->front()) == page->front().hash)
      out.end = page->front().position();
  }
  bool whole = true;
  const Status walked = walk(database, out.end.number, [&](const JournalRecord& record) {
    const JournalFit fit = fit_of(out.end, record);
    whole = fit == JournalFit::next || fit == JournalFit::mended;
    if (whole) out.end = record.position();
    ++out.walked;
    return whole;
  });
  if (!walked) return judged(walked.error());
  out.whole = whole;
  return out;
}

}  // namespace

Result<OpenedJournal> open_journal_file(const fs::path& path, const std::string& terminal) {
  std::string kept = TRY(finish_mending(path));
  std::optional<Database> database = TRY(open_or_create(path, terminal));
  Examined found;
  if (database) found = TRY(examine(*database));
  const bool whole = found.whole;
  if (!whole) {
    const std::uint64_t walked = found.walked;
    kept = TRY(mend(path, std::move(database), terminal));
    database.emplace(TRY(open_existing(path)));
    found = TRY(examine(*database));
    if (!found.whole) return fail(ErrorKind::internal, "journal: mended, and still damaged");
    found.walked += walked;
  }
  TRY(database->execute_script(kJournalTuning));
  return OpenedJournal{std::move(*database), std::move(found.meta), found.end, found.walked, !whole, std::move(kept)};
}

}  // namespace karta::identity::detail
