#include "identity/journal/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::identity {
namespace {

JournalRecord chained(const JournalPosition& end, std::string kind, std::string body) {
  JournalRecord record{
      end.number + 1, Time(std::chrono::seconds(1'790'000'000)), std::move(kind), std::move(body), end.hash, {}};
  record.hash = hash_of(record);
  return record;
}

TEST(JournalRecord, HashIsSha256OverPreviousNumberTimeKindAndBody) {
  // By another implementation: python3 hashlib over bytes(32) + pack(">QQ", 1, 1790000000) + b'start{}'.
  const JournalRecord record = chained({}, "start", "{}");
  EXPECT_EQ(to_hex(record.hash), "92d29136835ab3ea3f99836939ee9659856d802c8d4d71455a53e1383211df2e");
}

TEST(JournalRecord, ALineReadsBackAsItWasWritten) {
  const JournalRecord record = chained({}, "tap", R"({"gate":7,"ledger":"00ff","words":"л \"x\""})");
  const std::string line = to_json_line(record);
  const auto read = record_from_json_line(line);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, record);
}

TEST(JournalRecord, AnyChangedOctetOfALineIsRefused) {
  const std::string line = to_json_line(chained({}, "tap", R"({"gate":7,"ledger":"00ff"})"));
  for (std::size_t i = 0; i < line.size(); ++i) {
    for (const char change : {1, 2, 16}) {
      std::string changed = line;
      changed[i] = static_cast<char>(changed[i] ^ change);
      EXPECT_FALSE(record_from_json_line(changed)) << changed;
    }
  }
  EXPECT_FALSE(record_from_json_line(line + " "));
  EXPECT_FALSE(record_from_json_line(line.substr(0, line.size() - 1)));
}

TEST(JournalRecord, BodiesAreBroughtIntoOneForm) {
  EXPECT_EQ(canonical_journal_body(" { \"b\" : [1, 2] , \"a\":null } ").value(), R"({"a":null,"b":[1,2]})");
  EXPECT_EQ(canonical_journal_body("[]").error().kind, ErrorKind::malformed);
  EXPECT_EQ(canonical_journal_body("{\"a\":1.5}").error().kind, ErrorKind::malformed);
  EXPECT_EQ(canonical_journal_body("{\"a\":\"\xff\"}").error().kind, ErrorKind::malformed);
  EXPECT_EQ(canonical_journal_body("{\"a\":" + std::string(100, '[')).error().kind, ErrorKind::limit);
  EXPECT_EQ(canonical_journal_body("{\"a\":\"" + std::string(kMostJournalBody, 'x') + "\"}").error().kind,
            ErrorKind::limit);
}

TEST(JournalRecord, KindsAreShortWords) {
  EXPECT_TRUE(is_journal_kind("tap-intent"));
  for (const std::string_view kind : {"", "Tap", "-tap", "tap{", "a b", "123456789012345678901234567890123"})
    EXPECT_FALSE(is_journal_kind(kind)) << kind;
}

TEST(JournalRecord, FitTellsWhatFollowsFromWhatDoesNot) {
  const JournalRecord first = chained({}, "start", "{}");
  const JournalRecord second = chained(first.position(), "tap", "{}");
  EXPECT_EQ(fit_of(first.position(), second), JournalFit::next);
  EXPECT_EQ(fit_of(second.position(), second), JournalFit::repeated);
  EXPECT_EQ(fit_of({}, second), JournalFit::gap);
  EXPECT_EQ(fit_of(first.position(), chained({1, JournalHash{1}}, "tap", "{}")), JournalFit::fork);
  JournalRecord changed = second;
  changed.time += std::chrono::seconds(1);
  EXPECT_EQ(fit_of(first.position(), changed), JournalFit::broken);

  // 3 to 9 are gone, and record 10 says so.
  const JournalRecord mended =
      chained({9, JournalHash{5}}, std::string(kDamageKind), damage_body({3, 9, "journal.damaged-1"}));
  EXPECT_EQ(fit_of(second.position(), mended), JournalFit::mended);
  EXPECT_EQ(fit_of(first.position(), mended), JournalFit::gap) << "2 is missing, and nothing says so";
  ASSERT_TRUE(damage_of(mended));
  EXPECT_EQ(damage_of(mended)->file, "journal.damaged-1");
  // An authority that has records of the part which is gone goes on from there.
  EXPECT_EQ(fit_of({7, JournalHash{9}}, mended), JournalFit::mended);
  EXPECT_EQ(fit_of({9, JournalHash{9}}, mended), JournalFit::fork);
}

TEST(JournalRecord, AnUploadIsAHeadAndRecordsThatFollowEachOther) {
  const JournalRecord first = chained({}, "start", "{}");
  const JournalRecord second = chained(first.position(), "tap", "{}");
  const JournalRecord third = chained(second.position(), "tap", "{}");
  const auto upload = parse_upload(format_upload("0123456789abcdef", std::vector{first, second, third}));
  ASSERT_TRUE(upload) << upload.error().message;
  EXPECT_EQ(upload->terminal, "0123456789abcdef");
  EXPECT_EQ(upload->records, (std::vector{first, second, third}));

  const auto gap = parse_upload(format_upload("t", std::vector{first, third}));
  ASSERT_FALSE(gap);
  EXPECT_THAT(gap.error().message, testing::HasSubstr("line 3"));
  EXPECT_FALSE(parse_upload(""));
  EXPECT_FALSE(parse_upload("{}\n"));
  EXPECT_FALSE(parse_upload(to_json_line(first) + "\n"));
}

}  // namespace
}  // namespace karta::identity
