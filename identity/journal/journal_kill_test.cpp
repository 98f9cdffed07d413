// A writer is killed again and again: every record it acknowledged is there, and the chain is whole.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <thread>

#include "base/random.h"
#include "crypto/testing.h"
#include "identity/journal/journal.h"

namespace karta::identity {
namespace {

using crypto::testing::must;

struct Acknowledgement {
  std::uint64_t number;
  JournalHash hash;
};

/// Appends from four threads and says on `pipe` what was acknowledged; until it is killed.
[[noreturn]] void write_until_killed(const std::filesystem::path& path, int pipe) {
  const SystemClock clock;
  const auto journal = must(Journal::open(path, "killed", clock));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0;; ++i) {
        const auto position =
            must(journal->append("tap", "{\"gate\":" + std::to_string(t) + ",\"n\":" + std::to_string(i) + "}"));
        const Acknowledgement said{position.number, position.hash};
        if (::write(pipe, &said, sizeof said) != static_cast<ssize_t>(sizeof said)) ::_exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::_exit(0);
}

TEST(JournalKill, NothingAcknowledgedIsLostThroughTwoHundredKills) {
  const crypto::testing::TemporaryFolder folder;
  const auto path = folder / "journal";
  SeededRandom random(20261122);
  std::map<std::uint64_t, JournalHash> acknowledged;
  for (int round = 0; round < 200; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(path, ends[1]);
    }
    ::close(ends[1]);
    // The first rounds kill before anything is acknowledged: inside open().
    const std::uint64_t wanted = random.below(24);
    std::uint64_t seen = 0;
    Acknowledgement said{};
    while (seen < wanted && ::read(ends[0], &said, sizeof said) == static_cast<ssize_t>(sizeof said)) {
      acknowledged[said.number] = said.hash;
      ++seen;
    }
    ASSERT_EQ(seen, wanted) << "the writer ended by itself";
    ::kill(child, SIGKILL);
    // What it had said before the signal met it.
    while (::read(ends[0], &said, sizeof said) == static_cast<ssize_t>(sizeof said))
      acknowledged[said.number] = said.hash;
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    ::close(ends[0]);
  }
  const SystemClock clock;
  const auto journal = must(Journal::open(path, "killed", clock));
  EXPECT_FALSE(journal->damage());
  const auto report = must(journal->verify());
  EXPECT_TRUE(report.whole()) << (report.whole() ? "" : report.findings.front().words);
  EXPECT_TRUE(report.damages.empty());
  EXPECT_GT(acknowledged.size(), 1000u);
  std::map<std::uint64_t, JournalHash> present;
  for (std::uint64_t after = 0;;) {
    const auto page = must(journal->pages(after, 1000));
    if (page.empty()) break;
    for (const JournalRecord& record : page) present[record.number] = record.hash;
    after = page.back().number;
  }
  for (const auto& [number, hash] : acknowledged) {
    const auto found = present.find(number);
    ASSERT_NE(found, present.end()) << number;
    EXPECT_EQ(found->second, hash) << number;
  }
}

}  // namespace
}  // namespace karta::identity
