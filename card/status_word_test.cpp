#include "card/status_word.h"

#include <gtest/gtest.h>

namespace karta::card {
namespace {

TEST(StatusWords, EveryRowIsReachableAndHasWords) {
  for (const StatusWordRow& row : status_words()) {
    EXPECT_EQ(row.value & row.mask, row.value) << row.meaning;
    EXPECT_FALSE(row.meaning.empty());
    // Some value finds this very row: no earlier one hides it.
    bool reached = false;
    for (unsigned value = 0; value <= 0xFFFF && !reached; ++value) {
      reached = &row_of(StatusWord{static_cast<std::uint16_t>(value)}) == &row;
    }
    EXPECT_TRUE(reached) << row.meaning;
    if (row.value != 0x9000) {
      const Error error = error_of(StatusWord{row.value}, "do it");
      EXPECT_EQ(error.kind, row_of(StatusWord{row.value}).kind);
      EXPECT_TRUE(error.message.starts_with("could not do it: ")) << error.message;
      EXPECT_TRUE(error.message.ends_with("(" + to_string(StatusWord{row.value}) + ")")) << error.message;
    }
  }
}

TEST(StatusWords, EveryValueHasARow) {
  for (unsigned value = 0; value <= 0xFFFF; ++value) {
    EXPECT_FALSE(row_of(StatusWord{static_cast<std::uint16_t>(value)}).meaning.empty());
  }
}

TEST(StatusWords, RemainingTriesAreTheMeaningNotTheMask) {
  EXPECT_EQ(StatusWord{0x63C2}.remaining_tries(), 2u);
  EXPECT_EQ(StatusWord{0x63C0}.remaining_tries(), 0u);
  EXPECT_EQ(StatusWord{0x6300}.remaining_tries(), std::nullopt);
  EXPECT_EQ(error_of(StatusWord{0x63C1}, "verify").message, "could not verify: wrong, 1 try is left (63C1)");
  EXPECT_EQ(row_of(StatusWord{0x63C0}).kind, ErrorKind::pin_blocked);
  EXPECT_EQ(row_of(StatusWord{0x63C3}).kind, ErrorKind::wrong_pin);
}

}  // namespace
}  // namespace karta::card
