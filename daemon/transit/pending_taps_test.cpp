#include "daemon/transit/pending_taps.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::daemon {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;

class PendingTapsTest : public ::testing::Test {
 protected:
  PendingTapsTest() { journal_ = must(identity::Journal::open(folder_ / "journal", "gate-1", clock_)); }
  void begin(std::uint32_t number, std::uint8_t ledger) {
    const auto tap = pending(number, ledger);
    append(card::kTapIntentKind, number, tap);
    taps().keep(tap);
  }
  void end(std::uint32_t number, std::uint8_t ledger) {
    append(card::kTapKind, number, pending(number, ledger));
    taps().drop(Bytes(8, ledger));
  }
  static card::PendingTap pending(std::uint32_t number, std::uint8_t ledger) {
    card::PendingTap tap{7, number, card::GateOpened::no, {}};
    tap.commit.serial = Bytes(8, ledger);
    tap.commit.kind = card::LedgerKey::debit;
    tap.commit.sequence = 4;
    tap.commit.change = {{3}, card::TransitEntry{}.encode()};
    return tap;
  }
  void append(std::string_view kind, std::uint32_t number, const card::PendingTap& tap) {
    card::TapRecord record;
    record.gate = tap.gate;
    record.number = number;
    record.ledger = tap.commit.serial;
    record.kind = tap.commit.kind;
    record.sequence = tap.commit.sequence + 1;
    record.change = tap.commit.change;
    if (kind == card::kTapKind) record.code = Bytes(8, 1);
    must(journal_->append(kind, record.to_json()));
  }
  PendingTaps& taps() {
    if (!taps_) taps_ = must(PendingTaps::load(*journal_, {}, clock_.now()));
    return *taps_;
  }
  std::size_t sets() {
    const auto records = must(journal_->pages(0, 10'000));
    return static_cast<std::size_t>(
        std::count_if(records.begin(), records.end(), [](const auto& one) { return one.kind == card::kPendingKind; }));
  }
  /// Another program opens the journal, after everything older than a day was sent and pruned.
  void restart_pruned() {
    must(journal_->mark_uploaded(journal_->last().number));
    must(journal_->prune(clock_.now() - std::chrono::hours(24)));
    taps_.reset();
    journal_.reset();
    journal_ = must(identity::Journal::open(folder_ / "journal", "gate-1", clock_));
  }

  crypto::testing::TemporaryFolder folder_;
  FixedClock clock_{test_time()};
  std::unique_ptr<identity::Journal> journal_;
  std::unique_ptr<PendingTaps> taps_;
};

TEST_F(PendingTapsTest, WhatIsPendingOutlivesTheRecordsThatSaySo) {
  (void)taps();
  begin(taps().take_number(), 0xA1);
  const std::uint32_t second = taps().take_number();
  begin(second, 0xB2);
  end(second, 0xB2);
  // Weeks go by without a restart; old records are pruned.
  for (int i = 0; i < 14; ++i) {
    clock_.advance(std::chrono::hours(6));
    must(taps().refresh(*journal_, clock_.now()));
    must(journal_->append("note", "{}"));
  }
  restart_pruned();
  EXPECT_GT(journal_->anchor().number, 3u) << "the intent is gone";
  const auto found = taps().find(Bytes(8, 0xA1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->number, 1u);
  EXPECT_FALSE(taps().find(Bytes(8, 0xB2)));
  EXPECT_EQ(taps().take_number(), 3u) << "no number twice";
}

TEST_F(PendingTapsTest, ASetIsWrittenBetweenTapsAndNotTooOften) {
  (void)taps();
  EXPECT_EQ(sets(), 1u);
  must(taps().refresh(*journal_, clock_.now()));
  EXPECT_EQ(sets(), 1u);
  clock_.advance(PendingTaps::kSetEvery);
  {
    const auto tap = taps().at_work();
    must(taps().refresh(*journal_, clock_.now()));
  }
  taps().add_unwritten(1);
  must(taps().refresh(*journal_, clock_.now()));
  EXPECT_EQ(sets(), 1u);
  taps().add_unwritten(-1);
  must(taps().refresh(*journal_, clock_.now()));
  EXPECT_EQ(sets(), 2u);
}

TEST_F(PendingTapsTest, WhoPassedLastIsKnownAfterRestarts) {
  (void)taps();
  EXPECT_FALSE(taps().newest(7));
  for (const std::uint8_t ledger : {0xA1, 0xB2}) {
    const std::uint32_t number = taps().take_number();
    begin(number, ledger);
    end(number, ledger);
  }
  for (int restart = 0; restart < 2; ++restart) {
    taps_.reset();
    const auto newest = taps().newest(7);
    ASSERT_TRUE(newest) << restart;
    EXPECT_EQ(newest->number, 2u);
    EXPECT_EQ(newest->ledger, Bytes(8, 0xB2));
  }
  EXPECT_FALSE(taps().newest(8));
}

}  // namespace
}  // namespace karta::daemon
