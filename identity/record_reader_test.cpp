#include "identity/record_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace karta::identity {
namespace {

using testing::ElementsAre;
using Fault = Record::Fault;

struct Read {
  std::string content;
  std::uint64_t line;
  Fault fault;
  friend bool operator==(const Read&, const Read&) = default;
};
void PrintTo(const Read& read, std::ostream* out) {
  *out << read.line << ":" << testing::PrintToString(read.content) << " fault " << static_cast<int>(read.fault);
}

/// Reads all of `text`, checks that nothing was lost, and returns the records.
std::vector<Read> read_all(const std::string& text, std::optional<char> delimiter = ';') {
  std::istringstream in(text);
  RecordReader reader(in);
  reader.set_delimiter(delimiter);
  std::vector<Read> records;
  std::string raw;
  for (;;) {
    auto record = reader.next();
    EXPECT_TRUE(record);
    if (!*record) break;
    records.push_back({std::string((*record)->content), (*record)->line, (*record)->fault});
    raw += (*record)->raw;
    if ((*record)->fault == Fault::too_long) {
      for (;;) {
        auto piece = reader.rest_of_record();
        EXPECT_TRUE(piece);
        if (!*piece) break;
        raw += **piece;
      }
    }
  }
  EXPECT_EQ(raw, text);
  EXPECT_EQ(reader.octets(), text.size());
  return records;
}

TEST(RecordReader, KnowsEveryLineEnd) {
  EXPECT_THAT(read_all("a\nb\r\nc\rd"), ElementsAre(Read{"a", 1, Fault::none}, Read{"b", 2, Fault::none},
                                                    Read{"c", 3, Fault::none}, Read{"d", 4, Fault::none}));
  EXPECT_THAT(read_all("a\n\n\r\n\nb\n"),
              ElementsAre(Read{"a", 1, Fault::none}, Read{"", 2, Fault::none}, Read{"", 3, Fault::none},
                          Read{"", 4, Fault::none}, Read{"b", 5, Fault::none}));
  EXPECT_TRUE(read_all("").empty());
}

TEST(RecordReader, QuotedFieldsHoldLineBreaksAndDelimiters) {
  EXPECT_THAT(read_all("a;\"b\nc;\"\"d\"\"\";e\nf"),
              ElementsAre(Read{"a;\"b\nc;\"\"d\"\"\";e", 1, Fault::none}, Read{"f", 3, Fault::none}));
  // A quote inside an unquoted field opens nothing, and lines of JSON know no quoting across lines at all.
  EXPECT_THAT(read_all("a\"b\nc"), ElementsAre(Read{"a\"b", 1, Fault::none}, Read{"c", 2, Fault::none}));
  EXPECT_THAT(read_all("\"a\nb\"", std::nullopt),
              ElementsAre(Read{"\"a", 1, Fault::none}, Read{"b\"", 2, Fault::none}));
}

TEST(RecordReader, AnOpenQuoteCostsOneLine) {
  EXPECT_THAT(read_all("a;\"b\nc\nd"),
              ElementsAre(Read{"a;\"b", 1, Fault::open_quote}, Read{"c", 2, Fault::none}, Read{"d", 3, Fault::none}));
  const std::string many = "x;\"y\n" + std::string(kRecordMaxOctets / 2, 'z') + "\n" +
                           std::string(kRecordMaxOctets / 2 + 100, 'z') + "\nend";
  const auto records = read_all(many);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].fault, Fault::open_quote);
  EXPECT_EQ(records[1].fault, Fault::none);
  EXPECT_EQ(records[3], (Read{"end", 4, Fault::none}));
}

TEST(RecordReader, ManyOpenQuotesStayLinear) {
  // Each line leaves a quote open whatever came before it. Searching on for each of them anew would be quadratic; the
  // test's timeout is the judge.
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "\"a\",\"\n";
  EXPECT_EQ(read_all(text, ',').size(), 300'000u);
}

TEST(RecordReader, ALongLineComesInPiecesAndTheNextIsWhole) {
  for (const char* line_end : {"\n", "\r\n", "\r"}) {
    for (const std::size_t size : {kRecordMaxOctets, kRecordMaxOctets + 1, kRecordMaxOctets + kReadChunkOctets - 1,
                                   kRecordMaxOctets + kReadChunkOctets, 10 * kReadChunkOctets}) {
      const auto records = read_all("a\n" + std::string(size, 'x') + line_end + "b\n");
      ASSERT_EQ(records.size(), 3u) << size;
      EXPECT_EQ(records[1].fault, size > kRecordMaxOctets ? Fault::too_long : Fault::none) << size;
      EXPECT_EQ(records[2], (Read{"b", 3, Fault::none})) << size;
    }
  }
}

TEST(RecordReader, LinesAcrossChunksAreWhole) {
  for (std::size_t before = kReadChunkOctets - 3; before < kReadChunkOctets + 3; ++before) {
    std::string text(before, 'x');
    text[99] = '\n';
    text += "\r\nnext;\"q\r\nr\"\r\n";
    const auto records = read_all(text);
    ASSERT_EQ(records.size(), 3u) << before;
    EXPECT_EQ(records[1].content.size(), before - 100);
    EXPECT_EQ(records[2], (Read{"next;\"q\r\nr\"", 3, Fault::none}));
  }
}

/// A stream that never ends and never repeats itself soon: lines of up to a few hundred octets.
class EndlessLines final : public std::streambuf {
 public:
  explicit EndlessLines(std::uint64_t octets) : left_(octets) {}

 protected:
  int_type underflow() override {
    if (left_ == 0) return traits_type::eof();
    for (char& c : piece_) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      const auto dice = static_cast<unsigned>(state_ >> 56);
      c = dice < 2 ? '\n' : dice < 12 ? ';' : dice == 12 ? '"' : static_cast<char>('a' + dice % 26);
    }
    const std::size_t size = std::min<std::uint64_t>(left_, piece_.size());
    left_ -= size;
    setg(piece_.data(), piece_.data(), piece_.data() + size);
    return traits_type::to_int_type(piece_[0]);
  }

 private:
  std::array<char, 4096> piece_{};
  std::uint64_t left_;
  std::uint64_t state_ = 1;
};

TEST(RecordReader, BufferDoesNotGrowWithTheInput) {
  EndlessLines source(32u << 20);
  std::istream in(&source);
  RecordReader reader(in);
  reader.set_delimiter(';');
  std::size_t records = 0;
  while (*reader.next()) ++records;
  EXPECT_GT(records, 10'000u);
  EXPECT_EQ(reader.octets(), 32u << 20);
  EXPECT_LE(reader.buffer_octets(), kRecordMaxOctets + 3 * kReadChunkOctets);
}

TEST(RecordReader, AFailingStreamIsAnError) {
  class Failing final : public std::streambuf {
    int_type underflow() override { throw 1; }
  } source;
  std::istream in(&source);
  RecordReader reader(in);
  EXPECT_EQ(reader.next().error().kind, ErrorKind::io);
}

std::vector<std::string> split(const std::string& text, char delimiter = ';') {
  std::vector<std::string> fields = {"left", "over", "from", "before", "x", "y"};
  const auto fault = split_csv(text, delimiter, fields);
  if (fault) return {"fault", *fault};
  return fields;
}

TEST(SplitCsv, FollowsRfc4180) {
  EXPECT_THAT(split("a;b;c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split(""), ElementsAre(""));
  EXPECT_THAT(split(";"), ElementsAre("", ""));
  EXPECT_THAT(split("\"a;b\";\"c\"\"d\";\"\""), ElementsAre("a;b", "c\"d", ""));
  EXPECT_THAT(split("\"a\r\nb\",c", ','), ElementsAre("a\r\nb", "c"));
  EXPECT_THAT(split("a\tb", '\t'), ElementsAre("a", "b"));
}

TEST(SplitCsv, NamesTheFieldThatBreaksTheRules) {
  EXPECT_THAT(split("a;\"b")[1], testing::HasSubstr("field 2 has a quote that is never closed"));
  EXPECT_THAT(split("a;\"b\"c")[1], testing::HasSubstr("field 2 goes on after its closing quote"));
  EXPECT_THAT(split("a;b;c\"")[1], testing::HasSubstr("field 3 holds a quote"));
  EXPECT_EQ(split(std::string(kRecordMaxColumns - 1, ';')).size(), kRecordMaxColumns);
  EXPECT_THAT(split(std::string(kRecordMaxColumns, ';'))[1], testing::HasSubstr("more than 64 fields"));
}

}  // namespace
}  // namespace karta::identity
