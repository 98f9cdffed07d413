// Database: one thin layer over a relational store, so that the rooms above speak SQL and not a library's C API.
//
// Two stores stand behind it, SQLite and PostgreSQL, and the SQL that passes through is what both understand:
// parameters are $1, $2 ..., types BIGINT, TEXT and BYTEA, no triggers, no sequences. A Database is one connection and
// belongs to one thread at a time; several threads or processes each open their own. docs/database.md says which store
// when.
//
// What differs, and what that asks of the SQL above:
// - SQLite has one writer at a time, PostgreSQL many: of two transactions that cannot both have happened one fails
// there
//   with ErrorKind::busy and runs again (transact()).
// - After a statement has failed in a transaction PostgreSQL refuses every other one until it is rolled back: report
//   the error, do not go on (INSERT ... ON CONFLICT DO NOTHING asks without failing).
// - Text is ordered by code point and must not hold U+0000 (malformed).
// - Each statement costs PostgreSQL a round trip; what needs no answer goes out together (execute_later()).
// - A PostgreSQL connection may be lost. What was not committed is rolled back; the next transaction connects again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"

namespace karta::service {

namespace detail {
class Connection;         // one open store; sqlite.cpp
class PreparedStatement;  // one prepared statement of a Connection
}  // namespace detail

/// A value for $n. Text and octets are borrowed and must live until the call returns.
class Parameter {
 public:
  Parameter(std::nullptr_t) {}
  Parameter(std::int64_t value) : value_(value) {}
  Parameter(int value) : value_(std::int64_t{value}) {}
  Parameter(std::string_view text) : value_(text) {}
  Parameter(const std::string& text) : value_(std::string_view(text)) {}
  Parameter(const char* text) : value_(std::string_view(text)) {}
  Parameter(ByteView octets) : value_(octets) {}
  Parameter(const Bytes& octets) : value_(ByteView(octets)) {}
  template <class T>
  Parameter(const std::optional<T>& value) {
    if (value) *this = Parameter(*value);
  }

  using Value = std::variant<std::monostate, std::int64_t, std::string_view, ByteView>;
  const Value& value() const { return value_; }

 private:
  Value value_;  ///< monostate: NULL
};
using Parameters = std::initializer_list<Parameter>;

/// A prepared statement. Must go before its Database does. Columns count from 0 and are valid until the next call of
/// next(), query() or execute(); asking for a column that is not there ends the program.
class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  /// Binds $1 ... and runs to the end. Returns the number of rows changed.
  Result<std::int64_t> execute(Parameters parameters = {});
  /// Likewise, when Database::execute_later() says.
  Status execute_later(Parameters parameters = {});
  /// Binds $1 ...; rows come by next().
  Status query(Parameters parameters = {});
  /// Moves to the next row; false after the last.
  Result<bool> next();

  bool is_null(int column) const;
  std::int64_t integer(int column) const;   ///< 0 if NULL
  std::string_view text(int column) const;  ///< UTF-8; empty if NULL
  ByteView octets(int column) const;        ///< empty if NULL
  std::optional<std::int64_t> integer_or_null(int column) const;

 private:
  friend class Database;
  Statement(detail::Connection& connection, std::unique_ptr<detail::PreparedStatement> statement);
  detail::Connection* connection_;
  std::unique_ptr<detail::PreparedStatement> statement_;
};

/// An open transaction; rolled back when it goes without commit().
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  /// Returns once the changes survive a power cut.
  Status commit();

 private:
  friend class Database;
  explicit Transaction(detail::Connection& connection) : connection_(&connection) {}
  detail::Connection* connection_;  ///< null once committed or moved from
};

enum class Store : std::uint8_t { sqlite, postgresql };

/// What a writing transaction is protected from. SQLite's are always alone, and make no difference between the two.
enum class Isolation : std::uint8_t {
  /// As if every transaction of this kind ran by itself: what it has read no other of them has changed when it commits.
  /// What a `snapshot` one relies on must be changed here, too (or the other way round).
  serializable,
  /// What it changes nobody else changes meanwhile, and it reads one snapshot; but a row it only reads may be another
  /// one when it commits. For small writes on the hot path, written so that every row they rely on is changed by them
  /// (or inserted under a unique key): a code that is marked as used, a session whose last use is noted.
  snapshot,
};

struct DatabaseOptions {
  enum class Open : std::uint8_t {
    existing,   ///< read and write; not_found if there is none
    create,     ///< a new one; already_exists if there is one
    read_only,  ///< not_found if there is none
  };
  Open open = Open::existing;
  /// How long a statement waits for another process's lock before ErrorKind::busy.
  std::chrono::milliseconds busy_timeout{10000};
  /// PostgreSQL: until a connection stands, and what one statement may take (SQLite's cannot be waited for in vain).
  /// Reading transactions have no such limit; a server that says nothing at all for long is given up in any case.
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds statement_timeout{60000};
  /// False: no reading transaction takes long, statement_timeout holds for them, too.
  bool long_reads = true;
  /// SQLite: pages kept in memory, KiB at the most; larger transactions spill into the log. What is kept goes with
  /// every commit of another connection, so that only who writes much, alone, has use of many.
  int page_cache_kib = 32 * 1024;
};
/// Of a connection beside others that write.
inline constexpr int kSmallPageCacheKib = 2 * 1024;
/// For a connection that answers requests: a server that stands still holds up nobody for long, nor does a lock.
inline constexpr DatabaseOptions kServingDatabase{
    .statement_timeout = std::chrono::milliseconds(5000), .long_reads = false, .page_cache_kib = kSmallPageCacheKib};

/// Whether `url` names a PostgreSQL database and not a file: "postgresql://..." or "postgres://...".
bool is_postgresql(std::string_view url);
/// Whether `error` says that the connection was lost between sending a commit (or a statement of its own) and its
/// answer: it may have taken place or not. Nothing here repeats such a thing; who asked must look.
bool is_outcome_unknown(const Error& error);

class Database {
 public:
  /// Opens "sqlite:///absolute/path", "sqlite:relative/path" or a plain path. A new file is made with mode 0600; a file
  /// that others may read or write is refused (not_permitted). Write-ahead log, foreign keys on, synchronous=FULL.
  /// Or "postgresql://user@host:5432/database?sslmode=verify-full&passfile=/path" as libpq has it, without a password
  /// in it (usage); libpq's PG* variables stand in for what is left out. Open::create wants a database without tables.
  /// Errors: unsupported (another scheme; no libpq), not_found, already_exists, not_permitted, malformed (no database),
  /// configuration (not UTF-8 or not of the C locale), io (not reachable).
  static Result<Database> open(std::string_view url, DatabaseOptions options = {});

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  /// Prepares one statement; those used before come from a small cache.
  Result<Statement> prepare(std::string_view sql);
  /// Prepare and run once. Returns the number of rows changed.
  Result<std::int64_t> execute(std::string_view sql, Parameters parameters = {});
  /// Runs a statement whose outcome, but for an error, nobody needs before the commit. Within a writing transaction on
  /// PostgreSQL it waits, its values copied, and goes out in order with the next statement that is asked for or with
  /// the commit, so that a transaction of such ones costs one round trip. Its error is then theirs (or that of the
  /// execute_later() with which many become too many), a bad value's is its own; transact() runs the work again as
  /// ever. After a rollback it has not been sent. On SQLite, and outside a writing transaction, it runs at once.
  Status execute_later(std::string_view sql, Parameters parameters = {});
  /// Several statements separated by semicolons, without parameters (migrations).
  Status execute_script(std::string_view sql);

  /// Starts a transaction that will write. SQLite: it takes the write lock now, so that it cannot fail on it later.
  /// PostgreSQL: any statement, and the commit, may fail with busy; prefer transact().
  Result<Transaction> begin(Isolation isolation = Isolation::serializable);
  /// Starts a transaction that only reads: one snapshot for all its statements.
  Result<Transaction> begin_read();
  bool in_transaction() const;

  /// Runs `work` in a writing transaction and commits. A lock of another process is waited for as long as busy_timeout
  /// says, once. After that, on ErrorKind::busy, where the store met a collision (SQLSTATE 40001, 40P01, or a unique
  /// key another transaction took meanwhile) and where the connection was lost before the commit was sent, or ended by
  /// the server before it came to it, everything is rolled back and `work` runs again, up to kTransactionTries times
  /// (collisions four times that) with growing random pauses: `work` must undo nothing but its own variables. A commit
  /// that was sent and not answered is not repeated: is_outcome_unknown().
  Status transact(const std::function<Status()>& work, Isolation isolation = Isolation::serializable);

  Store store() const;
  /// SQLite: the store's own examination of the whole file. PostgreSQL: every table read to its end, where
  /// its checksums tell of damage. Malformed and what was found if anything is wrong.
  Status check_integrity();
  /// Octets the database takes (log excluded).
  Result<std::uint64_t> size();
  /// A number that is another one once some other connection has committed a change, whatever it was. Changes of this
  /// connection do not count. SQLite: costs a look at shared memory. PostgreSQL has nothing that costs less than a
  /// reading: there it is another one at every call.
  Result<std::int64_t> data_version();

 private:
  explicit Database(std::unique_ptr<detail::Connection> connection);
  std::unique_ptr<detail::Connection> connection_;
};

inline constexpr int kTransactionTries = 8;

}  // namespace karta::service
