#include "base/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace karta {
namespace {

TEST(JsonDepth, CountsObjectsAndArraysAndNotWhatTextsHold) {
  struct Row {
    const char* json;
    std::size_t depth;
  };
  const Row rows[] = {
      {"", 0},
      {"1", 0},
      {"{}", 1},
      {R"([{"a": [1, 2]}, []])", 3},
      {R"({"a": "[[[[{{{{"})", 1},
      {R"({"a": "\"[[[["})", 1},         // the quotation mark does not end the text
      {R"({"a": "\\", "b": [[]]})", 3},  // this one does
      {"]]]][[", 2},                     // closing what was not opened gives no room
      {"\"[[[[", 0},
  };
  for (const Row& row : rows) {
    EXPECT_FALSE(nested_deeper_than(row.json, row.depth)) << row.json;
    if (row.depth > 0) {
      EXPECT_TRUE(nested_deeper_than(row.json, row.depth - 1)) << row.json;
    }
  }
  EXPECT_TRUE(nested_deeper_than(std::string(1'000'000, '['), 16));
}

}  // namespace
}  // namespace karta
