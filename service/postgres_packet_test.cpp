// What waits to go out with others, and what is known of it when its connection goes.
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <filesystem>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "service/postgres_library.h"
#include "service/postgres_testing.h"

namespace karta::service {
namespace {

using testing::HasSubstr;

using PostgresPacketTest = PostgresTest;

TEST_F(PostgresPacketTest, WhatIsRunLaterHasNotBeenSentUntilItIsTimeOrTooMuch) {
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

TEST_F(PostgresPacketTest, WhatIsRolledBackWithoutHavingBeenSentIsNot) {
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

TEST_F(PostgresPacketTest, ACollisionOfWhatIsRunLaterRunsAgain) {
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

TEST_F(PostgresPacketTest, AKeyTakenMeanwhileThatIsWrittenLaterIsSeenTheSecondTime) {
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

TEST_F(PostgresPacketTest, ALockThatWhatIsRunLaterWaitsForIsWaitedForOnce) {
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

TEST_F(PostgresPacketTest, WhatWaitsGoesOutOnANewConnectionWhereNothingHadGoneOutOnTheOld) {
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

TEST_F(PostgresPacketTest, WhatWaitsIsLostWithTheTransactionAndRunsAgainWithIt) {
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

TEST_F(PostgresPacketTest, WhatTheServerEndsBeforeItComesToTheCommitRunsAgain) {
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

TEST_F(PostgresPacketTest, OfWhatWentOutWithACommitNothingIsKnownWhereTheStreamEnds) {
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

TEST_F(PostgresPacketTest, ACommitThatCouldNotBeSentInFullMayHaveTakenPlace) {
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

TEST_F(PostgresPacketTest, WhatIsRunLaterAfterAFailedStatementIsNotCommitted) {
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

}  // namespace
}  // namespace karta::service
