#include "firmware-sim/link/vpcd_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace karta::sim {
namespace {

// Feeds `stream` in pieces of `piece` octets and returns the payloads.
std::vector<Bytes> payloads_of(ByteView stream, std::size_t piece) {
  VpcdFrameReader reader;
  std::vector<Bytes> payloads;
  while (!stream.empty()) {
    MutableByteView space = reader.space();
    EXPECT_FALSE(space.empty());
    const std::size_t count = std::min({piece, stream.size(), space.size()});
    std::copy_n(stream.begin(), count, space.begin());
    reader.received(count);
    stream = stream.subspan(count);
    while (auto payload = reader.next()) payloads.push_back(to_bytes(*payload));
  }
  return payloads;
}

TEST(VpcdFrameReader, GivesTheSameFramesHoweverTheStreamIsCut) {
  std::vector<Bytes> sent = {{4},
                             {},
                             Bytes(5, 0xA4),
                             Bytes(kMaxVpcdPayload, 0x11),
                             {2},
                             Bytes(261, 0x22),
                             Bytes(kMaxVpcdPayload, 0x33),
                             Bytes(kMaxVpcdPayload, 0x44),
                             {0}};
  Bytes stream;
  for (const Bytes& payload : sent) append_vpcd_frame(stream, payload);
  for (std::size_t piece : {1u, 2u, 3u, 7u, 1000u, 65536u, 200000u, 1000000u}) {
    EXPECT_EQ(payloads_of(stream, piece), sent) << "pieces of " << piece;
  }
}

TEST(VpcdFrameReader, KeepsAPartialFrameBackAndForgetsItOnClear) {
  VpcdFrameReader reader;
  const auto feed = [&](std::initializer_list<std::uint8_t> octets) {
    std::copy(octets.begin(), octets.end(), reader.space().begin());
    reader.received(octets.size());
  };
  feed({0x00, 0x05, 0x00, 0xA4});
  EXPECT_FALSE(reader.next());
  reader.clear();
  feed({0x00, 0x01, 0x04});
  const auto payload = reader.next();
  ASSERT_TRUE(payload);
  EXPECT_EQ(to_bytes(*payload), Bytes{4});
  EXPECT_FALSE(reader.next());
}

TEST(AppendVpcdFrame, WritesTheLengthBigEndian) {
  Bytes out;
  append_vpcd_frame(out, Bytes(258, 0xAA));
  EXPECT_EQ(out.size(), 260u);
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[1], 2);
}

}  // namespace
}  // namespace karta::sim
