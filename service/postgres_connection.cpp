#include "service/postgres_connection.h"

namespace karta::service::detail {
namespace {

constexpr std::chrono::milliseconds kRollbackTime{5000};

}  // namespace

PostgresConnection::PostgresConnection(std::string url, const DatabaseOptions& options)
    : options_(options), link_(std::move(url), options) {
  for (const char* sql : kWordSql) words_.push_back(std::make_unique<Plan>(names_, sql, std::vector<Oid>{}));
}

Status PostgresConnection::connect() { return note_connected(link_.connect()); }

Status PostgresConnection::ensure_connected() {
  if (link_.alive()) return {};
  return note_connected(link_.connect_in_turn());
}

Status PostgresConnection::note_connected(tl::expected<void, ServerError> made) {
  ++names_.generation;
  names_.unused.clear();
  active_ = nullptr;
  if (made) return {};
  if (in_transaction_ && failure_ == Failure::plain) failure_ = made.error().failure;
  return fail(std::move(made.error().error));
}

Status PostgresConnection::execute_script(std::string_view sql) {
  put_aside_rows();
  if (!waiting_.empty()) TRY(run(nullptr));
  if (in_transaction_ && !begin_pending_ && !link_) return connection_lost();
  if (!in_transaction_ || begin_pending_) TRY(ensure_connected());
  // Several statements in one text go by the simple protocol, which pipelines do not have.
  std::string text(sql);
  if (begin_pending_) {
    KARTA_CHECK(write_.has_value());
    text = std::string(kWordSql[begin_word()]) + ";" + text;
  }
  if (pq().exit_pipeline(link_.get()) != 1 || pq().send_query(link_.get(), text.c_str()) != 1) {
    drop(Loss::closed);
  }
  std::optional<Error> failed;
  const bool read = link_ && read_plain(failed, "run a script");
  if (!read) {
    if (!in_transaction_) return outcome_unknown();
    begin_pending_ = false;
    failure_ = Failure::lost;
    return connection_lost();
  }
  begin_pending_ = false;
  if (pq().enter_pipeline(link_.get()) != 1) drop(Loss::closed);
  if (failed) return fail(std::move(*failed));
  return {};
}

Status PostgresConnection::begin(std::optional<Isolation> write) {
  KARTA_CHECK(!in_transaction_);
  put_aside_rows();
  // Whether it still stands shows when BEGIN goes out.
  if (!link_) TRY(ensure_connected());
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
  if (!link_) {
    end();
    return connection_lost();
  }
  // A statement had failed and nobody passed its error on: nothing but COMMIT is answered, and that says so.
  const bool refused = pq().transaction_status(link_.get()) == PQTRANS_INERROR;
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
  if (!send(commit_work, "commit") || pq().pipeline_sync(link_.get()) != 1) {
    drop(Loss::closed);
    return unknown();
  }
  std::optional<Error> failed;
  const bool read = read_before(1, failed);
  if (failed) {  // of what waited: the server has skipped the rest, COMMIT included
    if (read) (void)read_to_sync();
    rollback();
    return fail(std::move(*failed));
  }
  if (!read && link_.loss() == Loss::told) return lost();  // instead of doing what comes before COMMIT
  std::optional<PgResult> answer = read ? next_result() : std::nullopt;
  if (!answer || !*answer || !read_to_sync()) {
    if (link_) drop(Loss::closed);
    return unknown();
  }
  if (pq().result_status(answer->get()) != PGRES_COMMAND_OK) {
    Error error = error_of(answer->get(), "commit");
    if (!link_) return unknown();
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
  if (!begin_pending_ && link_) {
    expected_.clear();
    // What is not answered in time is ended with the connection.
    if (!send(roll_back, "roll back") || pq().pipeline_sync(link_.get()) != 1) {
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

}  // namespace karta::service::detail
