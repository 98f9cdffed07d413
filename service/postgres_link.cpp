#include "service/postgres_link.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace karta::service::detail {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

/// Connects as libpq does, and waits for it. Null: out of memory.
PGconn* connect_to(const std::string& url, milliseconds timeout) {
  const std::string whole_seconds = std::to_string(std::max<std::int64_t>(2, (timeout.count() + 999) / 1000));
  // What stands before "dbname" the URL may say otherwise, what stands after it not. A server that vanished is noticed
  // within some ten seconds.
  const char* const keywords[] = {"fallback_application_name",
                                  "keepalives_idle",
                                  "keepalives_interval",
                                  "keepalives_count",
                                  "tcp_user_timeout",
                                  "connect_timeout",
                                  "dbname",
                                  "client_encoding",
                                  nullptr};
  const char* const values[] = {"karta", "5", "2", "3", "10000", whole_seconds.c_str(), url.c_str(), "UTF8", nullptr};
  return pq().connect(keywords, values, 1);
}

/// What stands in the way of a connection that was not made. `said` by libpq.
Error refusal(std::string said) {
  while (!said.empty() && said.back() == '\n') said.pop_back();
  std::replace(said.begin(), said.end(), '\n', ' ');
  // libpq keeps the SQLSTATE of a refused connection to itself; where the server speaks another language the kind
  // stays io.
  const bool missing =
      said.find("database \"") != std::string::npos && said.find("does not exist") != std::string::npos;
  const bool refused = said.find("authentication failed") != std::string::npos ||
                       said.find("no password supplied") != std::string::npos ||
                       said.find("no pg_hba.conf entry") != std::string::npos;
  return {missing   ? ErrorKind::not_found
          : refused ? ErrorKind::not_permitted
                    : ErrorKind::io,
          "database: cannot connect: " + said,
          missing ? "make it first: createdb --template=template0 --encoding=UTF8 --locale=C NAME"
                  : "look whether PostgreSQL runs there and lets this user in"};
}

/// The script that begins a session; its last answer is the encoding and the collation of the database.
std::string session_settings(const DatabaseOptions& options) {
  std::string settings =
      "SET statement_timeout = " + std::to_string(options.statement_timeout.count()) +
      "; SET lock_timeout = " + std::to_string(std::max<std::int64_t>(1, options.busy_timeout.count())) +
      "; SET idle_in_transaction_session_timeout = 60000; SET timezone = 'UTC'; SET bytea_output = 'hex'";
  if (options.open == DatabaseOptions::Open::read_only) settings += "; SET default_transaction_read_only = on";
  // What this layer promises of text and of commits.
  settings +=
      "; SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
      "; SELECT getdatabaseencoding(), datcollate FROM pg_database WHERE datname = current_database()";
  return settings;
}

ServerError lost() { return {connection_lost().value()}; }

}  // namespace

PostgresLink::PostgresLink(std::string url, const DatabaseOptions& options)
    : url_(std::move(url)), options_(options), reachability_(Reachability::of(url_)) {}

tl::expected<void, ServerError> PostgresLink::connect() {
  const auto began = SteadyClock::now();
  connection_.reset(connect_to(url_, options_.connect_timeout));
  if (std::optional<ServerError> failed = set_up()) {
    connection_.reset();
    reachability_.met(failed->error, SteadyClock::now() - began);
    return tl::unexpected(std::move(*failed));
  }
  loss_ = Loss::none;
  reachability_.met(std::nullopt, {});
  return {};
}

tl::expected<void, ServerError> PostgresLink::connect_in_turn() {
  connection_.reset();
  if (auto unreachable = reachability_.take_turn()) return tl::unexpected(ServerError{std::move(*unreachable)});
  return connect();
}

std::optional<ServerError> PostgresLink::set_up() {
  if (!connection_ || pq().status(connection_.get()) != CONNECTION_OK) {
    return ServerError{refusal(connection_ ? pq().error_message(connection_.get()) : "out of memory")};
  }
  farewell_ = false;
  const auto hear = [](void* self, const PGresult* notice) {
    const char* const severity = pq().result_error_field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == nullptr || std::string_view(severity) != "FATAL") return;
    static_cast<PostgresLink*>(self)->farewell_ = true;
  };
  pq().set_notice_receiver(connection_.get(), hear, this);
  pq().set_nonblocking(connection_.get(), 1);
  if (pq().send_query(connection_.get(), session_settings(options_).c_str()) != 1) return lost();
  std::string encoding, collation;
  for (;;) {
    const std::optional<PgResult> result = next_result(options_.connect_timeout + kBeyondTimeout);
    if (!result) return lost();
    if (!*result) break;
    const ExecStatusType status = pq().result_status(result->get());
    if (status == PGRES_FATAL_ERROR) return server_error(result->get(), "set up the connection");
    if (status == PGRES_TUPLES_OK && pq().nfields(result->get()) == 2 && pq().ntuples(result->get()) == 1) {
      encoding = pq().getvalue(result->get(), 0, 0);
      collation = pq().getvalue(result->get(), 0, 1);
    }
  }
  if (encoding != "UTF8" || (collation != "C" && collation != "POSIX")) {
    return ServerError{
        {ErrorKind::configuration,
         "the database is of encoding " + encoding + " and collation " + collation + ", not of UTF8 and C",
         "make it so: createdb --template=template0 --encoding=UTF8 --locale=C NAME"}};
  }
  if (pq().enter_pipeline(connection_.get()) != 1) return lost();
  return std::nullopt;
}

bool PostgresLink::alive() {
  if (!connection_) return false;
  pollfd socket{pq().socket(connection_.get()), POLLIN | POLLRDHUP, 0};
  if (socket.fd < 0) return false;
  if (::poll(&socket, 1, 0) <= 0) return true;
  if ((socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return false;
  if (pq().consume_input(connection_.get()) != 1) return false;
  (void)pq().is_busy(connection_.get());  // reads what came; a farewell goes to the receiver of notices
  return !farewell_ && pq().status(connection_.get()) == CONNECTION_OK;
}

void PostgresLink::drop(Loss how) {
  loss_ = how;
  connection_.reset();
}

bool PostgresLink::await(milliseconds most) {
  const auto until = SteadyClock::now() + most;
  for (;;) {
    const int unsent = pq().flush(connection_.get());
    if (unsent < 0) break;
    if (unsent == 0 && pq().is_busy(connection_.get()) == 0) return true;
    const auto left = std::chrono::ceil<milliseconds>(until - SteadyClock::now());
    if (left.count() <= 0) {
      drop(Loss::silent);
      return false;
    }
    pollfd socket{pq().socket(connection_.get()), static_cast<short>(POLLIN | (unsent != 0 ? POLLOUT : 0)), 0};
    const int ready = ::poll(&socket, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) break;
    if (ready > 0 && (socket.revents & ~POLLOUT) != 0 && pq().consume_input(connection_.get()) != 1) break;
  }
  drop(Loss::closed);
  return false;
}

std::optional<PgResult> PostgresLink::next_result(milliseconds most) {
  if (!connection_ || !await(most)) return std::nullopt;
  PgResult result(pq().get_result(connection_.get()));
  if (!result && pq().status(connection_.get()) != CONNECTION_OK) {
    drop(Loss::closed);
    return std::nullopt;
  }
  return result;
}

}  // namespace karta::service::detail
