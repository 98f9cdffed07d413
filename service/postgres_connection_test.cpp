// Transactions: connections that go, locks and keys of others, time that is up.
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "service/postgres_testing.h"

namespace karta::service {
namespace {

using PostgresConnectionTest = PostgresTest;

TEST_F(PostgresConnectionTest, WhatWasNotCommittedIsGoneWithItsConnectionAndTheNextOneIsNew) {
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

TEST_F(PostgresConnectionTest, WorkInAConnectionThatGoesRunsAgain) {
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

TEST_F(PostgresConnectionTest, AConnectionThatWentWhileNobodyAskedIsMadeAgain) {
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

TEST_F(PostgresConnectionTest, ACommitWithoutAnswerIsNotRepeatedAndSaysSo) {
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

TEST_F(PostgresConnectionTest, AWriteOfItsOwnWithoutAnswerIsNotRepeatedEither) {
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

TEST_F(PostgresConnectionTest, ALockOfAnotherIsWaitedForOnceAndNoLonger) {
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

TEST_F(PostgresConnectionTest, AStatementThatTakesTooLongIsEndedButNotAReading) {
  Database database = open({.statement_timeout = std::chrono::seconds(1)});
  const auto slow = database.execute("SELECT pg_sleep(60)");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().kind, ErrorKind::busy);
  auto reading = database.begin_read();
  ASSERT_TRUE(reading);
  EXPECT_TRUE(database.execute("SELECT pg_sleep(1.2)"));
}

TEST_F(PostgresConnectionTest, WhereNoReadingIsLongItIsEndedToo) {
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

TEST_F(PostgresConnectionTest, TwoThatWaitForEachOtherBothSucceedInTheEnd) {
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

TEST_F(PostgresConnectionTest, AKeyTakenMeanwhileIsSeenTheSecondTime) {
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

TEST_F(PostgresConnectionTest, GoingOnAfterAFailedStatementCommitsNothing) {
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

TEST_F(PostgresConnectionTest, ARollbackOrCommitThatIsRefusedLeavesNoTransactionBehind) {
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

TEST_F(PostgresConnectionTest, TheWholeOfItIsReadAndMeasured) {
  Database database = open();
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  EXPECT_TRUE(database.check_integrity());
  EXPECT_GT(database.size().value_or(0), 0u);
}

}  // namespace
}  // namespace karta::service
