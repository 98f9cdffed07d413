// Bodies of calls: strict in form, and secrets no part of what a key is compared by.
#include "daemon/request_body.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace karta::daemon {
namespace {

Result<Json> parse(std::string_view text) { return parse_object(as_bytes(text)); }

TEST(RequestBody, TakesObjectsOnly) {
  EXPECT_TRUE(parse("{}"));
  for (const char* const text : {"", "[]", "1", "{", "{\"a\":1}x", "{\"a\":\"\xff\"}", "null"}) {
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::malformed);
  }
  std::string deep = "{\"a\":";
  for (int i = 0; i < 50'000; ++i) deep += "[";
  EXPECT_EQ(parse(deep).error().kind, ErrorKind::malformed);
}

TEST(RequestBody, MembersHaveTheirForms) {
  const Json object = Json::parse(R"({"t":"x","n":5,"big":18446744073709551615,"half":0.5,"b":true,"can":"314159",
                                      "bad":"a\u0007","long":")" +
                                  std::string(201, 'x') + R"("})");
  RequestBody body(object);
  EXPECT_EQ(*body.text("t"), "x");
  EXPECT_EQ(*body.text_or("missing", "other"), "other");
  EXPECT_EQ(*body.integer("n", 1, 5), 5);
  EXPECT_EQ(*body.integer_or("missing", 0, 1, 1), 1);
  EXPECT_TRUE(*body.boolean_or("b", false));
  EXPECT_EQ(body.digits("can", 6, 6)->expose_secret_text(), "314159");
  for (const Error& error :
       {body.text("missing").error(), body.text("n").error(), body.text("bad").error(), body.text("long").error(),
        body.integer("t", 0, 1).error(), body.integer("n", 6, 9).error(), body.integer("big", 0, 9).error(),
        body.integer("half", 0, 9).error(), body.boolean_or("t", true).error(), body.digits("t", 1, 6).error(),
        body.digits("n", 1, 6).error(), body.digits("can", 7, 8).error()}) {
    EXPECT_EQ(error.kind, ErrorKind::usage) << error.message;
    EXPECT_EQ(error.message.find("314159"), std::string::npos);
  }
  EXPECT_TRUE(body.finish());
  const Json more = Json::parse(R"({"t":"x","u":1})");
  RequestBody strict(more);
  ASSERT_TRUE(strict.text("t"));
  EXPECT_NE(strict.finish().error().message.find("\"u\""), std::string::npos);
}

TEST(RequestBody, EssenceLeavesSecretsAndPlacesOut) {
  const std::string one = essence_of(Json::parse(R"({"b":1,"can":"1","a":[2],"reader":"x","pin":"2","mail":"a@b"})"));
  const std::string two = essence_of(Json::parse(R"({"a":[2],"b":1})"));
  EXPECT_EQ(one, two);
  EXPECT_NE(two, essence_of(Json::parse(R"({"a":[3],"b":1})")));
}

}  // namespace
}  // namespace karta::daemon
