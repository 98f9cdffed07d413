// What the tests of PostgreSQL share. They run under tests/identity/with_postgres.sh and are skipped elsewhere.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "service/database_testing.h"

namespace karta::service {

/// A database of the test's own, with a table t of one column a.
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

}  // namespace karta::service
