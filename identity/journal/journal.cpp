#include "identity/journal/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "service/database.h"

namespace karta::identity {
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

// Small: kartad has 64 MB for everything.
constexpr std::string_view kTuning = "PRAGMA cache_size=-2048; PRAGMA wal_autocheckpoint=1000";
constexpr std::size_t kMostInTransaction = 512;
constexpr std::size_t kPrunedAtOnce = 2'000;
constexpr std::size_t kCopiedAtOnce = 5'000;
constexpr std::size_t kMostPage = 10'000;
constexpr off_t kRoom = 256 * 1024;  // for hundreds of records

constexpr std::string_view kCompleting[] = {"counter", "damage", "redemption", "settled", "stop", "tap"};

fs::path beside(const fs::path& path, std::string_view suffix) { return fs::path(path.string() + std::string(suffix)); }

std::int64_t as_signed(std::uint64_t number) { return static_cast<std::int64_t>(number); }

bool take_hash(ByteView octets, JournalHash& out) {
  if (octets.size() != out.size()) return false;
  std::copy(octets.begin(), octets.end(), out.begin());
  return true;
}

struct Meta {
  std::string terminal;
  JournalPosition anchor, uploaded;
  std::uint64_t checked = 0;
  std::optional<Time> clock_latest;
  bool clock_fine = true;
};

Result<Meta> read_meta(Database& database) {
  Statement asked =
      TRY(database.prepare("SELECT version, terminal, anchor_number, anchor_hash, uploaded_number, uploaded_hash, "
                           "checked_number, clock_latest, clock_state FROM journal WHERE one = 1"));
  TRY(asked.query());
  if (!TRY(asked.next())) return fail(ErrorKind::malformed, "journal: its head is missing");
  if (asked.integer(0) != kVersion)
    return fail(ErrorKind::unsupported, "journal: of version " + std::to_string(asked.integer(0)),
                "it was written by a newer program");
  Meta meta;
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

Status write_meta(Database& database, const Meta& meta) {
  TRY(database.execute(
      "INSERT INTO journal (one, version, terminal, anchor_number, anchor_hash, uploaded_number, uploaded_hash, "
      "checked_number, clock_latest, clock_state) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {kVersion, meta.terminal, as_signed(meta.anchor.number), ByteView(meta.anchor.hash),
       as_signed(meta.uploaded.number), ByteView(meta.uploaded.hash), as_signed(meta.checked),
       meta.clock_latest ? std::optional<std::int64_t>(meta.clock_latest->time_since_epoch().count()) : std::nullopt,
       name_of(meta.clock_fine ? ClockState::fine : ClockState::leapt)}));
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

Result<std::vector<JournalRecord>> read_page(Database& database, std::uint64_t after, std::size_t limit) {
  Statement rows = TRY(database.prepare(kSelect));
  TRY(rows.query({as_signed(after), as_signed(std::min(limit, kMostPage))}));
  std::vector<JournalRecord> page;
  while (TRY(rows.next())) page.push_back(TRY(record_of(rows)));
  return page;
}

/// Calls each(record) for all above `after`. A page at a time: no cursor stays open over a long walk.
template <class Each>
Status walk(Database& database, std::uint64_t after, Each&& each) {
  while (true) {
    const std::vector<JournalRecord> page = TRY(read_page(database, after, 1'000));
    for (const JournalRecord& record : page) {
      if (!each(record)) return {};
      after = record.number;
    }
    if (page.size() < 1'000) return {};
  }
}

/// As walk(), one row after another and what can be read before the damage is handed out.
template <class Each>
Status walk_rows(Database& database, std::uint64_t after, Each&& each) {
  Statement rows = TRY(database.prepare(kSelect));
  TRY(rows.query({as_signed(after), std::int64_t{-1}}));
  while (TRY(rows.next())) {
    const JournalRecord record = TRY(record_of(rows));
    if (!each(record)) return {};
  }
  return {};
}

Status insert(Database& database, const JournalRecord& record) {
  TRY(database.execute("INSERT INTO record (number, time, kind, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6)",
                       {as_signed(record.number), record.time.time_since_epoch().count(), record.kind, record.body,
                        ByteView(record.previous), ByteView(record.hash)}));
  return {};
}

// PATH.head: "KARTAJH1", number (8 octets, big-endian), hash, the first 8 octets of SHA-256 over what stands before.
// Written in place after each commit and never synced: after a power cut it may be older than the journal, not newer.
constexpr std::string_view kHeadMagic = "KARTAJH1";
constexpr std::size_t kHeadOctets = 8 + 8 + 32 + 8;

std::array<std::uint8_t, kHeadOctets> head_of(const JournalPosition& position) {
  std::array<std::uint8_t, kHeadOctets> head{};
  std::copy(kHeadMagic.begin(), kHeadMagic.end(), head.begin());
  for (std::size_t i = 0; i < 8; ++i)
    head[8 + i] = static_cast<std::uint8_t>(position.number >> (56 - 8 * static_cast<unsigned>(i)));
  std::copy(position.hash.begin(), position.hash.end(), head.begin() + 16);
  const Bytes check = crypto::digest(crypto::Hash::sha256, ByteView(head).first(48));
  std::copy_n(check.begin(), 8, head.begin() + 48);
  return head;
}

std::optional<JournalPosition> read_head(const fs::path& path) {
  const auto octets = read_file(beside(path, ".head"), kHeadOctets);
  if (!octets || octets->size() != kHeadOctets) return std::nullopt;
  JournalPosition position;
  for (std::size_t i = 0; i < 8; ++i) position.number = position.number << 8 | (*octets)[8 + i];
  std::copy_n(octets->begin() + 16, 32, position.hash.begin());
  const auto expected = head_of(position);
  if (!equal(*octets, expected)) return std::nullopt;
  return position;
}

Status sync_folder_of(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return fail(ErrorKind::io, "cannot open \"" + folder.string() + "\": " + std::strerror(errno));
  const bool done = ::fsync(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  if (!done) return fail(ErrorKind::io, "cannot sync \"" + folder.string() + "\": " + std::strerror(reason));
  return {};
}

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

Result<Database> create_database(const fs::path& path, const Meta& meta) {
  Database database = TRY(Database::open(path.string(), {.open = DatabaseOptions::Open::create, .busy_timeout = {}}));
  TRY(database.execute_script(kTuning));
  Transaction transaction = TRY(database.begin());
  TRY(database.execute_script(kSchema));
  TRY(write_meta(database, meta));
  TRY(transaction.commit());
  return database;
}

Meta fresh_meta(const std::string& terminal) {
  Meta meta;
  meta.terminal = terminal;
  // Two journals of one terminal differ from their first record on.
  SystemRandom().fill(meta.anchor.hash);
  meta.uploaded = meta.anchor;
  return meta;
}

/// The part of the chain in `damaged` that is whole, in a new file PATH.mending.
Status make_mended(const fs::path& path, Database* damaged, const std::string& terminal) {
  const fs::path draft = beside(path, ".mending-draft");
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink(beside(draft, suffix).c_str());
  Meta meta = fresh_meta(terminal);
  bool anchored = false;
  if (damaged != nullptr) {
    if (auto found = read_meta(*damaged)) {
      meta = std::move(*found);
      anchored = true;
    }
  }
  meta.checked = 0;
  {
    Database mended = TRY(create_database(draft, meta));
    std::optional<Transaction> transaction;
    std::size_t copied = 0;
    JournalPosition end = meta.anchor;
    Status written;
    if (damaged != nullptr) {
      // How the walk ends does not matter: what it handed out is what there is.
      (void)walk_rows(*damaged, anchored ? meta.anchor.number : 0, [&](const JournalRecord& record) {
        if (!anchored) {
          // The head is lost: the first record tells what it stands on.
          end = {record.number - 1, record.previous};
          anchored = true;
          const auto set = mended.execute("UPDATE journal SET anchor_number = $1, anchor_hash = $2",
                                          {as_signed(end.number), ByteView(end.hash)});
          if (!set) return (written = fail(set.error())).has_value();
        }
        const JournalFit fit = fit_of(end, record);
        if (fit != JournalFit::next && fit != JournalFit::mended) return false;
        if (!transaction) {
          auto begun = mended.begin();
          if (!begun) return (written = fail(begun.error())).has_value();
          transaction.emplace(std::move(*begun));
        }
        written = insert(mended, record);
        if (!written) return false;
        end = record.position();
        if (++copied % kCopiedAtOnce == 0) {
          written = transaction->commit();
          transaction.reset();
        }
        return written.has_value();
      });
    }
    TRY(written);
    if (transaction) TRY(transaction->commit());
    transaction.reset();
  }
  // Closed: its log is folded in.
  return rename_file(draft, beside(path, ".mending"));
}

}  // namespace

std::string_view name_of(JournalHealth health) {
  switch (health) {
    case JournalHealth::fine:
      return "fine";
    case JournalHealth::full:
      return "full";
    case JournalHealth::failing:
      return "failing";
  }
  return "";
}

bool completes(std::string_view kind) {
  return std::find(std::begin(kCompleting), std::end(kCompleting), kind) != std::end(kCompleting);
}

// ---- reading

struct JournalReader::State {
  fs::path path;
  Database database;
  std::string terminal;
};

JournalReader::JournalReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
JournalReader::JournalReader(JournalReader&&) noexcept = default;
JournalReader::~JournalReader() = default;

Result<JournalReader> JournalReader::open(const fs::path& path) {
  Database database = TRY(Database::open(
      path.string(), {.open = DatabaseOptions::Open::read_only, .busy_timeout = std::chrono::seconds(5)}));
  TRY(database.execute_script("PRAGMA cache_size=-2048"));
  auto meta = read_meta(database);
  if (!meta) {
    if (meta.error().kind == ErrorKind::internal)
      return fail(ErrorKind::malformed, "\"" + path.string() + "\" is not a terminal's journal");
    return fail(std::move(meta).error());
  }
  return JournalReader(std::make_unique<State>(State{path, std::move(database), std::move(meta->terminal)}));
}

const std::string& JournalReader::terminal() const { return state_->terminal; }

Result<std::vector<JournalRecord>> JournalReader::pages(std::uint64_t after, std::size_t limit) const {
  return read_page(state_->database, after, limit);
}

Result<JournalReport> JournalReader::verify() const {
  // Before the walk: a writer at work only adds to what the head says.
  const auto head = read_head(state_->path);
  Database& database = state_->database;
  Transaction snapshot = TRY(database.begin_read());
  const Meta meta = TRY(read_meta(database));
  JournalReport report;
  report.anchor = meta.anchor;
  report.uploaded_to = meta.uploaded.number;
  JournalPosition end = meta.anchor;
  bool head_met = !head || head->number <= meta.anchor.number;
  const auto find = [&](std::uint64_t number, std::string words) {
    if (report.findings.size() < 100) report.findings.push_back({number, std::move(words)});
  };
  const Status walked = walk(database, meta.anchor.number, [&](const JournalRecord& record) {
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

// ---- writing

struct Journal::Pending {
  std::string kind, body;
  bool done = false;
  Result<JournalPosition> outcome = JournalPosition{};
};

struct Journal::Store {
  int lock = -1, head = -1;
  std::optional<Database> database;
  mutable std::mutex reading;
  mutable std::optional<JournalReader> reader;
  JournalPosition end;    // as in the file; the leader's
  bool end_known = true;  // false after a failed write: what is in the file must be looked up
  bool reserve = false;   // PATH.reserve is there
  std::optional<ClockJump> untold;
  ClockState told = ClockState::fine;  // as in the journal's head

  ~Store() {
    reader.reset();
    database.reset();
    if (head >= 0) ::close(head);
    if (lock >= 0) ::close(lock);
  }
};

Journal::Journal(fs::path path, std::string terminal, const Clock& clock, JournalOptions options)
    : path_(std::move(path)),
      terminal_(std::move(terminal)),
      clock_(&clock),
      options_(std::move(options)),
      store_(std::make_unique<Store>()) {}

Journal::~Journal() {
  if (!store_->database || !guard_) return;
  // What the next start need not walk again, and the time lived through. Nothing is lost if it fails.
  const auto latest = guard_->latest();
  (void)store_->database->execute(
      "UPDATE journal SET checked_number = $1, clock_latest = $2, clock_state = $3",
      {as_signed(last_.number), latest ? std::optional<std::int64_t>(latest->time_since_epoch().count()) : std::nullopt,
       name_of(guard_->state())});
}

Result<std::unique_ptr<Journal>> Journal::open(const fs::path& path, std::string terminal, const Clock& clock,
                                               JournalOptions options) {
  std::unique_ptr<Journal> journal(new Journal(path, std::move(terminal), clock, std::move(options)));
  TRY(journal->open_store());
  return journal;
}

namespace {

Result<int> take_lock(const fs::path& path) {
  const fs::path name = beside(path, ".lock");
  const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return fail(ErrorKind::io, "cannot open \"" + name.string() + "\": " + std::strerror(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    char who[128] = {};
    const ssize_t read = ::pread(lock, who, sizeof who - 1, 0);
    ::close(lock);
    std::string words = "the journal \"" + path.string() + "\" is being written by ";
    words += read > 0 ? std::string(who, static_cast<std::size_t>(read)) : std::string("another program");
    return fail(ErrorKind::busy, std::move(words), "a journal has one writer: stop the other program first");
  }
  std::string program;
  std::getline(std::ifstream("/proc/self/comm"), program);
  const std::string who = program + ", process " + std::to_string(::getpid());
  // For people: the lock holds without it, on a full disk too.
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, who.data(), who.size(), 0) < 0) return lock;
  return lock;
}

bool make_reserve(const fs::path& path, std::size_t octets) {
  const fs::path name = beside(path, ".reserve");
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool made = ::posix_fallocate(file, 0, static_cast<off_t>(octets)) == 0;
  ::close(file);
  if (!made) ::unlink(name.c_str());
  return made;
}

/// Whether a little more than the reserve could be written.
bool has_room(const fs::path& path) {
  const fs::path name = beside(path, ".room");
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool room = ::posix_fallocate(file, 0, kRoom) == 0;
  ::close(file);
  ::unlink(name.c_str());
  return room;
}

}  // namespace

Status Journal::open_store() {
  store_->lock = TRY(take_lock(path_));
  std::string kept;
  if (is_there(beside(path_, ".mending"))) kept = TRY(swap_mended(path_));

  const std::optional<JournalPosition> head = read_head(path_);
  std::optional<Meta> meta;
  JournalPosition end;
  std::uint64_t walked_over = 0;

  // The chain from the last place known to be whole. False: damaged.
  const auto examine = [&]() -> Result<bool> {
    const auto judged = [](const Error& error) -> Result<bool> {
      // "internal": a table or column that is not there, where the schema's page was damaged.
      if (error.kind == ErrorKind::malformed || error.kind == ErrorKind::internal) return false;
      return fail(error);
    };
    auto found = read_meta(*store_->database);
    if (!found) return judged(found.error());
    meta = std::move(*found);
    end = meta->anchor;
    if (meta->checked > end.number) {
      const auto page = read_page(*store_->database, meta->checked - 1, 1);
      if (!page) return judged(page.error());
      if (!page->empty() && page->front().number == meta->checked && hash_of(page->front()) == page->front().hash)
        end = page->front().position();
    }
    bool whole = true;
    const Status walked = walk(*store_->database, end.number, [&](const JournalRecord& record) {
      const JournalFit fit = fit_of(end, record);
      whole = fit == JournalFit::next || fit == JournalFit::mended;
      if (whole) end = record.position();
      ++walked_over;
      return whole;
    });
    if (!walked) return judged(walked.error());
    return whole;
  };

  bool whole = true;
  auto opened = Database::open(path_.string(),
                               {.open = DatabaseOptions::Open::existing, .busy_timeout = std::chrono::seconds(10)});
  if (opened) {
    store_->database.emplace(std::move(*opened));
    Statement tables = TRY(store_->database->prepare("SELECT count(*) FROM sqlite_master"));
    TRY(tables.query());
    TRY(tables.next());
    // Nothing in it: made, and never filled before a crash.
    if (tables.integer(0) == 0) {
      Transaction transaction = TRY(store_->database->begin());
      TRY(store_->database->execute_script(kSchema));
      TRY(write_meta(*store_->database, fresh_meta(terminal_)));
      TRY(transaction.commit());
    }
  } else if (opened.error().kind == ErrorKind::not_found) {
    store_->database.emplace(TRY(create_database(path_, fresh_meta(terminal_))));
  } else if (opened.error().kind == ErrorKind::malformed) {
    whole = false;
  } else {
    return fail(std::move(opened).error());
  }
  if (whole) whole = TRY(examine());
  if (!whole) {
    TRY(make_mended(path_, store_->database ? &*store_->database : nullptr, terminal_));
    store_->database.reset();
    kept = TRY(swap_mended(path_));
    store_->database.emplace(TRY(Database::open(
        path_.string(), {.open = DatabaseOptions::Open::existing, .busy_timeout = std::chrono::seconds(10)})));
    if (!TRY(examine())) return fail(ErrorKind::internal, "journal: mended, and still damaged");
  }
  TRY(store_->database->execute_script(kTuning));
  if (meta->terminal != terminal_) {
    return fail(ErrorKind::configuration,
                "the journal \"" + path_.string() + "\" is that of terminal \"" + meta->terminal + "\"",
                "give each terminal a journal of its own");
  }

  // The latest time lived through: the last record's, unless the clock was known to be wrong.
  std::optional<Time> latest = meta->clock_latest;
  if (meta->clock_fine) {
    const auto page = TRY(read_page(*store_->database, end.number == 0 ? 0 : end.number - 1, 1));
    if (!page.empty() && (!latest || page.front().time > *latest)) latest = page.front().time;
  }
  store_->told = meta->clock_fine ? ClockState::fine : ClockState::leapt;
  guard_ = std::make_unique<ClockGuard>(latest, options_.clock, options_.uptime);

  const fs::path head_name = beside(path_, ".head");
  store_->head = ::open(head_name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (store_->head < 0)
    return fail(ErrorKind::io, "cannot open \"" + head_name.string() + "\": " + std::strerror(errno));
  store_->reserve = make_reserve(path_, options_.reserve_octets);
  store_->reader.emplace(TRY(JournalReader::open(path_)));

  // A number once acknowledged or uploaded is never given to another record.
  JournalPosition resume = end;
  for (const JournalPosition& known : {head.value_or(JournalPosition{}), meta->uploaded}) {
    if (known.number > resume.number) resume = known;
  }
  store_->end = resume;
  last_ = end;
  anchor_ = meta->anchor;
  uploaded_to_ = meta->uploaded.number;
  if (!store_->reserve) health_ = JournalHealth::full;
  if (walked_over > 10'000) {
    TRY(store_->database->execute("UPDATE journal SET checked_number = $1", {as_signed(end.number)}));
  }
  if (!whole || !kept.empty() || resume.number > end.number) {
    damage_ = JournalDamage{end.number + 1, resume.number, kept};
    TRY(append(kDamageKind, damage_body(*damage_)));
  }
  return {};
}

Result<JournalPosition> Journal::append(std::string_view kind, std::string_view body) {
  if (!is_journal_kind(kind)) return fail(ErrorKind::usage, "\"" + std::string(kind) + "\" is no kind of record");
  Pending own;
  own.kind = std::string(kind);
  own.body = TRY(canonical_journal_body(body));
  std::unique_lock lock(mutex_);
  pending_.push_back(&own);
  while (!own.done) {
    if (writing_) {
      written_.wait(lock);
      continue;
    }
    // Whoever finds the file free writes for all who wait.
    writing_ = true;
    std::vector<Pending*> batch;
    const std::size_t count = std::min(pending_.size(), kMostInTransaction);
    batch.assign(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
    lock.unlock();
    write(batch);
    lock.lock();
    bool any = false;
    for (Pending* pending : batch) {
      pending->done = true;
      any = any || pending->outcome.has_value();
    }
    if (any) last_ = store_->end;
    writing_ = false;
    written_.notify_all();
    if (any && on_appended_) {
      const JournalPosition end = last_;
      lock.unlock();
      on_appended_(end);
      lock.lock();
    }
  }
  return own.outcome;
}

void Journal::write(std::vector<Pending*>& batch) {
  const auto refuse = [](std::vector<Pending*>& some, const Error& error) {
    for (Pending* pending : some) pending->outcome = fail(error);
  };
  JournalHealth health = JournalHealth::fine;
  if (!store_->reserve) store_->reserve = make_reserve(path_, options_.reserve_octets);
  std::vector<Pending*> taken;
  const Error no_room{ErrorKind::io, "the journal cannot be written: the disk is full",
                      "make room; nothing is done with cards before its record is safe"};
  if (store_->reserve) {
    taken = batch;
  } else {
    health = JournalHealth::full;
    std::vector<Pending*> refused;
    for (Pending* pending : batch) (completes(pending->kind) ? taken : refused).push_back(pending);
    refuse(refused, no_room);
  }
  if (!taken.empty()) {
    Status written = write_once(taken);
    if (!written && written.error().kind == ErrorKind::io && store_->reserve) {
      // Room is set aside for what ends something begun. The rest has to wait.
      const bool full = written.error().message.find("full") != std::string::npos;
      health = full ? JournalHealth::full : JournalHealth::failing;
      std::vector<Pending*> completing, refused;
      for (Pending* pending : taken) (completes(pending->kind) ? completing : refused).push_back(pending);
      Error error = no_room;
      if (!full) error.message = "the journal cannot be written: " + written.error().message;
      refuse(refused, error);
      taken = std::move(completing);
      if (!taken.empty()) {
        make_room();
        written = write_once(taken);
      }
    }
    if (!written && !taken.empty()) {
      refuse(taken, written.error());
      if (health == JournalHealth::fine) health = JournalHealth::failing;
    }
  }
  const std::scoped_lock lock(mutex_);
  health_ = health;
}

void Journal::make_room() {
  ::unlink(beside(path_, ".reserve").c_str());
  store_->reserve = false;
}

Status Journal::write_once(const std::vector<Pending*>& batch) {
  Store& store = *store_;
  Database& database = *store.database;
  if (!store.end_known) {
    // A failed commit may have reached the disk all the same: the file tells.
    Statement asked = TRY(database.prepare("SELECT number, hash FROM record ORDER BY number DESC LIMIT 1"));
    TRY(asked.query());
    JournalPosition end = store.end;
    if (TRY(asked.next())) {
      JournalPosition found{static_cast<std::uint64_t>(asked.integer(0)), {}};
      if (!take_hash(asked.octets(1), found.hash)) return fail(ErrorKind::malformed, "journal: a record has no hash");
      if (found.number > end.number) end = found;
    }
    store.end = end;
    store.end_known = true;
  }

  const Time now = clock_->now();
  const ClockGuard::Look look = guard_->look(now);
  if (look.jump) store.untold = look.jump;
  JournalPosition end = store.end;
  const auto add = [&](const std::string& kind, const std::string& body) -> Status {
    JournalRecord record{end.number + 1, now, kind, body, end.hash, {}};
    record.hash = hash_of(record);
    TRY(insert(database, record));
    end = record.position();
    return {};
  };
  std::vector<JournalPosition> positions;
  const auto work = [&]() -> Status {
    Transaction transaction = TRY(database.begin());
    if (store.untold || look.state != store.told) {
      nlohmann::json body = {{"state", name_of(look.state)}, {"now", format_time(now)}};
      if (store.untold) body["expected"] = format_time(store.untold->expected);
      // First in the batch, but never before a damage record, which stands on what is missing.
      if (batch.front()->kind != kDamageKind) TRY(add(std::string(kClockKind), body.dump()));
      const auto latest = guard_->latest();
      TRY(database.execute("UPDATE journal SET clock_latest = $1, clock_state = $2",
                           {latest ? std::optional<std::int64_t>(latest->time_since_epoch().count()) : std::nullopt,
                            name_of(look.state)}));
    }
    for (const Pending* pending : batch) {
      TRY(add(pending->kind, pending->body));
      positions.push_back(end);
    }
    return transaction.commit();
  };
  store.end_known = false;
  TRY(work());
  store.end_known = true;
  store.end = end;
  if (batch.front()->kind != kDamageKind) {
    store.untold.reset();
    store.told = look.state;
  }
  const auto head = head_of(end);
  // It only warns of lost records; the records themselves are safe.
  (void)!::pwrite(store.head, head.data(), head.size(), 0);
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->outcome = positions[i];
  return {};
}

namespace {

/// The file for oneself, between two batches of appended records.
class Turn {
 public:
  Turn(std::mutex& mutex, std::condition_variable& written, bool& writing)
      : mutex_(mutex), written_(written), writing_(writing) {
    std::unique_lock lock(mutex_);
    written_.wait(lock, [&] { return !writing_; });
    writing_ = true;
  }
  ~Turn() {
    {
      const std::scoped_lock lock(mutex_);
      writing_ = false;
    }
    written_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::mutex& mutex_;
  std::condition_variable& written_;
  bool& writing_;
};

}  // namespace

Result<std::vector<JournalRecord>> Journal::pages(std::uint64_t after, std::size_t limit) const {
  const std::scoped_lock lock(store_->reading);
  return store_->reader->pages(after, limit);
}

Result<JournalReport> Journal::verify() const {
  const std::scoped_lock lock(store_->reading);
  return store_->reader->verify();
}

JournalPosition Journal::last() const {
  const std::scoped_lock lock(mutex_);
  return last_;
}
JournalPosition Journal::anchor() const {
  const std::scoped_lock lock(mutex_);
  return anchor_;
}
std::uint64_t Journal::uploaded_to() const {
  const std::scoped_lock lock(mutex_);
  return uploaded_to_;
}
JournalHealth Journal::health() {
  const std::scoped_lock lock(mutex_);
  // Nobody may come to append while it says "full": whether there is room again is looked at here too.
  if (health_ == JournalHealth::full && !writing_) {
    if (!store_->reserve) store_->reserve = make_reserve(path_, options_.reserve_octets);
    if (store_->reserve && has_room(path_)) health_ = JournalHealth::fine;
  }
  return health_;
}

Status Journal::mark_uploaded(std::uint64_t number) {
  const Turn turn(mutex_, written_, writing_);
  if (number <= uploaded_to()) return {};
  const auto page = TRY(read_page(*store_->database, number - 1, 1));
  if (page.empty() || page.front().number != number)
    return fail(ErrorKind::usage, "the journal has no record " + std::to_string(number));
  TRY(store_->database->execute("UPDATE journal SET uploaded_number = $1, uploaded_hash = $2",
                                {as_signed(number), ByteView(page.front().hash)}));
  const std::scoped_lock lock(mutex_);
  uploaded_to_ = number;
  return {};
}

Result<std::uint64_t> Journal::prune(Time before) {
  std::uint64_t removed = 0;
  while (true) {
    const Turn turn(mutex_, written_, writing_);
    const std::uint64_t most = uploaded_to();
    JournalPosition cut = anchor();
    const std::uint64_t from = cut.number;
    // In the order of numbers: a record made while the clock stood wrong goes with its neighbours.
    std::uint64_t count = 0;
    const auto page = TRY(read_page(*store_->database, from, kPrunedAtOnce));
    for (const JournalRecord& record : page) {
      if (record.number > most || record.time >= before) break;
      cut = record.position();
      ++count;
    }
    if (count == 0) return removed;
    Transaction transaction = TRY(store_->database->begin());
    TRY(store_->database->execute("DELETE FROM record WHERE number <= $1", {as_signed(cut.number)}));
    TRY(store_->database->execute("UPDATE journal SET anchor_number = $1, anchor_hash = $2",
                                  {as_signed(cut.number), ByteView(cut.hash)}));
    TRY(transaction.commit());
    removed += count;
    const std::scoped_lock lock(mutex_);
    anchor_ = cut;
  }
}

}  // namespace karta::identity
