#include "firmware-sim/link/reader_link.h"

#include <gtest/gtest.h>

#include "firmware-sim/link/test_reader.h"

namespace karta::sim {
namespace {

constexpr std::uint8_t kOff = 0, kOn = 1, kReset = 2, kAtr = 4;
const Bytes kCommand = {0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00};
const Bytes kEcho = {0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00, 0x90, 0x00};

class ReaderLinkTest : public testing::Test {
 protected:
  void SetUp() override { reader.start(); }
  std::unique_ptr<TestCard> card(std::uint8_t name = 1) { return std::make_unique<TestCard>(name, log); }

  TestReader reader;
  TestCardLog log;
};

TEST_F(ReaderLinkTest, SpeaksTheProtocol) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  EXPECT_EQ(log.power_ons, 0) << "asking for the ATR switches nothing on";
  EXPECT_EQ(link.state(), LinkState::connected) << "not yet";
  reader.control(kOn);
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  EXPECT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  EXPECT_EQ(log.power_ons, 1);
  EXPECT_EQ(reader.ask(kCommand), kEcho);
  EXPECT_EQ(reader.ask(Bytes(65'000, 0x42))->size(), 65'002u);
  reader.control(kReset);
  reader.control(kOff);
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  EXPECT_EQ(log.resets, 1);
  EXPECT_EQ(log.power_offs, 1);
  EXPECT_EQ(link.commands(), 2u);
}

TEST_F(ReaderLinkTest, PassesOverWhatItDoesNotKnow) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.send({});
  reader.control(77);
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
}

TEST_F(ReaderLinkTest, CostsNoDelayedAcknowledgements) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.control(kOn);
  // The test's reader sends in two segments, Nagle on, as Debian's driver does. The kernel holds an acknowledgement
  // back for at least 40 ms; a busy machine may delay some commands as long, a missing re-arming delays all of them.
  int stalls = 0;
  for (int i = 0; i < 100; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(reader.ask(kCommand), kEcho);
    if (std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(40)) ++stalls;
  }
  EXPECT_LT(stalls, 50);
}

TEST_F(ReaderLinkTest, WaitsForAReaderThatIsNotThereYet) {
  reader.stop();
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(link.wait_for(LinkState::waiting, kTestPatience));
  reader.start();
  EXPECT_TRUE(reader.accept());
  EXPECT_TRUE(link.wait_for(LinkState::connected, kTestPatience));
}

TEST_F(ReaderLinkTest, ComesBackAfterTheReaderRestarts) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  reader.stop();
  reader.eject();
  reader.start();
  ASSERT_TRUE(reader.accept());
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  EXPECT_EQ(log.power_offs, 1) << "rights gained before are gone";
}

TEST_F(ReaderLinkTest, IsRemovedAndInserted) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  link.remove();
  EXPECT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
  EXPECT_FALSE(reader.receive()) << "the connection is closed";
  reader.eject();
  link.insert();
  ASSERT_TRUE(reader.accept());
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
}

TEST_F(ReaderLinkTest, SwapsTheCard) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  TestCardLog other_log;
  link.swap(std::make_unique<TestCard>(2, other_log));
  EXPECT_FALSE(reader.receive());
  reader.eject();
  ASSERT_TRUE(reader.accept());
  EXPECT_TRUE(log.gone) << "its image is free for another reader";
  reader.switch_on();
  EXPECT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 2}));
}

TEST_F(ReaderLinkTest, IsUsableForAReaderThatMissedItsAbsence) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  for (int polls = 0; polls < 4; ++polls) {
    EXPECT_NE(link.state(), LinkState::usable) << "before switching it on, readers ask more than once";
    EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  }
  EXPECT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  EXPECT_EQ(log.power_ons, 0);
  EXPECT_EQ(reader.ask(kCommand), kEcho);
  EXPECT_EQ(log.power_ons, 1) << "such a reader sends commands at once";
}

TEST_F(ReaderLinkTest, LeavesTheReaderWhenTheCardDoesNotStart) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  EXPECT_EQ(reader.ask(Bytes{kAtr}), (Bytes{0x3B, 1}));
  log.broken = true;
  reader.control(kOn);
  EXPECT_EQ(reader.receive(), std::nullopt);
  EXPECT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
  EXPECT_EQ(link.state(), LinkState::mute);
  reader.eject();
  log.broken = false;
  link.insert();
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  EXPECT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
}

TEST_F(ReaderLinkTest, GivesNoAnswerWhenPulledInMidCommand) {
  std::promise<void> begun, release;
  auto slow = card();
  slow->begun = &begun;
  slow->release = release.get_future().share();
  ReaderLink link(1, reader.address, std::move(slow), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.control(kOn);
  reader.send(kCommand);
  ASSERT_EQ(begun.get_future().wait_for(kTestPatience), std::future_status::ready);
  link.remove();
  EXPECT_FALSE(link.wait_for(LinkState::removed, std::chrono::milliseconds(1))) << "the command is under way";
  release.set_value();
  EXPECT_FALSE(reader.receive());
  EXPECT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
}

TEST_F(ReaderLinkTest, LeavesTheReaderWhenThePowerIsCut) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  link.cut_power_at({.command = 2, .write = 0});
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  EXPECT_EQ(reader.ask(kCommand), kEcho);
  EXPECT_EQ(reader.ask(kCommand), std::nullopt);
  EXPECT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
  reader.eject();
  link.insert();
  EXPECT_TRUE(reader.accept());
  EXPECT_EQ(reader.ask(kCommand), kEcho);
}

// Whoever put the card in may look only after a terminal has met it and its power has failed.
TEST_F(ReaderLinkTest, ACardThatWasUsableAndIsGoneIsNotMissed) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  link.remove();
  ASSERT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
  EXPECT_FALSE(link.wait_for(LinkState::usable, std::chrono::milliseconds(1))) << "this one was before";
  reader.eject();
  link.cut_power_at({.command = 1, .write = 0});
  link.insert();
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  EXPECT_EQ(reader.ask(kCommand), std::nullopt);
  ASSERT_TRUE(link.wait_for(LinkState::removed, kTestPatience));
  EXPECT_TRUE(link.wait_for(LinkState::usable, std::chrono::milliseconds(1))) << "it has been";
  reader.eject();
  link.insert();
  EXPECT_FALSE(link.wait_for(LinkState::usable, std::chrono::milliseconds(1))) << "not since it came again";
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  EXPECT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
}

TEST_F(ReaderLinkTest, LosesItsRightsOnAGlitch) {
  ReaderLink link(1, reader.address, card(), nullptr);
  ASSERT_TRUE(reader.accept());
  reader.switch_on();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  link.reset_card();
  ASSERT_TRUE(link.wait_for(LinkState::usable, kTestPatience));
  EXPECT_EQ(log.resets, 1);
  EXPECT_EQ(reader.ask(kCommand), kEcho);
}

}  // namespace
}  // namespace karta::sim
