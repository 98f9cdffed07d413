#include "service/group_commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <thread>

#include "service/database_testing.h"

namespace karta::service {
namespace {

namespace fs = std::filesystem;

class GroupCommitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "karta-group-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    auto database = Database::open(url(), {.open = DatabaseOptions::Open::create});
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("CREATE TABLE t (a BIGINT NOT NULL PRIMARY KEY)"));
    group_ = *GroupCommit::open(url());
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string url() const { return test_database_url(folder_ / "g.db"); }
  Database open() const { return std::move(*Database::open(url())); }
  std::int64_t count() const {
    Database database = open();
    auto rows = database.prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(rows && rows->query() && *rows->next());
    return rows->integer(0);
  }
  static GroupCommit::Work insert(std::int64_t value) {
    return [value](Database& database) -> Status {
      TRY(database.execute("INSERT INTO t VALUES ($1)", {value}));
      return {};
    };
  }

  fs::path folder_;
  std::shared_ptr<GroupCommit> group_;
};

TEST_F(GroupCommitTest, AWriteIsThereWhenItReturns) {
  Database own = open();
  ASSERT_TRUE(group_->write(own, insert(1)));
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(group_->counts().writes, 1u);
  EXPECT_EQ(group_->counts().commits, 1u);
}

TEST_F(GroupCommitTest, AWriteThatFailsLeavesNothing) {
  Database own = open();
  const Status done = group_->write(own, [](Database& database) -> Status {
    TRY(database.execute("INSERT INTO t VALUES (5)"));
    return fail(ErrorKind::malformed, "no");
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::malformed);
  EXPECT_EQ(count(), 0);
}

// One thread holds the first write open until the others have come: they must end up in one commit.
TEST_F(GroupCommitTest, WritesThatComeMeanwhileAreJoinedAndAFailingOneFailsAlone) {
  constexpr int kOthers = 8;
  std::latch writing(1), go_on(1);
  std::thread first([&] {
    Database own = open();
    EXPECT_TRUE(group_->write(own, [&](Database& database) -> Status {
      writing.count_down();
      go_on.wait();
      return insert(100)(database);
    }));
  });
  writing.wait();
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kOthers; ++i) {
    threads.emplace_back([&, i] {
      Database own = open();
      // The last two want the same key; one of the first writes and then gives up.
      const Status done = group_->write(own, [&](Database& database) -> Status {
        TRY(insert(i == kOthers - 1 ? kOthers - 2 : i)(database));
        if (i == 0) return fail(ErrorKind::cancelled, "given up");
        return {};
      });
      if (!done) ++failed;
    });
  }
  // They are all waiting once they are counted: each counts itself before it queues.
  while (group_->counts().writes < kOthers + 1) std::this_thread::yield();
  go_on.count_down();
  first.join();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 2);
  EXPECT_EQ(count(), 1 + kOthers - 2);
  // The first alone; the others together, but for one that may have been counted and not queued yet when it ended.
  if (open().store() == Store::postgresql) return;  // which joins them itself
  EXPECT_GE(group_->counts().commits, 2u);
  EXPECT_LT(group_->counts().commits, kOthers);
}

TEST_F(GroupCommitTest, ThreadsLoseNoWrite) {
  constexpr int kThreads = 8, kRounds = 50;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Database own = open();
      for (int round = 0; round < kRounds; ++round) {
        if (!group_->write(own, insert(thread * kRounds + round))) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(count(), kThreads * kRounds);
  EXPECT_EQ(group_->counts().writes, std::uint64_t{kThreads * kRounds});
}

TEST_F(GroupCommitTest, ALockOfAnotherProgramIsTold) {
  if (open().store() == Store::postgresql) GTEST_SKIP() << "PostgreSQL's writers do not lock each other out";
  group_ = *GroupCommit::open(url(), {.busy_timeout = std::chrono::milliseconds(1)});
  Database holder = open();
  auto held = holder.begin();
  ASSERT_TRUE(held);
  Database own = open();
  const Status done = group_->write(own, insert(1));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::busy);
  ASSERT_TRUE(held->commit());
  EXPECT_TRUE(group_->write(own, insert(1)));
}

}  // namespace
}  // namespace karta::service
