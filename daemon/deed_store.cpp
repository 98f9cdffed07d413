#include "daemon/deed_store.h"

#include <array>

#include "base/file.h"
#include "base/random.h"
#include "service/migrations.h"

namespace karta::daemon {
namespace {

constexpr auto kMigrations = std::to_array<service::Migration>({
    {1, "deeds, pending commits, numbers",
     "CREATE TABLE deeds (deed_key TEXT NOT NULL PRIMARY KEY, request TEXT NOT NULL, begun_at BIGINT NOT NULL,"
     " held BIGINT NOT NULL, status BIGINT, body TEXT, location TEXT);"
     "CREATE TABLE pending (serial TEXT NOT NULL PRIMARY KEY, deed_key TEXT NOT NULL, request TEXT NOT NULL,"
     " commit_text TEXT NOT NULL);"
     "CREATE TABLE numbers (series TEXT NOT NULL PRIMARY KEY, last BIGINT NOT NULL);"},
});

constexpr std::string_view kFinish =
    "UPDATE deeds SET status = $2, body = $3, location = $4, held = 0 WHERE deed_key = $1";

constexpr std::size_t kKeyOctets = 32;

/// Beside the database, not in it: who gets a copy of that alone cannot try out what was hashed.
Result<SecretBytes> key_in(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const SecretBytes fresh = SystemRandom().secret(kKeyOctets);
    const Status made = write_new_file(file, fresh.expose_secret(), 0600);
    // Another daemon was faster: its key it is.
    if (!made && made.error().kind != ErrorKind::already_exists) return fail(made.error());
  }
  Bytes octets = TRY(read_file(file, kKeyOctets));
  SecretBytes key(std::move(octets));
  if (key.size() == kKeyOctets) return key;
  return fail(ErrorKind::malformed, file.string() + " is no key of " + std::to_string(kKeyOctets) + " octets",
              "remove it: another is made");
}

}  // namespace

Result<std::unique_ptr<DeedStore>> DeedStore::open(const std::filesystem::path& file, const Clock& clock) {
  service::DatabaseOptions options;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) options.open = service::DatabaseOptions::Open::create;
  service::Database database = TRY(service::Database::open(file.string(), options));
  TRY(service::migrate(database, kMigrations, clock));
  SecretBytes key = TRY(key_in(std::filesystem::path(file).replace_extension(".key")));
  return std::unique_ptr<DeedStore>(new DeedStore(std::move(database), std::move(key), clock));
}

Result<BegunDeed> DeedStore::begin(const std::string& key, const std::string& request) {
  const std::lock_guard lock(mutex_);
  BegunDeed begun;
  TRY(database_.transact([&]() -> Status {
    begun = {};
    auto found = TRY(database_.prepare("SELECT request, status, body, location FROM deeds WHERE deed_key = $1"));
    TRY(found.query({key}));
    if (!TRY(found.next())) {
      TRY(database_.execute("INSERT INTO deeds (deed_key, request, begun_at, held) VALUES ($1, $2, $3, 0)",
                            {key, request, clock_.now().time_since_epoch().count()}));
      return {};
    }
    if (found.text(0) != request) {
      begun.state = BegunDeed::State::other_request;
    } else if (!found.is_null(1)) {
      begun.state = BegunDeed::State::done;
      begun.answer = {static_cast<int>(found.integer(1)), std::string(found.text(2)), std::string(found.text(3))};
    } else {
      begun.state = BegunDeed::State::again;
    }
    return {};
  }));
  const bool goes_on = begun.state == BegunDeed::State::fresh || begun.state == BegunDeed::State::again;
  if (goes_on && !at_work_.insert(key).second) begun.state = BegunDeed::State::at_work;
  return begun;
}

Status DeedStore::finish(const std::string& key, const DeedAnswer& answer) {
  const std::lock_guard lock(mutex_);
  at_work_.erase(key);
  TRY(database_.execute(kFinish, {key, answer.status, answer.body, answer.location}));
  return {};
}

Status DeedStore::give_up(const std::string& key) {
  const std::lock_guard lock(mutex_);
  at_work_.erase(key);
  TRY(database_.execute("DELETE FROM deeds WHERE deed_key = $1 AND held = 0 AND status IS NULL", {key}));
  return {};
}

Status DeedStore::keep_pending(const PendingDeed& pending) {
  const std::lock_guard lock(mutex_);
  const std::string serial = to_hex(pending.commit.serial), text = pending.commit.to_text();
  return database_.transact([&]() -> Status {
    TRY(database_.execute("DELETE FROM pending WHERE serial = $1", {serial}));
    TRY(database_.execute("INSERT INTO pending (serial, deed_key, request, commit_text) VALUES ($1, $2, $3, $4)",
                          {serial, pending.key, pending.request, text}));
    TRY(database_.execute("UPDATE deeds SET held = 1 WHERE deed_key = $1", {pending.key}));
    return {};
  });
}

Result<std::optional<PendingDeed>> DeedStore::pending(ByteView serial) {
  const std::lock_guard lock(mutex_);
  auto found = TRY(database_.prepare("SELECT deed_key, request, commit_text FROM pending WHERE serial = $1"));
  TRY(found.query({to_hex(serial)}));
  if (!TRY(found.next())) return std::optional<PendingDeed>{};
  PendingDeed out;
  out.key = found.text(0);
  out.request = found.text(1);
  out.commit = TRY(card::PendingCommit::from_text(found.text(2)));
  return std::optional<PendingDeed>(std::move(out));
}

Result<std::optional<Bytes>> DeedStore::pending_ledger(const std::string& key) {
  const std::lock_guard lock(mutex_);
  auto found = TRY(database_.prepare("SELECT serial FROM pending WHERE deed_key = $1"));
  TRY(found.query({key}));
  if (!TRY(found.next())) return std::optional<Bytes>{};
  Bytes serial = TRY(from_hex(found.text(0)));
  return std::optional<Bytes>(std::move(serial));
}

Status DeedStore::settle(ByteView serial, const std::optional<DeedAnswer>& answer) {
  const std::lock_guard lock(mutex_);
  const std::string name = to_hex(serial);
  return database_.transact([&]() -> Status {
    std::string key;
    {
      auto found = TRY(database_.prepare("SELECT deed_key FROM pending WHERE serial = $1"));
      TRY(found.query({name}));
      if (!TRY(found.next())) return {};
      key = found.text(0);
    }
    TRY(database_.execute("DELETE FROM pending WHERE serial = $1", {name}));
    if (answer) {
      TRY(database_.execute(kFinish, {key, answer->status, answer->body, answer->location}));
    } else {
      TRY(database_.execute("UPDATE deeds SET held = 0 WHERE deed_key = $1", {key}));
    }
    return {};
  });
}

Result<std::size_t> DeedStore::pending_count() {
  const std::lock_guard lock(mutex_);
  auto count = TRY(database_.prepare("SELECT count(*) FROM pending"));
  TRY(count.query());
  TRY(count.next());
  return static_cast<std::size_t>(count.integer(0));
}

Result<std::uint64_t> DeedStore::next_number(const std::string& series) {
  const std::lock_guard lock(mutex_);
  std::uint64_t number = 1;
  TRY(database_.transact([&]() -> Status {
    number = 1;
    {
      auto found = TRY(database_.prepare("SELECT last FROM numbers WHERE series = $1"));
      TRY(found.query({series}));
      if (TRY(found.next())) number = static_cast<std::uint64_t>(found.integer(0)) + 1;
    }
    TRY(database_.execute("DELETE FROM numbers WHERE series = $1", {series}));
    TRY(database_.execute("INSERT INTO numbers (series, last) VALUES ($1, $2)",
                          {series, static_cast<std::int64_t>(number)}));
    return {};
  }));
  return number;
}

Status DeedStore::forget_before(Time before) {
  const std::lock_guard lock(mutex_);
  TRY(database_.execute("DELETE FROM deeds WHERE begun_at < $1 AND held = 0", {before.time_since_epoch().count()}));
  return {};
}

}  // namespace karta::daemon
