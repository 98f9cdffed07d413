#include "firmware-sim/host/host_hal.h"

#include <gtest/gtest.h>

namespace karta::sim {
namespace {

using os::HalStatus;

TEST(HostHal, RefusesRangesOutsideAPage) {
  HostHal hal(NvmImage::in_memory({}));
  Bytes octets(16);
  EXPECT_EQ(hal.read(0, 240, octets), HalStatus::ok);
  EXPECT_EQ(hal.read(0, 241, octets), HalStatus::failed);
  EXPECT_EQ(hal.write(kNvmPageCount, 0, octets), HalStatus::failed);
  EXPECT_EQ(hal.write(0, SIZE_MAX, octets), HalStatus::failed);
  EXPECT_EQ(hal.erase(kNvmPageCount), HalStatus::failed);
}

TEST(HostHal, CutsThePowerInsideTheChosenWriteAndStaysDead) {
  HostHal hal(NvmImage::in_memory({}));
  hal.lose_power_at_write(2);
  EXPECT_EQ(hal.write(0, 0, Bytes(8, 0x00)), HalStatus::ok);
  EXPECT_EQ(hal.write(0, 8, Bytes(8, 0x00)), HalStatus::failed);
  EXPECT_FALSE(hal.has_power());
  const Bytes before = to_bytes(hal.image().page(0));
  EXPECT_EQ(before[8], 0x00);
  EXPECT_EQ(before[15], 0xFF);
  Bytes out(32);
  EXPECT_EQ(hal.write(0, 16, Bytes(8, 0x00)), HalStatus::failed);
  EXPECT_EQ(hal.erase(0), HalStatus::failed);
  EXPECT_EQ(hal.read(0, 0, out), HalStatus::failed);
  EXPECT_EQ(hal.random(out), HalStatus::failed);
  EXPECT_EQ(hal.self_test(), HalStatus::failed);
  Bytes point(65);
  EXPECT_EQ(hal.ec_generate(os::Curve::p256, out, point), HalStatus::failed);
  EXPECT_EQ(to_bytes(hal.image().page(0)), before);
  hal.restore_power();
  EXPECT_EQ(hal.read(0, 0, out), HalStatus::ok);
}

TEST(HostHal, CountsWhatACommandCosts) {
  HostHal hal(NvmImage::in_memory({}));
  Bytes scalar(48), point(97), raw(96);
  ASSERT_EQ(hal.ec_generate(os::Curve::p384, scalar, point), HalStatus::ok);
  hal.meter().begin_command(12);
  ASSERT_EQ(hal.write(0, 0, Bytes(8, 0x00)), HalStatus::ok);
  ASSERT_EQ(hal.erase(1), HalStatus::ok);
  ASSERT_EQ(hal.ec_sign(os::Curve::p384, scalar, Bytes(48, 1), raw), HalStatus::ok);
  hal.meter().end_command(98);
  const MeterReading command = hal.meter().command();
  EXPECT_EQ(command.commands, 1u);
  EXPECT_EQ(command.octets_in, 12u);
  EXPECT_EQ(command.octets_out, 98u);
  EXPECT_EQ(command.nvm_writes, 1u);
  EXPECT_EQ(command.nvm_octets_written, 8u);
  EXPECT_EQ(command.nvm_erases, 1u);
  EXPECT_EQ(command.count(Operation::ec_sign, 384), 1u);
  EXPECT_EQ(command.count(Operation::ec_sign, 256), 0u);
  EXPECT_EQ(command.count(Operation::ec_generate), 0u) << "before the command";
  EXPECT_EQ(hal.meter().total().count(Operation::ec_generate), 1u);
}

// Eight keys are held: coming back to one of them costs no load, a ninth pushes the least recently used out.
TEST(HostHal, CountsSymmetricWorkAndKeyLoads) {
  HostHal hal(NvmImage::in_memory({}));
  hal.begin_command(5);
  Bytes mac(16), digest(64);
  const auto authenticate = [&](std::uint8_t key, std::size_t octets) {
    const Bytes message(octets, 1);
    const ByteView parts[] = {message};
    ASSERT_EQ(hal.aes_cmac(Bytes(16, key), parts, mac), HalStatus::ok);
  };
  authenticate(1, 0);
  authenticate(1, 16);
  authenticate(1, 17);
  EXPECT_EQ(hal.meter().command().cipher_calls, 3u);
  EXPECT_EQ(hal.meter().command().cipher_blocks, 1u + 1u + 2u);
  EXPECT_EQ(hal.meter().command().key_loads, 1u);
  for (std::uint8_t key = 2; key <= 8; ++key) authenticate(key, 16);
  authenticate(1, 16);
  EXPECT_EQ(hal.meter().command().key_loads, 8u);
  authenticate(9, 16);
  authenticate(1, 16);
  EXPECT_EQ(hal.meter().command().key_loads, 9u) << "1 was used again before 9 came";
  authenticate(2, 16);
  EXPECT_EQ(hal.meter().command().key_loads, 10u) << "2 had to go for 9";
  EXPECT_EQ(hal.loaded_keys().size(), 10u);
  EXPECT_TRUE(hal.loaded_keys().front().equals(Bytes(16, 1)));
  hal.begin_command(5);
  EXPECT_TRUE(hal.loaded_keys().empty());
  hal.lose_power();
  hal.restore_power();
  authenticate(2, 16);
  EXPECT_EQ(hal.meter().command().key_loads, 1u) << "registers are empty after power-on";

  hal.begin_command(5);
  const Bytes message(56, 2);
  const ByteView parts[] = {message};
  ASSERT_EQ(hal.digest(os::Digest::sha256, parts, MutableByteView(digest).first(32)), HalStatus::ok);
  ASSERT_EQ(hal.digest(os::Digest::sha512, parts, digest), HalStatus::ok);
  EXPECT_EQ(hal.meter().command().digest_blocks, 2u + 2u) << "56 octets and padding: two blocks, or one of double size";
  EXPECT_EQ(to_json(hal.meter().command()), R"({"hash":2,"hash_blocks":4})");
  ASSERT_EQ(hal.random(mac), HalStatus::ok);
  ASSERT_EQ(hal.write(0, 0, Bytes(8, 0x00)), HalStatus::ok);
  ASSERT_EQ(hal.erase(1), HalStatus::ok);
  Bytes scalar(32), point(65);
  ASSERT_EQ(hal.ec_generate(os::Curve::p256, scalar, point), HalStatus::ok);
  EXPECT_EQ(to_json(hal.meter().command()),
            R"({"hash":2,"hash_blocks":4,"random":1,"random_octets":16,"nvm_writes":1,"nvm_octets":8,"nvm_erases":1,)"
            R"("operations":[["ec-generate",256,1]]})");
  EXPECT_EQ(to_json(MeterReading{}), "{}");
}

class StuckRandom final : public RandomSource {
 public:
  void fill(MutableByteView out) override { std::fill(out.begin(), out.end(), std::uint8_t{7}); }
};

TEST(HostHal, FailsItsSelfTestWithAStuckRandomSource) {
  StuckRandom stuck;
  HostHal hal(NvmImage::in_memory({}), &stuck);
  EXPECT_EQ(hal.self_test(), HalStatus::failed);
  SeededRandom fair(1);
  HostHal sound(NvmImage::in_memory({}), &fair);
  EXPECT_EQ(sound.self_test(), HalStatus::ok);
}

}  // namespace
}  // namespace karta::sim
