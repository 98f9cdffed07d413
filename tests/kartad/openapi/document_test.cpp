// The judge is judged: what the reader of the OpenAPI document must find wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kartad/openapi/document.h"

namespace karta::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kDocument = R"(
openapi: 3.1.0
info: {title: Test, version: "1"}
paths:
  /things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
    get:
      operationId: thing
      summary: One thing.
      responses:
        "200":
          description: It.
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
        "204": {description: Nothing.}
        "404": {$ref: "#/components/responses/Missing"}
components:
  responses:
    Missing:
      description: None.
      content:
        application/problem+json: {schema: {type: object, additionalProperties: true}}
  schemas:
    Base:
      type: object
      required: [schema]
      properties:
        schema: {const: "thing/1"}
    Thing:
      allOf:
        - $ref: "#/components/schemas/Base"
        - type: object
          required: [size]
          properties:
            size: {type: integer, minimum: 1, maximum: 9}
            word: {type: [string, "null"], pattern: "^[a-z]+$", maxLength: 3}
            when: {type: string, format: date-time}
            parts: {type: array, items: {$ref: "#/components/schemas/Part"}}
    Part:
      oneOf:
        - {type: object, required: [left], properties: {left: {type: boolean}}}
        - {type: object, required: [right], properties: {right: {enum: [1, 2]}}}
)";

OpenApi load(const std::string& text) { return OpenApi(read_yaml(text)); }

TEST(OpenApi, AnswersAreHeldAgainstTheDocument) {
  OpenApi api = load(kDocument);
  EXPECT_THAT(api.faults(), IsEmpty());
  const auto* const thing = api.find("GET", "/things/7?x=y");
  ASSERT_NE(thing, nullptr);
  EXPECT_EQ(api.find("POST", "/things/7"), nullptr);
  EXPECT_EQ(api.find("GET", "/things/"), nullptr);
  EXPECT_EQ(api.find("GET", "/things/7/8"), nullptr);
  EXPECT_TRUE(api.knows_path("/things/7"));
  const auto check = [&](const char* body) { return api.check(*thing, 200, "application/json", body); };
  const auto good = {R"({"schema": "thing/1", "size": 1})", R"({"schema": "thing/1", "size": 9, "word": null})",
                     R"({"schema": "thing/1", "size": 2, "word": "abc", "when": "2026-11-22T06:00:00Z"})",
                     R"({"schema": "thing/1", "size": 2, "parts": [{"left": true}, {"right": 2}]})"};
  for (const char* const one : good) EXPECT_THAT(check(one), IsEmpty()) << one;
  const auto bad = {R"({"size": 1})",
                    R"({"schema": "thing/2", "size": 1})",
                    R"({"schema": "thing/1"})",
                    R"({"schema": "thing/1", "size": 0})",
                    R"({"schema": "thing/1", "size": 10})",
                    R"({"schema": "thing/1", "size": 1.5})",
                    R"({"schema": "thing/1", "size": "1"})",
                    R"({"schema": "thing/1", "size": 1, "more": 1})",
                    R"({"schema": "thing/1", "size": 1, "word": 7})",
                    R"({"schema": "thing/1", "size": 1, "word": "A"})",
                    R"({"schema": "thing/1", "size": 1, "word": "abcd"})",
                    R"({"schema": "thing/1", "size": 1, "when": "yesterday"})",
                    R"({"schema": "thing/1", "size": 1, "parts": {}})",
                    R"({"schema": "thing/1", "size": 1, "parts": [{}]})",
                    R"({"schema": "thing/1", "size": 1, "parts": [{"left": true, "right": 1}]})",
                    R"({"schema": "thing/1", "size": 1, "parts": [{"right": 3}]})",
                    R"([])",
                    R"({"schema": )"};
  for (const char* const one : bad) EXPECT_FALSE(check(one).empty()) << one;
  EXPECT_FALSE(api.check(*thing, 201, "application/json", "{}").empty());
  EXPECT_FALSE(api.check(*thing, 200, "text/plain", "{}").empty());
  EXPECT_FALSE(api.check(*thing, 204, "", "x").empty());
}

TEST(OpenApi, WhatWasPromisedAndNotShownIsTold) {
  OpenApi api = load(kDocument);
  const auto* const thing = api.find("GET", "/things/7");
  ASSERT_NE(thing, nullptr);
  EXPECT_THAT(
      api.check(*thing, 200, "application/json", R"({"schema": "thing/1", "size": 1, "parts": [{"left": true}]})"),
      IsEmpty());
  EXPECT_THAT(api.check(*thing, 204, "", ""), IsEmpty());
  EXPECT_THAT(api.unseen(),
              testing::UnorderedElementsAre("GET /things/{id} 404", "/components/schemas/Part/oneOf/1/properties/right",
                                            "/components/schemas/Thing/allOf/1/properties/when",
                                            "/components/schemas/Thing/allOf/1/properties/word"));
}

TEST(OpenApi, ADocumentThatPromisesWhatNobodyChecksIsFaulty) {
  const auto faults_with = [&](const std::string& from, const std::string& to) {
    std::string text = kDocument;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return load(text).faults();
  };
  EXPECT_THAT(faults_with("maximum: 9", "multipleOf: 2"), ElementsAre(HasSubstr("multipleOf")));
  EXPECT_THAT(faults_with("format: date-time", "format: sundial"), ElementsAre(HasSubstr("sundial")));
  EXPECT_THAT(faults_with("required: [size]", "required: [size, weight]"), ElementsAre(HasSubstr("weight")));
  EXPECT_THAT(faults_with("schemas/Part\"", "schemas/Whole\""), ElementsAre(HasSubstr("Whole")));
  EXPECT_THAT(faults_with("\"404\":", "default:"), ElementsAre(HasSubstr("default")));
  EXPECT_THAT(faults_with("operationId: thing", "description: x"), ElementsAre(HasSubstr("operationId")));
  EXPECT_THAT(faults_with("name: id", "name: it"), Contains(HasSubstr("{id}")));
  EXPECT_THAT(faults_with("3.1.0", "3.0.3"), ElementsAre(HasSubstr("3.1")));
}

TEST(OpenApi, YamlIsReadByItsCoreSchema) {
  EXPECT_EQ(read_yaml("a: 1\nb: '1'\nc: true\nd: null\ne: 1.5\nf: no\ng: [x, \"y\"]\nh: |\n  two\n  lines\n"),
            nlohmann::json::parse(R"({"a": 1, "b": "1", "c": true, "d": null, "e": 1.5, "f": "no", "g": ["x", "y"],
                                      "h": "two\nlines\n"})"));
  EXPECT_ANY_THROW(read_yaml("a: 1\na: 2\n"));
}

}  // namespace
}  // namespace karta::test
