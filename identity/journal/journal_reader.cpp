#include "identity/journal/journal_reader.h"

#include "identity/journal/head_file.h"
#include "identity/journal/journal_table.h"

namespace karta::identity {

using service::Database;
using service::DatabaseOptions;

struct JournalReader::State {
  std::filesystem::path path;
  Database database;
  std::string terminal;
};

JournalReader::JournalReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
JournalReader::JournalReader(JournalReader&&) noexcept = default;
JournalReader::~JournalReader() = default;

Result<JournalReader> JournalReader::open(const std::filesystem::path& path) {
  Database database = TRY(Database::open(
      path.string(), {.open = DatabaseOptions::Open::read_only, .busy_timeout = std::chrono::seconds(5)}));
  TRY(database.execute_script("PRAGMA cache_size=-2048"));
  auto meta = detail::read_meta(database);
  if (!meta) {
    if (meta.error().kind == ErrorKind::internal)
      return fail(ErrorKind::malformed, "\"" + path.string() + "\" is not a terminal's journal");
    return fail(std::move(meta).error());
  }
  return JournalReader(std::make_unique<State>(State{path, std::move(database), std::move(meta->terminal)}));
}

const std::string& JournalReader::terminal() const { return state_->terminal; }

Result<std::vector<JournalRecord>> JournalReader::pages(std::uint64_t after, std::size_t limit) const {
  return detail::read_page(state_->database, after, limit);
}

Result<JournalReport> JournalReader::verify() const {
  // Before the walk: a writer at work only adds to what the head says.
  const auto head = detail::read_head(state_->path);
  Database& database = state_->database;
  const service::Transaction snapshot = TRY(database.begin_read());
  const detail::JournalMeta meta = TRY(detail::read_meta(database));
  JournalReport report;
  report.anchor = meta.anchor;
  report.uploaded_to = meta.uploaded.number;
  JournalPosition end = meta.anchor;
  bool head_met = !head || head->number <= meta.anchor.number;
  const auto find = [&](std::uint64_t number, std::string words) {
    if (report.findings.size() < 100) report.findings.push_back({number, std::move(words)});
  };
  const Status walked = detail::walk(database, meta.anchor.number, [&](const JournalRecord& record) {
    ++report.records;
    const JournalFit fit = fit_of(end, record);
    switch (fit) {
      case JournalFit::next:
      case JournalFit::mended:
        break;
      case JournalFit::gap:
        find(record.number,
             "records " + std::to_string(end.number + 1) + " to " + std::to_string(record.number - 1) + " are missing");
        break;
      case JournalFit::fork:
      case JournalFit::repeated:
        find(record.number, "does not stand on the record before it");
        break;
      case JournalFit::broken:
        find(record.number, "has been changed: its hash does not fit");
        break;
    }
    if (const auto damage = damage_of(record)) report.damages.push_back(*damage);
    if (head && head->number == record.number) {
      head_met = true;
      if (head->hash != record.hash) find(record.number, "is not the one acknowledged under this number");
    }
    end = record.position();
    return true;
  });
  if (!walked) {
    if (walked.error().kind != ErrorKind::malformed) return fail(walked.error());
    find(end.number + 1, "cannot be read: " + walked.error().message);
  }
  if (head && head->number > end.number) {
    find(end.number + 1, "records to " + std::to_string(head->number) + " were acknowledged and are gone");
  } else if (!head_met && walked) {
    find(head->number, "was acknowledged and is gone");
  }
  report.last = end;
  return report;
}

}  // namespace karta::identity
