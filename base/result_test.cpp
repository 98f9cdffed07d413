#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace karta {
namespace {

Result<std::unique_ptr<int>> make(bool good) {
  if (!good) return fail(ErrorKind::not_found, "nothing there", "look elsewhere");
  return std::make_unique<int>(4);
}
Status check(bool good) {
  if (!good) return fail(ErrorKind::busy, "locked");
  return {};
}
Result<int> both(bool first, bool second) {
  auto value = TRY(make(first));  // a move-only value passes through
  TRY(check(second));
  return *value + 1;
}

TEST(Result, TryTakesTheValueOrPassesTheErrorUp) {
  EXPECT_EQ(*both(true, true), 5);
  EXPECT_EQ(both(false, true).error().message, "nothing there");
  EXPECT_EQ(both(true, false).error().kind, ErrorKind::busy);
}

TEST(Error, OwnHintWinsOverTheKindsDefault) {
  EXPECT_EQ(make(false).error().next_step(), "look elsewhere");
  EXPECT_EQ(check(false).error().next_step(), "try again in a moment");
}

TEST(Error, EveryKindHasAStableNameAndASysexit) {
  std::set<std::string> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    const ErrorKindRow& row = row_of(static_cast<ErrorKind>(kind));
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
    EXPECT_GE(row.exit_code, 64) << row.name;
    EXPECT_LE(row.exit_code, 78) << row.name;
  }
}

}  // namespace
}  // namespace karta
