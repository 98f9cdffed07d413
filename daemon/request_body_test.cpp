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

TEST(RequestBody, AMemberStandsOnce) {
  for (const char* const text :
       {R"({"packages":200,"packages":1})", R"({"a":{"b":1,"b":1}})", R"({"a":[{"b":1},{"c":1,"c":2}]})"}) {
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::malformed);
  }
  EXPECT_TRUE(parse(R"({"a":{"b":1},"b":[{"b":1},{"b":2}]})"));
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

TEST(RequestBody, LengthsAreOfCharactersInEveryLanguage) {
  std::string words;
  for (int i = 0; i < 79; ++i) words += "ж";
  const Json object{{"most", words + "\U0001F600"}, {"over", words + "жж"}, {"latin", std::string(81, 'x')}};
  RequestBody body(object);
  EXPECT_EQ(*body.text("most", 80), words + "\U0001F600");
  for (const char* const name : {"over", "latin"}) {
    const auto refused = body.text(name, 80);
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().message.find("1 to 80 characters"), std::string::npos) << refused.error().message;
  }
}

TEST(RequestBody, EssenceLeavesSecretsAndPlacesOut) {
  const SecretBytes key(Bytes(32, 1));
  const auto essence = [&](std::string_view text) { return essence_of(Json::parse(text), key, "deed"); };
  EXPECT_EQ(essence(R"({"b":1,"can":"1","a":[2],"reader":"x","pin":"2"})"), R"({"a":[2],"b":1})");
  EXPECT_EQ(essence(R"({"a":[2],"b":1,"puk":"1","new_pin":"2"})"), R"({"a":[2],"b":1})");
  EXPECT_NE(essence(R"({"a":[3],"b":1})"), essence(R"({"a":[2],"b":1})"));
}

// Another address is another request; which one it is cannot be seen, nor whether two deeds have the same.
TEST(RequestBody, EssenceTellsAddressesApartWithoutSayingThem) {
  const SecretBytes key(Bytes(32, 1)), other_key(Bytes(32, 2));
  const Json order = Json::parse(R"({"way":"mail","mail":"a@b.example"})");
  const std::string essence = essence_of(order, key, "deed");
  EXPECT_EQ(essence, essence_of(Json::parse(R"({"mail":"a@b.example","way":"mail"})"), key, "deed"));
  EXPECT_EQ(essence.find("b.example"), std::string::npos) << essence;
  for (const std::string_view text : {R"({"way":"mail","mail":"c@b.example"})", R"({"way":"mail"})",
                                      R"({"way":"mail","mail":null})", R"({"way":"mail","mail":["a@b.example"]})"}) {
    EXPECT_NE(essence, essence_of(Json::parse(text), key, "deed")) << text;
  }
  EXPECT_NE(essence, essence_of(order, other_key, "deed"));
  EXPECT_NE(essence, essence_of(order, key, "another deed"));
}

}  // namespace
}  // namespace karta::daemon
