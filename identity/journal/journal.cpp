#include "identity/journal/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "identity/journal/head_file.h"
#include "identity/journal/journal_file.h"
#include "identity/journal/reserve.h"
#include "identity/journal/writer_lock.h"

namespace karta::identity {
namespace {

namespace fs = std::filesystem;
using service::Database;
using service::Transaction;

constexpr std::size_t kMostInTransaction = 512;
constexpr std::size_t kPrunedAtOnce = 2'000;
constexpr std::uint64_t kWalkWorthNoting = 10'000;  // records; a shorter one is walked again after a kill

constexpr std::string_view kCompleting[] = {"counter", "damage", "redemption", "settled", "stop", "tap"};

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

struct Journal::Pending {
  std::string kind, body;
  bool done = false;
  Result<JournalPosition> outcome = JournalPosition{};
};

struct Journal::Store {
  Store(const fs::path& path, std::size_t reserve_octets) : reserve(path, reserve_octets) {}

  std::optional<detail::WriterLock> lock;  // the last to go
  std::optional<detail::HeadFile> head;
  detail::JournalReserve reserve;
  std::optional<Database> database;
  mutable std::mutex reading;
  mutable std::optional<JournalReader> reader;
  JournalPosition end;    // as in the file; the leader's
  bool end_known = true;  // false after a failed write: what is in the file must be looked up
  std::optional<ClockJump> untold;
  ClockState told = ClockState::fine;  // as in the journal's head
};

Journal::Journal(fs::path path, std::string terminal, const Clock& clock, JournalOptions options)
    : path_(std::move(path)),
      terminal_(std::move(terminal)),
      clock_(&clock),
      options_(std::move(options)),
      store_(std::make_unique<Store>(path_, options_.reserve_octets)) {}

Journal::~Journal() {
  if (!store_->database || !guard_) return;
  // What the next start need not walk again, and the time lived through. Nothing is lost if it fails.
  const auto keep = [&]() -> Status {
    Transaction transaction = TRY(store_->database->begin());
    TRY(detail::set_checked(*store_->database, last_.number));
    TRY(detail::set_clock(*store_->database, guard_->latest(), guard_->state()));
    return transaction.commit();
  };
  (void)keep();
}

Result<std::unique_ptr<Journal>> Journal::open(const fs::path& path, std::string terminal, const Clock& clock,
                                               JournalOptions options) {
  std::unique_ptr<Journal> journal(new Journal(path, std::move(terminal), clock, std::move(options)));
  TRY(journal->open_store());
  return journal;
}

Status Journal::open_store() {
  store_->lock.emplace(TRY(detail::WriterLock::take(path_)));
  detail::OpenedJournal opened = TRY(detail::open_journal_file(path_, terminal_));
  const detail::JournalMeta& meta = opened.meta;
  const JournalPosition end = opened.end;
  Database& database = store_->database.emplace(std::move(opened.database));
  if (meta.terminal != terminal_) {
    return fail(ErrorKind::configuration,
                "the journal \"" + path_.string() + "\" is that of terminal \"" + meta.terminal + "\"",
                "give each terminal a journal of its own");
  }

  // The latest time lived through: the last record's, unless the clock was known to be wrong.
  std::optional<Time> latest = meta.clock_latest;
  if (meta.clock_fine) {
    const auto page = TRY(detail::read_page(database, end.number == 0 ? 0 : end.number - 1, 1));
    if (!page.empty() && (!latest || page.front().time > *latest)) latest = page.front().time;
  }
  store_->told = meta.clock_fine ? ClockState::fine : ClockState::leapt;
  guard_ = std::make_unique<ClockGuard>(latest, options_.clock, options_.uptime);

  const std::optional<JournalPosition> head = detail::read_head(path_);
  store_->head.emplace(TRY(detail::HeadFile::open(path_)));
  if (!store_->reserve.keep()) health_ = JournalHealth::full;
  store_->reader.emplace(TRY(JournalReader::open(path_)));

  // A number once acknowledged or uploaded is never given to another record.
  JournalPosition resume = end;
  for (const JournalPosition& known : {head.value_or(JournalPosition{}), meta.uploaded}) {
    if (known.number > resume.number) resume = known;
  }
  store_->end = resume;
  last_ = end;
  anchor_ = meta.anchor;
  uploaded_to_ = meta.uploaded.number;
  if (opened.walked > kWalkWorthNoting) TRY(detail::set_checked(database, end.number));
  if (opened.mended || !opened.kept.empty() || resume.number > end.number) {
    damage_ = JournalDamage{end.number + 1, resume.number, opened.kept};
    TRY(append(kDamageKind, damage_body(*damage_)));
  }
  return {};
}

// Appending

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

void Journal::write(std::vector<Pending*> batch) {
  const auto refuse = [&](const Error& error, bool completing_too) {
    std::erase_if(batch, [&](Pending* one) {
      if (!completing_too && completes(one->kind)) return false;
      one->outcome = fail(error);
      return true;
    });
  };
  const Error no_room{ErrorKind::io, "the journal cannot be written: the disk is full",
                      "make room; nothing is done with cards before its record is safe"};
  JournalHealth health = JournalHealth::fine;
  if (!store_->reserve.keep()) {
    health = JournalHealth::full;
    refuse(no_room, false);
  }
  if (!batch.empty()) {
    Status written = write_once(batch);
    if (!written && written.error().kind == ErrorKind::io && store_->reserve.kept()) {
      // Room is set aside for what ends something begun. The rest has to wait.
      const bool full = written.error().message.find("full") != std::string::npos;
      health = full ? JournalHealth::full : JournalHealth::failing;
      Error error = no_room;
      if (!full) error.message = "the journal cannot be written: " + written.error().message;
      refuse(error, false);
      if (!batch.empty()) {
        store_->reserve.give_up();
        written = write_once(batch);
      }
    }
    if (!written && !batch.empty()) {
      refuse(written.error(), true);
      if (health == JournalHealth::fine) health = JournalHealth::failing;
    }
  }
  const std::scoped_lock lock(mutex_);
  health_ = health;
}

Status Journal::write_once(const std::vector<Pending*>& batch) {
  Store& store = *store_;
  Database& database = *store.database;
  if (!store.end_known) {
    // A failed commit may have reached the disk all the same: the file tells.
    const auto found = TRY(detail::last_position(database));
    if (found && found->number > store.end.number) store.end = *found;
    store.end_known = true;
  }

  const Time now = clock_->now();
  const ClockGuard::Look look = guard_->look(now);
  if (look.jump) store.untold = look.jump;
  JournalPosition end = store.end;
  const auto add = [&](const std::string& kind, const std::string& body) -> Status {
    JournalRecord record{end.number + 1, now, kind, body, end.hash, {}};
    record.hash = hash_of(record);
    TRY(detail::insert_record(database, record));
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
      TRY(detail::set_clock(database, guard_->latest(), look.state));
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
  store.head->write(end);
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->outcome = positions[i];
  return {};
}

// Looking, sending on and pruning

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
    if (store_->reserve.keep() && store_->reserve.room_beyond()) health_ = JournalHealth::fine;
  }
  return health_;
}

Status Journal::mark_uploaded(std::uint64_t number) {
  const Turn turn(mutex_, written_, writing_);
  if (number <= uploaded_to()) return {};
  const auto page = TRY(detail::read_page(*store_->database, number - 1, 1));
  if (page.empty() || page.front().number != number)
    return fail(ErrorKind::usage, "the journal has no record " + std::to_string(number));
  TRY(detail::set_uploaded(*store_->database, page.front().position()));
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
    const auto page = TRY(detail::read_page(*store_->database, from, kPrunedAtOnce));
    for (const JournalRecord& record : page) {
      if (record.number > most || record.time >= before) break;
      cut = record.position();
      ++count;
    }
    if (count == 0) return removed;
    Transaction transaction = TRY(store_->database->begin());
    TRY(detail::remove_up_to(*store_->database, cut.number));
    TRY(detail::set_anchor(*store_->database, cut));
    TRY(transaction.commit());
    removed += count;
    const std::scoped_lock lock(mutex_);
    anchor_ = cut;
  }
}

}  // namespace karta::identity
