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
