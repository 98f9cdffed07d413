#include "base/tlv.h"

#include <gtest/gtest.h>

namespace karta {
namespace {

TEST(Tlv, ReadsOneAfterAnother) {
  const Bytes input = *from_hex("61 08 4F03A00001 5001 41 FF 5F4902ABCD");
  TlvCursor cursor(input);
  const Tlv application = *cursor.expect(0x61);
  EXPECT_TRUE(application.constructed());
  EXPECT_EQ(to_hex(find_tlv(application.value, 0x50)->value().value), "41");
  EXPECT_FALSE(find_tlv(application.value, 0x51)->has_value());
  EXPECT_FALSE(cursor.next_if(0x80)->has_value());
  const Tlv key = *cursor.next();  // the FF before it is padding
  EXPECT_EQ(key.tag, 0x5F49u);
  EXPECT_EQ(to_hex(key.whole), "5f4902abcd");
  EXPECT_TRUE(cursor.done());
  EXPECT_TRUE(cursor.finish());
}

TEST(Tlv, StrictReaderWantsTheShortestForm) {
  const Bytes input = *from_hex("04 81 01 AA");
  EXPECT_TRUE(TlvCursor(input).next());
  EXPECT_FALSE(TlvCursor(input, TlvLimits::der()).next());
  const Bytes padded = *from_hex("00 0401AA");
  EXPECT_EQ(TlvCursor(padded).next()->tag, 4u);
  EXPECT_FALSE(TlvCursor(padded, TlvLimits::der()).next());  // read as tag 00, length 4: cut short
}

TEST(Tlv, RefusesWhatLies) {
  for (const char* hex : {"04", "0405AA", "0480", "0485010000000001", "1F80", "9F8101", "1FFFFFFF01", "0482FF"}) {
    const Bytes input = *from_hex(hex);
    EXPECT_FALSE(TlvCursor(input).next()) << hex;
  }
  const Bytes huge = *from_hex("04 83 7FFFFF");
  EXPECT_EQ(TlvCursor(huge).next().error().kind, ErrorKind::limit);
}

TEST(Tlv, WritesTheShortestLength) {
  for (std::size_t size : {0u, 1u, 127u, 128u, 255u, 256u, 65535u, 65536u}) {
    const Bytes value(size, 0x5A);
    const Bytes object = make_tlv(0x7F4E, value);
    TlvLimits limits = TlvLimits::der();
    const Tlv back = *TlvCursor(object, limits).next();
    EXPECT_EQ(back.tag, 0x7F4Eu);
    EXPECT_EQ(back.value.size(), size);
    EXPECT_EQ(back.whole.size(), object.size());
  }
}

}  // namespace
}  // namespace karta
