#include "service/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace karta::service {
namespace {

using testing::HasSubstr;

Result<Configuration> parse(const std::string& text) {
  return Configuration::parse("schema = \"s/1\"\n" + text, "folder/a.toml", "s/1");
}

TEST(Configuration, GivesWhatStandsThere) {
  auto configuration = parse(
      "name = \"x\"\nfile = \"y\"\nnumber = 7\nflag = true\nlist = [\"a\", \"b\"]\n[part]\none = \"1\"\n[[many]]\nk = "
      "1\n[[many]]\nk = 2\n");
  ASSERT_TRUE(configuration) << configuration.error().message;
  ConfigTable& root = configuration->root();
  EXPECT_EQ(root.text("name").value(), "x");
  EXPECT_EQ(root.path("file").value(), "folder/y");
  EXPECT_EQ(root.integer_or("number", 0, 10, 3).value(), 7);
  EXPECT_EQ(root.integer_or("absent", 0, 10, 3).value(), 3);
  EXPECT_TRUE(root.boolean_or("flag", false).value());
  EXPECT_EQ(root.texts("list").value(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(root.texts("name").value(), std::vector<std::string>{"x"});
  auto part = root.table("part").value();
  ASSERT_TRUE(part);
  auto many = root.tables("many").value();
  ASSERT_EQ(many.size(), 2u);
  EXPECT_EQ(many[1].integer_or("k", 0, 9, 0).value(), 2);
  // What was not asked for, inside as outside, is a fault.
  EXPECT_EQ(root.finish().error().message, "a.toml:8: unknown key \"part.one\"");
  EXPECT_EQ(part->text("one").value(), "1");
  EXPECT_EQ(root.finish().error().message, "a.toml:10: unknown key \"many.k\"");
  EXPECT_TRUE(many[0].integer_or("k", 0, 9, 0));
  EXPECT_TRUE(root.finish());
}

TEST(Configuration, NamesLineAndKey) {
  struct Case {
    const char* text;
    const char* message;
    std::function<Error(ConfigTable&)> ask;
  };
  const std::vector<Case> cases = {
      {"a = 1", "a.toml:2: \"a\" must be a text", [](ConfigTable& t) { return t.text("a").error(); }},
      {"a = \"\"", "a.toml:2: \"a\" must be a text, not empty", [](ConfigTable& t) { return t.text("a").error(); }},
      {"", "\"a\" is missing", [](ConfigTable& t) { return t.text("a").error(); }},
      {"\na = 11", "a.toml:3: \"a\" must be a number from 0 to 10",
       [](ConfigTable& t) { return t.integer_or("a", 0, 10, 0).error(); }},
      {"a = 1.5", "a.toml:2: \"a\" must be a number",
       [](ConfigTable& t) { return t.integer_or("a", 0, 10, 0).error(); }},
      {"a = \"yes\"", "must be true or false", [](ConfigTable& t) { return t.boolean_or("a", true).error(); }},
      {"a = [1]", "must be a list of texts", [](ConfigTable& t) { return t.texts("a").error(); }},
      {"a = 1", "must be a table", [](ConfigTable& t) { return t.table("a").error(); }},
      {"a = 1", "must be tables: [[a]]", [](ConfigTable& t) { return t.tables("a").error(); }},
      {"[p]\nb = 1", "a.toml:3: \"p.b\" must be a text",
       [](ConfigTable& t) { return t.table("p").value()->text("b").error(); }},
  };
  for (const Case& one : cases) {
    auto configuration = parse(one.text);
    ASSERT_TRUE(configuration) << one.text;
    EXPECT_THAT(one.ask(configuration->root()).message, HasSubstr(one.message)) << one.text;
  }
  auto configuration = parse("[p]\nb = 1");
  const auto inner = configuration->root().table("p").value()->text("b");
  EXPECT_EQ(inner.error().message, "a.toml:3: \"p.b\" must be a text, not empty");
  EXPECT_EQ(inner.error().kind, ErrorKind::configuration);
  EXPECT_THAT(parse("a = = 1").error().message, HasSubstr("a.toml:2: "));
  EXPECT_THAT(Configuration::parse("schema = \"t/1\"", "b.toml", "s/1").error().message,
              HasSubstr("b.toml:1: \"schema\""));
  EXPECT_EQ(Configuration::read("/nonexistent/a.toml", "s/1").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace karta::service
