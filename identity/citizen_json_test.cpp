#include "identity/citizen_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::identity {
namespace {

using testing::HasSubstr;

std::string text_of(const CitizenJson& read, CitizenField field) {
  for (const CitizenJson::Value& value : read.values) {
    if (value.field == field) return value.text;
  }
  return "(none)";
}

TEST(CitizenJson, ReadsTexts) {
  const auto read = read_citizen_json(
      R"({"snils": "112-233-445 95", "family": "\u041e\u0431\u0440\u0430\u0437\u0446\u043e\u0432", "inn": null, )"
      R"("concessions": "student", "x_note": {"a": [1, {"b": null}]}, "x_more": [[], 1.5, true]})",
      false);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(text_of(*read, CitizenField::snils), "112-233-445 95");
  EXPECT_EQ(text_of(*read, CitizenField::family), "Образцов");
  EXPECT_EQ(text_of(*read, CitizenField::inn), "(none)");
  EXPECT_EQ(text_of(*read, CitizenField::concessions), "student");
}

TEST(CitizenJson, ReadsConcessionsAsAList) {
  const auto read = read_citizen_json(
      R"({"concessions": ["student", {"kind": "pensioner", "from": "2026-01-01", "until": "2026-12-31"},)"
      R"( {"kind": "donor", "from": "2026-01-01", "until": null}]})",
      false);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(text_of(*read, CitizenField::concessions), "student|pensioner:2026-01-01..2026-12-31|donor:2026-01-01");
  EXPECT_EQ(text_of(*read_citizen_json(R"({"concessions": []})", false), CitizenField::concessions), "");
}

TEST(CitizenJson, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is not JSON"},
      {"null", "one object"},
      {"\"text\"", "one object"},
      {"[]", "one object"},
      {"7", "one object"},
      {"{", "is not JSON"},
      {"{} {}", "is not JSON"},
      {R"({"snils": 11223344595})", "\"snils\" must be text in quotes"},
      {R"({"family": ["x"]})", "\"family\" must be text"},
      {R"({"family": {"x": "y"}})", "\"family\" must be text"},
      {R"({"family": true})", "\"family\" must be text"},
      {R"({"familie": "x"})", "key 1 is not known"},
      {R"({"family": "x", "family": "y"})", "\"family\" stands there twice"},
      {R"({"concessions": [1]})", "a concession must be text"},
      {R"({"concessions": [null]})", "a concession must be text"},
      {R"({"concessions": [["x"]]})", "must be text"},
      {R"({"concessions": [{"from": "2026-01-01"}]})", "no \"kind\""},
      {R"({"concessions": [{"kind": "x", "until": "2026-01-01"}]})", "no \"from\""},
      {R"({"concessions": [{"kind": "x|y"}]})", "holds : or |"},
      {R"({"concessions": [{"what": "x"}]})", "other than"},
      {"{\"family\": \"\xD0\"}", "is not JSON"},
      {R"({"family": "\ud800"})", "is not JSON"},
  };
  for (const auto& [line, fault] : cases) {
    const auto read = read_citizen_json(line, false);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().kind, ErrorKind::malformed);
    EXPECT_THAT(read.error().message, HasSubstr(fault)) << line;
  }
  EXPECT_TRUE(read_citizen_json(R"({"familie": "x", "deep": [[[[{"a": [1]}]]]]})", true));
}

TEST(CitizenJson, DeepNestingIsHarmless) {
  const std::string deep = R"({"x_a": )" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  EXPECT_TRUE(read_citizen_json(deep, false));
  EXPECT_FALSE(read_citizen_json(R"({"x_a": )" + std::string(60'000, '['), false));
}

}  // namespace
}  // namespace karta::identity
