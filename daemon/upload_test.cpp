#include "daemon/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "crypto/testing.h"
#include "daemon/fake_authority.h"

namespace karta::daemon {
namespace {

using crypto::testing::must;
using identity::Journal;
using identity::JournalFit;
using identity::JournalPosition;
using identity::JournalRecord;
using ::testing::HasSubstr;

/// The authority's end: what it has for good, and how the line behaves.
struct Ledger {
  std::vector<JournalRecord> records;
  bool away = false;
  bool lose_answer = false;  ///< takes the batch, and the line breaks
  int uploads = 0;

  JournalPosition end() const { return records.empty() ? JournalPosition{} : records.back().position(); }
  Result<identity::JournalTaken> take(std::string_view lines) {
    ++uploads;
    if (away) return testing::FakeAuthority::away();
    const auto upload = TRY(identity::parse_upload(lines));
    for (const JournalRecord& record : upload.records) {
      if (records.empty() && record.number == 1) {
        records.push_back(record);
        continue;
      }
      switch (identity::fit_of(end(), record)) {
        case JournalFit::next:
        case JournalFit::mended:
          records.push_back(record);
          break;
        case JournalFit::repeated: {
          const auto known = std::find_if(records.begin(), records.end(),
                                          [&](const JournalRecord& one) { return one.number == record.number; });
          if (known == records.end() || known->hash != record.hash)
            return fail(ErrorKind::already_exists, "record " + std::to_string(record.number) + " differs");
          break;
        }
        case JournalFit::fork:
          return fail(ErrorKind::already_exists, "record " + std::to_string(record.number) + " differs");
        default:
          return fail(ErrorKind::not_found, "records between are missing");
      }
    }
    if (std::exchange(lose_answer, false)) return testing::FakeAuthority::away();
    return identity::JournalTaken{end().number, to_bytes(end().hash)};
  }

  class Client final : public testing::FakeAuthority {
   public:
    explicit Client(Ledger& ledger) : ledger_(ledger) {}
    Result<identity::JournalTaken> upload_journal(std::string_view lines) override { return ledger_.take(lines); }
    Result<identity::TerminalStanding> standing() override {
      identity::TerminalStanding standing;
      standing.journal_to = ledger_.end().number;
      standing.journal_hash = to_bytes(ledger_.end().hash);
      return standing;
    }

   private:
    Ledger& ledger_;
  };
};

class UploadTest : public ::testing::Test {
 protected:
  UploadTest() { reopen(); }
  void reopen() {
    journal_.reset();
    journal_ = must(Journal::open(path(), "0123456789abcdef", clock_));
  }
  std::filesystem::path path() const { return folder_ / "journal"; }
  void add(int count) {
    for (int i = 0; i < count; ++i) must(journal_->append("tap", "{\"n\":" + std::to_string(i) + "}"));
  }
  JournalUploader uploader(std::size_t batch = 10) {
    return JournalUploader(*journal_, testing::connect_to(ledger_), clock_, {.batch_records = batch});
  }

  crypto::testing::TemporaryFolder folder_;
  FixedClock clock_{Time(std::chrono::seconds(1'790'000'000))};
  std::unique_ptr<Journal> journal_;
  Ledger ledger_;
};

TEST_F(UploadTest, BatchesInOrderUntilNothingIsLeft) {
  add(25);
  JournalUploader uploader = this->uploader();
  EXPECT_EQ(uploader.status().waiting, 25u);
  EXPECT_TRUE(must(uploader.send_batch()));
  EXPECT_EQ(uploader.status().state, UploadState::behind);
  EXPECT_TRUE(must(uploader.send_batch()));
  EXPECT_FALSE(must(uploader.send_batch()));
  EXPECT_FALSE(must(uploader.send_batch()));
  EXPECT_EQ(ledger_.uploads, 3);
  EXPECT_EQ(journal_->uploaded_to(), 25u);
  EXPECT_EQ(uploader.status().state, UploadState::done);
  EXPECT_EQ(ledger_.records, must(journal_->pages(0, 100)));
}

TEST_F(UploadTest, ALostAnswerIsSentAgainAndNothingIsTwice) {
  add(5);
  ledger_.lose_answer = true;
  JournalUploader uploader = this->uploader();
  EXPECT_FALSE(uploader.send_batch());
  EXPECT_EQ(uploader.status().state, UploadState::away);
  EXPECT_EQ(journal_->uploaded_to(), 0u);
  add(1);
  EXPECT_FALSE(must(uploader.send_batch()));
  EXPECT_EQ(ledger_.records.size(), 6u);
  EXPECT_EQ(uploader.status().state, UploadState::done);
  EXPECT_TRUE(uploader.status().problem.empty());
}

TEST_F(UploadTest, AwayForDaysThenAllOfIt) {
  ledger_.away = true;
  JournalUploader uploader = this->uploader(50);
  for (int day = 0; day < 5; ++day) {
    add(100);
    EXPECT_FALSE(uploader.send_batch());
    clock_.advance(std::chrono::hours(24));
  }
  const UploadStatus status = uploader.status();
  EXPECT_EQ(status.state, UploadState::away);
  // The days that pass at once are jumps of the clock, and recorded too.
  EXPECT_EQ(status.waiting, journal_->last().number);
  EXPECT_GE(status.waiting, 500u);
  EXPECT_EQ(status.since, Time(std::chrono::seconds(1'790'000'000)));
  ledger_.away = false;
  while (must(uploader.send_batch())) {
  }
  EXPECT_EQ(ledger_.records.size(), status.waiting);
}

TEST_F(UploadTest, AForkRaisesTheAlarm) {
  add(3);
  {
    JournalUploader uploader = this->uploader();
    (void)must(uploader.send_batch());
  }
  // The terminal is put back from a copy made before anything was recorded, without its PATH.head.
  journal_.reset();
  for (const char* suffix : {"", "-wal", "-shm", ".head"})
    std::filesystem::remove(folder_ / (std::string("journal") + suffix));
  reopen();
  add(4);
  JournalUploader uploader = this->uploader();
  const auto sent = uploader.send_batch();
  ASSERT_FALSE(sent);
  EXPECT_THAT(sent.error().message, HasSubstr("another history"));
  EXPECT_EQ(uploader.status().state, UploadState::alarm);
  EXPECT_EQ(journal_->uploaded_to(), 0u);
}

TEST_F(UploadTest, AnAuthorityAheadOfTheJournalRaisesTheAlarm) {
  add(3);
  {
    JournalUploader uploader = this->uploader();
    (void)must(uploader.send_batch());
  }
  JournalRecord invented = ledger_.records.back();
  invented.previous = invented.hash;
  ++invented.number;
  invented.hash = identity::hash_of(invented);
  add(1);
  ledger_.records.push_back(invented);
  JournalUploader uploader = this->uploader();
  EXPECT_FALSE(uploader.send_batch());
  EXPECT_EQ(uploader.status().state, UploadState::alarm);
}

TEST_F(UploadTest, AnAuthorityPutBackFromACopyIsSentWhatItLacks) {
  add(8);
  JournalUploader uploader = this->uploader();
  EXPECT_FALSE(must(uploader.send_batch()));
  ledger_.records.resize(5);
  add(2);
  EXPECT_FALSE(must(uploader.send_batch()));
  EXPECT_EQ(ledger_.records.size(), 10u);
  EXPECT_EQ(uploader.status().state, UploadState::done);
}

TEST_F(UploadTest, AMendedJournalGoesOn) {
  add(6);
  {
    JournalUploader uploader = this->uploader(4);
    (void)must(uploader.send_batch());
  }
  ASSERT_EQ(journal_->uploaded_to(), 4u);
  journal_.reset();
  std::filesystem::remove(path());
  reopen();
  ASSERT_TRUE(journal_->damage());
  add(2);
  JournalUploader uploader = this->uploader();
  EXPECT_FALSE(must(uploader.send_batch()));
  EXPECT_EQ(ledger_.records.back().number, 9u) << "4, then the damage record 7, then 8 and 9";
  EXPECT_EQ(uploader.status().state, UploadState::done);
}

TEST_F(UploadTest, TheThreadSendsWhatItIsWokenForAndStops) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::uint64_t to = 0;
  JournalUploader uploader(*journal_, testing::connect_to(ledger_), clock_,
                           {.every = std::chrono::seconds(3600), .batch_records = 20});
  journal_->on_appended([&](const JournalPosition&) { uploader.wake(); });
  uploader.start([&](const UploadStatus& status) {
    const std::scoped_lock lock(mutex);
    to = status.uploaded_to;
    arrived.notify_all();
  });
  add(40);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(arrived.wait_for(lock, std::chrono::seconds(30), [&] { return to >= 20; }));
  lock.unlock();
  uploader.stop();
}

}  // namespace
}  // namespace karta::daemon
