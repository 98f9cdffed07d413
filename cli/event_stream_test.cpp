// Events read from an HTTP answer however it is cut on its way.
#include "cli/event_stream.h"

#include <gtest/gtest.h>

#include <vector>

namespace karta::cli {
namespace {

const std::string kHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kEvents =
    ":\n\nid: 7\nevent: card-in\ndata: {\"reader\":\"A\"}\n\n:\n\nid: 8\nevent: visit\ndata: {\ndata: }\n\n";

std::string chunked(const std::string& text, std::size_t each) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += each) {
    const std::string part = text.substr(at, each);
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    out += size + part + "\r\n";
  }
  return out + "0\r\n\r\n";
}

TEST(EventStreamReader, ReadsEventsHoweverTheyAreCut) {
  for (std::size_t chunk = 1; chunk < kEvents.size(); chunk += 7) {
    const std::string answer = kHead + chunked(kEvents, chunk);
    for (std::size_t piece = 1; piece < answer.size(); piece += 11) {
      EventStreamReader reader;
      std::vector<StreamedEvent> seen;
      for (std::size_t at = 0; at < answer.size(); at += piece) {
        const Status fed =
            reader.feed(std::string_view(answer).substr(at, piece), [&](const auto& one) { seen.push_back(one); });
        ASSERT_TRUE(fed) << fed.error().message;
      }
      ASSERT_EQ(seen.size(), 2u) << chunk << " " << piece;
      EXPECT_EQ(seen[0].id, "7");
      EXPECT_EQ(seen[0].kind, "card-in");
      EXPECT_EQ(seen[0].data, "{\"reader\":\"A\"}");
      EXPECT_EQ(seen[1].data, "{\n}");
      EXPECT_TRUE(reader.ended());
    }
  }
}

TEST(EventStreamReader, AProblemIsTheError) {
  EventStreamReader reader;
  const Status refused = reader.feed(
      "HTTP/1.1 403 Forbidden\r\nContent-Length: 60\r\n\r\n{\"detail\":\"user 7 is nobody\",\"hint\":\"a [[caller]]\"}",
      [](const auto&) { FAIL(); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(refused.error().message, "user 7 is nobody");
  EXPECT_EQ(refused.error().hint, "a [[caller]]");
}

TEST(EventStreamReader, NonsenseIsAnErrorAndSoIsWhatNeverEnds) {
  EventStreamReader reader;
  EXPECT_EQ(reader.feed("SSH-2.0-x\r\n\r\n", [](const auto&) {}).error().kind, ErrorKind::malformed);
  EventStreamReader chunks;
  EXPECT_FALSE(chunks.feed(kHead + "zz\r\n", [](const auto&) {}));
  EventStreamReader endless;
  EXPECT_EQ(endless.feed(std::string(EventStreamReader::kMostOctets + 1, 'x'), [](const auto&) {}).error().kind,
            ErrorKind::limit);
}

}  // namespace
}  // namespace karta::cli
