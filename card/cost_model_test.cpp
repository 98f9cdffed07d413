#include "card/cost_model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/file.h"

namespace karta::card {
namespace {

const ChipRow& chip(std::string_view name) {
  const auto found = chip_called(name);
  EXPECT_TRUE(found) << name;
  return found ? **found : chips()[0];
}
const ChannelRow& channel(std::string_view name) {
  const auto found = channel_called(name);
  EXPECT_TRUE(found) << name;
  return found ? **found : channels()[0];
}

TEST(CostModel, EveryRowHasFiguresAndASource) {
  std::set<std::pair<std::string_view, unsigned>> seen;
  for (const CostRow& row : cost_rows()) {
    EXPECT_TRUE(seen.emplace(row.what, row.bits).second) << row.what << row.bits;
    EXPECT_FALSE(row.source.empty()) << row.what;
    EXPECT_FALSE(row.unit.empty()) << row.what;
    for (const Cost& cost : row.cost) EXPECT_GT(cost.milliseconds, 0) << row.what;
  }
  for (const ChannelRow& row : channels()) EXPECT_FALSE(row.source.empty()) << row.name;
}

// Longer keys cost no less, on any chip.
TEST(CostModel, LongerKeysCostMore) {
  const CostRow* before = nullptr;
  for (const CostRow& row : cost_rows()) {
    if (before != nullptr && before->what == row.what) {
      EXPECT_LT(before->bits, row.bits) << row.what;
      for (std::size_t i = 0; i < kChips; ++i) EXPECT_LT(before->cost[i].milliseconds, row.cost[i].milliseconds);
    }
    before = &row;
  }
}

// The cost model's own worked figures: 256 octets under T=1 and the asymmetric part of PACE.
TEST(CostModel, AgreesWithTheWorkedFigures) {
  const struct {
    const char* name;
    double milliseconds;
    double tolerance;
  } kRates[] = {{"t1-11", 270, 5}, {"t1-95", 23, 0.8}, {"t1-96", 9.3, 0.4}, {"t1-97", 4.6, 0.2}};
  for (const auto& row : kRates) {
    CostModel contact(chip("modern"), channel(row.name));
    const auto with = contact.command(254 + 2, 2, nullptr);
    const auto without = contact.command(0, 2, nullptr);
    ASSERT_TRUE(with && without);
    EXPECT_NEAR(with->channel - without->channel, row.milliseconds, row.milliseconds * 0.1 + row.tolerance) << row.name;
  }
  CostModel model(chip("modern"), channel("424"));
  CardCounts pace;
  pace.operations = {{"ec-generate", 256, 2}, {"ec-map", 256, 1}, {"ec-agree", 256, 1}};
  const auto time = model.command(5, 2, &pace);
  ASSERT_TRUE(time);
  EXPECT_NEAR(time->chip, 137 + 1, 0.5) << "two key pairs, three multiplications, and the dispatch";
}

TEST(CostModel, AddsUpByHand) {
  CostModel model(chip("modern"), channel("424"));
  CardCounts counts;
  counts.aes = 3;
  counts.aes_blocks = 7;
  counts.aes_keys = 2;
  counts.hash = 1;
  counts.hash_blocks = 2;
  counts.random = 1;
  counts.random_octets = 17;
  counts.nvm_writes = 1;
  counts.nvm_octets = 256;
  counts.nvm_erases = 1;
  counts.waited_ms = 100;
  counts.operations = {{"ec-sign", 256, 1}};
  const auto time = model.command(21, 52, &counts);
  ASSERT_TRUE(time);
  EXPECT_NEAR(time->chip, 1 + 3 * 1.53 + 7 * 0.023 + 2 * 6.1 + 0.73 + 2 * 1.43 + 2 * 0.9 + 30, 1e-9);
  EXPECT_NEAR(time->memory, 3.3, 1e-9) << "the erase is in the write";
  counts.nvm_erases = 3;
  const auto erasing = model.command(21, 52, &counts);
  ASSERT_TRUE(erasing);
  EXPECT_NEAR(erasing->memory, 3.3 + 2 * 3.3, 1e-9);
  EXPECT_NEAR(time->waiting, 100, 1e-9);
  EXPECT_NEAR(time->terminal, 1, 1e-9);
  EXPECT_NEAR(time->channel, ((21 + 52 + 6) * 21.2 + 2 * 91) / 1000, 1e-9);
  EXPECT_NEAR(time->total(), time->chip + time->memory + time->waiting + time->terminal + time->channel, 1e-9);
}

// 253 octets fill a block; one more makes a second, which the other side acknowledges the first for.
TEST(CostModel, LongMessagesGoInBlocks) {
  CostModel model(chip("modern"), channel("848"));
  const auto one = model.command(253, 2, nullptr);
  const auto two = model.command(254, 2, nullptr);
  ASSERT_TRUE(one && two);
  EXPECT_NEAR(two->channel - one->channel, (10.6 + 2 * (3 * 10.6 + 91)) / 1000, 1e-9);
}

TEST(CostModel, NothingIsGuessedWithoutCounts) {
  CostModel model(chip("old"), channel("106"));
  const auto time = model.command(21, 52, nullptr);
  ASSERT_TRUE(time);
  EXPECT_EQ(time->chip, 0);
  EXPECT_EQ(time->memory, 0);
  EXPECT_GT(time->channel, 0);
  EXPECT_EQ(model.assumptions().size(), 2u) << "the terminal's and the channel's";
}

TEST(CostModel, PrintsWhatItUsedWithMarkAndSource) {
  CostModel model(chip("mid"), channel("424"));
  CardCounts counts;
  counts.aes_keys = 1;
  ASSERT_TRUE(model.command(5, 2, &counts));
  const auto lines = model.assumptions();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "dispatch: 2 ms a command [assumed]: the operating system's own work");
  EXPECT_EQ(lines[1], "aes_keys: 9 ms a key [assumed]: JCAlgTest, AES setKey; the others assumed");
}

std::string number(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

// The document's tables are the program's.
TEST(CostModel, IsWhatTheDocumentSays) {
  std::string table;
  for (const CostRow& row : cost_rows()) {
    table += "| " + std::string(row.what) + (row.bits == 0 ? "" : " " + std::to_string(row.bits)) + " | " +
             std::string(row.unit) + " |";
    for (const Cost& cost : row.cost) {
      table += " " + number(cost.milliseconds) + " " + std::string(name_of(cost.mark)).substr(0, 1) + " |";
    }
    table += " " + std::string(row.source) + " |\n";
  }
  std::string rates;
  for (const ChannelRow& row : channels()) {
    rates += "| `" + std::string(row.name) + "` | " + std::string(row.words) + " | " + number(row.octet_us) + " | " +
             std::to_string(row.block_octets) + ", " + std::to_string(row.overhead_octets) + " | " +
             number(row.turn_us) + " | " + number(row.activation_ms) + " |\n";
  }
  const auto document = read_file(std::filesystem::path(KARTA_SOURCE_DIR) / "docs/cost-model.md", 1 << 20);
  ASSERT_TRUE(document);
  EXPECT_NE(as_text(*document).find(table), std::string_view::npos) << table;
  EXPECT_NE(as_text(*document).find(rates), std::string_view::npos) << rates;
}

TEST(CostModel, RefusesWhatItDoesNotKnow) {
  CostModel model(chip("mid"), channel("424"));
  CardCounts counts;
  counts.operations = {{"ec-dance", 256, 1}};
  EXPECT_FALSE(model.command(5, 2, &counts));
  counts.operations = {{"ec-sign", 1024, 1}};
  EXPECT_FALSE(model.command(5, 2, &counts));
  counts.operations = {{"aes", 0, 1}};
  EXPECT_FALSE(model.command(5, 2, &counts)) << "no operation";
  EXPECT_FALSE(chip_called("fastest"));
  EXPECT_FALSE(channel_called("425"));
}

}  // namespace
}  // namespace karta::card
