// The authority's word about a card: above the stop-list, for cards of its own region alone, and never waited for long.
#include <atomic>

#include "daemon/fake_authority.h"
#include "daemon/on_line_status.h"
#include "daemon/trust_data.h"
#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

using crypto::testing::must;
using daemon::OnLineStatus;
using identity::CardState;

/// Knows every number, and one state for all of them.
struct StateServer {
  CardState state = CardState::active;
  bool away = false;
  std::atomic<int> asked{0};
  class Client final : public daemon::testing::FakeAuthority {
   public:
    explicit Client(StateServer& server) : server_(server) {}
    Result<identity::CardOnLine> card_status(std::uint64_t) override {
      ++server_.asked;
      if (server_.away) return FakeAuthority::away();
      identity::CardOnLine card;
      card.state = server_.state;
      return card;
    }

   private:
    StateServer& server_;
  };
};

class OnLineStatusTest : public ::testing::Test {
 protected:
  OnLineStatusTest() {
    kartad.connect = daemon::testing::connect_to(server);
    kartad.write_config("[authority]\nurl = \"https://authority.example\"\n", "ask_on_line = true\n");
  }
  /// The regions the trust list names: of who signs documents, and of who certifies all else.
  void write_trust_list(const std::string& documents, const std::string& issuing) {
    crypto::TrustList list;
    list.sequence = ++kartad.sequence;
    list.issued_at = kartad.clock.now() - std::chrono::hours(1);
    list.next_update = kartad.clock.now() + std::chrono::days(30);
    list.entries.push_back({crypto::TrustService::document_signer,
                            "Test Authority",
                            documents,
                            kartad.centre.centre.ca.der(),
                            list.issued_at,
                            {}});
    list.entries.push_back({crypto::TrustService::unqualified_ca,
                            "Test Authority",
                            issuing,
                            kartad.centre.issuing.der(),
                            list.issued_at,
                            {}});
    kartad.folder.write("trust-list.p7m", must(crypto::sign_trust_list(list, kartad.centre.centre.citizen)));
  }
  TestDaemon::Answer visit() {
    const Status started = kartad.start();
    EXPECT_TRUE(started) << started.error().message;
    EXPECT_TRUE(kartad.saw("reader-added"));
    kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card));
    EXPECT_TRUE(kartad.readers.await_taken());
    return again();
  }
  TestDaemon::Answer again() { return kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}}); }
  static std::string codes(const TestDaemon::Answer& answer) {
    std::string out;
    for (const Json& one : answer.body["reasons"]) out += one["code"].get<std::string>() + " ";
    return out;
  }

  StateServer server;
  IdentityCard card;
  TestDaemon kartad;
};

TEST_F(OnLineStatusTest, TheAuthoritysWordStandsAboveTheList) {
  kartad.write_stop_list({4711});
  const auto found_again = visit();
  EXPECT_EQ(found_again.body["decision"], "accepted") << found_again.text;
  EXPECT_EQ(codes(found_again), "genuine active-on-line ");
  server.state = CardState::suspended;
  EXPECT_EQ(codes(again()), "stopped-on-line genuine ");
  EXPECT_EQ(server.asked, 2);
}

// Numbers begin anew in each region: what this terminal's authority says of the number is about another card.
TEST_F(OnLineStatusTest, AnotherRegionsCardIsJudgedByItsOwnList) {
  write_trust_list("B", "A");
  kartad.write_stop_list({4711});  // region A's, where this card is not from
  const auto answer = visit();
  EXPECT_EQ(answer.body["decision"], "unknown") << answer.text;
  EXPECT_EQ(answer.body["card"]["region"], "B");
  EXPECT_EQ(codes(answer), "no-stop-list genuine not-asked ");
  EXPECT_EQ(server.asked, 0);
}

TEST_F(OnLineStatusTest, WhoDoesNotAnswerIsLeftAloneForAWhile) {
  server.away = true;
  EXPECT_EQ(codes(visit()), "genuine not-asked not-stopped ");
  server.away = false;
  EXPECT_EQ(codes(again()), "genuine not-asked not-stopped ");
  EXPECT_EQ(server.asked, 1);
}

TEST(OnLineStatusRest, EndsByItself) {
  StateServer server;
  server.away = true;
  OnLineStatus status(daemon::testing::connect_to(server), std::chrono::milliseconds(1));
  EXPECT_FALSE(status.ask(1));
  server.away = false;
  const auto most = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::optional<CardState> state;
  while (!state && std::chrono::steady_clock::now() < most) state = status.ask(1);
  EXPECT_EQ(state, CardState::active);
}

TEST(RegionOfAuthority, IsOfWhoCertifiedTheTerminal) {
  const CentreForTerminals& centre = CentreForTerminals::shared();
  daemon::TrustSnapshot trust;
  trust.document_signers = {{centre.centre.ca, "B"}};
  trust.card_issuers = {{centre.issuing, "A"}};
  const std::vector<crypto::Certificate> by_b{centre.centre.citizen_certificate}, above{centre.issuing}, none;
  EXPECT_EQ(daemon::region_of_authority(by_b, trust), "B");
  EXPECT_EQ(daemon::region_of_authority(above, trust), "A");
  EXPECT_FALSE(daemon::region_of_authority(none, trust));
  trust.card_issuers = {{centre.issuing, "B"}};
  EXPECT_EQ(daemon::region_of_authority(none, trust), "B") << "there is one region only";
}

}  // namespace
}  // namespace karta::test
