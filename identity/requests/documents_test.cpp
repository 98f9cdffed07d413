#include "identity/requests/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

DepartmentRequest sample_request() {
  DepartmentRequest out;
  out.id = std::string(32, 'a');
  out.from = "pension-fund";
  out.to = "tax-service";
  out.made = must(parse_time("2026-06-01T10:00:00Z"));
  out.legal_basis = "Sample Act 1, article 2";
  out.purpose = "reckon a pension";
  out.case_id = "case 12";
  out.snils = Snils::from_number(1'001'999);
  out.subjects = {"income", "insurance"};
  out.question = "for the years 2024 and 2025";
  out.deadline = must(parse_time("2026-06-05T10:00:00Z"));
  out.delay = DelayedDisclosure{"Sample Act 3", must(parse_time("2026-09-01"))};
  return out;
}
DepartmentAnswer sample_answer() {
  DepartmentAnswer out;
  out.request = std::string(32, 'a');
  out.request_hash = Bytes(32, 7);
  out.from = "tax-service";
  out.to = "pension-fund";
  out.made = must(parse_time("2026-06-02T10:00:00Z"));
  out.data = R"({"income":[{"year":2025,"roubles":1}]})";
  return out;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) std::abort();
  return text.replace(at, what.size(), with);
}

TEST(DepartmentDocuments, WhatIsWrittenIsRead) {
  const std::string text = write_document(sample_request());
  const auto request = parse_department_request(text);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(write_document(*request), text);
  EXPECT_EQ(request->subjects, sample_request().subjects);
  EXPECT_EQ(request->delay->legal_basis, "Sample Act 3");
  DepartmentRequest by_id = sample_request();
  by_id.snils.reset();
  by_id.citizen = CitizenId{0x1234};
  by_id.delay.reset();
  by_id.deadline.reset();
  by_id.question.clear();
  const auto second = parse_department_request(write_document(by_id));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->citizen, CitizenId{0x1234});
  EXPECT_FALSE(second->delay || second->deadline || second->snils);

  const auto answer = parse_department_answer(write_document(sample_answer()));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->data, sample_answer().data);
  EXPECT_EQ(subjects_of(*answer), std::vector<std::string>{"income"});
  DepartmentAnswer no = sample_answer();
  no.outcome = AnswerOutcome::refused;
  no.data.clear();
  no.reason = "not ours to tell";
  const auto refused = parse_department_answer(write_document(no));
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->outcome, AnswerOutcome::refused);

  DepartmentReceipt receipt;
  receipt.request = std::string(32, 'a');
  receipt.request_hash = Bytes(32, 7);
  receipt.answer_hash = Bytes(32, 8);
  receipt.from = "a";
  receipt.to = "b";
  receipt.received = receipt.deadline = sample_answer().made;
  const auto read = parse_department_receipt(write_document(receipt));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->for_answer());
}

TEST(DepartmentDocuments, WhatIsNotQuiteADocumentIsRefused) {
  const std::string text = write_document(sample_request());
  struct Row {
    std::string what, with, says;
  };
  const Row rows[] = {
      {"karta.request/1", "karta.request/2", "schema"},
      {"\"id\": \"aaaa", "\"id\": \"AAAA", "\"id\""},
      {"\"pension-fund\"", "\"Pension Fund\"", "\"from\""},
      {"\"from\"", "\"form\"", "\"from\""},
      {"\"to\": \"tax-service\"", "\"to\": \"tax-service\", \"to\": \"registry\"", "twice"},
      {"\"to\": \"tax-service\"", "\"to\": \"tax-service\", \"cc\": \"registry\"", "does not belong"},
      {"2026-06-01T10:00:00Z", "yesterday", "\"made\""},
      {"Sample Act 1, article 2", "   ", "\"legal_basis\""},
      {"Sample Act 1, article 2", std::string(201, 'x'), "longer"},
      {"reckon a pension", "reckon\\u0000", "\"purpose\""},
      {"\"case 12\"", "12", "\"case\""},
      {"\"income\",", "\"insurance\",", "\"ask\""},
      {"\"income\",", "\"In come\",", "\"ask\""},
      {"\"snils\"", "\"inn\"", "\"id\""},
      {"\"legal_basis\": \"Sample Act 3\",", "", "\"legal_basis\""},
      {"\"legal_basis\": \"Sample Act 3\",", "\"why\": 1, \"legal_basis\": \"Sample Act 3\",", "does not belong"},
  };
  for (const Row& row : rows) {
    const auto read = parse_department_request(replaced(text, row.what, row.with));
    ASSERT_FALSE(read) << row.with;
    EXPECT_THAT(read.error().message, HasSubstr(row.says)) << row.with;
  }
  // A check digit that does not agree, never repeated in the message.
  const std::string wrong = replaced(text, sample_request().snils->text(), "001-001-999 64");
  const auto read = parse_department_request(wrong);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, testing::Not(HasSubstr("001-001")));
  EXPECT_FALSE(parse_department_request(text + "x"));
  EXPECT_FALSE(parse_department_request("[]"));
  EXPECT_FALSE(parse_department_request(""));
  EXPECT_EQ(parse_department_request(std::string(kMostRequestOctets + 1, ' ')).error().kind, ErrorKind::limit);
  std::string deep;
  for (int i = 0; i < 50'000 / 4; ++i) deep += "{\"a\":";
  EXPECT_FALSE(parse_department_request(deep));
}

TEST(DepartmentDocuments, AnswersAndReceiptsAreHeldToTheirForm) {
  const std::string answer = write_document(sample_answer());
  EXPECT_FALSE(parse_department_answer(replaced(answer, "\"given\"", "\"perhaps\"")));
  EXPECT_FALSE(parse_department_answer(replaced(answer, "\"given\"", "\"refused\"")));  // data, and no reason
  EXPECT_FALSE(parse_department_answer(replaced(answer, "\"income\"", "\"In come\"")));
  EXPECT_FALSE(parse_department_answer(replaced(answer, "0707", "070")));
  EXPECT_FALSE(parse_department_answer(replaced(answer, "\"roubles\": 1", "\"roubles\": 1, \"roubles\": 2")));
  EXPECT_FALSE(parse_department_receipt(answer));
}

TEST(DepartmentDocuments, WordsAndIds) {
  EXPECT_TRUE(is_department_word("tax-service-7"));
  for (const std::string bad : {"", "-a", "Tax", "a b", "a_b", "налоги"}) EXPECT_FALSE(is_department_word(bad)) << bad;
  EXPECT_FALSE(is_department_word(std::string(41, 'a')));
  SeededRandom random(1);
  const std::string one = new_request_id(random), other = new_request_id(random);
  EXPECT_TRUE(is_request_id(one) && is_request_id(other));
  EXPECT_NE(one, other);
  for (const RegistrySubject& row : registry_subjects()) EXPECT_EQ(find_registry_subject(row.name), &row);
  EXPECT_EQ(find_registry_subject("income"), nullptr);
  for (const AnswerOutcome outcome : {AnswerOutcome::given, AnswerOutcome::refused, AnswerOutcome::not_known}) {
    EXPECT_EQ(find_answer_outcome(name_of(outcome)), outcome);
  }
}

}  // namespace
}  // namespace karta::identity
