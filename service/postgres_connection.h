// PostgresConnection: PostgreSQL behind service/connection.h.
//
// What belongs together (BEGIN, runs that nobody waits for, the preparing of a statement and its run, or COMMIT) goes
// out in one packet and comes back in one. Scripts and transactions: postgres_connection.cpp; packets and their
// answers: postgres_packet.cpp.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "service/connection.h"
#include "service/postgres_link.h"
#include "service/postgres_plan.h"
#include "service/postgres_statement.h"
#include "service/statement_cache.h"

namespace karta::service::detail {

class PostgresConnection final : public Connection {
 public:
  PostgresConnection(std::string url, const DatabaseOptions& options);
  ~PostgresConnection() override { cache_.clear(); }

  /// Makes the first connection to the server, whatever other attempts have met.
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
  /// What it says besides the statements it is given.
  enum Word : std::size_t {
    begin_serializable,
    begin_snapshot,
    begin_read,
    no_time_limit,
    commit_work,
    roll_back,
    kWords
  };
  static constexpr std::array<const char*, kWords> kWordSql = {"BEGIN ISOLATION LEVEL SERIALIZABLE",
                                                               "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                                               "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                                               "SET LOCAL statement_timeout = 0",
                                                               "COMMIT",
                                                               "ROLLBACK"};
  Word begin_word() const {
    return !write_ ? begin_read : *write_ == Isolation::serializable ? begin_serializable : begin_snapshot;
  }

  Status ensure_connected();
  Status note_connected(tl::expected<void, ServerError> made);
  /// The connection is of no more use.
  void drop(Loss how) {
    link_.drop(how);
    note_drop();
  }
  void note_drop() {
    active_ = nullptr;
    if (in_transaction_ && !begin_pending_) failure_ = Failure::lost;
  }
  /// After COMMIT or ROLLBACK: where the server has refused that (it has forgotten the prepared one, say) the next
  /// transaction would go on in this one.
  void leave_if_in_transaction() {
    if (link_ && pq().transaction_status(link_.get()) != PQTRANS_IDLE) drop(Loss::closed);
  }
  /// How long an answer may take.
  std::chrono::milliseconds patience() const;
  /// Null after the last one of a command; nullopt: the connection was dropped.
  std::optional<PgResult> next_result() { return next_result(patience()); }
  std::optional<PgResult> next_result(std::chrono::milliseconds most);
  /// Reads up to the end of what was sent. False: the connection was dropped.
  bool read_to_sync() { return read_to_sync(patience()); }
  bool read_to_sync(std::chrono::milliseconds most);
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

  const DatabaseOptions options_;
  PostgresLink link_;
  ServerNames names_;
  std::vector<std::unique_ptr<Plan>> words_;  ///< by Word

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

}  // namespace karta::service::detail
