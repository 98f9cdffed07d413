// A card that answers garbage, late, or never, and one that is pulled, at each command of each verb: an outcome with a
// name, nothing taken that is not receipted, and the next card works.
#include <condition_variable>

#include "tests/kartad/daemon_fixture.h"
#include "tests/sectors/wire.h"

namespace karta::test {
namespace {

enum class Fault : std::uint8_t { pulled, garbage, too_short, wrong_status, silent };

struct FaultRow {
  Fault fault;
  const char* name;
};
constexpr FaultRow kFaults[] = {{Fault::pulled, "pulled"},
                                {Fault::garbage, "garbage"},
                                {Fault::too_short, "too short"},
                                {Fault::wrong_status, "a status word of an error"},
                                {Fault::silent, "silence"}};

/// Between daemon and card: spoils the answer to one command.
class Spoiler {
 public:
  explicit Spoiler(IdentityCard& card) : card_(card), inner_(contactless(card)) {}
  SimulatedReaders::Card as_card() {
    auto out = inner_;
    out.process = [this](ByteView command) { return process(command); };
    return out;
  }
  void arm(unsigned command, Fault fault) {
    command_ = command;
    fault_ = fault;
    seen_ = 0;
    fired_ = false;
  }
  void disarm() { command_ = 0; }
  bool fired() const { return fired_; }
  unsigned seen() const { return seen_; }
  void forget() { seen_ = 0; }

 private:
  Bytes process(ByteView command) {
    Bytes answer = inner_.process(command);
    if (++seen_ != command_) return answer;
    fired_ = true;
    switch (fault_) {
      case Fault::pulled:
        return {};
      case Fault::garbage:
        for (std::size_t i = 0; i < answer.size(); ++i) answer[i] = static_cast<std::uint8_t>(0xA5 ^ i);
        return answer;
      case Fault::too_short:
        return {0x90};
      case Fault::wrong_status:
        return {0x6F, 0x00};
      case Fault::silent:
        break;
    }
    // What a connection with a deadline makes of a card that never answers comes from the connection itself; here the
    // card's power fails, as a reader's does in the end.
    card_.sim.card().power_off();
    return {};
  }
  IdentityCard& card_;
  SimulatedReaders::Card inner_;
  unsigned command_ = 0, seen_ = 0;
  Fault fault_ = Fault::pulled;
  bool fired_ = false;
};

class OutcomesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(kartad.saw("reader-added"));
  }
  void insert() {
    kartad.forget_events();
    kartad.readers.insert(std::string(TestDaemon::kReader), spoiler.as_card());
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  std::uint64_t left() {
    const auto answer = kartad.post("/v1/entitlements", {{"can", kCan}});
    EXPECT_EQ(answer.status, 200) << answer.text;
    return answer.status == 200 ? answer.body["entitlements"][0]["left"].get<std::uint64_t>() : 9999;
  }

  IdentityCard card{IdentityCardOptions{.card_signed = true}};
  Spoiler spoiler{card};
  TestDaemon kartad;
};

bool is_card_outcome(const TestDaemon::Answer& answer) {
  return answer.status >= 400 && answer.status != 500 && answer.type().starts_with("urn:karta:error:") &&
         !answer.body.value("detail", "").empty();
}

TEST_F(OutcomesTest, AVisitWithAFaultAtEachCommand) {
  insert();
  const Json request{{"purpose", "treatment"}, {"can", kCan}};
  spoiler.forget();
  ASSERT_EQ(kartad.post("/v1/visits", request).status, 201);
  const unsigned commands = spoiler.seen();
  ASSERT_GT(commands, 20u);
  for (const FaultRow& row : kFaults) {
    for (unsigned at = 1; at <= commands; ++at) {
      spoiler.arm(at, row.fault);
      const auto answer = kartad.post("/v1/visits", request);
      ASSERT_TRUE(spoiler.fired()) << row.name << " at " << at;
      if (answer.status == 201) {
        // A card that fails to prove itself is an outcome of the visit; so is one whose receipt, or whose goodbye,
        // was lost. A first file that cannot be read by its short identifier is selected.
        EXPECT_TRUE(answer.body["decision"] == "refused" || at == 1 || at + 8 > commands)
            << row.name << " at " << at << answer.text;
        EXPECT_TRUE(answer.body["decision"] != "refused" || answer.body["holder"].empty());
      } else {
        EXPECT_TRUE(is_card_outcome(answer)) << row.name << " at " << at << ": " << answer.text;
      }
      spoiler.disarm();
      insert();
      const auto next = kartad.post("/v1/visits", request);
      ASSERT_EQ(next.status, 201) << row.name << " at " << at << ": " << next.text;
      ASSERT_EQ(next.body["decision"], "accepted");
    }
  }
}

TEST_F(OutcomesTest, ARedemptionWithAFaultAtEachCommandIsTakenOnceByRepeatingTheCall) {
  grant_packages(card, 200);
  insert();
  unsigned number = 0;
  const auto redeem = [&](const std::string& key) {
    return kartad.post("/v1/redemptions",
                       {{"medicine", "A10BA02"}, {"packages", 1}, {"prescription", number}, {"can", kCan}}, key);
  };
  ++number;
  spoiler.forget();
  ASSERT_EQ(redeem("first").status, 200);
  const unsigned commands = spoiler.seen();
  std::uint64_t expected = 199;
  for (const FaultRow& row : kFaults) {
    for (unsigned at = 1; at <= commands; ++at) {
      ++number;
      const std::string key = std::string(row.name) + "-" + std::to_string(at);
      std::string printable = key;
      std::replace(printable.begin(), printable.end(), ' ', '_');
      spoiler.arm(at, row.fault);
      auto answer = redeem(printable);
      spoiler.disarm();
      if (answer.status != 200) {
        EXPECT_TRUE(is_card_outcome(answer)) << key << ": " << answer.text;
        insert();
        answer = redeem(printable);
      }
      ASSERT_EQ(answer.status, 200) << key << ": " << answer.text;
      --expected;
      ASSERT_EQ(answer.body["left"], expected) << key << ": " << answer.text;
      insert();
    }
  }
  EXPECT_EQ(left(), expected);
  // One receipt a package, each with a sequence of its own.
  std::set<std::uint64_t> sequences;
  for (const auto& record : kartad.records("redemption")) {
    sequences.insert(Json::parse(record.body)["sequence"].get<std::uint64_t>());
  }
  EXPECT_EQ(sequences.size(), 200 - expected);
  EXPECT_EQ(kartad.records("redemption").size(), 200 - expected);
}

// A card that takes its time for each command, just short of the reader's patience, ends with the verb's time.
TEST(SlowCard, IsGivenUpWhenTheVerbsTimeIsOver) {
  IdentityCard card;
  TestDaemon kartad;
  kartad.write_config();
  // The shortest time there is.
  const Bytes text = kartad.folder.read("kartad.toml");
  std::string toml(as_text(text));
  toml.replace(toml.find("verb_seconds = 20"), 17, "verb_seconds = 1");
  kartad.folder.write("kartad.toml", toml);
  ASSERT_TRUE(kartad.start());
  ASSERT_TRUE(kartad.saw("reader-added"));
  std::mutex mutex;
  std::condition_variable never;
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card, [&](ByteView, Bytes answer) {
                          std::unique_lock lock(mutex);
                          never.wait_for(lock, std::chrono::milliseconds(400));
                          return answer;
                        }));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  EXPECT_EQ(answer.type(), "urn:karta:error:card-unresponsive") << answer.text;
  EXPECT_NE(answer.body["detail"].get<std::string>().find("too slow"), std::string::npos);
}

}  // namespace
}  // namespace karta::test
