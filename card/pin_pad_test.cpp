#include "card/pin_pad.h"

#include <gtest/gtest.h>

namespace karta::card {
namespace {

Bytes hex(std::string_view text) {
  auto octets = from_hex(text);
  EXPECT_TRUE(octets);
  return octets ? *octets : Bytes{};
}

// PC/SC part 10 §2.5.2, octet for octet.
TEST(PinPadTest, VerifyStructure) {
  EXPECT_EQ(verify_structure(0x01, {4, 8}), hex("1E1E"      // bTimerOut, bTimerOut2
                                                "82"        // bmFormatString: ASCII, from the left, octet units
                                                "08"        // bmPINBlockString: eight octets
                                                "00"        // bmPINLengthFormat
                                                "0804"      // wPINMaxExtraDigit 0408
                                                "02"        // bEntryValidationCondition
                                                "01"        // bNumberMessage
                                                "0904"      // wLangId
                                                "00"        // bMsgIndex
                                                "000000"    // bTeoPrologue
                                                "0D000000"  // ulDataLength
                                                "0020000108FFFFFFFFFFFFFFFF"));
}

TEST(PinPadTest, ModifyStructures) {
  const Bytes change = change_structure(0x02, {6, 8});
  EXPECT_EQ(change, hex("1E1E8208"
                        "00"      // bmPINLengthFormat
                        "0008"    // where the old PIN and the new one go
                        "0806"    // wPINMaxExtraDigit 0608
                        "03"      // bConfirmPIN
                        "02"      // bEntryValidationCondition
                        "03"      // bNumberMessage
                        "0904"    // wLangId
                        "000102"  // bMsgIndex1 to 3
                        "000000"
                        "15000000"
                        "0024000210FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"));
  Bytes unblock = unblock_structure(0x02, {6, 8});
  EXPECT_EQ(unblock.size(), change.size());
  unblock[unblock.size() - 20] = 0x24;  // the instruction is all that differs
  EXPECT_EQ(unblock, change);
}

TEST(PinPadTest, Features) {
  const auto both = parse_features(hex("120442330012060442330006070442330007"));
  ASSERT_TRUE(both);
  EXPECT_EQ(both->verify_direct, 0x42330006u);
  EXPECT_EQ(both->modify_direct, 0x42330007u);
  const auto none = parse_features({});
  ASSERT_TRUE(none);
  EXPECT_EQ(*none, PinPadFeatures{});
  for (const char* broken : {"06", "0604", "06044233", "0603423300", "06044233000607"}) {
    EXPECT_FALSE(parse_features(hex(broken))) << broken;
  }
}

TEST(PinPadTest, ThePadsOwnWords) {
  ASSERT_TRUE(pad_error({0x6401}));
  EXPECT_EQ(pad_error({0x6401})->kind, ErrorKind::cancelled);
  EXPECT_EQ(pad_error({0x6400})->kind, ErrorKind::cancelled);
  EXPECT_EQ(pad_error({0x6402})->kind, ErrorKind::pin_rejected);
  EXPECT_EQ(pad_error({0x6403})->kind, ErrorKind::pin_rejected);
  EXPECT_FALSE(pad_error({0x9000}));
  EXPECT_FALSE(pad_error({0x63C2}));
}

}  // namespace
}  // namespace karta::card
