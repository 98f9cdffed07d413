#include "service/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "service/database_testing.h"

namespace karta::service {
namespace {

namespace fs = std::filesystem;
using Open = DatabaseOptions::Open;

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "karta-database-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "a.db") const { return (folder_ / name).string(); }
  std::string url(const std::string& name = "a.db") const { return test_database_url(folder_ / name); }
  Database create(const std::string& name = "a.db") {
    auto database = Database::open(url(name), {.open = Open::create});
    EXPECT_TRUE(database) << database.error().message;
    return std::move(*database);
  }
  static std::int64_t count(Database& database) {
    auto rows = database.prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(rows && rows->query() && *rows->next());
    return rows->integer(0);
  }

  fs::path folder_;
};

/// What is a file's only.
class SqliteFileTest : public DatabaseTest {
 protected:
  void SetUp() override {
    if (test_postgres() != nullptr) GTEST_SKIP() << "PostgreSQL has no file of its own";
    DatabaseTest::SetUp();
  }
};

TEST_F(SqliteFileTest, CreatesAFileOnlyItsOwnerCanRead) {
  const mode_t before = umask(0);
  Database database = create();
  umask(before);
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  for (const char* name : {"a.db", "a.db-wal", "a.db-shm"}) {
    struct stat found {};
    ASSERT_EQ(stat(path(name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(SqliteFileTest, RefusesAFileOpenToOthers) {
  { Database database = create(); }
  ASSERT_EQ(chmod(path().c_str(), 0640), 0);
  auto opened = Database::open(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(opened.error().hint, testing::HasSubstr("chmod 600"));
}

TEST_F(SqliteFileTest, OpensByUrlAndByPath) {
  { Database database = create(); }
  EXPECT_TRUE(Database::open("sqlite://" + path()));
  EXPECT_TRUE(Database::open("sqlite:" + path()));
  EXPECT_TRUE(Database::open(path()));
  EXPECT_EQ(Database::open("mysql://host/base").error().kind, ErrorKind::unsupported);
  EXPECT_EQ(Database::open("").error().kind, ErrorKind::usage);
  EXPECT_EQ(Database::open(":memory:").error().kind, ErrorKind::usage);
  EXPECT_EQ(Database::open("sqlite::memory:").error().kind, ErrorKind::usage);
}

TEST_F(SqliteFileTest, TellsMissingPresentAndForeignFilesApart) {
  EXPECT_EQ(Database::open(path()).error().kind, ErrorKind::not_found);
  EXPECT_EQ(Database::open(path("no/such/folder.db"), {.open = Open::create}).error().kind, ErrorKind::io);
  { Database database = create(); }
  EXPECT_EQ(Database::open(path(), {.open = Open::create}).error().kind, ErrorKind::already_exists);
  std::ofstream(path("b.db")) << std::string(5000, 'x');
  ASSERT_EQ(chmod(path("b.db").c_str(), 0600), 0);
  EXPECT_EQ(Database::open(path("b.db")).error().kind, ErrorKind::malformed);
}

TEST_F(DatabaseTest, ValuesOfEveryTypeComeBack) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (i BIGINT, t TEXT, b BYTEA, n TEXT)"));
  const Bytes octets = {0x31, 0x00, 0xFF};  // would be the number 1 if taken for text
  ASSERT_EQ(database.execute("INSERT INTO t VALUES ($1, $2, $3, $4)",
                             {std::int64_t{-5'000'000'000}, std::string("Ёж x"), octets, nullptr}),
            1);
  auto row = database.prepare("SELECT i, t, b, n FROM t WHERE i = $1");
  ASSERT_TRUE(row && row->query({std::int64_t{-5'000'000'000}}));
  ASSERT_TRUE(*row->next());
  EXPECT_EQ(row->integer(0), -5'000'000'000);
  EXPECT_EQ(row->text(1), "Ёж x");
  EXPECT_EQ(to_bytes(row->octets(2)), octets);
  EXPECT_TRUE(row->is_null(3));
  EXPECT_EQ(row->text(3), "");
  EXPECT_EQ(row->integer_or_null(3), std::nullopt);
  EXPECT_FALSE(*row->next());
}

TEST_F(DatabaseTest, WhatIsCountedOrComparedIsAnInteger) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  for (const std::int64_t value : {std::int64_t{20'000}, std::int64_t{-5'000'000'000'007}, std::int64_t{1}}) {
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES ($1)", {value}));
  }
  auto row = database.prepare(
      "SELECT count(*), sum(a), max(a), 1, CASE WHEN EXISTS (SELECT 1 FROM t WHERE a = $1) THEN 1 ELSE 0 END, "
      "coalesce(max(a), 0) + $2, (SELECT sum(a) FROM t WHERE a = 20000) FROM t");
  ASSERT_TRUE(row && row->query({1, 2}) && *row->next());
  EXPECT_EQ(row->integer(0), 3);
  EXPECT_EQ(row->integer(1), -4'999'999'980'006);
  EXPECT_EQ(row->integer(2), 20'000);
  EXPECT_EQ(row->integer(3), 1);
  EXPECT_EQ(row->integer(4), 1);
  EXPECT_EQ(row->integer(5), 20'002);
  EXPECT_EQ(row->integer(6), 20'000);
}

TEST_F(DatabaseTest, AParameterMayBeNullOnceAndAnotherTypeTheNextTime) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT, b TEXT, c BYTEA)"));
  const Bytes octets = {1, 2};
  auto insert = database.prepare("INSERT INTO t SELECT $1, $2, $3");
  ASSERT_TRUE(insert);
  EXPECT_EQ(insert->execute({nullptr, nullptr, nullptr}), 1);
  EXPECT_EQ(insert->execute({7, "x", octets}), 1);
  EXPECT_EQ(insert->execute({nullptr, "y", nullptr}), 1);
  auto rows = database.prepare("SELECT a, b, c FROM t WHERE b = 'x'");
  ASSERT_TRUE(rows && rows->query() && *rows->next());
  EXPECT_EQ(rows->integer(0), 7);
  EXPECT_EQ(to_bytes(rows->octets(2)), octets);
}

TEST_F(DatabaseTest, RowsMayBeReadWhileOtherStatementsRun) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(database.execute("INSERT INTO t VALUES ($1)", {i}));
  auto snapshot = database.begin_read();
  ASSERT_TRUE(snapshot);
  auto rows = database.prepare("SELECT a FROM t ORDER BY a");
  ASSERT_TRUE(rows && rows->query());
  std::int64_t seen = 0;
  while (*rows->next()) {
    auto again = database.prepare("SELECT a FROM t WHERE a <= $1 ORDER BY a DESC");
    ASSERT_TRUE(again && again->query({rows->integer(0)}) && *again->next());
    EXPECT_EQ(again->integer(0), rows->integer(0));  // and is left with rows unread
    EXPECT_EQ(rows->integer(0), seen++);
  }
  EXPECT_EQ(seen, 20);
  EXPECT_TRUE(snapshot->commit());
}

TEST_F(DatabaseTest, ASnapshotGuardsWhatItChanges) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE codes (code BIGINT PRIMARY KEY, used BIGINT NOT NULL)"));
  constexpr int kThreads = 4, kCodes = 20;
  for (int i = 0; i < kCodes; ++i) ASSERT_TRUE(database.execute("INSERT INTO codes VALUES ($1, 0)", {i}));
  std::atomic<int> taken = 0, failures = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      Database own = std::move(*Database::open(url()));
      for (int code = 0; code < kCodes; ++code) {
        std::int64_t mine = 0;
        const Status done = own.transact(
            [&]() -> Status {
              mine = TRY(own.execute("UPDATE codes SET used = used + 1 WHERE code = $1 AND used = 0", {code}));
              return {};
            },
            Isolation::snapshot);
        if (!done) ++failures;
        taken += static_cast<int>(mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(taken, kCodes) << "every code once, whoever was first";
}

TEST_F(DatabaseTest, WhatWasReadIsStillSoWhenItCommits) {
  // Two that each look whether the other is on duty before they leave: one must stay.
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT PRIMARY KEY, duty BIGINT NOT NULL)"));
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (0, 1), (1, 1)"));
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(database.execute("UPDATE t SET duty = 1"));
    std::vector<std::thread> threads;
    for (int me = 0; me < 2; ++me) {
      threads.emplace_back([&, me] {
        Database own = std::move(*Database::open(url()));
        EXPECT_TRUE(own.transact([&]() -> Status {
          Statement others = TRY(own.prepare("SELECT sum(duty) FROM t"));
          TRY(others.query());
          TRY(others.next());
          if (others.integer(0) == 2) TRY(own.execute("UPDATE t SET duty = 0 WHERE a = $1", {me}));
          return {};
        }));
      });
    }
    for (std::thread& thread : threads) thread.join();
    auto left = database.prepare("SELECT sum(duty) FROM t");
    ASSERT_TRUE(left->query() && *left->next());
    EXPECT_EQ(left->integer(0), 1);
  }
}

TEST_F(DatabaseTest, EmptyTextAndOctetsAreNotNull) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (t TEXT NOT NULL, b BYTEA NOT NULL)"));
  EXPECT_TRUE(database.execute("INSERT INTO t VALUES ($1, $2)", {std::string_view(), ByteView()}));
}

TEST_F(DatabaseTest, ParametersGoByNumberNotByPlace) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT, b BIGINT)"));
  ASSERT_TRUE(database.execute("INSERT INTO t (a, b) VALUES ($2, $1)", {1, 2}));
  auto row = database.prepare("SELECT a FROM t");
  ASSERT_TRUE(row->query() && *row->next());
  EXPECT_EQ(row->integer(0), 2);
}

TEST_F(DatabaseTest, ATransactionThatGoesIsRolledBack) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT PRIMARY KEY)"));
  {
    auto transaction = database.begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
    EXPECT_TRUE(database.in_transaction());
  }
  EXPECT_FALSE(database.in_transaction());
  EXPECT_EQ(count(database), 0);
  {
    auto transaction = database.begin();
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(count(database), 1);
  EXPECT_EQ(database.execute("INSERT INTO t VALUES (1)").error().kind, ErrorKind::already_exists);
}

TEST_F(DatabaseTest, AFailedPieceOfWorkLeavesNothing) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  const Status done = database.transact([&]() -> Status {
    TRY(database.execute("INSERT INTO t VALUES (1)"));
    return fail(ErrorKind::malformed, "no");
  });
  EXPECT_EQ(done.error().kind, ErrorKind::malformed);
  EXPECT_EQ(count(database), 0);
}

TEST_F(DatabaseTest, WorkRunsAgainWhileItIsBusyAndGivesUpInTheEnd) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  int runs = 0;
  ASSERT_TRUE(database.transact([&]() -> Status {
    TRY(database.execute("INSERT INTO t VALUES (1)"));
    if (++runs < 3) return fail(ErrorKind::busy, "collided");
    return {};
  }));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(count(database), 1);

  runs = 0;
  const Status done = database.transact([&]() -> Status {
    ++runs;
    return fail(ErrorKind::busy, "collided");
  });
  EXPECT_EQ(done.error().kind, ErrorKind::busy);
  EXPECT_EQ(runs, kTransactionTries);
}

TEST_F(DatabaseTest, WhatIsRunLaterIsDoneInOrderAndSeenByWhatFollows) {
  Database database = create();
  Database other = std::move(*Database::open(url()));
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  std::int64_t seen = 0, changed = 0;
  ASSERT_TRUE(database.transact([&]() -> Status {
    TRY(database.execute_later("INSERT INTO t VALUES (1)"));
    TRY(database.execute_later("UPDATE t SET a = a * 10"));
    TRY(database.execute_later("INSERT INTO t VALUES (2)"));
    Statement sum = TRY(database.prepare("SELECT sum(a) FROM t"));
    TRY(sum.query());
    TRY(sum.next());
    seen = sum.integer(0);
    TRY(database.execute_later("INSERT INTO t VALUES (3)"));
    changed = TRY(database.execute("UPDATE t SET a = a + 1"));
    TRY(database.execute_later("INSERT INTO t VALUES (4)"));
    TRY(database.execute_script("UPDATE t SET a = a + 100; INSERT INTO t VALUES (5)"));
    return database.execute_later("INSERT INTO t VALUES (6)");
  }));
  EXPECT_EQ(seen, 10 + 2);
  EXPECT_EQ(changed, 3);
  std::vector<std::int64_t> all;
  auto rows = other.prepare("SELECT a FROM t ORDER BY a");
  ASSERT_TRUE(rows && rows->query());
  while (*rows->next()) all.push_back(rows->integer(0));
  EXPECT_THAT(all, testing::ElementsAre(5, 6, 103, 104, 104, 111));
}

TEST_F(DatabaseTest, ValuesOfWhatIsRunLaterAreItsOwn) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (n BIGINT, i BIGINT, t TEXT, b BYTEA)"));
  ASSERT_TRUE(database.transact([&]() -> Status {
    Statement insert = TRY(database.prepare("INSERT INTO t VALUES ($1, $2, $3, $4)"));
    for (int i = 0; i < 3; ++i) {
      std::string text(static_cast<std::size_t>(i * 1000), static_cast<char>('a' + i));
      Bytes octets(static_cast<std::size_t>(2 - i), static_cast<std::uint8_t>(i));
      TRY(insert.execute_later({i, i, text, octets}));
      text.assign(text.size(), '?');
      octets.assign(octets.size(), 0xFF);
    }
    TRY(insert.execute_later({3, nullptr, nullptr, nullptr}));
    TRY(database.execute_later("INSERT INTO t VALUES ($1, $2, $3, $4)", {4, 7, nullptr, ByteView()}));
    return {};
  }));
  auto rows = database.prepare("SELECT i, t, b FROM t ORDER BY n");
  ASSERT_TRUE(rows && rows->query());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(*rows->next());
    EXPECT_EQ(rows->integer(0), i);
    EXPECT_FALSE(rows->is_null(1));
    EXPECT_EQ(rows->text(1), std::string(static_cast<std::size_t>(i * 1000), static_cast<char>('a' + i)));
    EXPECT_FALSE(rows->is_null(2));
    EXPECT_EQ(to_bytes(rows->octets(2)), Bytes(static_cast<std::size_t>(2 - i), static_cast<std::uint8_t>(i)));
  }
  ASSERT_TRUE(*rows->next());
  EXPECT_TRUE(rows->is_null(0) && rows->is_null(1) && rows->is_null(2));
  ASSERT_TRUE(*rows->next());
  EXPECT_EQ(rows->integer(0), 7);
  EXPECT_TRUE(rows->is_null(1));
  EXPECT_FALSE(rows->is_null(2));
  EXPECT_FALSE(*rows->next());
}

TEST_F(DatabaseTest, AnErrorOfWhatIsRunLaterEndsTheTransaction) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT PRIMARY KEY)"));
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  for (const bool asked : {false, true}) {
    const Status done = database.transact([&]() -> Status {
      TRY(database.execute_later("INSERT INTO t VALUES (2)"));
      TRY(database.execute_later("INSERT INTO t VALUES ($1)", {1}));
      TRY(database.execute_later("INSERT INTO t SELECT a + 10 FROM t"));
      if (asked) TRY(database.execute("UPDATE t SET a = a + 100"));
      return {};
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::already_exists) << done.error().message;
    EXPECT_FALSE(database.in_transaction());
    EXPECT_EQ(count(database), 1);
  }
  // What was skipped and what failed can be run again.
  ASSERT_TRUE(database.transact([&]() -> Status {
    TRY(database.execute_later("INSERT INTO t VALUES ($1)", {3}));
    TRY(database.execute_later("INSERT INTO t SELECT a + 10 FROM t"));
    return {};
  }));
  EXPECT_EQ(count(database), 4);
}

TEST_F(DatabaseTest, WhatIsRunLaterGoesWithItsTransaction) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  {
    auto transaction = database.begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.execute_later("INSERT INTO t VALUES (1)"));
  }
  const Status done = database.transact([&]() -> Status {
    TRY(database.execute("INSERT INTO t VALUES (1)"));
    TRY(database.execute_later("INSERT INTO t VALUES (1)"));
    return fail(ErrorKind::malformed, "no");
  });
  EXPECT_EQ(done.error().kind, ErrorKind::malformed);
  ASSERT_TRUE(database.transact([&] { return database.execute_later("INSERT INTO t VALUES (5)"); }));
  auto rows = database.prepare("SELECT sum(a) FROM t");
  ASSERT_TRUE(rows->query() && *rows->next());
  EXPECT_EQ(rows->integer(0), 5);
}

TEST_F(DatabaseTest, OutsideAWritingTransactionLaterIsAtOnce) {
  Database database = create();
  Database other = std::move(*Database::open(url()));
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT PRIMARY KEY)"));
  ASSERT_TRUE(database.execute_later("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(count(other), 1);
  EXPECT_EQ(database.execute_later("INSERT INTO t VALUES (1)").error().kind, ErrorKind::already_exists);
  if (database.store() == Store::postgresql) {
    auto reading = database.begin_read();
    ASSERT_TRUE(reading);
    EXPECT_EQ(database.execute_later("INSERT INTO t VALUES (2)").error().kind, ErrorKind::not_permitted);
  }
}

TEST_F(DatabaseTest, MoreMayBeRunLaterThanWaits) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT, b TEXT)"));
  const std::string large(50'000, 'x');
  ASSERT_TRUE(database.transact([&]() -> Status {
    for (int i = 0; i < 1000; ++i) TRY(database.execute_later("INSERT INTO t VALUES ($1, 'x')", {i}));
    for (int i = 1000; i < 1020; ++i) TRY(database.execute_later("INSERT INTO t VALUES ($1, $2)", {i, large}));
    return {};
  }));
  auto rows = database.prepare("SELECT count(*), sum(a), sum(length(b)) FROM t");
  ASSERT_TRUE(rows->query() && *rows->next());
  EXPECT_EQ(rows->integer(0), 1020);
  EXPECT_EQ(rows->integer(1), 1019 * 1020 / 2);
  EXPECT_EQ(rows->integer(2), 1000 + 20 * 50'000);
}

TEST_F(DatabaseTest, WhatIsRunLaterOutlivesItsPlaceAmongThePrepared) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(database.transact([&]() -> Status {
      TRY(database.execute_later("INSERT INTO t VALUES ($1)", {1}));
      for (int i = 0; i < 300; ++i) TRY(database.prepare("SELECT a FROM t WHERE a = " + std::to_string(i)));
      TRY(database.execute_later("INSERT INTO t VALUES ($1)", {2}));
      return {};
    }));
    EXPECT_EQ(count(database), 2 * (round + 1));
  }
}

TEST_F(SqliteFileTest, AHeldLockIsBusyAfterTheTimeout) {
  Database holder = create();
  auto held = holder.begin();
  ASSERT_TRUE(held);
  auto other = Database::open(path(), {.busy_timeout = std::chrono::milliseconds(1)});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->begin().error().kind, ErrorKind::busy);
}

TEST_F(DatabaseTest, AReaderSeesOneSnapshotWhileAWriterCommits) {
  Database writer = create();
  ASSERT_TRUE(writer.execute("CREATE TABLE t (a BIGINT)"));
  auto reader = Database::open(url());
  ASSERT_TRUE(reader);
  auto snapshot = reader->begin_read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(count(*reader), 0);
  ASSERT_TRUE(writer.execute("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(count(*reader), 0);
  ASSERT_TRUE(snapshot->commit());
  EXPECT_EQ(count(*reader), 1);
}

TEST_F(DatabaseTest, AReadOnlyDatabaseRefusesToBeWritten) {
  Database keeper = create();
  ASSERT_TRUE(keeper.execute("CREATE TABLE t (a BIGINT)"));
  auto reader = Database::open(url(), {.open = Open::read_only});
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(reader->execute("INSERT INTO t VALUES (1)").error().kind, ErrorKind::not_permitted);
}

TEST_F(DatabaseTest, ThreadsWithConnectionsOfTheirOwnLoseNoUpdate) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a BIGINT)"));
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (0)"));
  constexpr int kThreads = 4, kRounds = 50;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      auto own = Database::open(url());
      for (int round = 0; own && round < kRounds; ++round) {
        const Status done = own->transact([&]() -> Status {
          Statement read = TRY(own->prepare("SELECT a FROM t"));
          TRY(read.query());
          TRY(read.next());
          TRY(own->execute("UPDATE t SET a = $1", {read.integer(0) + 1}));
          return {};
        });
        if (!done) ++failures;
      }
      if (!own) ++failures;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  auto sum = database.prepare("SELECT a FROM t");
  ASSERT_TRUE(sum->query() && *sum->next());
  EXPECT_EQ(sum->integer(0), kThreads * kRounds);
}

TEST_F(DatabaseTest, ErrorsNeverRepeatTheValue) {
  Database database = create();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a TEXT PRIMARY KEY)"));
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES ($1)", {"geheim"}));
  const auto again = database.execute("INSERT INTO t VALUES ($1)", {"geheim"});
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, testing::Not(testing::HasSubstr("geheim")));
}

TEST_F(SqliteFileTest, IntegrityCheckFindsAChangedFile) {
  {
    Database database = create();
    ASSERT_TRUE(database.execute("CREATE TABLE t (a TEXT)"));
    ASSERT_TRUE(database.execute("CREATE INDEX t_a ON t (a)"));
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(database.execute("INSERT INTO t VALUES ($1)", {std::to_string(i)}));
    EXPECT_TRUE(database.check_integrity());
  }
  // Page 2 is the table's root.
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(1024, '\xA5');
  }
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  const Status checked = database->check_integrity();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::malformed);
}

TEST_F(DatabaseTest, DataVersionTellsOfOthersChangesOnly) {
  Database one = create();
  ASSERT_TRUE(one.execute("CREATE TABLE t (a BIGINT)"));
  auto other = Database::open(url());
  ASSERT_TRUE(other);
  const auto version = [&] { return other->data_version().value(); };
  const std::int64_t before = version();
  if (other->store() == Store::sqlite) {
    EXPECT_EQ(version(), before);
  }
  ASSERT_TRUE(other->execute("INSERT INTO t VALUES (1)"));
  if (other->store() == Store::sqlite) {
    EXPECT_EQ(version(), before);
  }
  ASSERT_TRUE(one.execute("INSERT INTO t VALUES (2)"));
  const std::int64_t after = version();
  EXPECT_NE(after, before);
  if (other->store() == Store::sqlite) {
    EXPECT_EQ(version(), after);
  }
}

}  // namespace
}  // namespace karta::service
