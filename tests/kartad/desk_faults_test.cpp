// What is wrong at the desk itself, named as what it is: cards in several readers, a clock that leapt.
#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

TEST(DeskFaults, CardsInSeveralReadersAreToldApartByName) {
  IdentityCard card, other({.seed = 2});
  TestDaemon kartad;
  kartad.readers.add_reader("Sim Reader 01 00");
  ASSERT_TRUE(kartad.start());
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card));
  kartad.readers.insert("Sim Reader 01 00", contactless(other));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  EXPECT_EQ(answer.status, 400) << answer.text;
  EXPECT_EQ(answer.body["hint"], "say which one: \"reader\"");
  EXPECT_EQ(kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}, {"reader", "Reader 01"}}).status, 201);
}

// A clock ten years ahead: it is the clock that is to be set, no certificate to be renewed.
TEST(DeskFaults, AClockThatHasLeaptIsNamed) {
  IdentityCard card;
  TestDaemon kartad;
  ASSERT_TRUE(kartad.start());
  kartad.stop();
  kartad.clock.advance(std::chrono::days(3650));
  ASSERT_TRUE(kartad.start());
  ASSERT_TRUE(kartad.saw("reader-added"));
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  EXPECT_EQ(answer.type(), "urn:karta:error:configuration") << answer.text;
  EXPECT_NE(answer.text.find("clock has leapt ahead"), std::string::npos) << answer.text;
  EXPECT_EQ(answer.body["hint"], "set the clock right");
}

// A clock that was set back behind the issuer's certificates: the card is not called a false one for it.
TEST(DeskFaults, AClockThatWasSetBackIsNamed) {
  IdentityCard card;
  TestDaemon kartad;
  ASSERT_TRUE(kartad.start());
  kartad.stop();
  kartad.clock.advance(-std::chrono::days(3650));
  ASSERT_TRUE(kartad.start());
  ASSERT_TRUE(kartad.saw("reader-added"));
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  EXPECT_EQ(answer.type(), "urn:karta:error:configuration") << answer.text;
  EXPECT_NE(answer.text.find("clock was set back"), std::string::npos) << answer.text;
}

}  // namespace
}  // namespace karta::test
