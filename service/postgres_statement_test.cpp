// Rows that come and values that go.
#include <gmock/gmock.h>

#include "service/postgres_testing.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::Not;

using PostgresStatementTest = PostgresTest;

TEST_F(PostgresStatementTest, ManyRowsAreReadOneAtATimeAndMayBeLeft) {
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

TEST_F(PostgresStatementTest, AnErrorAmongTheRowsIsTold) {
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

TEST_F(PostgresStatementTest, WhatCannotBeStoredIsRefusedWithoutBeingRepeated) {
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

}  // namespace
}  // namespace karta::service
