#include "service/postgres_error.h"

#include <algorithm>
#include <array>

namespace karta::service::detail {
namespace {

struct StateRow {
  std::string_view prefix;  ///< of the SQLSTATE (PostgreSQL appendix A)
  ErrorKind kind;
  Failure failure;
};
/// The first row that fits counts.
constexpr auto kStates = std::to_array<StateRow>({
    {"40001", ErrorKind::busy, Failure::collided},             // serialization_failure
    {"40P01", ErrorKind::busy, Failure::collided},             // deadlock_detected
    {"23505", ErrorKind::already_exists, Failure::duplicate},  // unique_violation
    {"42P07", ErrorKind::already_exists, Failure::duplicate},  // duplicate_table: two that migrate at once
    {"42701", ErrorKind::already_exists, Failure::duplicate},  // duplicate_column: likewise
    {"42710", ErrorKind::already_exists, Failure::duplicate},  // duplicate_object: a table's type, likewise
    {"55P03", ErrorKind::busy, Failure::final},                // lock_not_available, after lock_timeout
    {"57014", ErrorKind::busy, Failure::final},                // query_canceled, after statement_timeout
    {"57P0", ErrorKind::io, Failure::lost},                    // admin_shutdown, crash_shutdown, cannot_connect_now
    {"25P03", ErrorKind::io, Failure::lost},                   // idle_in_transaction_session_timeout
    {"08", ErrorKind::io, Failure::lost},                      // connection exceptions
    {"25006", ErrorKind::not_permitted, Failure::plain},       // read_only_sql_transaction
    {"42501", ErrorKind::not_permitted, Failure::plain},       // insufficient_privilege
    {"28", ErrorKind::not_permitted, Failure::plain},          // invalid authorization
    {"22", ErrorKind::malformed, Failure::plain},              // data exceptions
    {"53300", ErrorKind::busy, Failure::plain},                // too_many_connections
    {"53", ErrorKind::io, Failure::plain},                     // insufficient resources
    {"54", ErrorKind::limit, Failure::plain},                  // program limits
    {"58", ErrorKind::io, Failure::plain},                     // system errors
    {"XX001", ErrorKind::malformed, Failure::plain},           // data_corrupted
    {"XX002", ErrorKind::malformed, Failure::plain},           // index_corrupted
    {"", ErrorKind::internal, Failure::plain},
});
const StateRow& row_of_state(std::string_view state) {
  return *std::find_if(kStates.begin(), kStates.end(),
                       [&](const StateRow& row) { return state.starts_with(row.prefix); });
}

std::string hint_for(const StateRow& row) {
  if (row.failure == Failure::collided) return "another program changed the same data; try again";
  if (row.kind == ErrorKind::busy) return "another program keeps the database busy; try again";
  if (row.kind == ErrorKind::malformed && row.prefix.starts_with("XX")) return "restore the database from a backup";
  if (row.kind == ErrorKind::not_permitted) return "look at the rights of the database's user";
  return {};
}

}  // namespace

ServerError server_error(const PGresult* result, const char* deed) {
  const auto field = [&](int code) {
    const char* text = pq().result_error_field(result, code);
    return std::string(text ? text : "");
  };
  const std::string state = field(PG_DIAG_SQLSTATE);
  // A FATAL without state is libpq's own: the connection is gone.
  const StateRow& row = row_of_state(state.empty() ? std::string_view("08") : std::string_view(state));
  if (row.failure == Failure::lost) {
    // Class 08 may be libpq's word, or that of a pooler which has lost the server: what became of the rest is unknown.
    return {connection_lost().value(), row.failure, row.prefix != "08"};
  }
  // The primary message names tables and columns; that of a data exception repeats the value.
  std::string message = std::string("database: cannot ") + deed + ": ";
  message += row.prefix == "22" ? "a value does not fit" : field(PG_DIAG_MESSAGE_PRIMARY);
  return {{row.kind, message + " (SQLSTATE " + state + ")", hint_for(row)}, row.failure};
}

tl::unexpected<Error> connection_lost() {
  return fail(ErrorKind::io, "database: the connection was lost, nothing of this was done", "try again");
}

}  // namespace karta::service::detail
