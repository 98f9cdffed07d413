// PostgreSQL behind service/database.h: the only file that speaks libpq.
//
// A connection is in pipeline mode: what belongs together (BEGIN, runs that nobody waits for, the preparing of a
// statement and its run, or COMMIT) goes out in one packet and comes back in one. Nothing blocks in libpq but the
// making of a connection; every wait for the server has a deadline.
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "service/connection.h"
#include "service/postgres_library.h"
#include "service/postgres_plan.h"
#include "service/statement_cache.h"

namespace karta::service::detail {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Between attempts to connect, so that who is without a database answers at once. A server that refuses is asked again
// soon; where an attempt takes long, four fifths of the time at least nobody is held up by one.
constexpr milliseconds kLeastPause{250}, kMostPause{10'000};
constexpr int kPauseForAttempt = 4;
constexpr milliseconds kBeyondTimeout{2000};   // the server ends a statement itself; later than this it is not there
constexpr milliseconds kLongSilence{300'000};  // of a server that sorts a nation for a reading transaction
constexpr milliseconds kRollbackTime{5000};

// Of pg_type.dat.
enum TypeOid : Oid {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kNumeric = 1700,
};

const PostgresLibrary& pq() {
  static const PostgresLibrary& loaded = **postgres_library();  // open_postgres() has looked
  return loaded;
}

struct ClearResult {
  void operator()(PGresult* result) const { pq().clear(result); }
};
using PgResult = std::unique_ptr<PGresult, ClearResult>;
struct FinishConnection {
  void operator()(PGconn* connection) const { pq().finish(connection); }
};

// Errors

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

tl::unexpected<Error> connection_lost() {
  return fail(ErrorKind::io, "database: the connection was lost, nothing of this was done", "try again");
}

/// What the attempts to connect have met, of all connections of the process to one URL.
class Reachability {
 public:
  /// The error to answer with instead of connecting again; none: try, and report with met().
  std::optional<Error> take_turn() {
    const std::scoped_lock lock(mutex_);
    if (!unreachable_) return std::nullopt;
    if (trying_ || SteadyClock::now() < until_) return unreachable_;
    trying_ = true;
    return std::nullopt;
  }
  /// An attempt that took `took` has failed so, or (none) has made a connection.
  void met(std::optional<Error> error, SteadyClock::duration took) {
    const std::scoped_lock lock(mutex_);
    unreachable_ = std::move(error);
    until_ = SteadyClock::now() + std::clamp<SteadyClock::duration>(kPauseForAttempt * took, kLeastPause, kMostPause);
    trying_ = false;
  }
  static Reachability& of(const std::string& url) {
    static std::mutex mutex;
    static std::map<std::string, Reachability> all;  // as many as the program has databases
    const std::scoped_lock lock(mutex);
    return all[url];
  }

 private:
  std::mutex mutex_;
  std::optional<Error> unreachable_;
  SteadyClock::time_point until_{};
  bool trying_ = false;
};

// Values

std::int64_t big_endian(const char* data, std::size_t size) {
  std::uint64_t value = size != 0 && (static_cast<std::uint8_t>(data[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<std::uint8_t>(data[i]);
  return static_cast<std::int64_t>(value);
}

/// What sum() of BIGINT comes as: digits of base 10000, the highest of weight `weight`; a fraction is cut off.
std::int64_t numeric_value(const char* data, std::size_t size) {
  if (size < 8) return 0;
  const std::int64_t digits = big_endian(data, 2), weight = big_endian(data + 2, 2);
  const bool negative = big_endian(data + 4, 2) == 0x4000;
  std::int64_t value = 0;
  for (std::int64_t i = 0; i <= weight; ++i) {
    const auto at = static_cast<std::size_t>(8 + 2 * i);
    value = value * 10000 + (i < digits && at + 2 <= size ? big_endian(data + at, 2) : 0);
  }
  return negative ? -value : value;
}

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

class PostgresConnection;

class PostgresStatement final : public PreparedStatement {
 public:
  PostgresStatement(PostgresConnection& connection, std::string sql)
      : sql_(std::move(sql)), connection_(&connection), parameters_(count_parameters(sql_)), reads_(is_reading(sql_)) {}
  ~PostgresStatement() override { reset(); }

  const std::string& sql() const { return sql_; }
  void reset();

  Status bind(Parameters parameters) override;
  Status execute_later(Parameters parameters) override;
  Result<bool> step() override;
  std::int64_t changes() const override { return changes_; }
  int columns() const override { return row_ ? pq().nfields(row_.get()) : 0; }
  bool is_null(int column) const override { return pq().getisnull(row_.get(), at_, column) != 0; }
  std::int64_t integer(int column) const override;
  ByteView octets(int column) const override {
    return {reinterpret_cast<const std::uint8_t*>(pq().getvalue(row_.get(), at_, column)),
            static_cast<std::size_t>(pq().getlength(row_.get(), at_, column))};
  }

 private:
  friend class PostgresConnection;
  Status take(Parameters parameters);

  const std::string sql_;
  PostgresConnection* connection_;
  const std::size_t parameters_;
  const bool reads_;
  std::shared_ptr<Plan> plan_;  ///< for the types of the newest values
  // Values as they go out; those of text and octets are the caller's.
  std::vector<std::array<char, 8>> integers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<Oid> types_;
  // Rows that have come and not been asked for.
  std::deque<PgResult> ahead_;
  bool unread_ = false;         ///< the connection may bring more
  std::optional<Error> broke_;  ///< what ended the rows early, for whoever asks for the next one
  PgResult row_;                ///< the one shown: row at_ of it
  int at_ = 0;
  std::int64_t changes_ = 0;
};

/// What a connection says besides the statements it is given.
enum Word : std::size_t {
  begin_serializable,
  begin_snapshot,
  begin_read,
  no_time_limit,
  commit_work,
  roll_back,
  kWords
};
constexpr std::array<const char*, kWords> kWordSql = {"BEGIN ISOLATION LEVEL SERIALIZABLE",
                                                      "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                                      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                                      "SET LOCAL statement_timeout = 0",
                                                      "COMMIT",
                                                      "ROLLBACK"};

class PostgresConnection final : public Connection {
 public:
  PostgresConnection(std::string url, const DatabaseOptions& options)
      : url_(std::move(url)), options_(options), reachability_(Reachability::of(url_)) {
    for (const char* sql : kWordSql) words_.push_back(std::make_unique<Plan>(names_, sql, std::vector<Oid>{}));
  }
  ~PostgresConnection() override { cache_.clear(); }

  Status connect();

  Store store() const override { return Store::postgresql; }
  Failure last_failure() const override { return failure_; }
  bool in_transaction() const override { return in_transaction_; }

  Result<std::unique_ptr<PreparedStatement>> prepare(std::string_view sql) override {
    if (auto kept = cache_.take(sql)) return kept;
    return std::make_unique<PostgresStatement>(*this, std::string(sql));
  }
  void take_back(std::unique_ptr<PreparedStatement> statement) override {
    std::unique_ptr<PostgresStatement> ours(static_cast<PostgresStatement*>(statement.release()));
    ours->reset();
    cache_.keep(std::move(ours));
  }

  Status execute_script(std::string_view sql) override;
  Status begin(std::optional<Isolation> write) override;
  Status commit() override;
  void rollback() override;
  Status check_integrity() override;
  Result<std::uint64_t> size() override;
  /// Asking the server for a version costs what asking it for the thing itself does.
  Result<std::int64_t> data_version() override { return ++version_; }

  /// Sends what waits, and with it `statement`; null: what waits only.
  Status run(PostgresStatement* statement);
  /// Whether a run may wait for the next one that is asked for.
  bool may_wait() const { return in_transaction_ && write_; }
  /// Keeps a run with the values `statement` has taken for then.
  Status let_wait(const PostgresStatement& statement);
  std::shared_ptr<Plan> make_plan(const std::string& sql, const std::vector<Oid>& types) {
    return std::make_shared<Plan>(names_, sql, types);
  }
  /// The next result of `statement`, which has unread rows: true if there is one.
  Result<bool> read_on(PostgresStatement& statement);
  /// Nobody will ask for the rest of its rows.
  void drop_rows(PostgresStatement& statement);

 private:
  enum class Loss : std::uint8_t {
    none,
    closed,
    told,  ///< the server itself said that it ends the connection: what it had not answered before is not done
    silent,
  };

  bool alive();
  Status ensure_connected();
  /// The connection is of no more use.
  void drop(Loss how) {
    loss_ = how;
    active_ = nullptr;
    connection_.reset();
    if (in_transaction_ && !begin_pending_) failure_ = Failure::lost;
  }
  /// After COMMIT or ROLLBACK: where the server has refused that (it has forgotten the prepared one, say) the next
  /// transaction would go on in this one.
  void leave_if_in_transaction() {
    if (connection_ && pq().transaction_status(connection_.get()) != PQTRANS_IDLE) drop(Loss::closed);
  }
  milliseconds patience() const {
    return in_transaction_ && !write_ && options_.long_reads ? kLongSilence
                                                             : options_.statement_timeout + kBeyondTimeout;
  }
  /// Waits until a result can be had without waiting. False: the connection was dropped.
  bool await(milliseconds most);
  /// Null after the last one of a command; nullopt: the connection was dropped.
  std::optional<PgResult> next_result() { return next_result(patience()); }
  std::optional<PgResult> next_result(milliseconds most);
  /// Reads up to the end of what was sent.
  bool read_to_sync(milliseconds most);
  /// Puts a run into the packet, and before it the plan's preparing where the server does not know it.
  bool send(Plan& plan, const char* const* values, const int* lengths, const char* deed);
  bool send(Word word, const char* deed) { return send(*words_[word], nullptr, nullptr, deed); }
  /// Puts into the packet what goes before a run that is asked for: BEGIN and what waits.
  bool send_before();
  /// Reads the answers to what was put into the packet, `last` of the runs excepted. An error, after which the server
  /// does nothing more of the packet, is kept in `failed`. False: the connection was dropped.
  bool read_before(std::size_t last, std::optional<Error>& failed);
  Error error_of(const PGresult* result, const char* deed);
  /// The answer to a command that has no rows; an error is kept in `failed`. False: the connection was dropped.
  bool read_plain(std::optional<Error>& failed, const char* deed);
  /// Everything a run brings up to its first row or its end.
  Status send_and_look(PostgresStatement* statement);
  /// Takes the rows that are still to come out of the connection's way.
  void put_aside_rows();

  std::string url_;
  DatabaseOptions options_;
  std::unique_ptr<PGconn, FinishConnection> connection_;
  ServerNames names_;
  std::vector<std::unique_ptr<Plan>> words_;  ///< by Word
  Reachability& reachability_;
  bool farewell_ = false;  ///< the server said that it ends the connection, while nothing was asked
  Loss loss_ = Loss::none;

  bool in_transaction_ = false;
  bool begin_pending_ = false;  ///< BEGIN goes out with the transaction's first statement
  std::optional<Isolation> write_;
  Failure failure_ = Failure::plain;
  WaitingRuns waiting_;  ///< of the writing transaction
  struct Expected {
    Plan* prepares;  ///< null: it runs
    const char* deed;
  };
  std::vector<Expected> expected_;       ///< the answers to the packet, in order
  std::vector<int> binary_;              ///< ones: the format of every value
  PostgresStatement* active_ = nullptr;  ///< whose rows are on their way
  std::int64_t version_ = 0;
  StatementCache<PostgresStatement> cache_;
};

// Statements

void PostgresStatement::reset() {
  if (unread_) connection_->drop_rows(*this);
  unread_ = false;
  ahead_.clear();
  broke_.reset();
  row_.reset();
  changes_ = 0;
}

/// Binds values; those of text and octets are still the caller's.
Status PostgresStatement::take(Parameters parameters) {
  reset();
  // The SQL must name exactly the values it is given: a slip here would store a datum in the wrong column.
  KARTA_CHECK(parameters_ == parameters.size());
  integers_.resize(parameters_);
  values_.assign(parameters_, nullptr);
  lengths_.assign(parameters_, 0);
  types_.assign(parameters_, 0);
  std::size_t i = 0;
  for (const Parameter& parameter : parameters) {
    if (const auto* value = std::get_if<std::int64_t>(&parameter.value())) {
      for (std::size_t k = 0; k < 8; ++k) {
        integers_[i][k] = static_cast<char>(static_cast<std::uint64_t>(*value) >> (56 - 8 * k));
      }
      values_[i] = integers_[i].data();
      lengths_[i] = 8;
      types_[i] = kInt8;
    } else if (const auto* text = std::get_if<std::string_view>(&parameter.value())) {
      if (text->find('\0') != std::string_view::npos) {
        return fail(ErrorKind::malformed, "database: a text holds the character U+0000");
      }
      values_[i] = text->data() ? text->data() : "";
      lengths_[i] = static_cast<int>(text->size());
      types_[i] = kText;
    } else if (const auto* octets = std::get_if<ByteView>(&parameter.value())) {
      values_[i] = octets->data() ? reinterpret_cast<const char*>(octets->data()) : "";
      lengths_[i] = static_cast<int>(octets->size());
      types_[i] = kBytea;
    }
    ++i;
  }
  // NULL is of any type. A type that was declared before and is another one now makes another plan.
  bool same = plan_ != nullptr;
  for (std::size_t k = 0; same && k < parameters_; ++k) {
    const Oid declared = plan_->types[k];
    same = types_[k] == 0 || declared == 0 || types_[k] == declared;
  }
  if (!same) plan_ = connection_->make_plan(sql_, types_);
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
  if (!ahead_.empty()) {
    row_ = std::move(ahead_.front());
    ahead_.pop_front();
    return true;
  }
  if (broke_) return fail(*broke_);
  if (!unread_) return false;
  if (!TRY(connection_->read_on(*this))) return false;
  row_ = std::move(ahead_.front());
  ahead_.pop_front();
  return true;
}

std::int64_t PostgresStatement::integer(int column) const {
  const char* data = pq().getvalue(row_.get(), at_, column);
  const auto size = static_cast<std::size_t>(pq().getlength(row_.get(), at_, column));
  switch (pq().ftype(row_.get(), column)) {
    case kBool:
    case kInt2:
    case kInt4:
    case kInt8:
      return big_endian(data, size);
    case kNumeric:
      return numeric_value(data, size);
    default: {
      std::int64_t value = 0;  // text: the number it begins with, as SQLite has it
      std::from_chars(data, data + size, value);
      return value;
    }
  }
}

// The connection

Status PostgresConnection::connect() {
  const auto began = SteadyClock::now();
  const std::string timeout =
      std::to_string(std::max<std::int64_t>(2, (options_.connect_timeout.count() + 999) / 1000));
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
  const char* const values[] = {"karta", "5", "2", "3", "10000", timeout.c_str(), url_.c_str(), "UTF8", nullptr};
  connection_.reset(pq().connect(keywords, values, 1));
  ++names_.generation;
  names_.unused.clear();
  active_ = nullptr;
  const auto refuse = [&](Error error) -> Status {
    connection_.reset();
    reachability_.met(error, SteadyClock::now() - began);
    return fail(std::move(error));
  };
  if (!connection_ || pq().status(connection_.get()) != CONNECTION_OK) {
    std::string said = connection_ ? pq().error_message(connection_.get()) : "out of memory";
    while (!said.empty() && said.back() == '\n') said.pop_back();
    std::replace(said.begin(), said.end(), '\n', ' ');
    // libpq keeps the SQLSTATE of a refused connection to itself; where the server speaks another language the kind
    // stays io.
    const bool missing =
        said.find("database \"") != std::string::npos && said.find("does not exist") != std::string::npos;
    const bool refused = said.find("authentication failed") != std::string::npos ||
                         said.find("no password supplied") != std::string::npos ||
                         said.find("no pg_hba.conf entry") != std::string::npos;
    return refuse({missing   ? ErrorKind::not_found
                   : refused ? ErrorKind::not_permitted
                             : ErrorKind::io,
                   "database: cannot connect: " + said,
                   missing ? "make it first: createdb --template=template0 --encoding=UTF8 --locale=C NAME"
                           : "look whether PostgreSQL runs there and lets this user in"});
  }
  farewell_ = false;
  const auto hear = [](void* self, const PGresult* notice) {
    const char* const severity = pq().result_error_field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == nullptr || std::string_view(severity) != "FATAL") return;
    static_cast<PostgresConnection*>(self)->farewell_ = true;
  };
  pq().set_notice_receiver(connection_.get(), hear, this);
  pq().set_nonblocking(connection_.get(), 1);
  std::string settings =
      "SET statement_timeout = " + std::to_string(options_.statement_timeout.count()) +
      "; SET lock_timeout = " + std::to_string(std::max<std::int64_t>(1, options_.busy_timeout.count())) +
      "; SET idle_in_transaction_session_timeout = 60000; SET timezone = 'UTC'; SET bytea_output = 'hex'";
  if (options_.open == DatabaseOptions::Open::read_only) settings += "; SET default_transaction_read_only = on";
  // What this layer promises of text and of commits; the answer is the last result.
  settings +=
      "; SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
      "; SELECT getdatabaseencoding(), datcollate FROM pg_database WHERE datname = current_database()";
  if (pq().send_query(connection_.get(), settings.c_str()) != 1) return refuse(connection_lost().value());
  std::string encoding, collation;
  for (;;) {
    const std::optional<PgResult> result = next_result(options_.connect_timeout + kBeyondTimeout);
    if (!result) return refuse(connection_lost().value());
    if (!*result) break;
    const ExecStatusType status = pq().result_status(result->get());
    if (status == PGRES_FATAL_ERROR) return refuse(error_of(result->get(), "set up the connection"));
    if (status == PGRES_TUPLES_OK && pq().nfields(result->get()) == 2 && pq().ntuples(result->get()) == 1) {
      encoding = pq().getvalue(result->get(), 0, 0);
      collation = pq().getvalue(result->get(), 0, 1);
    }
  }
  if (encoding != "UTF8" || (collation != "C" && collation != "POSIX")) {
    return refuse({ErrorKind::configuration,
                   "the database is of encoding " + encoding + " and collation " + collation + ", not of UTF8 and C",
                   "make it so: createdb --template=template0 --encoding=UTF8 --locale=C NAME"});
  }
  if (pq().enter_pipeline(connection_.get()) != 1) return refuse(connection_lost().value());
  loss_ = Loss::none;
  reachability_.met(std::nullopt, {});
  return {};
}

/// A server that went away while nobody asked it anything has said so, or closed the socket.
bool PostgresConnection::alive() {
  if (!connection_) return false;
  pollfd socket{pq().socket(connection_.get()), POLLIN | POLLRDHUP, 0};
  if (socket.fd < 0) return false;
  if (::poll(&socket, 1, 0) <= 0) return true;
  if ((socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return false;
  if (pq().consume_input(connection_.get()) != 1) return false;
  (void)pq().is_busy(connection_.get());  // reads what came; a farewell goes to the receiver of notices
  return !farewell_ && pq().status(connection_.get()) == CONNECTION_OK;
}

Status PostgresConnection::ensure_connected() {
  if (alive()) return {};
  connection_.reset();
  if (auto unreachable = reachability_.take_turn()) return fail(std::move(*unreachable));
  return connect();
}

bool PostgresConnection::await(milliseconds most) {
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

std::optional<PgResult> PostgresConnection::next_result(milliseconds most) {
  if (!connection_ || !await(most)) return std::nullopt;
  PgResult result(pq().get_result(connection_.get()));
  if (!result && pq().status(connection_.get()) != CONNECTION_OK) {
    drop(Loss::closed);
    return std::nullopt;
  }
  return result;
}

bool PostgresConnection::read_to_sync(milliseconds most) {
  for (;;) {
    const std::optional<PgResult> result = next_result(most);
    if (!result) return false;
    if (*result && pq().result_status(result->get()) == PGRES_PIPELINE_SYNC) break;
  }
  pq().get_result(connection_.get());  // null: leaves the state it waits for this call in
  return true;
}

Error PostgresConnection::error_of(const PGresult* result, const char* deed) {
  const auto field = [&](int code) {
    const char* text = pq().result_error_field(result, code);
    return std::string(text ? text : "");
  };
  const std::string state = field(PG_DIAG_SQLSTATE);
  // A FATAL without state is libpq's own: the connection is gone.
  const StateRow& row = row_of_state(state.empty() ? std::string_view("08") : std::string_view(state));
  if (in_transaction_ && failure_ == Failure::plain) failure_ = row.failure;
  if (row.failure == Failure::lost) {
    // Class 08 may be libpq's word, or that of a pooler which has lost the server: what became of the rest is unknown.
    drop(row.prefix == "08" ? Loss::closed : Loss::told);
    return connection_lost().value();
  }
  // The primary message names tables and columns; that of a data exception repeats the value.
  std::string message = std::string("database: cannot ") + deed + ": ";
  message += row.prefix == "22" ? "a value does not fit" : field(PG_DIAG_MESSAGE_PRIMARY);
  return {row.kind, message + " (SQLSTATE " + state + ")", hint_for(row)};
}

bool PostgresConnection::read_plain(std::optional<Error>& failed, const char* deed) {
  for (;;) {
    const std::optional<PgResult> result = next_result();
    if (!result) return false;
    if (!*result) return true;
    if (pq().result_status(result->get()) == PGRES_FATAL_ERROR && !failed) {
      Error error = error_of(result->get(), deed);
      if (!connection_) return false;
      failed = std::move(error);
    }
  }
}

bool PostgresConnection::send(Plan& plan, const char* const* values, const int* lengths, const char* deed) {
  PGconn* const to = connection_.get();
  const int count = static_cast<int>(plan.types.size());
  if (!plan.known()) {
    plan.name = "k" + std::to_string(++names_.given);
    if (pq().send_prepare(to, plan.name.c_str(), plan.sql.c_str(), count, plan.types.data()) != 1) return false;
    plan.generation = names_.generation;  // to those that follow it in the packet; read_before() knows better
    expected_.push_back({&plan, "prepare a statement"});
  }
  expected_.push_back({nullptr, deed});
  if (binary_.size() < plan.types.size()) binary_.resize(plan.types.size(), 1);
  return pq().send_query_prepared(to, plan.name.c_str(), count, values, lengths, binary_.data(), 1) == 1;
}

bool PostgresConnection::send_before() {
  expected_.clear();
  bool sent = true;
  if (begin_pending_) {
    const Word word = !write_ ? begin_read : *write_ == Isolation::serializable ? begin_serializable : begin_snapshot;
    sent = send(word, "begin a transaction");
    if (!write_ && options_.long_reads) sent = sent && send(no_time_limit, "begin a transaction");
  }
  for (const std::string& name : std::exchange(names_.unused, {})) {
    sent = sent && pq().send_query_params(connection_.get(), ("DEALLOCATE " + name).c_str(), 0, nullptr, nullptr,
                                          nullptr, nullptr, 1) == 1;
    expected_.push_back({nullptr, "forget a statement"});
  }
  return sent && waiting_.all_of([this](Plan& plan, const char* const* values, const int* lengths) {
    return send(plan, values, lengths, "run a statement");
  });
}

bool PostgresConnection::read_before(std::size_t last, std::optional<Error>& failed) {
  for (std::size_t i = 0; i + last < expected_.size(); ++i) {
    const Expected& one = expected_[i];
    if (!read_plain(failed, one.deed)) return false;
    if (failed && one.prepares) one.prepares->generation = 0;
    if (!failed && !one.prepares) begin_pending_ = false;  // the first to run, if it was to begin
  }
  return true;
}

Status PostgresConnection::send_and_look(PostgresStatement* asked) {
  const bool sent = send_before() &&
                    (!asked || send(*asked->plan_, asked->values_.data(), asked->lengths_.data(), "run a statement")) &&
                    pq().pipeline_sync(connection_.get()) == 1;
  if (!sent) {
    drop(Loss::closed);
    return connection_lost();
  }
  std::optional<Error> failed;
  if (!read_before(asked ? 1 : 0, failed)) return connection_lost();
  if (!asked || failed) {
    if (!read_to_sync(patience())) return connection_lost();
    if (failed) return fail(std::move(*failed));
    return {};
  }
  PostgresStatement& statement = *asked;
  // Row by row, so that a list as long as a nation is never in memory. What a writing transaction looks up is short,
  // and other statements come between.
  const bool long_list = statement.reads_ && !(in_transaction_ && write_);
  if (long_list) pq().set_single_row_mode(connection_.get());
  std::optional<PgResult> first = next_result();
  if (!first) return connection_lost();
  if (!*first) {
    if (!read_to_sync(patience())) return connection_lost();
    return fail(ErrorKind::internal, "database: a statement was not answered");
  }
  switch (pq().result_status(first->get())) {
    case PGRES_SINGLE_TUPLE:
      statement.ahead_.push_back(std::move(*first));
      statement.unread_ = true;
      active_ = &statement;
      return {};
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: {
      const std::string_view changed = pq().cmd_tuples(first->get());
      std::from_chars(changed.data(), changed.data() + changed.size(), statement.changes_);
      if (pq().ntuples(first->get()) > 0) statement.ahead_.push_back(std::move(*first));
      // Not the end of the statement but of its transaction, where it is one of its own: an error here is its error.
      for (;;) {
        std::optional<PgResult> rest = next_result();
        if (!rest) return connection_lost();
        if (!*rest) continue;
        const ExecStatusType status = pq().result_status(rest->get());
        if (status == PGRES_FATAL_ERROR && !failed) {
          failed = error_of(rest->get(), "run a statement");
          if (!connection_) return connection_lost();
        }
        if (status == PGRES_PIPELINE_SYNC) break;
      }
      pq().get_result(connection_.get());
      if (failed) return fail(std::move(*failed));
      return {};
    }
    default: {
      Error error = error_of(first->get(), "run a statement");
      if (!connection_ || !read_to_sync(patience())) return connection_lost();
      return fail(std::move(error));
    }
  }
}

Status PostgresConnection::run(PostgresStatement* statement) {
  put_aside_rows();
  if (in_transaction_ && !begin_pending_ && !connection_) return connection_lost();
  for (int attempt = 1;; ++attempt) {
    const bool began = in_transaction_ && !begin_pending_;
    // Nothing was committed yet, or nothing is to be: it can be sent a second time.
    const bool repeatable = !began && (in_transaction_ || statement->reads_);
    // A look whether the server has gone meanwhile is worth its system call only before what is not.
    if (!connection_ || !(began || repeatable)) {
      if (Status connected = ensure_connected(); !connected) {
        waiting_.clear();
        begin_pending_ = false;  // in a transaction, nothing of it any more
        return connected;
      }
    }
    loss_ = Loss::none;
    Status done = send_and_look(statement);
    if (done || connection_) {
      waiting_.clear();
      return done;
    }
    if (statement) statement->reset();
    if (repeatable && loss_ != Loss::silent && attempt == 1) {  // a server that was restarted since
      if (in_transaction_) begin_pending_ = true, failure_ = Failure::plain;
      continue;
    }
    waiting_.clear();
    if (in_transaction_) {
      begin_pending_ = false;
      failure_ = Failure::lost;
    } else if (!statement->reads_) {
      return outcome_unknown();
    }
    if (loss_ == Loss::silent) {
      failure_ = Failure::final;
      return fail(ErrorKind::io, "database: the server does not answer", "look whether PostgreSQL runs there");
    }
    return connection_lost();
  }
}

Status PostgresConnection::let_wait(const PostgresStatement& statement) {
  if (!begin_pending_ && !connection_) return connection_lost();
  waiting_.add(statement.plan_, statement.values_, statement.lengths_);
  if (!waiting_.full()) return {};
  return run(nullptr);
}

Result<bool> PostgresConnection::read_on(PostgresStatement& statement) {
  KARTA_CHECK(active_ == &statement);
  std::optional<PgResult> result = next_result();
  if (!result) {
    statement.unread_ = false;
    return connection_lost();
  }
  if (*result && pq().result_status(result->get()) == PGRES_SINGLE_TUPLE) {
    statement.ahead_.push_back(std::move(*result));
    return true;
  }
  statement.unread_ = false;
  active_ = nullptr;
  if (!*result || pq().result_status(result->get()) == PGRES_TUPLES_OK) {
    if (!read_to_sync(patience())) return connection_lost();
    return false;
  }
  Error error = error_of(result->get(), "read on");
  if (!connection_ || !read_to_sync(patience())) return connection_lost();
  return fail(std::move(error));
}

void PostgresConnection::put_aside_rows() {
  while (active_) {
    PostgresStatement& owner = *active_;
    const Result<bool> more = read_on(owner);
    if (!more) owner.broke_ = more.error();
    if (!more) active_ = nullptr;
  }
}

void PostgresConnection::drop_rows(PostgresStatement& statement) {
  while (active_ == &statement) {
    statement.ahead_.clear();
    const Result<bool> more = read_on(statement);
    if (!more) active_ = nullptr;
  }
}

Status PostgresConnection::execute_script(std::string_view sql) {
  put_aside_rows();
  if (!waiting_.empty()) TRY(run(nullptr));
  if (in_transaction_ && !begin_pending_ && !connection_) return connection_lost();
  if (!in_transaction_ || begin_pending_) TRY(ensure_connected());
  // Several statements in one text go by the simple protocol, which pipelines do not have.
  std::string text(sql);
  if (begin_pending_) {
    KARTA_CHECK(write_.has_value());
    text = (*write_ == Isolation::serializable ? "BEGIN ISOLATION LEVEL SERIALIZABLE;"
                                               : "BEGIN ISOLATION LEVEL REPEATABLE READ;") +
           text;
  }
  if (pq().exit_pipeline(connection_.get()) != 1 || pq().send_query(connection_.get(), text.c_str()) != 1) {
    drop(Loss::closed);
  }
  std::optional<Error> failed;
  const bool read = connection_ && read_plain(failed, "run a script");
  if (!read) {
    if (!in_transaction_) return outcome_unknown();
    begin_pending_ = false;
    failure_ = Failure::lost;
    return connection_lost();
  }
  begin_pending_ = false;
  if (pq().enter_pipeline(connection_.get()) != 1) drop(Loss::closed);
  if (failed) return fail(std::move(*failed));
  return {};
}

Status PostgresConnection::begin(std::optional<Isolation> write) {
  KARTA_CHECK(!in_transaction_);
  put_aside_rows();
  // Whether it still stands shows when BEGIN goes out.
  if (!connection_) TRY(ensure_connected());
  in_transaction_ = begin_pending_ = true;
  write_ = write;
  failure_ = Failure::plain;
  return {};
}

Status PostgresConnection::commit() {
  KARTA_CHECK(in_transaction_);
  put_aside_rows();
  if (begin_pending_ && waiting_.empty()) {  // nothing was asked, nothing is to be told
    in_transaction_ = begin_pending_ = false;
    return {};
  }
  // What goes out with COMMIT cannot be sent again: the last moment to notice that the server has gone meanwhile.
  if (begin_pending_) {
    if (Status connected = ensure_connected(); !connected) {
      rollback();
      return connected;
    }
  }
  const auto end = [this] {
    waiting_.clear();
    in_transaction_ = begin_pending_ = false;
  };
  if (!connection_) {
    end();
    return connection_lost();
  }
  // A statement had failed and nobody passed its error on: nothing but COMMIT is answered, and that says so.
  const bool refused = pq().transaction_status(connection_.get()) == PQTRANS_INERROR;
  if (refused) expected_.clear();
  const auto lost = [&]() -> Status {
    end();
    failure_ = Failure::lost;
    return connection_lost();
  };
  if (!refused && !send_before()) {
    drop(Loss::closed);
    return lost();
  }
  const auto unknown = [&]() -> Status {
    end();
    if (!write_) return connection_lost();
    failure_ = Failure::final;
    return outcome_unknown();
  };
  // From here on some of COMMIT may be under way, even where sending it fails.
  if (!send(commit_work, "commit") || pq().pipeline_sync(connection_.get()) != 1) {
    drop(Loss::closed);
    return unknown();
  }
  std::optional<Error> failed;
  const bool read = read_before(1, failed);
  if (failed) {  // of what waited: the server has skipped the rest, COMMIT included
    if (read) (void)read_to_sync(patience());
    rollback();
    return fail(std::move(*failed));
  }
  if (!read && loss_ == Loss::told) return lost();  // instead of doing what comes before COMMIT
  std::optional<PgResult> answer = read ? next_result() : std::nullopt;
  if (!answer || !*answer || !read_to_sync(patience())) {
    if (connection_) drop(Loss::closed);
    return unknown();
  }
  if (pq().result_status(answer->get()) != PGRES_COMMAND_OK) {
    Error error = error_of(answer->get(), "commit");
    if (!connection_) return unknown();
    end();
    leave_if_in_transaction();
    return fail(std::move(error));
  }
  end();
  if (std::string_view(pq().cmd_status(answer->get())) == "COMMIT") return {};
  // PostgreSQL commits nothing of it.
  if (failure_ == Failure::collided || failure_ == Failure::duplicate) {
    return fail(ErrorKind::busy, "database: another transaction was in the way", "try again");
  }
  return fail(ErrorKind::internal, "database: a transaction went on after one of its statements had failed");
}

void PostgresConnection::rollback() {
  if (!in_transaction_) return;
  put_aside_rows();
  waiting_.clear();
  const Failure failure = failure_;  // what becomes of the connection here is not why
  if (!begin_pending_ && connection_) {
    expected_.clear();
    // What is not answered in time is ended with the connection.
    if (!send(roll_back, "roll back") || pq().pipeline_sync(connection_.get()) != 1) {
      drop(Loss::closed);
    } else if (read_to_sync(kRollbackTime)) {
      leave_if_in_transaction();
    }
  }
  in_transaction_ = begin_pending_ = false;
  failure_ = failure;
}

Status PostgresConnection::check_integrity() {
  std::vector<std::string> tables;
  {
    std::unique_ptr<PreparedStatement> rows =
        TRY(prepare("SELECT quote_ident(c.relname) FROM pg_class AS c WHERE c.relkind = 'r' AND c.relnamespace = "
                    "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()) ORDER BY 1"));
    TRY(rows->bind({}));
    while (TRY(rows->step())) tables.emplace_back(as_text(rows->octets(0)));
  }
  TRY(begin(std::nullopt));
  Status found = {};
  for (const std::string& table : tables) {
    // As text every value is read, those stored apart too.
    const auto read = [&]() -> Status {
      std::unique_ptr<PreparedStatement> all =
          TRY(prepare("SELECT coalesce(sum(length(t::text)), 0) FROM " + table + " AS t"));
      TRY(all->bind({}));
      TRY(all->step());
      return {};
    };
    found = read();
    if (!found) break;
  }
  rollback();
  return found;
}

Result<std::uint64_t> PostgresConnection::size() {
  std::unique_ptr<PreparedStatement> asked = TRY(prepare("SELECT pg_database_size(current_database())"));
  TRY(asked->bind({}));
  if (!TRY(asked->step())) return fail(ErrorKind::internal, "database does not tell its size");
  return static_cast<std::uint64_t>(asked->integer(0));
}

/// A password in a URL is in the list of processes, in the shell's history and in the configuration.
Status check_url(const std::string& url) {
  char* said = nullptr;
  PQconninfoOption* const options = pq().conninfo_parse(url.c_str(), &said);
  if (options == nullptr) {
    std::string why = said ? said : "out of memory";
    pq().freemem(said);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    return fail(ErrorKind::usage, "database URL cannot be read: " + why, "write postgresql://user@host:5432/database");
  }
  bool secret = false;
  for (const PQconninfoOption* one = options; one->keyword != nullptr; ++one) {
    const std::string_view keyword = one->keyword;
    secret = secret || ((keyword == "password" || keyword == "sslpassword") && one->val != nullptr);
  }
  pq().conninfo_free(options);
  if (!secret) return {};
  return fail(ErrorKind::usage, "database URL holds a password",
              "put it into a file of mode 0600 and name that: ?passfile=/etc/karta/database.pass (or use ~/.pgpass)");
}

}  // namespace

Result<std::unique_ptr<Connection>> open_postgres(const std::string& url, const DatabaseOptions& options) {
  TRY(postgres_library());
  TRY(check_url(url));
  auto connection = std::make_unique<PostgresConnection>(url, options);
  TRY(connection->connect());
  if (options.open == DatabaseOptions::Open::create) {
    std::unique_ptr<PreparedStatement> any = TRY(connection->prepare(
        "SELECT count(*) FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT oid FROM "
        "pg_namespace WHERE nspname = current_schema())"));
    TRY(any->bind({}));
    if (TRY(any->step()) && any->integer(0) != 0) {
      return fail(ErrorKind::already_exists, "the database has tables already", "make an empty one, or use this one");
    }
    connection->take_back(std::move(any));
  }
  return connection;
}

}  // namespace karta::service::detail
