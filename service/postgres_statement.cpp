#include "service/postgres_statement.h"

#include <algorithm>
#include <charconv>

#include "service/postgres_connection.h"

namespace karta::service::detail {
namespace {

/// The highest n of $n. SQL here is the program's own, without quoted dollars.
std::size_t count_parameters(std::string_view sql) {
  std::size_t most = 0;
  for (std::size_t at = sql.find('$'); at != std::string_view::npos; at = sql.find('$', at + 1)) {
    std::size_t number = 0;
    std::from_chars(sql.data() + at + 1, sql.data() + sql.size(), number);
    most = std::max(most, number);
  }
  return most;
}

bool is_reading(std::string_view sql) { return sql.starts_with("SELECT"); }

}  // namespace

PostgresStatement::PostgresStatement(PostgresConnection& connection, std::string sql)
    : sql_(std::move(sql)), connection_(&connection), parameters_(count_parameters(sql_)), reads_(is_reading(sql_)) {}

void PostgresStatement::reset() {
  if (unread_) connection_->drop_rows(*this);
  unread_ = false;
  ahead_.clear();
  broke_.reset();
  row_.reset();
  changes_ = 0;
}

Status PostgresStatement::take(Parameters parameters) {
  reset();
  // The SQL must name exactly the values it is given: a slip here would store a datum in the wrong column.
  KARTA_CHECK(parameters_ == parameters.size());
  TRY(values_.take(parameters));
  if (!plan_ || !values_.fit(plan_->types)) plan_ = connection_->make_plan(sql_, values_.types());
  return {};
}

Status PostgresStatement::bind(Parameters parameters) {
  TRY(take(parameters));
  return connection_->run(this);
}

Status PostgresStatement::execute_later(Parameters parameters) {
  if (!connection_->may_wait()) return PreparedStatement::execute_later(parameters);
  TRY(take(parameters));
  return connection_->let_wait(*this);
}

Result<bool> PostgresStatement::step() {
  if (row_ && ++at_ < pq().ntuples(row_.get())) return true;
  row_.reset();
  at_ = 0;
  if (ahead_.empty()) {
    if (broke_) return fail(*broke_);
    if (!unread_) return false;
    if (!TRY(connection_->read_on(*this))) return false;
  }
  row_ = std::move(ahead_.front());
  ahead_.pop_front();
  return true;
}

}  // namespace karta::service::detail
