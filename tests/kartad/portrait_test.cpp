// The portrait: read behind the visit's answer, checked against the issuer's signature, for roles with the right to it.
#include <algorithm>
#include <atomic>
#include <future>

#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

constexpr std::size_t kLatch = 20;  // seconds until a wait is given up

/// READ BINARY with the portrait's short identifier: the beginning of its reading. Headers are not encrypted.
bool asks_for_portrait(ByteView command) {
  return command.size() > 2 && command[1] == 0xB0 && command[2] == (0x80 | card::kPortraitGroup);
}

class PortraitTest : public ::testing::Test {
 protected:
  void start(const std::string& clinic = "") {
    kartad.write_config("", clinic);
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(kartad.saw("reader-added"));
  }
  void insert(IdentityCard& card, std::function<Bytes(ByteView, Bytes)> wire = {}) {
    kartad.readers.insert(std::string(TestDaemon::kReader),
                          contactless(card, [this, wire = std::move(wire)](ByteView command, Bytes answer) {
                            asked_ = asked_ || asks_for_portrait(command);
                            return wire ? wire(command, std::move(answer)) : answer;
                          }));
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  Json visit(const std::string& purpose = "treatment") {
    const auto answer = kartad.post("/v1/visits", {{"purpose", purpose}, {"can", kCan}});
    EXPECT_EQ(answer.status, 201) << answer.text;
    return answer.body;
  }
  static std::string path_of(const Json& visit) { return "/v1/visits/" + visit["id"].get<std::string>() + "/portrait"; }
  static bool among(const Json& names) { return std::find(names.begin(), names.end(), "portrait") != names.end(); }

  TestDaemon kartad;
  std::atomic<bool> asked_{false};
};

TEST_F(PortraitTest, ComesBehindTheAnswerAndWhoAsksEarlyWaitsForIt) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  start();
  std::promise<void> answered;
  const auto let_go = answered.get_future().share();
  // The card holds the picture back until the visit has been answered: an answer that waited for it would not come.
  insert(card, [&](ByteView command, Bytes answer) {
    if (asks_for_portrait(command)) {
      EXPECT_EQ(let_go.wait_for(std::chrono::seconds(kLatch)), std::future_status::ready) << "the answer waits";
    }
    return answer;
  });
  const Json body = visit();
  EXPECT_EQ(body["portrait"], path_of(body));
  EXPECT_FALSE(among(body["groups"]["refused"]) || among(body["groups"]["absent"]));
  auto early = std::async(std::launch::async, [&] { return kartad.get(path_of(body)); });
  EXPECT_EQ(kartad.get(path_of(body), TestDaemon::kViewer).status, 403);
  EXPECT_EQ(kartad.get("/v1/visits/0000/portrait").status, 404);
  answered.set_value();
  const auto picture = early.get();
  EXPECT_EQ(picture.status, 200);
  EXPECT_EQ(picture.text, as_text(sample_portrait()));
  EXPECT_EQ(kartad.get(path_of(body)).text, picture.text) << "and once more";
  ASSERT_TRUE(kartad.saw("portrait"));
  // The journal says that it was read, and holds nothing of it.
  const auto records = kartad.records("visit");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(Json::parse(records[0].body)["portrait"], true);
  // The next visit at the same card begins anew.
  EXPECT_EQ(kartad.get(path_of(visit())).status, 200);
  EXPECT_EQ(kartad.del("/v1/visits/" + body["id"].get<std::string>()).status, 204);
  EXPECT_EQ(kartad.get(path_of(body)).status, 404);
}

TEST_F(PortraitTest, ACardWithoutOneIsAskedForNone) {
  IdentityCard card{IdentityCardOptions{.card_signed = true}};
  start();
  insert(card);
  const Json body = visit();
  EXPECT_TRUE(body["portrait"].is_null());
  EXPECT_TRUE(among(body["groups"]["absent"]));
  EXPECT_EQ(kartad.get(path_of(body)).status, 404);
  EXPECT_FALSE(asked_);
}

TEST_F(PortraitTest, ARoleWithoutTheRightGetsNoneAndAsksForNone) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  start("role = \"pharmacy\"");
  insert(card);
  const Json body = visit();
  EXPECT_TRUE(body["portrait"].is_null());
  EXPECT_TRUE(among(body["groups"]["refused"]));
  const auto refused = kartad.get(path_of(body));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.type().find("not-permitted"), std::string::npos) << refused.text;
  EXPECT_FALSE(asked_);
}

TEST_F(PortraitTest, WhereTheConfigurationDoesNotNameItNobodyAsksForIt) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  start("groups = [\"family-names\", \"expiry\"]");
  insert(card);
  const Json body = visit();
  EXPECT_TRUE(body["portrait"].is_null());
  EXPECT_EQ(body["holder"].size(), 2u);
  EXPECT_EQ(kartad.get(path_of(body)).status, 404);
  EXPECT_FALSE(asked_);
}

TEST_F(PortraitTest, OfAStoppedCardNoneIsReadButInAnEmergency) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  kartad.write_stop_list({4711});
  start();
  insert(card);
  const Json refused = visit();
  EXPECT_EQ(refused["decision"], "refused");
  EXPECT_TRUE(refused["portrait"].is_null());
  EXPECT_EQ(kartad.get(path_of(refused)).status, 404);
  EXPECT_FALSE(asked_);
  const Json emergency = visit("emergency");
  EXPECT_EQ(emergency["decision"], "refused");
  EXPECT_EQ(kartad.get(path_of(emergency)).status, 200);
}

TEST_F(PortraitTest, APictureThatIsNotWhatWasSignedIsShownToNobody) {
  IdentityCard card{IdentityCardOptions{
      .card_signed = true, .portrait = true, .files_after_signing = [](std::map<unsigned, Bytes>& files) {
        Bytes& file = files.at(card::kPortraitGroup);
        file[file.size() / 2] ^= 1;
      }}};
  start();
  insert(card);
  const Json body = visit();
  EXPECT_EQ(body["decision"], "accepted") << "what was read of it is as it was signed";
  const auto altered = kartad.get(path_of(body));
  EXPECT_EQ(altered.status, 403);
  EXPECT_NE(altered.type().find("untrusted"), std::string::npos) << altered.text;
}

TEST_F(PortraitTest, ACardTakenAwayTooEarlyLeavesTheVisitAsItWas) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  start();
  insert(card, [](ByteView command, Bytes answer) { return asks_for_portrait(command) ? Bytes{} : answer; });
  const Json body = visit();
  const auto lost = kartad.get(path_of(body));
  EXPECT_EQ(lost.status, 409);
  EXPECT_NE(lost.type().find("card-removed"), std::string::npos) << lost.text;
  EXPECT_EQ(kartad.get("/v1/visits/" + body["id"].get<std::string>()).body, body);
  // The next card works.
  kartad.forget_events();
  kartad.readers.remove(std::string(TestDaemon::kReader));
  ASSERT_TRUE(kartad.readers.await_taken());
  insert(card);
  EXPECT_EQ(kartad.get(path_of(visit())).status, 200);
}

TEST_F(PortraitTest, AVisitForgottenMeanwhileTellsWhoWaits) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  start();
  std::promise<void> forgotten;
  const auto let_go = forgotten.get_future().share();
  insert(card, [&](ByteView command, Bytes answer) {
    if (asks_for_portrait(command)) let_go.wait_for(std::chrono::seconds(kLatch));
    return answer;
  });
  const Json body = visit();
  EXPECT_EQ(kartad.del("/v1/visits/" + body["id"].get<std::string>()).status, 204);
  EXPECT_EQ(kartad.get(path_of(body)).status, 404) << "at once, the card is still at it";
  forgotten.set_value();
  kartad.stop();  // the reader's thread is at the card still, which goes before the daemon
}

}  // namespace
}  // namespace karta::test
