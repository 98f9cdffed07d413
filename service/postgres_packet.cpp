// What goes out to PostgreSQL in one packet, and how the answers to it are read.
#include <charconv>
#include <utility>

#include "service/postgres_connection.h"

namespace karta::service::detail {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongSilence{300'000};  // of a server that sorts a nation for a reading transaction

}  // namespace

milliseconds PostgresConnection::patience() const {
  return in_transaction_ && !write_ && options_.long_reads ? kLongSilence : options_.statement_timeout + kBeyondTimeout;
}

std::optional<PgResult> PostgresConnection::next_result(milliseconds most) {
  if (!link_) return std::nullopt;
  std::optional<PgResult> result = link_.next_result(most);
  if (!result) note_drop();
  return result;
}

bool PostgresConnection::read_to_sync(milliseconds most) {
  for (;;) {
    const std::optional<PgResult> result = next_result(most);
    if (!result) return false;
    if (*result && pq().result_status(result->get()) == PGRES_PIPELINE_SYNC) break;
  }
  pq().get_result(link_.get());  // null: leaves the state it waits for this call in
  return true;
}

Error PostgresConnection::error_of(const PGresult* result, const char* deed) {
  ServerError said = server_error(result, deed);
  if (in_transaction_ && failure_ == Failure::plain) failure_ = said.failure;
  if (said.failure == Failure::lost) drop(said.told ? Loss::told : Loss::closed);
  return std::move(said.error);
}

bool PostgresConnection::read_plain(std::optional<Error>& failed, const char* deed) {
  for (;;) {
    const std::optional<PgResult> result = next_result();
    if (!result) return false;
    if (!*result) return true;
    if (pq().result_status(result->get()) == PGRES_FATAL_ERROR && !failed) {
      Error error = error_of(result->get(), deed);
      if (!link_) return false;
      failed = std::move(error);
    }
  }
}

bool PostgresConnection::send(Plan& plan, const char* const* values, const int* lengths, const char* deed) {
  PGconn* const to = link_.get();
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
    sent = send(begin_word(), "begin a transaction");
    if (!write_ && options_.long_reads) sent = sent && send(no_time_limit, "begin a transaction");
  }
  for (const std::string& name : std::exchange(names_.unused, {})) {
    sent = sent && pq().send_query_params(link_.get(), ("DEALLOCATE " + name).c_str(), 0, nullptr, nullptr, nullptr,
                                          nullptr, 1) == 1;
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
                    (!asked || send(*asked->plan_, asked->values_.values().data(), asked->values_.lengths().data(),
                                    "run a statement")) &&
                    pq().pipeline_sync(link_.get()) == 1;
  if (!sent) {
    drop(Loss::closed);
    return connection_lost();
  }
  std::optional<Error> failed;
  if (!read_before(asked ? 1 : 0, failed)) return connection_lost();
  if (!asked || failed) {
    if (!read_to_sync()) return connection_lost();
    if (failed) return fail(std::move(*failed));
    return {};
  }
  PostgresStatement& statement = *asked;
  // Row by row, so that a list as long as a nation is never in memory. What a writing transaction looks up is short,
  // and other statements come between.
  const bool long_list = statement.reads_ && !(in_transaction_ && write_);
  if (long_list) pq().set_single_row_mode(link_.get());
  std::optional<PgResult> first = next_result();
  if (!first) return connection_lost();
  if (!*first) {
    if (!read_to_sync()) return connection_lost();
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
          if (!link_) return connection_lost();
        }
        if (status == PGRES_PIPELINE_SYNC) break;
      }
      pq().get_result(link_.get());
      if (failed) return fail(std::move(*failed));
      return {};
    }
    default: {
      Error error = error_of(first->get(), "run a statement");
      if (!link_ || !read_to_sync()) return connection_lost();
      return fail(std::move(error));
    }
  }
}

Status PostgresConnection::run(PostgresStatement* statement) {
  put_aside_rows();
  if (in_transaction_ && !begin_pending_ && !link_) return connection_lost();
  for (int attempt = 1;; ++attempt) {
    const bool began = in_transaction_ && !begin_pending_;
    // Nothing was committed yet, or nothing is to be: it can be sent a second time.
    const bool repeatable = !began && (in_transaction_ || statement->reads_);
    // A look whether the server has gone meanwhile is worth its system call only before what is not.
    if (!link_ || !(began || repeatable)) {
      if (Status connected = ensure_connected(); !connected) {
        waiting_.clear();
        begin_pending_ = false;  // in a transaction, nothing of it any more
        return connected;
      }
    }
    link_.forget_loss();
    Status done = send_and_look(statement);
    if (done || link_) {
      waiting_.clear();
      return done;
    }
    if (statement) statement->reset();
    if (repeatable && link_.loss() != Loss::silent && attempt == 1) {  // a server that was restarted since
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
    if (link_.loss() == Loss::silent) {
      failure_ = Failure::final;
      return fail(ErrorKind::io, "database: the server does not answer", "look whether PostgreSQL runs there");
    }
    return connection_lost();
  }
}

Status PostgresConnection::let_wait(const PostgresStatement& statement) {
  if (!begin_pending_ && !link_) return connection_lost();
  waiting_.add(statement.plan_, statement.values_.values(), statement.values_.lengths());
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
    if (!read_to_sync()) return connection_lost();
    return false;
  }
  Error error = error_of(result->get(), "read on");
  if (!link_ || !read_to_sync()) return connection_lost();
  return fail(std::move(error));
}

void PostgresConnection::put_aside_rows() {
  while (active_) {
    PostgresStatement& owner = *active_;
    const Result<bool> more = read_on(owner);
    if (more) continue;
    owner.broke_ = more.error();
    active_ = nullptr;
  }
}

void PostgresConnection::drop_rows(PostgresStatement& statement) {
  while (active_ == &statement) {
    statement.ahead_.clear();
    const Result<bool> more = read_on(statement);
    if (!more) active_ = nullptr;
  }
}

}  // namespace karta::service::detail
