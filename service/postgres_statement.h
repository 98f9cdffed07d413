// PostgresStatement: a statement on a PostgresConnection, and the rows it brings.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "service/connection.h"
#include "service/postgres_library.h"
#include "service/postgres_plan.h"
#include "service/postgres_values.h"

namespace karta::service::detail {

class PostgresConnection;

class PostgresStatement final : public PreparedStatement {
 public:
  /// `connection` must outlive it.
  PostgresStatement(PostgresConnection& connection, std::string sql);
  ~PostgresStatement() override { reset(); }

  const std::string& sql() const { return sql_; }
  /// Forgets rows, those too that are still on their way.
  void reset();

  Status bind(Parameters parameters) override;
  Status execute_later(Parameters parameters) override;
  Result<bool> step() override;
  std::int64_t changes() const override { return changes_; }
  int columns() const override { return row_ ? pq().nfields(row_.get()) : 0; }
  bool is_null(int column) const override { return pq().getisnull(row_.get(), at_, column) != 0; }
  std::int64_t integer(int column) const override { return integer_of(row_.get(), at_, column); }
  ByteView octets(int column) const override {
    return {reinterpret_cast<const std::uint8_t*>(pq().getvalue(row_.get(), at_, column)),
            static_cast<std::size_t>(pq().getlength(row_.get(), at_, column))};
  }

 private:
  friend class PostgresConnection;  // runs it, and puts what comes back into it
  /// Binds values; those of text and octets are still the caller's.
  Status take(Parameters parameters);

  const std::string sql_;
  PostgresConnection* connection_;
  const std::size_t parameters_;
  const bool reads_;
  std::shared_ptr<Plan> plan_;  ///< for the types of the newest values
  OutgoingValues values_;
  // Rows that have come and not been asked for.
  std::deque<PgResult> ahead_;
  bool unread_ = false;         ///< the connection may bring more
  std::optional<Error> broke_;  ///< what ended the rows early, for whoever asks for the next one
  PgResult row_;                ///< the one shown: row at_ of it
  int at_ = 0;
  std::int64_t changes_ = 0;
};

}  // namespace karta::service::detail
