// What only PostgreSQL does: connections that go, servers that do not answer, locks of rows. Runs under
// tests/identity/with_postgres.sh.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "service/database_testing.h"
#include "service/postgres_library.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::Not;

class PostgresTest : public testing::Test {
 protected:
  void SetUp() override {
    if (test_postgres() == nullptr) GTEST_SKIP() << "needs tests/identity/with_postgres.sh";
    static int number = 0;
    url_ = test_database_url("postgres_test/" + std::to_string(getpid()) + "/" + std::to_string(++number));
    Database database = open();
    ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT PRIMARY KEY)"));
  }
  Database open(DatabaseOptions options = {}) const {
    auto database = Database::open(url_, options);
    EXPECT_TRUE(database) << database.error().message;
    return std::move(*database);
  }
  static std::int64_t ask(Database& database, std::string_view sql, Parameters parameters = {}) {
    auto row = database.prepare(sql);
    EXPECT_TRUE(row);
    const Status asked = row->query(parameters);
    EXPECT_TRUE(asked) << asked.error().message;
    return asked && *row->next() ? row->integer(0) : -1;
  }
  std::int64_t count() const {
    Database database = open();
    return ask(database, "SELECT count(*) FROM t");
  }
  static std::int64_t pid_of(Database& database) { return ask(database, "SELECT pg_backend_pid()"); }
  /// Waits until `sql` counts something.
  void await(std::string_view sql, std::int64_t pid) const {
    Database database = open();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (ask(database, sql, {pid}) == 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << sql;
      std::this_thread::yield();
    }
  }
  /// Ends a connection at the server, and returns when it is gone.
  void end(std::int64_t pid) const {
    Database database = open();
    EXPECT_EQ(ask(database, "SELECT pg_terminate_backend($1::int)", {pid}), 1);
    await("SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = $1) THEN 0 ELSE 1 END", pid);
  }

  std::string url_;
};

TEST_F(PostgresTest, WhatWasNotCommittedIsGoneWithItsConnectionAndTheNextOneIsNew) {
  Database database = open();
  {
    auto transaction = database.begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
    end(pid_of(database));
    const auto lost = database.execute("INSERT INTO t VALUES (2)");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::io);
    EXPECT_FALSE(is_outcome_unknown(lost.error()));
    EXPECT_FALSE(database.execute("INSERT INTO t VALUES (3)")) << "nothing half";
    const Status committed = transaction->commit();
    ASSERT_FALSE(committed);
    EXPECT_FALSE(is_outcome_unknown(committed.error()));
  }
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (4)"));
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 4);
}

TEST_F(PostgresTest, WorkInAConnectionThatGoesRunsAgain) {
  Database database = open();
  int runs = 0;
  ASSERT_TRUE(database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute("INSERT INTO t VALUES ($1)", {runs}));
    if (runs == 1) end(pid_of(database));
    TRY(database.execute("INSERT INTO t VALUES ($1)", {10 + runs}));
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 2 + 12);
}

TEST_F(PostgresTest, AConnectionThatWentWhileNobodyAskedIsMadeAgain) {
  Database database = open();
  auto kept = database.prepare("SELECT count(*) FROM t");
  ASSERT_TRUE(kept && kept->query() && *kept->next());
  end(pid_of(database));
  ASSERT_TRUE(kept->query() && *kept->next()) << "prepared again, too";
  end(pid_of(database));
  EXPECT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  end(pid_of(database));
  EXPECT_TRUE(database.execute_script("INSERT INTO t VALUES (2)"));
  end(pid_of(database));
  auto transaction = database.begin_read();
  ASSERT_TRUE(transaction);
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 2);
}

TEST_F(PostgresTest, ACommitWithoutAnswerIsNotRepeatedAndSaysSo) {
  Database database = open();
  // A commit that takes as long as it takes to end its connection.
  ASSERT_TRUE(
      database.execute_script("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); "
                              "RETURN NULL; END'; CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE "
                              "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"));
  const std::int64_t pid = pid_of(database);
  std::thread ender([&] {
    await("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", pid);
    end(pid);
  });
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute("INSERT INTO t VALUES ($1)", {runs}));
    return {};
  });
  ender.join();
  ASSERT_FALSE(done);
  EXPECT_TRUE(is_outcome_unknown(done.error())) << done.error().message;
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(database.in_transaction());
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 0) << "this one did not take place";
}

TEST_F(PostgresTest, AWriteOfItsOwnWithoutAnswerIsNotRepeatedEither) {
  Database database = open();
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  Database holder = open();
  auto held = holder.begin();
  ASSERT_TRUE(held && holder.execute("UPDATE t SET a = 2"));
  const std::int64_t pid = pid_of(database);
  std::thread ender([&] {
    await("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", pid);
    end(pid);
  });
  const auto done = database.execute("UPDATE t SET a = a + 10");
  ender.join();
  ASSERT_FALSE(done);
  EXPECT_TRUE(is_outcome_unknown(done.error()));
}

TEST_F(PostgresTest, ALockOfAnotherIsWaitedForOnceAndNoLonger) {
  Database holder = open();
  ASSERT_TRUE(holder.execute("INSERT INTO t VALUES (1)"));
  auto held = holder.begin();
  ASSERT_TRUE(held && holder.execute("UPDATE t SET a = 2"));
  Database database = open({.busy_timeout = std::chrono::milliseconds(20)});
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute("UPDATE t SET a = 3"));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::busy);
  EXPECT_EQ(runs, 1);
}

TEST_F(PostgresTest, AStatementThatTakesTooLongIsEndedButNotAReading) {
  Database database = open({.statement_timeout = std::chrono::seconds(1)});
  const auto slow = database.execute("SELECT pg_sleep(60)");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().kind, ErrorKind::busy);
  auto reading = database.begin_read();
  ASSERT_TRUE(reading);
  EXPECT_TRUE(database.execute("SELECT pg_sleep(1.2)"));
}

TEST_F(PostgresTest, TwoThatWaitForEachOtherBothSucceedInTheEnd) {
  Database database = open();
  ASSERT_TRUE(database.execute_script(
      "CREATE TABLE pair (a BIGINT PRIMARY KEY, b BIGINT); INSERT INTO pair VALUES (1, 0), (2, 0)"));
  std::atomic<int> there = 0;
  std::vector<std::thread> threads;
  for (int first = 1; first <= 2; ++first) {
    threads.emplace_back([&, first] {
      Database own = open();
      bool met = false;
      EXPECT_TRUE(own.transact(
          [&]() -> Status {
            TRY(own.execute("UPDATE pair SET b = b + 1 WHERE a = $1", {first}));
            // The first time each waits until the other has its row.
            if (!std::exchange(met, true)) {
              ++there;
              while (there < 2) std::this_thread::yield();
            }
            TRY(own.execute("UPDATE pair SET b = b + 1 WHERE a = $1", {3 - first}));
            return {};
          },
          Isolation::snapshot));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ask(database, "SELECT sum(b) FROM pair"), 4);
}

TEST_F(PostgresTest, AKeyTakenMeanwhileIsSeenTheSecondTime) {
  Database database = open();
  Database other = open();
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    if (ask(database, "SELECT count(*) FROM t") > 0) return fail(ErrorKind::already_exists, "taken");
    if (runs == 1) {
      EXPECT_TRUE(other.execute("INSERT INTO t VALUES (7)"));
    }
    TRY(database.execute("INSERT INTO t VALUES (7)"));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "taken");
  EXPECT_EQ(runs, 2);
}

TEST_F(PostgresTest, GoingOnAfterAFailedStatementCommitsNothing) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE TABLE u (a BIGINT)"));
  const Status done = database.transact([&]() -> Status {
    TRY(database.execute("INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(database.execute("INSERT INTO missing VALUES (1)"));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::internal);
  EXPECT_EQ(count(), 0);
}

TEST_F(PostgresTest, WhatIsRunLaterHasNotBeenSentUntilItIsTimeOrTooMuch) {
  Database database = open();
  Database other = open();
  const std::int64_t pid = pid_of(database);
  const auto begun = [&] {
    return ask(other, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'idle in transaction'", {pid});
  };
  {
    auto transaction = database.begin();
    ASSERT_TRUE(transaction);
    for (int i = 0; i < 63; ++i) ASSERT_TRUE(database.execute_later("INSERT INTO t VALUES ($1)", {i}));
    EXPECT_EQ(begun(), 0);
    ASSERT_TRUE(database.execute_later("INSERT INTO t VALUES (63)"));
    EXPECT_EQ(begun(), 1);
    ASSERT_TRUE(transaction->commit());
    EXPECT_EQ(count(), 64);
  }
  {
    auto transaction = database.begin();
    ASSERT_TRUE(database.execute_later("SELECT length($1::text)", {std::string(40'000, 'x')}));
    EXPECT_EQ(begun(), 0);
    ASSERT_TRUE(database.execute_later("SELECT length($1::text)", {std::string(40'000, 'y')}));
    EXPECT_EQ(begun(), 1);
    EXPECT_FALSE(database.execute_later("SELECT 1 / (length($1::text) - 70000)", {std::string(70'000, 'z')}))
        << "too much to wait: its error is its own";
  }
  EXPECT_EQ(begun(), 0);
}

TEST_F(PostgresTest, WhatIsRolledBackWithoutHavingBeenSentIsNot) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE SEQUENCE s"));  // whose numbers no rollback gives back
  const auto given = [&] { return ask(database, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM s"); };
  for (const bool sent : {false, true}) {
    auto transaction = database.begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
    ASSERT_TRUE(database.execute_later("SELECT nextval('s')"));
    if (sent) {
      EXPECT_EQ(given(), 1) << "in order";
    }
  }
  EXPECT_EQ(given(), 1);
}

TEST_F(PostgresTest, ACollisionOfWhatIsRunLaterRunsAgain) {
  Database database = open();
  Database other = open();
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  for (const bool asked : {false, true}) {
    const std::int64_t before = ask(database, "SELECT a FROM t");
    int runs = 0;
    const Status done = database.transact(
        [&]() -> Status {
          ++runs;
          EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 1) << "from here on it has its snapshot";
          if (runs == 1) TRY(other.execute("UPDATE t SET a = a + 1"));
          TRY(database.execute_later("UPDATE t SET a = a + 10"));
          if (asked) TRY(database.execute("UPDATE t SET a = a + 100"));
          return {};
        },
        Isolation::snapshot);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(ask(database, "SELECT a FROM t"), before + 11 + (asked ? 100 : 0));
  }
}

TEST_F(PostgresTest, AKeyTakenMeanwhileThatIsWrittenLaterIsSeenTheSecondTime) {
  Database database = open();
  Database other = open();
  int runs = 0;
  const Status done = database.transact(
      [&]() -> Status {
        ++runs;
        if (ask(database, "SELECT count(*) FROM t") > 0) return fail(ErrorKind::already_exists, "taken");
        TRY(other.execute("INSERT INTO t VALUES (7)"));
        return database.execute_later("INSERT INTO t VALUES (7)");
      },
      Isolation::snapshot);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "taken");
  EXPECT_EQ(runs, 2);
}

TEST_F(PostgresTest, ALockThatWhatIsRunLaterWaitsForIsWaitedForOnce) {
  Database holder = open();
  ASSERT_TRUE(holder.execute("INSERT INTO t VALUES (1)"));
  auto held = holder.begin();
  ASSERT_TRUE(held && holder.execute("UPDATE t SET a = 2"));
  Database database = open({.busy_timeout = std::chrono::milliseconds(20)});
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    return database.execute_later("UPDATE t SET a = 3");
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::busy);
  EXPECT_EQ(runs, 1);
}

TEST_F(PostgresTest, WhatWaitsGoesOutOnANewConnectionWhereNothingHadGoneOutOnTheOld) {
  Database database = open();
  for (const bool asked : {false, true}) {
    const std::int64_t pid = pid_of(database);
    int runs = 0;
    const Status done = database.transact([&]() -> Status {
      ++runs;
      TRY(database.execute_later("INSERT INTO t VALUES ($1)", {asked ? 1 : 2}));
      end(pid);
      if (asked) {
        EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 2);
      }
      return {};
    });
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(runs, 1);
    EXPECT_NE(pid_of(database), pid);
  }
  EXPECT_EQ(count(), 2);
}

TEST_F(PostgresTest, WhatWaitsIsLostWithTheTransactionAndRunsAgainWithIt) {
  Database database = open();
  int runs = 0;
  ASSERT_TRUE(database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute("INSERT INTO t VALUES ($1)", {runs}));
    TRY(database.execute_later("INSERT INTO t VALUES ($1)", {10 + runs}));
    if (runs == 1) end(pid_of(database));
    TRY(database.execute_later("INSERT INTO t VALUES ($1)", {20 + runs}));
    TRY(database.execute("INSERT INTO t VALUES ($1)", {30 + runs}));
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 2 + 12 + 22 + 32);
}

TEST_F(PostgresTest, WhatTheServerEndsBeforeItComesToTheCommitRunsAgain) {
  Database database = open();
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  Database holder = open();
  auto held = holder.begin();
  ASSERT_TRUE(held && holder.execute("UPDATE t SET a = 2"));
  const std::int64_t pid = pid_of(database);
  std::thread ender([&] {
    await("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", pid);
    end(pid);
    EXPECT_TRUE(held->commit());
  });
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute_later("INSERT INTO t VALUES (5)"));
    return database.execute_later("UPDATE t SET a = a + 10 WHERE a < 5");
  });
  ender.join();
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_GE(runs, 2);
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 5 + 12);
}

/// The sockets this process has open.
std::set<int> sockets() {
  std::set<int> out;
  for (const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(one.path(), gone);
    if (target.starts_with("socket:")) out.insert(std::stoi(one.path().filename()));
  }
  return out;
}

TEST_F(PostgresTest, OfWhatWentOutWithACommitNothingIsKnownWhereTheStreamEnds) {
  Database holder = open();
  ASSERT_TRUE(holder.execute("INSERT INTO t VALUES (1)"));
  auto held = holder.begin();
  ASSERT_TRUE(held && holder.execute("UPDATE t SET a = 2"));
  const std::set<int> before = sockets();
  Database database = open();
  const std::int64_t pid = pid_of(database);
  std::vector<int> own;
  for (const int one : sockets()) {
    if (!before.contains(one)) own.push_back(one);
  }
  ASSERT_EQ(own.size(), 1u);
  std::thread ender([&] {
    await("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", pid);
    ::shutdown(own.front(), SHUT_RDWR);
  });
  int runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    TRY(database.execute_later("INSERT INTO t VALUES (5)"));
    return database.execute_later("UPDATE t SET a = a + 10 WHERE a < 5");
  });
  ender.join();
  ASSERT_FALSE(done);
  EXPECT_TRUE(is_outcome_unknown(done.error())) << done.error().message;
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(database.in_transaction());
  { const Transaction given_up = std::move(*held); }
  await("SELECT count(*) FROM t WHERE a = $1", 11);
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 5 + 11) << "the server had all it needed, and this one took place";
}

/// Stands in for libpq's PQsendQueryPrepared: the `left`th run of `values` values goes out, with all that is before it,
/// and is said to have failed.
class SendsThatFail {
 public:
  SendsThatFail(int values, int left) {
    values_ = values;
    left_ = left;
    library_ = const_cast<detail::PostgresLibrary*>(*detail::postgres_library());
    real_ = std::exchange(library_->send_query_prepared, &send);
  }
  ~SendsThatFail() { library_->send_query_prepared = real_; }
  static int left() { return left_; }

 private:
  static int send(PGconn* connection, const char* name, int count, const char* const* values, const int* lengths,
                  const int* formats, int result_format) {
    const int sent = real_(connection, name, count, values, lengths, formats, result_format);
    if (count != values_ || --left_ != 0) return sent;
    EXPECT_EQ(library_->pipeline_sync(connection), 1);
    EXPECT_EQ(library_->flush(connection), 0);
    return 0;
  }
  static inline detail::PostgresLibrary* library_ = nullptr;
  static inline decltype(detail::PostgresLibrary::send_query_prepared) real_ = nullptr;
  static inline int values_ = 0, left_ = 0;
};

TEST_F(PostgresTest, ACommitThatCouldNotBeSentInFullMayHaveTakenPlace) {
  Database database = open();
  int runs = 0;
  const auto write = [&]() -> Status {
    ++runs;
    return database.execute_later("INSERT INTO t VALUES ($1)", {5});
  };
  {
    const SendsThatFail commit(0, 2);  // the first is BEGIN
    const Status done = database.transact(write);
    EXPECT_EQ(commit.left(), 0);
    ASSERT_FALSE(done);
    EXPECT_TRUE(is_outcome_unknown(done.error())) << done.error().message;
  }
  EXPECT_EQ(runs, 1);
  await("SELECT count(*) FROM t WHERE a = $1", 5);  // and it has

  ASSERT_TRUE(database.execute("DELETE FROM t"));
  runs = 0;
  const SendsThatFail insert(1, 1);
  const Status done = database.transact(write);
  EXPECT_TRUE(done) << "before COMMIT nothing is done: " << done.error().message;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 5);
}

TEST_F(PostgresTest, ARollbackOrCommitThatIsRefusedLeavesNoTransactionBehind) {
  Database database = open();
  for (const bool commit : {false, true}) {
    ASSERT_TRUE(database.transact([&] { return database.execute_later("DELETE FROM t"); }));
    const std::int64_t pid = pid_of(database);
    for (const char* sql : {"INSERT INTO t VALUES (1)", "INSERT INTO missing VALUES (1)"}) {
      const auto transaction = database.begin();
      (void)database.execute(sql);
    }
    EXPECT_EQ(pid_of(database), pid) << "one that was rolled back as it should be stays";
    {
      auto transaction = database.begin();
      ASSERT_TRUE(database.execute("INSERT INTO t VALUES (2)"));
      ASSERT_TRUE(database.execute("DEALLOCATE ALL"));  // those of this layer, too
      if (commit) {
        const Status done = transaction->commit();
        ASSERT_FALSE(done);
        EXPECT_FALSE(is_outcome_unknown(done.error()));
      }
    }
    EXPECT_TRUE(database.execute("INSERT INTO t VALUES (3)"));
    EXPECT_EQ(ask(database, "SELECT sum(a) FROM t"), 3);
    EXPECT_EQ(count(), 1);
    EXPECT_NE(pid_of(database), pid);
  }
}

TEST_F(PostgresTest, WhatIsRunLaterAfterAFailedStatementIsNotCommitted) {
  Database database = open();
  const Status done = database.transact([&]() -> Status {
    TRY(database.execute("INSERT INTO t VALUES (1)"));
    Statement either = TRY(database.prepare("SELECT coalesce($1, $2)"));
    TRY(either.execute({1, 2}));
    EXPECT_FALSE(database.execute("INSERT INTO missing VALUES (1)"));
    TRY(either.execute_later({"a", "b"}));  // the server is to forget the one before, when it can
    return database.execute_later("INSERT INTO t VALUES (2)");
  });
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("went on"));
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 0);
  EXPECT_EQ(ask(database, "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT coalesce%'"), 0);
}

TEST_F(PostgresTest, ManyRowsAreReadOneAtATimeAndMayBeLeft) {
  Database database = open();
  auto rows = database.prepare("SELECT generate_series(1, 30000)");
  ASSERT_TRUE(rows && rows->query());
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(*rows->next());
    EXPECT_EQ(rows->integer(0), i);
  }
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 0);
  ASSERT_TRUE(*rows->next());
  EXPECT_EQ(rows->integer(0), 11) << "put aside while another statement ran";
  ASSERT_TRUE(rows->query() && *rows->next());
  EXPECT_EQ(rows->integer(0), 1);
}

TEST_F(PostgresTest, AnErrorAmongTheRowsIsTold) {
  Database database = open();
  auto rows = database.prepare("SELECT 10 / (5 - a) FROM generate_series(1, 9) AS g(a)");
  ASSERT_TRUE(rows);
  bool failed = !rows->query();
  while (!failed) {
    const auto more = rows->next();
    failed = !more;
    if (more && !*more) break;
  }
  EXPECT_TRUE(failed);
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 0);
}

TEST_F(PostgresTest, WhatCannotBeStoredIsRefusedWithoutBeingRepeated) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE TABLE s (a TEXT, b BIGINT)"));
  const auto zero = database.execute("INSERT INTO s (a) VALUES ($1)", {std::string_view("a\0b", 3)});
  ASSERT_FALSE(zero);
  EXPECT_EQ(zero.error().kind, ErrorKind::malformed);
  const auto broken = database.execute("INSERT INTO s (a) VALUES ($1)", {"geheim\xFF"});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::malformed);
  EXPECT_THAT(broken.error().message, Not(HasSubstr("geheim")));
}

TEST_F(PostgresTest, UrlsAreReadAndAPasswordInOneIsRefused) {
  const auto secret = Database::open("postgresql://karta:geheim@127.0.0.1/karta");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().kind, ErrorKind::usage);
  EXPECT_THAT(secret.error().message + secret.error().hint, Not(HasSubstr("geheim")));
  EXPECT_THAT(secret.error().hint, HasSubstr("passfile"));
  const auto nonsense = Database::open("postgresql://karta@/karta?nonsense=1");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, ErrorKind::usage);
  const auto missing = Database::open(missing_database_url(""));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().hint, HasSubstr("createdb"));
  const auto nowhere = Database::open("postgresql://karta@/karta?host=/nowhere");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::io);
  const auto taken = Database::open(url_, {.open = DatabaseOptions::Open::create});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::already_exists);
}

TEST_F(PostgresTest, ADatabaseThatSortsOtherwiseIsRefused) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE DATABASE sorted TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"));
  std::string url = test_postgres();
  url.replace(url.find("/karta?"), 7, "/sorted?");
  const auto sorted = Database::open(url);
  ASSERT_FALSE(sorted);
  EXPECT_EQ(sorted.error().kind, ErrorKind::configuration);
  EXPECT_THAT(sorted.error().hint, HasSubstr("--locale=C"));
  ASSERT_TRUE(database.execute("DROP DATABASE sorted"));
}

TEST_F(PostgresTest, AServerThatTakesConnectionsAndSaysNothingIsGivenUp) {
  // A socket that listens and is never looked at.
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listening, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listening, 5), 0);
  ASSERT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto silent = Database::open("postgresql://karta@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/k");
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().kind, ErrorKind::io);
  ::close(listening);
}

/// The server's folder of sockets under a name of its own, so that another one can be put in its place.
class PostgresReached : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    std::string made = std::filesystem::temp_directory_path() / "karta-pg-XXXXXX";
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    folder_ = made;
    const std::size_t from = url_.find("?host=") + 6, end = url_.find('&', from);
    servers_ = url_.substr(from, end - from);
    show(servers_);
    url_.replace(from, end - from, (folder_ / "now").string());
  }
  void TearDown() override {
    if (listening_ >= 0) ::close(listening_);
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void show(const std::filesystem::path& target) {
    std::filesystem::create_symlink(target, folder_ / "next");
    std::filesystem::rename(folder_ / "next", folder_ / "now");
  }
  /// From here on whoever connects is listened to by nobody.
  void silence() {
    std::filesystem::create_directory(folder_ / "silent");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "silent" / ".s.PGSQL.5432";
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT_EQ(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listening_, 50), 0);
    show(folder_ / "silent");
  }
  int attempts() const {
    int out = 0;
    for (int one = 0; (one = ::accept(listening_, nullptr, nullptr)) >= 0; ++out) ::close(one);
    return out;
  }

  std::filesystem::path folder_, servers_;
  int listening_ = -1;
};

TEST_F(PostgresReached, OneConnectionAsksASilentServerForAllAndAllGoOnWhenItIsThere) {
  std::vector<Database> databases;
  for (int i = 0; i < 3; ++i) databases.push_back(open());
  std::vector<std::int64_t> pids;
  for (Database& one : databases) pids.push_back(pid_of(one));
  for (const std::int64_t pid : pids) end(pid);
  silence();
  for (int round = 0; round < 3; ++round) {
    for (Database& one : databases) {
      const auto done = one.execute("INSERT INTO t VALUES (1)");
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().kind, ErrorKind::io);
    }
  }
  EXPECT_EQ(attempts(), 1);
  // Whoever reaches it tells the others.
  show(servers_);
  Database fresh = open();
  for (Database& one : databases) EXPECT_EQ(ask(one, "SELECT count(*) FROM t"), 0);
}

TEST_F(PostgresTest, WhereNoReadingIsLongItIsEndedToo) {
  DatabaseOptions options = kServingDatabase;
  EXPECT_LE(options.statement_timeout, std::chrono::seconds(5));
  options.statement_timeout = std::chrono::seconds(1);
  Database database = open(options);
  const auto reading = database.begin_read();
  ASSERT_TRUE(reading);
  const auto slow = database.execute("SELECT pg_sleep(60)");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().kind, ErrorKind::busy);
}

TEST_F(PostgresTest, TheWholeOfItIsReadAndMeasured) {
  Database database = open();
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  EXPECT_TRUE(database.check_integrity());
  EXPECT_GT(database.size().value_or(0), 0u);
}

}  // namespace
}  // namespace karta::service
