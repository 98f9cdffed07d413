#include "identity/journal/journal_table.h"

#include <algorithm>

#include "base/random.h"

namespace karta::identity::detail {
namespace {

namespace fs = std::filesystem;
using service::Database;
using service::DatabaseOptions;
using service::Statement;
using service::Transaction;

// A local file, never PostgreSQL: INTEGER PRIMARY KEY is the row's own place in the tree.
constexpr std::string_view kSchema = R"(
CREATE TABLE journal (
  one INTEGER PRIMARY KEY,
  version BIGINT NOT NULL,
  terminal TEXT NOT NULL,
  anchor_number BIGINT NOT NULL,
  anchor_hash BYTEA NOT NULL,
  uploaded_number BIGINT NOT NULL,
  uploaded_hash BYTEA NOT NULL,
  checked_number BIGINT NOT NULL,
  clock_latest BIGINT,
  clock_state TEXT NOT NULL);
CREATE TABLE record (
  number INTEGER PRIMARY KEY,
  time BIGINT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  previous BYTEA NOT NULL,
  hash BYTEA NOT NULL);
)";
constexpr std::int64_t kVersion = 1;

constexpr std::size_t kMostPage = 10'000;

std::int64_t as_signed(std::uint64_t number) { return static_cast<std::int64_t>(number); }

bool take_hash(ByteView octets, JournalHash& out) {
  if (octets.size() != out.size()) return false;
  std::copy(octets.begin(), octets.end(), out.begin());
  return true;
}

std::optional<std::int64_t> seconds_of(std::optional<Time> time) {
  if (!time) return std::nullopt;
  return time->time_since_epoch().count();
}

Status write_meta(Database& database, const JournalMeta& meta) {
  TRY(database.execute(
      "INSERT INTO journal (one, version, terminal, anchor_number, anchor_hash, uploaded_number, uploaded_hash, "
      "checked_number, clock_latest, clock_state) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {kVersion, meta.terminal, as_signed(meta.anchor.number), ByteView(meta.anchor.hash),
       as_signed(meta.uploaded.number), ByteView(meta.uploaded.hash), as_signed(meta.checked),
       seconds_of(meta.clock_latest), name_of(meta.clock_fine ? ClockState::fine : ClockState::leapt)}));
  return {};
}

constexpr std::string_view kSelect =
    "SELECT number, time, kind, body, previous, hash FROM record WHERE number > $1 ORDER BY number LIMIT $2";

Result<JournalRecord> record_of(const Statement& row) {
  JournalRecord record;
  record.number = static_cast<std::uint64_t>(row.integer(0));
  record.time = Time(std::chrono::seconds(row.integer(1)));
  record.kind = std::string(row.text(2));
  record.body = std::string(row.text(3));
  if (!take_hash(row.octets(4), record.previous) || !take_hash(row.octets(5), record.hash))
    return fail(ErrorKind::malformed, "journal: record " + std::to_string(record.number) + " has no hash");
  return record;
}

}  // namespace

JournalMeta fresh_meta(const std::string& terminal) {
  JournalMeta meta;
  meta.terminal = terminal;
  SystemRandom().fill(meta.anchor.hash);
  meta.uploaded = meta.anchor;
  return meta;
}

Result<JournalMeta> read_meta(Database& database) {
  Statement asked =
      TRY(database.prepare("SELECT version, terminal, anchor_number, anchor_hash, uploaded_number, uploaded_hash, "
                           "checked_number, clock_latest, clock_state FROM journal WHERE one = 1"));
  TRY(asked.query());
  if (!TRY(asked.next())) return fail(ErrorKind::malformed, "journal: its head is missing");
  if (asked.integer(0) != kVersion)
    return fail(ErrorKind::unsupported, "journal: of version " + std::to_string(asked.integer(0)),
                "it was written by a newer program");
  JournalMeta meta;
  meta.terminal = std::string(asked.text(1));
  meta.anchor.number = static_cast<std::uint64_t>(asked.integer(2));
  meta.uploaded.number = static_cast<std::uint64_t>(asked.integer(4));
  if (!take_hash(asked.octets(3), meta.anchor.hash) || !take_hash(asked.octets(5), meta.uploaded.hash))
    return fail(ErrorKind::malformed, "journal: its head is damaged");
  meta.checked = static_cast<std::uint64_t>(asked.integer(6));
  if (const auto latest = asked.integer_or_null(7)) meta.clock_latest = Time(std::chrono::seconds(*latest));
  meta.clock_fine = asked.text(8) == name_of(ClockState::fine);
  return meta;
}

Status make_tables(Database& database, const JournalMeta& meta) {
  Transaction transaction = TRY(database.begin());
  TRY(database.execute_script(kSchema));
  TRY(write_meta(database, meta));
  return transaction.commit();
}

Result<Database> create_journal_file(const fs::path& path, const JournalMeta& meta) {
  Database database = TRY(Database::open(path.string(), {.open = DatabaseOptions::Open::create, .busy_timeout = {}}));
  TRY(database.execute_script(kJournalTuning));
  TRY(make_tables(database, meta));
  return database;
}

Status set_anchor(Database& database, const JournalPosition& anchor) {
  TRY(database.execute("UPDATE journal SET anchor_number = $1, anchor_hash = $2",
                       {as_signed(anchor.number), ByteView(anchor.hash)}));
  return {};
}

Status set_uploaded(Database& database, const JournalPosition& uploaded) {
  TRY(database.execute("UPDATE journal SET uploaded_number = $1, uploaded_hash = $2",
                       {as_signed(uploaded.number), ByteView(uploaded.hash)}));
  return {};
}

Status set_checked(Database& database, std::uint64_t number) {
  TRY(database.execute("UPDATE journal SET checked_number = $1", {as_signed(number)}));
  return {};
}

Status set_clock(Database& database, std::optional<Time> latest, ClockState state) {
  TRY(database.execute("UPDATE journal SET clock_latest = $1, clock_state = $2", {seconds_of(latest), name_of(state)}));
  return {};
}

Status insert_record(Database& database, const JournalRecord& record) {
  TRY(database.execute("INSERT INTO record (number, time, kind, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6)",
                       {as_signed(record.number), record.time.time_since_epoch().count(), record.kind, record.body,
                        ByteView(record.previous), ByteView(record.hash)}));
  return {};
}

Status remove_up_to(Database& database, std::uint64_t number) {
  TRY(database.execute("DELETE FROM record WHERE number <= $1", {as_signed(number)}));
  return {};
}

Result<std::optional<JournalPosition>> last_position(Database& database) {
  Statement asked = TRY(database.prepare("SELECT number, hash FROM record ORDER BY number DESC LIMIT 1"));
  TRY(asked.query());
  std::optional<JournalPosition> last;
  if (!TRY(asked.next())) return last;
  last = JournalPosition{static_cast<std::uint64_t>(asked.integer(0)), {}};
  if (!take_hash(asked.octets(1), last->hash)) return fail(ErrorKind::malformed, "journal: a record has no hash");
  return last;
}

Result<std::vector<JournalRecord>> read_page(Database& database, std::uint64_t after, std::size_t limit) {
  Statement rows = TRY(database.prepare(kSelect));
  TRY(rows.query({as_signed(after), as_signed(std::min(limit, kMostPage))}));
  std::vector<JournalRecord> page;
  while (TRY(rows.next())) page.push_back(TRY(record_of(rows)));
  return page;
}

Result<RecordRows> RecordRows::above(Database& database, std::uint64_t after) {
  Statement rows = TRY(database.prepare(kSelect));
  TRY(rows.query({as_signed(after), std::int64_t{-1}}));
  return RecordRows(std::move(rows));
}

Result<std::optional<JournalRecord>> RecordRows::next() {
  std::optional<JournalRecord> record;
  if (TRY(rows_.next())) record = TRY(record_of(rows_));
  return record;
}

}  // namespace karta::identity::detail
