// Connection: what a store must do to stand behind service/database.h. One implementation a store; only database.cpp
// and the stores themselves include this.
#pragma once

#include "service/database.h"

namespace karta::service::detail {

class PreparedStatement {
 public:
  virtual ~PreparedStatement() = default;
  /// Forgets rows and earlier values, then binds $1 ... in order. May run the statement already.
  virtual Status bind(Parameters parameters) = 0;
  /// Binds and runs to the end, now or as Database::execute_later() says.
  virtual Status execute_later(Parameters parameters) {
    TRY(bind(parameters));
    while (TRY(step())) {
    }
    return {};
  }
  virtual Result<bool> step() = 0;
  /// Rows changed by the statement that has just run to its end.
  virtual std::int64_t changes() const = 0;
  virtual int columns() const = 0;
  virtual bool is_null(int column) const = 0;
  virtual std::int64_t integer(int column) const = 0;
  virtual ByteView octets(int column) const = 0;
};

/// What is known, beyond an error's kind, of a transaction that failed.
enum class Failure : std::uint8_t {
  plain,      ///< nothing: the kind decides
  collided,   ///< another transaction was in the way: this one would do now
  duplicate,  ///< a unique key was taken, which the transaction could not see, or which really is taken
  lost,       ///< the connection went before the commit was sent or begun: nothing has taken place
  final,      ///< running it again would not help, or could do it twice
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual Store store() const = 0;
  virtual Result<std::unique_ptr<PreparedStatement>> prepare(std::string_view sql) = 0;
  /// Takes a statement back that is no longer used; it may be kept for the next prepare() of the same SQL.
  virtual void take_back(std::unique_ptr<PreparedStatement> statement) = 0;
  virtual Status execute_script(std::string_view sql) = 0;
  /// nullopt: reads only, one snapshot.
  virtual Status begin(std::optional<Isolation> write) = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;
  virtual bool in_transaction() const = 0;
  /// Of the newest transaction.
  virtual Failure last_failure() const = 0;
  virtual Status check_integrity() = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<std::int64_t> data_version() = 0;
};

Result<std::unique_ptr<Connection>> open_sqlite(const std::string& path, const DatabaseOptions& options);
Result<std::unique_ptr<Connection>> open_postgres(const std::string& url, const DatabaseOptions& options);

/// The error of a connection lost between a commit and its answer.
tl::unexpected<Error> outcome_unknown();

}  // namespace karta::service::detail
