#include "identity/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "crypto/testing.h"
#include "service/database.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

const Time kStart{seconds(1'790'000'000)};

class JournalTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> open(const std::string& terminal = "0123456789abcdef") {
    JournalOptions options;
    options.uptime = [this] { return up_; };
    return must(Journal::open(path(), terminal, clock_, options));
  }
  std::filesystem::path path() const { return folder_ / "journal"; }
  void pass(seconds time) {
    clock_.advance(time);
    up_ += time;
  }
  std::vector<JournalRecord> all(const Journal& journal) { return must(journal.pages(0, 10'000)); }

  crypto::testing::TemporaryFolder folder_;
  FixedClock clock_{kStart};
  seconds up_{5000};
};

TEST_F(JournalTest, RecordsAreChainedAndThereAfterARestart) {
  {
    const auto journal = open();
    EXPECT_EQ(must(journal->append("start", "{}")).number, 1u);
    pass(seconds(3));
    EXPECT_EQ(must(journal->append("tap", R"({"gate": 7})")).number, 2u);
  }
  const auto journal = open();
  EXPECT_FALSE(journal->damage());
  EXPECT_EQ(must(journal->append("stop", "{}")).number, 3u);
  const auto records = all(*journal);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1].kind, "tap");
  EXPECT_EQ(records[1].body, R"({"gate":7})");
  EXPECT_EQ(records[1].time, kStart + seconds(3));
  EXPECT_EQ(records[1].previous, records[0].hash);
  EXPECT_EQ(records[2].previous, records[1].hash);
  EXPECT_EQ(journal->last(), records[2].position());
  const auto report = must(journal->verify());
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.records, 3u);
  EXPECT_EQ(must(journal->pages(1, 1)), std::vector{records[1]});
}

TEST_F(JournalTest, ManyThreadsShareASyncAndEachGetsItsOwnNumber) {
  const auto journal = open();
  std::mutex mutex;
  std::set<std::uint64_t> numbers;
  std::size_t calls = 0;
  journal->on_appended([&](const JournalPosition&) {
    const std::scoped_lock lock(mutex);
    ++calls;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const auto position =
            must(journal->append("tap", "{\"gate\":" + std::to_string(t) + ",\"n\":" + std::to_string(i) + "}"));
        const auto record = must(journal->pages(position.number - 1, 1));
        EXPECT_EQ(record.front().hash, position.hash);
        EXPECT_THAT(record.front().body, HasSubstr("\"gate\":" + std::to_string(t) + ","));
        const std::scoped_lock lock(mutex);
        numbers.insert(position.number);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(numbers.size(), 400u);
  EXPECT_EQ(*numbers.rbegin(), 400u);
  EXPECT_LT(calls, 400u) << "every record had a sync of its own";
  EXPECT_TRUE(must(journal->verify()).whole());
}

TEST_F(JournalTest, WhatIsNoRecordIsRefused) {
  const auto journal = open();
  EXPECT_EQ(journal->append("Tap", "{}").error().kind, ErrorKind::usage);
  EXPECT_EQ(journal->append("tap", "[]").error().kind, ErrorKind::malformed);
  EXPECT_EQ(journal->last().number, 0u);
}

TEST_F(JournalTest, ASecondWriterIsToldWhoTheFirstIs) {
  const auto journal = open();
  const auto second = Journal::open(path(), "0123456789abcdef", clock_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::busy);
  EXPECT_THAT(second.error().message, HasSubstr("process " + std::to_string(::getpid())));
  // A reader is welcome meanwhile.
  must(journal->append("start", "{}"));
  EXPECT_EQ(must(must(JournalReader::open(path())).verify()).records, 1u);
}

TEST_F(JournalTest, AnotherTerminalsJournalIsRefused) {
  (void)open();
  const auto other = Journal::open(path(), "another", clock_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::configuration);
}

TEST_F(JournalTest, UploadedRecordsMayGoAndTheChainHoldsOn) {
  const auto journal = open();
  std::vector<JournalPosition> positions;
  for (int i = 0; i < 10; ++i) {
    positions.push_back(must(journal->append("tap", "{}")));
    pass(hours(24));
  }
  EXPECT_EQ(must(journal->prune(clock_.now())), 0u) << "nothing is uploaded";
  must(journal->mark_uploaded(6));
  must(journal->mark_uploaded(4));
  EXPECT_EQ(journal->uploaded_to(), 6u);
  EXPECT_EQ(journal->mark_uploaded(11).error().kind, ErrorKind::usage);
  EXPECT_EQ(must(journal->prune(kStart + hours(24 * 3))), 3u);
  EXPECT_EQ(must(journal->prune(clock_.now())), 3u) << "records 7 to 10 are not uploaded";
  EXPECT_EQ(journal->anchor(), positions[5]);
  const auto report = must(journal->verify());
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.records, 4u);
  EXPECT_EQ(report.anchor, positions[5]);
  EXPECT_EQ(all(*journal).front().previous, positions[5].hash);
}

TEST_F(JournalTest, AnEmptiedJournalGoesOnFromItsAnchor) {
  {
    const auto journal = open();
    must(journal->append("tap", "{}"));
    must(journal->mark_uploaded(1));
    EXPECT_EQ(must(journal->prune(kStart + hours(1))), 1u);
    EXPECT_TRUE(must(journal->verify()).whole());
  }
  const auto journal = open();
  EXPECT_FALSE(journal->damage());
  EXPECT_EQ(must(journal->append("tap", "{}")).number, 2u);
  EXPECT_TRUE(must(journal->verify()).whole());
}

TEST_F(JournalTest, TenYearsAheadAreRecordedAndNumbersStillOrder) {
  const auto journal = open();
  must(journal->append("tap", "{}"));
  clock_.advance(hours(24 * 3652));
  must(journal->append("tap", "{}"));
  clock_ = FixedClock(kStart + seconds(1));
  must(journal->append("tap", "{}"));
  const auto records = all(*journal);
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(records[1].kind, kClockKind);
  EXPECT_THAT(records[1].body, HasSubstr("\"state\":\"leapt\""));
  EXPECT_EQ(records[3].kind, kClockKind);
  EXPECT_THAT(records[3].body, HasSubstr("\"state\":\"fine\""));
  EXPECT_TRUE(must(journal->verify()).whole());
}

TEST_F(JournalTest, AClockSetBackBetweenTwoRunsIsNoticed) {
  must(open()->append("tap", "{}"));
  clock_ = FixedClock(kStart - hours(24 * 3652));
  const auto journal = open();
  must(journal->append("start", "{}"));
  EXPECT_EQ(journal->clock_guard().state(), ClockState::back);
  const auto records = all(*journal);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[1].body, HasSubstr("\"state\":\"back\""));
}

TEST_F(JournalTest, ALeapIsRememberedThroughARestart) {
  {
    const auto journal = open();
    must(journal->append("tap", "{}"));
    clock_.advance(hours(24 * 3652));
    must(journal->append("tap", "{}"));
  }
  const auto journal = open();
  must(journal->append("start", "{}"));
  EXPECT_EQ(journal->clock_guard().state(), ClockState::leapt) << "the leap itself must not become the latest time";
}

// ---- damage

class DamagedJournal : public JournalTest {
 protected:
  /// 300 records, cleanly closed unless `dirty` (then as after a kill: the log is not folded in).
  void fill(int count = 300) {
    const auto journal = open();
    for (int i = 0; i < count; ++i) must(journal->append("tap", "{\"n\":" + std::to_string(i + 1) + "}"));
  }
  /// Makes the next start walk everything again.
  void forget_what_was_checked() {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE journal SET checked_number = 0"));
  }
  void expect_mended(std::uint64_t first_lost_at_least, std::uint64_t acknowledged) {
    const auto journal = open();
    ASSERT_TRUE(journal->damage());
    EXPECT_GE(journal->damage()->from, first_lost_at_least);
    EXPECT_EQ(journal->damage()->to, acknowledged);
    EXPECT_TRUE(std::filesystem::exists(folder_ / journal->damage()->file)) << journal->damage()->file;
    const auto last = must(journal->pages(acknowledged, 10));
    ASSERT_FALSE(last.empty());
    EXPECT_EQ(last.front().kind, kDamageKind);
    EXPECT_EQ(last.front().number, acknowledged + 1) << "a number acknowledged is never given again";
    EXPECT_EQ(must(journal->append("tap", "{}")).number, acknowledged + 2);
    const auto report = must(journal->verify());
    EXPECT_TRUE(report.whole());
    ASSERT_EQ(report.damages.size(), 1u);
    EXPECT_EQ(report.damages.front().to, acknowledged);
  }
};

TEST_F(DamagedJournal, ARecordChangedBehindItsBackCutsOffTheEnd) {
  fill();
  forget_what_was_checked();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE record SET body = '{\"n\":0}' WHERE number = 290"));
    const auto report = must(must(JournalReader::open(path())).verify());
    ASSERT_FALSE(report.whole());
    EXPECT_EQ(report.findings.front().number, 290u);
  }
  expect_mended(290, 300);
}

TEST_F(DamagedJournal, VerifyFindsAChangeBeforeWhatAStartWalks) {
  fill();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE record SET time = time + 1 WHERE number = 17"));
    must(database.execute("DELETE FROM record WHERE number = 40"));
  }
  const auto journal = open();
  const auto report = must(journal->verify());
  ASSERT_EQ(report.findings.size(), 2u);
  EXPECT_EQ(report.findings[0].number, 17u);
  EXPECT_EQ(report.findings[1].number, 41u);
}

TEST_F(DamagedJournal, ATruncatedFileKeepsWhatCanBeRead) {
  fill();
  const auto size = std::filesystem::file_size(path());
  std::filesystem::resize_file(path(), size - 3 * 4096);
  expect_mended(1, 300);
}

TEST_F(DamagedJournal, GarbageAtTheEndOfTheFile) {
  fill();
  const auto size = std::filesystem::file_size(path());
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size) - 4096);
    file << std::string(4096, '\x5A');
  }
  expect_mended(200, 300);
}

TEST_F(DamagedJournal, AFileThatIsNoDatabaseAnyMore) {
  fill();
  {
    std::ofstream file(path(), std::ios::binary | std::ios::trunc);
    file << std::string(20'000, 'x');
  }
  expect_mended(1, 300);
}

TEST_F(DamagedJournal, AFileThatIsGone) {
  fill();
  std::filesystem::remove(path());
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->from, 1u);
  EXPECT_EQ(journal->damage()->to, 300u);
  EXPECT_EQ(must(journal->append("tap", "{}")).number, 302u);
  EXPECT_TRUE(must(journal->verify()).whole());
}

TEST_F(DamagedJournal, RecordsCutAwayAreMissedByVerify) {
  fill();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("DELETE FROM record WHERE number > 295"));
  }
  const auto report = must(must(JournalReader::open(path())).verify());
  ASSERT_FALSE(report.whole());
  EXPECT_THAT(report.findings.front().words, HasSubstr("300 were acknowledged and are gone"));
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->from, 296u);
  EXPECT_EQ(must(journal->append("tap", "{}")).number, 302u);
}

TEST_F(DamagedJournal, AStoppedMendingGoesOn) {
  fill();
  // As after a crash between two steps: the whole part stands ready, the old log is put aside already.
  std::filesystem::copy_file(path(), folder_ / "journal.mending");
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->file, "journal.damaged-1");
  EXPECT_EQ(must(journal->verify()).records, 301u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "journal.mending"));
}

// ---- disk full

/// Runs `work` in a child that has a file system of its own with `octets`, mounted at `folder`. Returns false where
/// this machine lets nobody mount.
bool on_a_small_disk(const std::filesystem::path& folder, std::size_t octets, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(77);
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(77);
    const std::string size = "size=" + std::to_string(octets);
    if (::mount("small", folder.c_str(), "tmpfs", 0, size.c_str()) != 0) ::_exit(77);
    work();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return false;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed: " << status;
  return true;
}

TEST_F(JournalTest, AFullDiskRefusesWhatBeginsAndTakesWhatEnds) {
  const bool ran = on_a_small_disk(folder_.path(), 512 * 1024, [&] {
    JournalOptions options;
    options.reserve_octets = 128 * 1024;
    options.uptime = [this] { return up_; };
    std::uint64_t acknowledged = 0;
    {
      const auto journal = must(Journal::open(path(), "t", clock_, options));
      const std::string body = "{\"x\":\"" + std::string(2000, 'x') + "\"}";
      Result<JournalPosition> outcome = JournalPosition{};
      for (int i = 0; i < 10'000; ++i) {
        outcome = journal->append("tap-intent", body);
        if (!outcome) break;
        acknowledged = outcome->number;
      }
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().kind, ErrorKind::io);
      EXPECT_THAT(outcome.error().message, HasSubstr("disk is full"));
      EXPECT_EQ(journal->health(), JournalHealth::full);
      EXPECT_EQ(journal->last().number, acknowledged);
      // What sixteen gates have begun can still be ended.
      for (int i = 0; i < 16; ++i) {
        const auto done = journal->append("tap", "{}");
        ASSERT_TRUE(done) << done.error().message;
        acknowledged = done->number;
        EXPECT_FALSE(journal->append("tap-intent", "{}"));
      }
      EXPECT_TRUE(must(journal->verify()).whole());
      EXPECT_EQ(journal->last().number, acknowledged);
      must(journal->mark_uploaded(acknowledged));
      EXPECT_EQ(journal->health(), JournalHealth::full);
    }
    // A restart on the full disk loses nothing.
    const auto journal = must(Journal::open(path(), "t", clock_, options));
    EXPECT_FALSE(journal->damage());
    EXPECT_EQ(journal->last().number, acknowledged);
    EXPECT_TRUE(must(journal->verify()).whole());
    // Somebody makes room.
    const std::string larger = "size=2097152";
    ASSERT_EQ(::mount("small", folder_.path().c_str(), "tmpfs", MS_REMOUNT, larger.c_str()), 0);
    EXPECT_EQ(journal->health(), JournalHealth::fine);
    EXPECT_TRUE(journal->append("tap-intent", "{}"));
  });
  // Where nobody may mount, a limit on file sizes stands in below.
  if (!ran) std::puts("no file system of one's own here");
}

TEST_F(JournalTest, AWriteThatFailsLosesNothingAndIsTriedAgain) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    std::uint64_t acknowledged = 0;
    const auto journal = open();
    must(journal->append("start", "{}"));
    rlimit limit{300 * 1024, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Result<JournalPosition> outcome = JournalPosition{};
    const std::string body = "{\"x\":\"" + std::string(2000, 'x') + "\"}";
    for (int i = 0; i < 10'000 && outcome; ++i) {
      if (outcome) acknowledged = outcome->number;
      outcome = journal->append("visit", body);
    }
    EXPECT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::io);
    EXPECT_NE(journal->health(), JournalHealth::fine);
    EXPECT_EQ(journal->last().number, acknowledged);
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto again = journal->append("visit", body);
    EXPECT_TRUE(again) << again.error().message;
    EXPECT_EQ(again.value_or(JournalPosition{}).number, acknowledged + 1);
    EXPECT_EQ(journal->health(), JournalHealth::fine);
    EXPECT_TRUE(must(journal->verify()).whole());
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace karta::identity
