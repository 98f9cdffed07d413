#include "crypto/pem.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::crypto {
namespace {

TEST(Pem, GoesThereAndBackAtEveryLength) {
  for (std::size_t size = 0; size < 130; ++size) {
    const Bytes octets(size, static_cast<std::uint8_t>(size));
    const std::string text = to_pem("SAMPLE", octets);
    EXPECT_EQ(testing::must(parse_pem_one(text, "SAMPLE")), octets);
    EXPECT_EQ(testing::must(parse_pem_one("a line before\n" + text + "and after\n", "SAMPLE")), octets);
  }
}

TEST(Pem, LinesAreSixtyFourCharacters) {
  EXPECT_EQ(to_pem("X", Bytes(49)), "-----BEGIN X-----\n" + std::string(64, 'A') + "\nAA==\n-----END X-----\n");
}

TEST(Pem, BrokenBlocksAreRefused) {
  for (const char* text : {
           "-----BEGIN X-----\nAA==\n",                           // does not end
           "-----BEGIN X-----\nAA==\n-----END Y-----\n",          // ends under another label
           "-----BEGIN X-----\nAA=\n-----END X-----\n",           // cut off
           "-----BEGIN X-----\nAAA\n-----END X-----\n",           // cut off
           "-----BEGIN X-----\nA===\n-----END X-----\n",          // padding too long
           "-----BEGIN X-----\nAB==\n-----END X-----\n",          // stray bits
           "-----BEGIN X-----\nAA==AAAA\n-----END X-----\n",      // more after the padding
           "-----BEGIN X-----\nProc-Type: 4\n-----END X-----\n",  // a header
           "-----BEGIN X\nAA==\n-----END X-----\n",               // the label does not end
           "-----BEGIN X\x01-----\nAA==\n-----END X\x01-----\n",  // no label
       }) {
    EXPECT_FALSE(parse_pem(text)) << text;
  }
}

TEST(Pem, OneMeansOne) {
  const std::string two = to_pem("X", Bytes(3)) + to_pem("X", Bytes(4));
  EXPECT_FALSE(parse_pem_one(two, "X"));
  EXPECT_FALSE(parse_pem_one(two, "Y"));
  EXPECT_EQ(testing::must(parse_pem(two)).size(), 2u);
}

TEST(Sniff, TellsFilesByTheirFirstOctets) {
  const testing::TestCentre centre;
  EXPECT_EQ(sniff(centre.root.der()), FileKind::certificate_der);
  EXPECT_EQ(sniff(as_bytes(centre.root.to_pem())), FileKind::certificate_pem);
  EXPECT_EQ(sniff(as_bytes("%PDF-1.7\n")), FileKind::pdf);
  EXPECT_EQ(sniff(as_bytes("PK\x03\x04")), FileKind::zip);
  EXPECT_EQ(sniff(as_bytes("<?xml version=\"1.0\"?>")), FileKind::xml);
  EXPECT_EQ(sniff(as_bytes("MIME-Version: 1.0\nContent-Type: multipart/signed; x")), FileKind::smime);
  EXPECT_EQ(sniff(*from_hex("3080 06092a864886f70d010702 a080")), FileKind::cms_der);
  EXPECT_EQ(sniff(*from_hex("3003020101")), FileKind::unknown);
  EXPECT_EQ(sniff({}), FileKind::unknown);
  EXPECT_EQ(describe(FileKind::cms_der), "CMS signature");
}

TEST(Sniff, KnowsASignatureOfMoreThanFourGigabytes) {
  const Bytes head = {0x30, 0x85, 0x02, 0x54, 0x0B, 0xE4, 0x00, 0x06, 0x09,
                      0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02};
  EXPECT_EQ(sniff(head), FileKind::cms_der);
}

}  // namespace
}  // namespace karta::crypto
