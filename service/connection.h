// Connection: what a store must do to stand behind service/database.h. One implementation a store; only database.cpp
// and the stores themselves include this.
#pragma once

#include "service/database.h"

namespace karta::service::detail {

class PreparedStatement {
 public:
  virtual ~PreparedStatement() = default;
  /// Forgets rows and earlier values, then binds $1 ... in order.
  virtual Status bind(Parameters parameters) = 0;
  virtual Result<bool> step() = 0;
  /// Rows changed by the statement that has just run to its end.
  virtual std::int64_t changes() const = 0;
  virtual int columns() const = 0;
  virtual bool is_null(int column) const = 0;
  virtual std::int64_t integer(int column) const = 0;
  virtual ByteView octets(int column) const = 0;
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual Result<std::unique_ptr<PreparedStatement>> prepare(std::string_view sql) = 0;
  /// Takes a statement back that is no longer used; it may be kept for the next prepare() of the same SQL.
  virtual void take_back(std::unique_ptr<PreparedStatement> statement) = 0;
  virtual Status execute_script(std::string_view sql) = 0;
  virtual Status begin(bool write) = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;
  virtual bool in_transaction() const = 0;
  virtual Status check_integrity() = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<std::int64_t> data_version() = 0;
};

Result<std::unique_ptr<Connection>> open_sqlite(const std::string& path, const DatabaseOptions& options);

}  // namespace karta::service::detail
