// SQLite behind service/database.h: the only file that calls its C API.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "service/connection.h"
#include "service/statement_cache.h"

namespace karta::service::detail {
namespace {

constexpr int kCheckpointPages = 8 * 1024;  // 32 MiB of log before it is folded into the file
constexpr int kMaxColumnOctets = 16 * 1024 * 1024;

ErrorKind kind_of(int code) {
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return ErrorKind::already_exists;
    default:
      break;
  }
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::busy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorKind::not_permitted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorKind::malformed;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
      return ErrorKind::io;
    case SQLITE_TOOBIG:
      return ErrorKind::limit;
    default:
      return ErrorKind::internal;
  }
}

std::string hint_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::busy:
      return "another program is writing to the database; try again";
    case ErrorKind::malformed:
      return "restore the database from a backup";
    default:
      return {};
  }
}

/// SQLite's messages name tables and columns, never values.
tl::unexpected<Error> failure(sqlite3* database, const char* deed) {
  const int code = sqlite3_extended_errcode(database);
  const ErrorKind kind = kind_of(code);
  return fail(kind, std::string("database: cannot ") + deed + ": " + sqlite3_errmsg(database), hint_for(kind));
}

class SqliteStatement final : public PreparedStatement {
 public:
  SqliteStatement(sqlite3* database, sqlite3_stmt* statement, std::string sql)
      : database_(database), statement_(statement), sql_(std::move(sql)) {
    slots_.resize(static_cast<std::size_t>(sqlite3_bind_parameter_count(statement_)));
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const std::string name = "$" + std::to_string(i + 1);
      slots_[i] = sqlite3_bind_parameter_index(statement_, name.c_str());
      KARTA_CHECK(slots_[i] != 0);
    }
  }
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  const std::string& sql() const { return sql_; }
  void reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);  // borrowed pointers must not outlive the call that lent them
  }

  Status bind(Parameters parameters) override {
    reset();
    // The SQL must name exactly the values it is given: a slip here would store a datum in the wrong column.
    KARTA_CHECK(slots_.size() == parameters.size());
    auto next = slots_.begin();
    for (const Parameter& parameter : parameters) {
      const int slot = *next++;
      int code = SQLITE_OK;
      if (const auto* value = std::get_if<std::int64_t>(&parameter.value())) {
        code = sqlite3_bind_int64(statement_, slot, *value);
      } else if (const auto* text = std::get_if<std::string_view>(&parameter.value())) {
        code = sqlite3_bind_text64(statement_, slot, text->data() ? text->data() : "", text->size(), SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
      } else if (const auto* octets = std::get_if<ByteView>(&parameter.value())) {
        code = sqlite3_bind_blob64(statement_, slot, octets->data() ? static_cast<const void*>(octets->data()) : "",
                                   octets->size(), SQLITE_TRANSIENT);
      } else {
        code = sqlite3_bind_null(statement_, slot);
      }
      if (code != SQLITE_OK) return failure(database_, "bind a value");
    }
    return {};
  }

  Result<bool> step() override {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
      changes_ = sqlite3_changes64(database_);
      sqlite3_reset(statement_);
      return false;
    }
    auto error = failure(database_, "run a statement");
    sqlite3_reset(statement_);
    return error;
  }

  std::int64_t changes() const override { return changes_; }
  int columns() const override { return sqlite3_column_count(statement_); }
  bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
  ByteView octets(int column) const override {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    return {data, data ? static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)) : 0};
  }

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
  std::string sql_;
  std::vector<int> slots_;  ///< of $1, $2, ...
  std::int64_t changes_ = 0;
};

class SqliteConnection final : public Connection {
 public:
  explicit SqliteConnection(sqlite3* database) : database_(database) {}
  ~SqliteConnection() override {
    cache_.clear();
    sqlite3_close_v2(database_);
  }

  Status set_up(const DatabaseOptions& options) {
    sqlite3_extended_result_codes(database_, 1);
    sqlite3_busy_timeout(database_, static_cast<int>(options.busy_timeout.count()));
    sqlite3_limit(database_, SQLITE_LIMIT_LENGTH, kMaxColumnOctets);
    // A file from elsewhere must not bring functions or views that run with our rights.
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    const bool writes = options.open != DatabaseOptions::Open::read_only;
    if (writes) TRY(execute_script("PRAGMA journal_mode=WAL"));
    TRY(execute_script("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=FILE; PRAGMA cache_size=-" +
                       std::to_string(options.page_cache_kib) +
                       "; PRAGMA wal_autocheckpoint=" + std::to_string(kCheckpointPages)));
    // The first read tells whether the file is a database at all.
    return execute_script("SELECT count(*) FROM sqlite_master");
  }

  Result<std::unique_ptr<PreparedStatement>> prepare(std::string_view sql) override {
    if (auto kept = cache_.take(sql)) return kept;
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    if (sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                           &tail) != SQLITE_OK) {
      return failure(database_, "prepare a statement");
    }
    KARTA_CHECK(statement != nullptr && tail == sql.data() + sql.size());
    return std::make_unique<SqliteStatement>(database_, statement, std::string(sql));
  }

  void take_back(std::unique_ptr<PreparedStatement> statement) override {
    std::unique_ptr<SqliteStatement> ours(static_cast<SqliteStatement*>(statement.release()));
    ours->reset();
    cache_.keep(std::move(ours));
  }

  Status execute_script(std::string_view sql) override {
    if (sqlite3_exec(database_, std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return failure(database_, "run a script");
    }
    return {};
  }

  Store store() const override { return Store::sqlite; }
  Failure last_failure() const override { return Failure::plain; }  // one writer at a time: nothing to collide with
  Status begin(std::optional<Isolation> write) override {
    KARTA_CHECK(!in_transaction());
    // IMMEDIATE: a transaction that took the lock only at its first write could fail there with nothing to wait for.
    return run_kept(write ? "BEGIN IMMEDIATE" : "BEGIN");
  }
  Status commit() override { return run_kept("COMMIT"); }
  void rollback() override {
    // Some errors (disk full, I/O) have rolled back already.
    if (in_transaction()) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  bool in_transaction() const override { return sqlite3_get_autocommit(database_) == 0; }

  Status check_integrity() override {
    for (const std::string_view sql : {"PRAGMA integrity_check(1)", "PRAGMA foreign_key_check"}) {
      std::unique_ptr<PreparedStatement> check = TRY(prepare(sql));
      while (TRY(check->step())) {
        const std::string_view found = as_text(check->octets(0));
        if (found != "ok") {
          return fail(ErrorKind::malformed, "database is damaged: " + std::string(found),
                      hint_for(ErrorKind::malformed));
        }
      }
    }
    return {};
  }

  Result<std::uint64_t> size() override {
    std::unique_ptr<PreparedStatement> asked =
        TRY(prepare("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"));
    if (!TRY(asked->step())) return fail(ErrorKind::internal, "database does not tell its size");
    return static_cast<std::uint64_t>(asked->integer(0));
  }

  Result<std::int64_t> data_version() override {
    std::unique_ptr<PreparedStatement> asked = TRY(prepare("PRAGMA data_version"));
    if (!TRY(asked->step())) return fail(ErrorKind::internal, "database does not tell its version");
    const std::int64_t version = asked->integer(0);
    take_back(std::move(asked));
    return version;
  }

 private:
  /// A statement without values or rows, from the cache: every transaction begins and ends with one.
  Status run_kept(std::string_view sql) {
    std::unique_ptr<PreparedStatement> statement = TRY(prepare(sql));
    const auto ran = statement->step();
    take_back(std::move(statement));
    if (!ran) return fail(ran.error());
    return {};
  }

  sqlite3* database_;
  StatementCache<SqliteStatement> cache_;
};

/// Makes an empty file that only its owner can read, before SQLite puts anything into it.
Status create_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) {
    ::close(file);
    return {};
  }
  if (errno == EEXIST) return fail(ErrorKind::already_exists, "database \"" + path + "\" exists already");
  return fail(ErrorKind::io, "cannot create database \"" + path + "\": " + std::strerror(errno));
}

Status check_private(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorKind::not_found, "there is no database \"" + path + "\"");
    return fail(ErrorKind::io, "cannot look at database \"" + path + "\": " + std::strerror(errno));
  }
  if (!S_ISREG(found.st_mode)) return fail(ErrorKind::malformed, "\"" + path + "\" is not a file");
  if ((found.st_mode & 077) != 0) {
    return fail(ErrorKind::not_permitted, "database \"" + path + "\" is open to other users",
                "close it to them: chmod 600 " + path);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Connection>> open_sqlite(const std::string& path, const DatabaseOptions& options) {
  // Its count of memory in use, which nobody reads, takes one lock for all threads at every allocation. Before the
  // first use only; a program whose libraries have used it already keeps the count.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  const bool create = options.open == DatabaseOptions::Open::create;
  const bool read_only = options.open == DatabaseOptions::Open::read_only;
  if (create) {
    TRY(create_private(path));
  } else {
    TRY(check_private(path));
  }
  sqlite3* database = nullptr;
  // "./" keeps a path that begins with "file:" or ":" a path.
  const std::string name = path.front() == '/' ? path : "./" + path;
  const int code =
      sqlite3_open_v2(name.c_str(), &database,
                      (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX, nullptr);
  if (database == nullptr) return fail(ErrorKind::internal, "database: out of memory");
  auto connection = std::make_unique<SqliteConnection>(database);  // closes it, come what may
  Status ready = code == SQLITE_OK ? connection->set_up(options) : Status(failure(database, "open"));
  if (!ready) {
    connection.reset();
    if (create) ::unlink(path.c_str());
    return fail(std::move(ready).error());
  }
  return connection;
}

}  // namespace karta::service::detail
