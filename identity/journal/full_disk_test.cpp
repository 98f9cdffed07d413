// What a journal still takes when nothing can be written.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>

#include "identity/journal/journal_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

using FullDisk = JournalTest;

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

TEST_F(FullDisk, AFullDiskRefusesWhatBeginsAndTakesWhatEnds) {
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

TEST_F(FullDisk, AWriteThatFailsLosesNothingAndIsTriedAgain) {
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
