#include "service/database.h"

#include <algorithm>
#include <random>
#include <thread>

#include "service/connection.h"

namespace karta::service {
namespace {

constexpr std::string_view kOutcomeUnknown =
    "database: the connection was lost at the commit, and whether it took place is not known";

/// "postgresql" of "postgresql://host/name"; empty where there is none.
std::string_view scheme_of(std::string_view url) {
  const auto colon = url.find(':');
  const bool has_scheme = colon != std::string_view::npos && colon > 0 && url.find('/') > colon;
  return has_scheme ? url.substr(0, colon) : std::string_view();
}

}  // namespace

bool is_postgresql(std::string_view url) { return url.starts_with("postgresql://") || url.starts_with("postgres://"); }
bool is_outcome_unknown(const Error& error) { return error.message == kOutcomeUnknown; }
tl::unexpected<Error> detail::outcome_unknown() {
  return fail(ErrorKind::io, std::string(kOutcomeUnknown), "look whether it did before doing it again");
}

Statement::Statement(detail::Connection& connection, std::unique_ptr<detail::PreparedStatement> statement)
    : connection_(&connection), statement_(std::move(statement)) {}
Statement::Statement(Statement&&) noexcept = default;
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(statement_, other.statement_);
  return *this;
}
Statement::~Statement() {
  if (statement_) connection_->take_back(std::move(statement_));
}

Result<std::int64_t> Statement::execute(Parameters parameters) {
  TRY(statement_->bind(parameters));
  while (TRY(statement_->step())) {
  }
  return statement_->changes();
}
Status Statement::execute_later(Parameters parameters) { return statement_->execute_later(parameters); }
Status Statement::query(Parameters parameters) { return statement_->bind(parameters); }
Result<bool> Statement::next() { return statement_->step(); }

bool Statement::is_null(int column) const {
  KARTA_CHECK(column >= 0 && column < statement_->columns());
  return statement_->is_null(column);
}
std::int64_t Statement::integer(int column) const {
  KARTA_CHECK(column >= 0 && column < statement_->columns());
  return statement_->integer(column);
}
std::string_view Statement::text(int column) const { return as_text(octets(column)); }
ByteView Statement::octets(int column) const {
  KARTA_CHECK(column >= 0 && column < statement_->columns());
  return statement_->octets(column);
}
std::optional<std::int64_t> Statement::integer_or_null(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

Transaction::Transaction(Transaction&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
Transaction::~Transaction() {
  if (connection_) connection_->rollback();
}
Status Transaction::commit() {
  KARTA_CHECK(connection_ != nullptr);
  TRY(connection_->commit());
  connection_ = nullptr;
  return {};
}

Database::Database(std::unique_ptr<detail::Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(std::string_view url, DatabaseOptions options) {
  if (is_postgresql(url)) return Database(TRY(detail::open_postgres(std::string(url), options)));
  const std::string_view scheme = scheme_of(url);
  std::string path(url);
  if (!scheme.empty()) {
    if (scheme != "sqlite") {
      return fail(ErrorKind::unsupported, "database scheme \"" + std::string(scheme) + "\" is not known",
                  "use sqlite:///path/to/registry.db or postgresql://host/database");
    }
    std::string_view rest = url.substr(scheme.size() + 1);
    if (rest.starts_with("///")) rest.remove_prefix(2);  // an empty authority, then the absolute path
    path = rest;
  }
  // A name SQLite would take for a database in memory, or of its own URI syntax, is no path.
  if (path.empty() || path.front() == ':' || path.starts_with("//") || path.find('\0') != std::string::npos) {
    return fail(ErrorKind::usage, "database URL names no file", "write sqlite:///path/to/registry.db");
  }
  return Database(TRY(detail::open_sqlite(path, options)));
}

Result<Statement> Database::prepare(std::string_view sql) {
  return Statement(*connection_, TRY(connection_->prepare(sql)));
}
Result<std::int64_t> Database::execute(std::string_view sql, Parameters parameters) {
  Statement statement = TRY(prepare(sql));
  return statement.execute(parameters);
}
Status Database::execute_later(std::string_view sql, Parameters parameters) {
  Statement statement = TRY(prepare(sql));
  return statement.execute_later(parameters);
}
Status Database::execute_script(std::string_view sql) { return connection_->execute_script(sql); }

Result<Transaction> Database::begin(Isolation isolation) {
  TRY(connection_->begin(isolation));
  return Transaction(*connection_);
}
Result<Transaction> Database::begin_read() {
  TRY(connection_->begin(std::nullopt));
  return Transaction(*connection_);
}
bool Database::in_transaction() const { return connection_->in_transaction(); }
Store Database::store() const { return connection_->store(); }

Status Database::transact(const std::function<Status()>& work, Isolation isolation) {
  thread_local std::minstd_rand jitter(std::random_device{}());
  // A key that was taken by a transaction in flight is seen the second time, by a look before the write; one that is
  // found taken again really is. Collisions on PostgreSQL are over as soon as they are noticed; a lock on a file is
  // not.
  constexpr int kDuplicateTries = 3, kCollisionTries = 4 * kTransactionTries;
  const int pause_ms = connection_->store() == Store::sqlite ? 10 : 1;
  for (int attempt = 1;; ++attempt) {
    bool began = false;
    const Status done = [&]() -> Status {
      Transaction transaction = TRY(begin(isolation));
      began = true;
      TRY(work());
      return transaction.commit();
    }();
    if (done) return done;
    if (!began) return done;  // a lock that was not given within busy_timeout has been waited for long enough
    int tries = 1;
    switch (connection_->last_failure()) {
      case detail::Failure::plain:
        tries = done.error().kind == ErrorKind::busy ? kTransactionTries : 1;
        break;
      case detail::Failure::collided:
        tries = kCollisionTries;
        break;
      case detail::Failure::duplicate:
        tries = kDuplicateTries;
        break;
      case detail::Failure::lost:
        tries = 2;
        break;
      case detail::Failure::final:
        break;
    }
    if (attempt >= tries) return done;
    // Two writers that collide once would collide again if both came back at the same moment.
    const int most_ms = pause_ms << std::min(attempt, 6);
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<int>(1, most_ms)(jitter)));
  }
}

Status Database::check_integrity() { return connection_->check_integrity(); }
Result<std::int64_t> Database::data_version() { return connection_->data_version(); }
Result<std::uint64_t> Database::size() { return connection_->size(); }

}  // namespace karta::service
