#include "card/apdu.h"

#include <gtest/gtest.h>

#include "card/iso7816.h"

namespace karta::card {
namespace {

std::string hex(const CommandApdu& command) { return to_hex(command.encode().value()); }

// ISO 7816-4 §5.1: the four cases, short and extended.
TEST(CommandApdu, EncodesTheFourCases) {
  EXPECT_EQ(hex({0x00, 0x2E, 0x00, 0x00}), "002e0000");
  EXPECT_EQ(hex({0x00, 0xB0, 0x00, 0x00, {}, 16}), "00b0000010");
  EXPECT_EQ(hex({0x00, 0xB0, 0x00, 0x00, {}, 256}), "00b0000000");
  EXPECT_EQ(hex({0x00, 0xD6, 0x00, 0x00, {0xAB, 0xCD}}), "00d6000002abcd");
  EXPECT_EQ(hex({0x00, 0xA4, 0x04, 0x00, {0x01}, 256}), "00a40400010100");
  EXPECT_EQ(hex({0x00, 0xB0, 0x00, 0x00, {}, 257}), "00b00000000101");
  EXPECT_EQ(hex({0x00, 0xB0, 0x00, 0x00, {}, 65536}), "00b00000000000");
  EXPECT_EQ(hex({0x00, 0xD6, 0x00, 0x00, Bytes(256, 0x11)}).substr(0, 16), "00d6000000010011");
  EXPECT_EQ(hex({0x00, 0x2A, 0x9E, 0x9A, {0x22}, 512}), "002a9e9a000001220200");
}

TEST(CommandApdu, EncodedSizeIsWhatEncodeGives) {
  for (const std::size_t data : {0u, 1u, 255u, 256u, 2048u, 65535u}) {
    for (const std::size_t le : {0u, 1u, 256u, 257u, 65536u}) {
      CommandApdu command(0, 1, 2, 3, Bytes(data, 7));
      if (le != 0) command.le = le;
      EXPECT_EQ(command.encode()->size(), encoded_size(command)) << data << " " << le;
    }
  }
}

TEST(CommandApdu, RefusesWhatFitsNoApdu) {
  EXPECT_EQ(CommandApdu(0, 1, 2, 3, Bytes(65536, 0)).encode().error().kind, ErrorKind::limit);
  EXPECT_EQ(CommandApdu(0, 1, 2, 3, {}, 65537).encode().error().kind, ErrorKind::limit);
}

TEST(ResponseApdu, TakesDataAndStatusApart) {
  const auto response = ResponseApdu::parse(Bytes{1, 2, 3, 0x62, 0x82});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->data, (Bytes{1, 2, 3}));
  EXPECT_EQ(response->status, kSwEndOfFile);
}

TEST(ResponseApdu, GarbageIsNoAnswer) {
  for (const Bytes& octets : {Bytes{}, Bytes{0x90}, Bytes{0x12, 0x34}, Bytes{0x60, 0x00}, Bytes(70000, 0x90)}) {
    EXPECT_EQ(ResponseApdu::parse(octets).error().kind, ErrorKind::card_unresponsive);
  }
}

TEST(Iso7816, CommandsAreTheStandards) {
  EXPECT_EQ(hex(select_application(Bytes{0xA0, 0x01}, SelectReturn::nothing)), "00a4040c02a001");
  EXPECT_EQ(hex(select_path_from_master(Bytes{0x50, 0x15}, SelectReturn::control_parameters)), "00a4080402501500");
  EXPECT_EQ(hex(select_master_file(SelectReturn::nothing)), "00a4000c023f00");
  EXPECT_EQ(hex(read_binary(0x1234, 256)), "00b0123400");
  EXPECT_EQ(hex(read_binary_short_id(0x1E, 256)), "00b09e0000");
  EXPECT_EQ(hex(verify_status(2)), "00200002");
  EXPECT_EQ(hex(verify(1, Bytes(8, 0x31))), "00200001083131313131313131");
  EXPECT_EQ(hex(manage_security_environment(SecurityTemplate::signature, 4, 0x4B15)), "002241b60a80010481024b15840100");
  EXPECT_EQ(hex(compute_digital_signature(Bytes{0xAA}, 72)), "002a9e9a01aa48");
  EXPECT_EQ(hex(decipher(Bytes{0xBB}, 256)), "002a80860200bb00");
  EXPECT_EQ(hex(key_agreement(Bytes{0x04, 0x05}, 32)), "00860000067c048502040520");
  EXPECT_EQ(hex(activate_file(0x3F00)), "00440000023f00");
  EXPECT_TRUE(verify(1, Bytes(8, 0x31)).sensitive);
  EXPECT_TRUE(change_reference_data(1, Bytes(8), Bytes(8)).sensitive);
  EXPECT_TRUE(reset_retry_counter(1, Bytes(8), Bytes(8)).sensitive);
}

}  // namespace
}  // namespace karta::card
