#include "service/json_problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace karta::service {
namespace {

TEST(JsonProblem, EveryKindOfErrorHasItsStatusAndName) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(ErrorKind::internal); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    const JsonProblem problem = JsonProblem::of({kind, "what", "next"});
    const auto json = nlohmann::json::parse(problem.to_json());
    EXPECT_EQ(json.at("type"), "urn:karta:error:" + std::string(row_of(kind).name));
    EXPECT_EQ(json.at("detail"), "what");
    EXPECT_EQ(json.at("hint"), "next");
    const int status = json.at("status").get<int>();
    EXPECT_EQ(status, http_status_of(kind));
    EXPECT_GE(status, 400);
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
    EXPECT_EQ(status == 500, kind == ErrorKind::internal);
  }
}

TEST(JsonProblem, IsAResponseThatNobodyStores) {
  JsonProblem problem{.status = 403, .name = "wrong-pin", .detail = "tries: \"2\"\n", .members = {{"tries_left", "2"}}};
  const HttpResponse response = problem.to_response();
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.media_type, "application/problem+json");
  EXPECT_THAT(response.fields, testing::HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(response.fields, testing::Not(testing::HasSubstr("Retry-After")));
  const auto json = nlohmann::json::parse(as_text(response.content()));
  EXPECT_EQ(json.at("title"), "wrong pin");
  EXPECT_EQ(json.at("tries_left"), 2);
  EXPECT_EQ(json.at("detail"), "tries: \"2\"\n");
  EXPECT_FALSE(json.contains("hint"));
  EXPECT_THAT(JsonProblem::of({ErrorKind::busy, "x", {}}).to_response().fields, testing::HasSubstr("Retry-After: "));
}

TEST(JsonProblem, HowACommandLineIsCalledIsNoHint) {
  EXPECT_TRUE(JsonProblem::of({ErrorKind::usage, "\"limit\" must be a whole number", {}}).hint.empty());
  EXPECT_EQ(JsonProblem::of({ErrorKind::usage, "x", "say y"}).hint, "say y");
  EXPECT_FALSE(JsonProblem::of({ErrorKind::no_card, "x", {}}).hint.empty());
}

TEST(JsonProblem, ForeignOctetsDoNotBreakIt) {
  const JsonProblem problem{.status = 400, .name = "malformed", .detail = "\xff\xfe bad \x01"};
  EXPECT_TRUE(nlohmann::json::accept(problem.to_json()));
}

}  // namespace
}  // namespace karta::service
