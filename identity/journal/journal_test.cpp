#include "identity/journal/journal.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "identity/journal/journal_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

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

}  // namespace
}  // namespace karta::identity
