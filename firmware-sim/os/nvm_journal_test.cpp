#include "firmware-sim/os/nvm_journal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/test_chip.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

Memory page_of(u8 filler) { return Memory(kPayloadBytes, filler); }

Memory read_page(NvmJournal& journal, u16 logical) {
  Memory out(kPayloadBytes);
  return journal.read(logical, 0, out) == Sw::ok ? out : Memory{};
}

void put(NvmJournal& journal, u16 logical, u8 filler) {
  Transaction transaction(journal, 1);
  ASSERT_EQ(transaction.status(), Sw::ok);
  ASSERT_EQ(journal.write(logical, 0, page_of(filler)), Sw::ok);
  ASSERT_EQ(transaction.commit(), Sw::ok);
}

// Physical pages that hold a copy of a logical page.
std::vector<std::size_t> copies(const Chip& chip, u16 logical) {
  std::vector<std::size_t> found;
  for (std::size_t page = 0; page < chip.page_count(); ++page) {
    const u8* image = chip.memory.data() + page * kPageBytes;
    if (image[0] == 0x4B && read_u16(image + 2) == logical) found.push_back(page);
  }
  return found;
}

TEST(NvmJournal, CommittedPagesSurviveAndOldCopiesAreErased) {
  Chip chip;
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  put(journal, 5, 0x11);
  put(journal, 5, 0x22);
  EXPECT_EQ(copies(chip, 5).size(), 1u);
  NvmJournal later(chip);
  ASSERT_EQ(later.recover(), Sw::ok);
  EXPECT_EQ(read_page(later, 5), page_of(0x22));
  EXPECT_FALSE(later.exists(6));
}

TEST(NvmJournal, AbortRestoresPagesAlreadyFlushed) {
  Chip chip;
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  for (u16 page = 0; page < 6; ++page) put(journal, page, 0x11);
  const std::size_t free = journal.free_pages();
  {
    Transaction transaction(journal, 6);
    for (u16 page = 0; page < 6; ++page) ASSERT_EQ(journal.write(page, 0, page_of(0x22)), Sw::ok);
    EXPECT_EQ(read_page(journal, 0), page_of(0x22)) << "inside, the change is seen";
  }
  for (u16 page = 0; page < 6; ++page) EXPECT_EQ(read_page(journal, page), page_of(0x11));
  EXPECT_EQ(journal.free_pages(), free);
}

TEST(NvmJournal, PageChangedAgainAfterItWasFlushedCountsOnce) {
  Chip chip;
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  {
    Transaction transaction(journal, 4);
    for (const u16 page : {0, 1, 2, 3, 0, 1, 2, 3, 0}) {
      ASSERT_EQ(journal.write(page, 0, page_of(static_cast<u8>(0x30 + page))), Sw::ok);
    }
    ASSERT_EQ(transaction.commit(), Sw::ok);
  }
  NvmJournal later(chip);
  ASSERT_EQ(later.recover(), Sw::ok);
  for (u16 page = 0; page < 4; ++page) {
    EXPECT_EQ(read_page(later, page), page_of(static_cast<u8>(0x30 + page)));
    EXPECT_EQ(copies(chip, page).size(), 1u);
  }
}

// Card-security 48 and 49: every write and erase of a transaction over several pages is cut, in every manner, and the
// recovery cut again at each of its own.
TEST(NvmJournal, Behaviour48_49_CutAnywhereAllPagesOrNoneAndRecoveryConverges) {
  Chip origin(64);
  NvmJournal journal(origin);
  ASSERT_EQ(journal.format(), Sw::ok);
  for (u16 page = 0; page < 5; ++page) put(journal, page, 0x11);
  std::size_t points = 0;
  for (const Cut how : kCuts) {
    for (std::size_t at = 1;; ++at) {
      Chip chip(64);
      chip.memory = origin.memory;
      NvmJournal cut_short(chip);
      ASSERT_EQ(cut_short.recover(), Sw::ok);
      chip.cut_power_at(at, how);
      {
        Transaction transaction(cut_short, 5);
        Sw sw = transaction.status();
        // Pages 0 and 1 come twice: the second time they have been flushed already.
        for (const u16 page : {0, 1, 2, 3, 4, 0, 1}) {
          if (sw == Sw::ok) sw = cut_short.write(page, 0, page_of(0x22));
        }
        if (sw == Sw::ok) (void)transaction.commit();
      }
      if (chip.powered) break;
      const Memory after_cut = chip.memory;
      for (const Cut again : kCuts) {
        for (std::size_t second = 1;; ++second) {
          ++points;
          chip.memory = after_cut;
          chip.restore_power();
          chip.cut_power_at(second, again);
          NvmJournal interrupted(chip);
          (void)interrupted.recover();
          const bool whole = chip.powered;
          chip.restore_power();
          NvmJournal later(chip);
          ASSERT_EQ(later.recover(), Sw::ok);
          const Memory first = read_page(later, 0);
          ASSERT_TRUE(first == page_of(0x11) || first == page_of(0x22)) << at << "/" << second;
          for (u16 page = 1; page < 5; ++page) ASSERT_EQ(read_page(later, page), first) << at << "/" << second;
          ASSERT_EQ(later.free_pages(), 59u);
          if (whole) break;
        }
      }
    }
  }
  EXPECT_GT(points, 200u);
  RecordProperty("cut_points", static_cast<int>(points));
}

// Card-security 52.
TEST(NvmJournal, Behaviour52_TransactionTooLargeIsRefusedBeforeAnyChange) {
  Chip chip(64);
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  for (u16 page = 0; page < 50; ++page) put(journal, page, 0x11);
  const Memory before = chip.memory;
  EXPECT_EQ(journal.begin(14), Sw::not_enough_memory);
  EXPECT_EQ(journal.begin(kMaxTransactionPages + 1), Sw::not_enough_memory);
  EXPECT_EQ(chip.memory, before);
  EXPECT_EQ(journal.begin(13), Sw::ok);
  journal.abort();
}

// Card-security 53: a header with any one bit turned is not replayed; the page counts as lost.
TEST(NvmJournal, Behaviour53_DamagedHeaderIsDetectedNotReplayed) {
  for (std::size_t bit = 0; bit < kPageHeaderBytes * 8; ++bit) {
    Chip chip(64);
    NvmJournal journal(chip);
    ASSERT_EQ(journal.format(), Sw::ok);
    put(journal, 3, 0x11);
    put(journal, 4, 0x22);
    const std::size_t page = copies(chip, 3).at(0);
    chip.memory[page * kPageBytes + bit / 8] ^= static_cast<u8>(1U << bit % 8);
    NvmJournal later(chip);
    ASSERT_EQ(later.recover(), Sw::ok);
    EXPECT_EQ(read_page(later, 3), Memory{}) << "bit " << bit;
    EXPECT_EQ(read_page(later, 4), page_of(0x22)) << "bit " << bit;
  }
}

TEST(NvmJournal, Behaviour53_WornCellsAreSteppedOver) {
  Chip chip(64);
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  for (std::size_t page = 0; page < 64; page += 2) chip.worn[page] = true;
  for (u8 round = 1; round < 100; ++round) {
    Transaction transaction(journal, 1);
    ASSERT_EQ(transaction.status(), Sw::ok);
    ASSERT_EQ(journal.write(7, 0, page_of(round)), Sw::ok);
    const Sw sw = transaction.commit();
    ASSERT_TRUE(sw == Sw::ok) << static_cast<int>(round);
    ASSERT_EQ(read_page(journal, 7), page_of(round));
  }
}

// The memory after a change of pages 0 to 2 from 11 to 22 in one transaction, cut at the `operation`-th write or erase.
Memory interrupted_change(std::size_t operation, Cut how) {
  Chip chip(64);
  NvmJournal journal(chip);
  EXPECT_EQ(journal.format(), Sw::ok);
  for (u16 page = 0; page < 3; ++page) put(journal, page, 0x11);
  chip.cut_power_at(operation, how);
  Transaction transaction(journal, 3);
  EXPECT_EQ(transaction.status(), Sw::ok);
  for (u16 page = 0; page < 3; ++page) (void)journal.write(page, 0, page_of(0x22));
  (void)transaction.commit();
  return chip.memory;
}

// The commit page is there, yet one of the pages it counts has decayed before the old copies were erased.
TEST(NvmJournal, Behaviour53_CommitMarkThatCountsMorePagesThanAreSoundUndoesTheTransaction) {
  const Memory after_commit = interrupted_change(4, Cut::before);  // three pages written, no old copy erased
  for (u16 decayed = 0; decayed < 2; ++decayed) {
    for (std::size_t cut = 0; cut < 6; ++cut) {  // 0: the recovery is not disturbed
      Chip chip(64);
      chip.memory = after_commit;
      ASSERT_EQ(copies(chip, decayed).size(), 2u);
      for (const std::size_t page : copies(chip, decayed)) {
        u8* payload = chip.memory.data() + page * kPageBytes + kPageHeaderBytes;
        if (payload[0] == 0x22) payload[7] ^= 0x40;
      }
      if (cut != 0) {
        chip.cut_power_at(cut, Cut::after);
        NvmJournal interrupted(chip);
        (void)interrupted.recover();
        chip.restore_power();
      }
      NvmJournal later(chip);
      ASSERT_EQ(later.recover(), Sw::ok);
      for (u16 page = 0; page < 3; ++page) EXPECT_EQ(read_page(later, page), page_of(0x11)) << page << "/" << cut;
    }
  }
}

TEST(NvmJournal, Behaviour53_PageThatDecaysLongAfterItsTransactionIsLostAlone) {
  Chip chip(64);
  chip.memory = interrupted_change(1000, Cut::before);
  const std::size_t decayed = copies(chip, 0).at(0);
  ASSERT_EQ(chip.memory[decayed * kPageBytes + 1], 0) << "not the commit page";
  chip.memory[decayed * kPageBytes + 100] ^= 0x01;
  NvmJournal later(chip);
  ASSERT_EQ(later.recover(), Sw::ok);
  EXPECT_EQ(read_page(later, 0), Memory{});
  EXPECT_EQ(read_page(later, 1), page_of(0x22));
  EXPECT_EQ(read_page(later, 2), page_of(0x22));
}

// The commit page is written and the chip fails as it is read back: whoever asks next sees all of it or nothing.
TEST(NvmJournal, ReadFailureBehindTheCommitPageLeavesTheDecisionToRecovery) {
  for (std::size_t failing = 1; failing < 40; ++failing) {
    Chip chip(64);
    NvmJournal journal(chip);
    ASSERT_EQ(journal.format(), Sw::ok);
    for (u16 page = 0; page < 3; ++page) put(journal, page, 0x11);
    chip.fail_read_at(failing);
    Sw sw = Sw::ok;
    {
      Transaction transaction(journal, 3);
      sw = transaction.status();
      for (u16 page = 0; page < 3 && sw == Sw::ok; ++page) sw = journal.write(page, 0, page_of(0x22));
      if (sw == Sw::ok) sw = transaction.commit();
    }
    const bool failed = chip.reads >= failing;
    EXPECT_EQ(sw != Sw::ok, failed) << failing;
    chip.fail_read_at(0);
    NvmJournal later(chip);
    ASSERT_EQ(later.recover(), Sw::ok);
    const Memory first = read_page(later, 0);
    ASSERT_TRUE(first == page_of(0x11) || first == page_of(0x22)) << failing;
    for (u16 page = 1; page < 3; ++page) ASSERT_EQ(read_page(later, page), first) << failing;
    if (!failed) return;
  }
  FAIL() << "every read of the transaction was to fail once";
}

TEST(NvmJournal, PageCorruptedInServiceIsNeverUsed) {
  Chip chip(64);
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  put(journal, 3, 0x11);
  chip.memory[copies(chip, 3).at(0) * kPageBytes + 200] ^= 0x01;
  EXPECT_EQ(read_page(journal, 3), Memory{});
}

// Card-security 54: ten thousand changes of one counter spread over the free pages.
TEST(NvmJournal, Behaviour54_WearIsSpread) {
  Chip chip(64);
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  for (u16 page = 0; page < 24; ++page) put(journal, page, 0x11);
  std::fill(chip.erases.begin(), chip.erases.end(), 0);
  constexpr u32 kChanges = 10'000;
  for (u32 i = 0; i < kChanges; ++i) put(journal, 0, static_cast<u8>(i));
  const u32 worst = *std::max_element(chip.erases.begin(), chip.erases.end());
  EXPECT_LE(worst, kChanges / 40 + 2) << "40 pages were free";
  RecordProperty("worst_cell_erases", static_cast<int>(worst));
}

TEST(NvmJournal, StampTravelsWithTheTransaction) {
  Chip chip(64);
  NvmJournal journal(chip);
  ASSERT_EQ(journal.format(), Sw::ok);
  {
    Transaction transaction(journal, 1);
    journal.set_stamp(0xBEEF);
    ASSERT_EQ(journal.write(1, 0, page_of(1)), Sw::ok);
    ASSERT_EQ(transaction.commit(), Sw::ok);
  }
  put(journal, 2, 2);
  {
    Transaction transaction(journal, 1);
    journal.set_stamp(0xDEAD);
    ASSERT_EQ(journal.write(1, 0, page_of(3)), Sw::ok);
  }
  EXPECT_EQ(journal.stamp(), 0xBEEF);
  NvmJournal later(chip);
  ASSERT_EQ(later.recover(), Sw::ok);
  EXPECT_EQ(later.stamp(), 0xBEEF);
}

}  // namespace
}  // namespace karta::os
