// What a life of taps does to the memory: erases spread over pages, and cells of the journal's headers that decay.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/host/nvm_image.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"
#include "firmware-sim/os/test_ledger.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0B};

class Wear : public testing::Test {
 protected:
  Wear() {
    EXPECT_TRUE(card->format(kSerial));
    EXPECT_TRUE(card->boot(Interface::contact));
    // About half of the memory holds what never changes: certificates, data groups, photographs.
    must(hex("00A404000CA000000063504B43532D3135"));
    for (u8 file = 0; file < 22; ++file) {
      must(apdu("00E00000", hex("6213 80020800 820101 830244") + Memory{file} + hex("8603000FFF 8A0100")));
      must(hex("00D6000000 0800") + Memory(2048, file));
    }
    must(hex("00A40000023F00"));
    must(sample.create_df());
    for (const Memory& command : sample.commands()) must(command);
    transact(kCredit, {0xFFFFFFFF, 7}, 0);
  }

  void must(const Memory& command) { ASSERT_EQ(send(*card, command).sw, 0x9000) << to_hex(command).substr(0, 60); }
  bool restart() {
    chip.restore_power();
    card = std::make_unique<Card>(chip, kDefaultConfig);
    return card->boot(Interface::contact);
  }
  LedgerView open(LedgerTerminal& terminal) {
    EXPECT_EQ(send(*card, sample.select_df()).sw, 0x9000);
    const Answer answer = send(*card, terminal.open_command());
    EXPECT_EQ(answer.sw, 0x9000);
    return terminal.read_opening(answer.data);
  }
  void transact(u8 kind, const std::vector<u32>& counters, u32 number) {
    LedgerTerminal terminal = sample.terminal(kind);
    const LedgerView before = open(terminal);
    const Answer answer = send(*card, terminal.commit_command(counters, be32(number) + Memory(sample.entry - 4, 0x11)));
    ASSERT_EQ(answer.sw, 0x9000);
    (void)terminal.read_receipt(answer.data, before.sequence + 1);
    must(terminal.ratify_command());
  }

  Chip chip;
  std::unique_ptr<Card> card = std::make_unique<Card>(chip, kDefaultConfig);
  LedgerSample sample;
};

TEST_F(Wear, Behaviour54_AHundredThousandTapsWearNoPageMuchMoreThanTheOthers) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr u32 kTaps = 10'000;
#else
  constexpr u32 kTaps = 100'000;
#endif
  const std::vector<u32> before = chip.erases;
  for (u32 tap = 1; tap <= kTaps; ++tap) {
    transact(kDebit, {0xFFFFFFFF - tap, 7}, tap);
    if (HasFatalFailure()) return;
    if (tap % 5000 == 0) {  // a card does not stay in one reader: the cursor is found again at each power-on
      ASSERT_TRUE(restart());
    }
  }
  std::vector<u32> erases(chip.erases.size());
  std::transform(chip.erases.begin(), chip.erases.end(), before.begin(), erases.begin(), std::minus<>());
  const u32 highest = *std::max_element(erases.begin(), erases.end());
  const auto used = static_cast<std::size_t>(std::count_if(erases.begin(), erases.end(), [](u32 n) { return n > 0; }));
  const u64 all = std::accumulate(erases.begin(), erases.end(), u64{0});
  const double mean = static_cast<double>(all) / static_cast<double>(used);
  const double per_tap = static_cast<double>(all) / kTaps;
  const double taps_left = sim::kNvmEndurance / (static_cast<double>(highest) / kTaps);
  std::printf(
      "%u taps (COMMIT and RATIFY), %.2f erases a tap over %zu of %zu pages: highest %u, mean %.1f, %.2f%% of a page's "
      "%u; at this rate the first page is worn after %.1f million taps\n",
      kTaps, per_tap, used, erases.size(), highest, mean, 100.0 * highest / sim::kNvmEndurance, sim::kNvmEndurance,
      taps_left / 1e6);
  EXPECT_LE(per_tap, 2.01) << "one page for COMMIT, one for RATIFY";
  EXPECT_GT(used, 100u);
  EXPECT_LE(highest, mean * 1.1 + 2);
  LedgerTerminal terminal = sample.terminal(kDebit);
  EXPECT_EQ(open(terminal).counters, (std::vector<u32>{0xFFFFFFFF - kTaps, 7}));
}

// Any one cell of the header of the ledger's page decays, in either direction: the balance of before the last trip does
// not come back; the ledger is lost, and says so.
TEST_F(Wear, Behaviour53_ADecayedHeaderBringsNoOldBalanceBack) {
  transact(kDebit, {1000, 7}, 1);
  const Memory before = chip.memory;
  transact(kDebit, {999, 7}, 2);
  const Memory after = chip.memory;
  std::vector<std::size_t> changed;  // pages the last tap wrote
  for (std::size_t page = 0; page < chip.page_count(); ++page) {
    const auto at = static_cast<long>(page * Chip::kPage);
    const bool erased =
        std::all_of(after.begin() + at, after.begin() + at + Chip::kPage, [](u8 n) { return n == 0xFF; });
    if (!erased && !std::equal(after.begin() + at, after.begin() + at + Chip::kPage, before.begin() + at)) {
      changed.push_back(page);
    }
  }
  ASSERT_EQ(changed.size(), 1u) << "one page holds counters and journal";
  std::size_t lost = 0;
  for (std::size_t bit = 0; bit < kPageHeaderBytes * 8; ++bit) {
    chip.memory = after;
    u8& cell = chip.memory[changed[0] * Chip::kPage + bit / 8];
    cell = static_cast<u8>(cell ^ 1U << (bit % 8));
    if (!restart()) {
      ++lost;
      continue;
    }
    if (send(*card, sample.select_df()).sw != 0x9000) {
      ++lost;
      continue;
    }
    LedgerTerminal terminal = sample.terminal(kDebit);
    const Answer answer = send(*card, terminal.open_command());
    ASSERT_NE(answer.sw, 0x9000) << "bit " << bit << " of a header went unnoticed";
    ++lost;
  }
  EXPECT_EQ(lost, kPageHeaderBytes * 8);
  std::printf("%zu single cells of a header decayed, none brought an old balance back\n", lost);
}

}  // namespace
}  // namespace karta::os
