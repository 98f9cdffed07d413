#include "service/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "service/database_testing.h"

namespace karta::service {
namespace {

namespace fs = std::filesystem;

constexpr Migration kFirst{1, "first", "CREATE TABLE a (x BIGINT NOT NULL PRIMARY KEY); INSERT INTO a VALUES (7)"};
constexpr Migration kSecond{2, "second", "CREATE TABLE b (y BIGINT); INSERT INTO b SELECT x FROM a"};

class MigrationsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "karta-migrations-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    ASSERT_TRUE(Database::open(url(), {.open = DatabaseOptions::Open::create}));
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string url() const { return test_database_url(folder_ / "m.db"); }
  Database open() { return std::move(*Database::open(url())); }

  fs::path folder_;
  FixedClock clock_{Time(std::chrono::seconds(1'800'000'000))};
};

TEST_F(MigrationsTest, AppliesEachStepOnce) {
  Database database = open();
  EXPECT_EQ(schema_version(database), 0);
  const Migration both[] = {kFirst, kSecond};
  EXPECT_EQ(migrate(database, both, clock_), 2);
  EXPECT_EQ(schema_version(database), 2);
  EXPECT_EQ(migrate(database, both, clock_), 0);
  EXPECT_TRUE(check_migrated(database, both));
}

TEST_F(MigrationsTest, ContinuesFromAnOlderVersion) {
  Database database = open();
  const Migration one[] = {kFirst};
  const Migration both[] = {kFirst, kSecond};
  EXPECT_EQ(migrate(database, one, clock_), 1);
  EXPECT_EQ(check_migrated(database, both).error().kind, ErrorKind::configuration);
  EXPECT_EQ(migrate(database, both, clock_), 1);
  auto row = database.prepare("SELECT y FROM b");
  ASSERT_TRUE(row && row->query() && *row->next());
  EXPECT_EQ(row->integer(0), 7);
}

TEST_F(MigrationsTest, RefusesANewerDatabase) {
  Database database = open();
  const Migration one[] = {kFirst};
  const Migration both[] = {kFirst, kSecond};
  ASSERT_TRUE(migrate(database, both, clock_));
  const auto refused = migrate(database, one, clock_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("newer"));
}

TEST_F(MigrationsTest, RefusesAStepThatWasEdited) {
  Database database = open();
  const Migration one[] = {kFirst};
  ASSERT_TRUE(migrate(database, one, clock_));
  const Migration edited[] = {{1, "first", "CREATE TABLE a (x BIGINT)"}};
  EXPECT_EQ(migrate(database, edited, clock_).error().kind, ErrorKind::configuration);
}

TEST_F(MigrationsTest, AStepThatFailsLeavesNothing) {
  Database database = open();
  const Migration broken[] = {kFirst, {2, "broken", "CREATE TABLE c (z BIGINT); INSERT INTO nowhere VALUES (1)"}};
  EXPECT_FALSE(migrate(database, broken, clock_));
  EXPECT_EQ(schema_version(database), 1);
  EXPECT_FALSE(database.execute("SELECT * FROM c"));
  const Migration mended[] = {kFirst, kSecond};
  EXPECT_EQ(migrate(database, mended, clock_), 1);
}

TEST_F(MigrationsTest, SeveralAtOnceApplyEachStepOnce) {
  const Migration both[] = {kFirst, kSecond};
  std::atomic<int> applied = 0, failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto database = Database::open(url());
      const auto steps = database ? migrate(*database, both, clock_) : Result<int>(fail(database.error()));
      if (steps) {
        applied += *steps;
      } else {
        ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(applied, 2);
}

TEST(Migrations, ChecksumIsFnv1a) {
  // Published vectors of FNV-1a 64: the empty string and "a".
  EXPECT_EQ(checksum_of({1, "", ""}), "cbf29ce484222325");
  EXPECT_EQ(checksum_of({1, "", "a"}), "af63dc4c8601ec8c");
}

}  // namespace
}  // namespace karta::service
