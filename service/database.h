// Database: one thin layer over a relational store, so that the rooms above speak SQL and not a library's C API.
//
// SQLite is the store of today; the SQL that passes through here is the part that PostgreSQL understands too:
// parameters are $1, $2 ..., types BIGINT, TEXT and BYTEA, no triggers, no sequences. A Database is one connection and
// belongs to one thread at a time; several threads or processes each open their own.
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

struct DatabaseOptions {
  enum class Open : std::uint8_t {
    existing,   ///< read and write; not_found if there is none
    create,     ///< a new one; already_exists if there is one
    read_only,  ///< not_found if there is none
  };
  Open open = Open::existing;
  /// How long a statement waits for another process's lock before ErrorKind::busy.
  std::chrono::milliseconds busy_timeout{10000};
};

class Database {
 public:
  /// Opens "sqlite:///absolute/path", "sqlite:relative/path" or a plain path. A new file is made with mode 0600; a file
  /// that others may read or write is refused (not_permitted). Write-ahead log, foreign keys on, synchronous=FULL.
  /// Errors: unsupported (another scheme), not_found, already_exists, not_permitted, malformed (no database), io.
  static Result<Database> open(std::string_view url, DatabaseOptions options = {});

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  /// Prepares one statement; those used before come from a small cache.
  Result<Statement> prepare(std::string_view sql);
  /// Prepare and run once. Returns the number of rows changed.
  Result<std::int64_t> execute(std::string_view sql, Parameters parameters = {});
  /// Several statements separated by semicolons, without parameters (migrations).
  Status execute_script(std::string_view sql);

  /// Starts a transaction that will write (it takes the write lock now, so that it cannot fail on it later).
  Result<Transaction> begin();
  /// Starts a transaction that only reads: one snapshot for all its statements.
  Result<Transaction> begin_read();
  bool in_transaction() const;

  /// Runs `work` in a writing transaction and commits. A lock of another process is waited for as long as busy_timeout
  /// says, once. On ErrorKind::busy after that (a serialisation failure, SQLSTATE 40001, elsewhere) everything is
  /// rolled back and `work` runs again, up to kTransactionTries times with growing random pauses: `work` must undo
  /// nothing but its own variables.
  Status transact(const std::function<Status()>& work);

  /// The store's own examination of the whole file; malformed and what it found if anything is wrong.
  Status check_integrity();
  /// Octets the file takes (log excluded).
  Result<std::uint64_t> size();
  /// A number that is another one once some other connection has committed a change, whatever it was. Costs a look at
  /// shared memory, no reading. Changes of this connection do not count.
  Result<std::int64_t> data_version();

 private:
  explicit Database(std::unique_ptr<detail::Connection> connection);
  std::unique_ptr<detail::Connection> connection_;
};

inline constexpr int kTransactionTries = 8;

}  // namespace karta::service
