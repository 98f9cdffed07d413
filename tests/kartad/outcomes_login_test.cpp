// A card that answers garbage, late or never, or is pulled, at each command with which a citizen's agent looks at it or
// logs in: no token but a true one, an outcome with a name, and the same card logs in the next time: what garbage said
// is remembered nowhere.
#include <set>

#include "crypto/web_eid.h"
#include "daemon/citizen/card_login.h"
#include "daemon/timeline.h"
#include "tests/citizen/login_card.h"
#include "tests/kartad/card_faults.h"

namespace karta::test {
namespace {

using Kind = daemon::CardLoginOutcome::Kind;
using State = daemon::CardLook::State;
using crypto::testing::must;

constexpr std::string_view kOrigin = "https://id.example", kNonce = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
constexpr std::chrono::seconds kVerbTime{60};

class EachCommandOfALogin : public ::testing::TestWithParam<os::Interface> {
 protected:
  EachCommandOfALogin() { readers.add_reader(reader); }
  /// What `work` does with the card, newly laid there.
  template <class Work>
  auto at_card(const Work& work) {
    readers.insert(reader, faulty.as_card());
    const auto connection = must(readers.connect(reader));
    const daemon::SteadyNow now = clock.now();
    daemon::TimedConnection timed(*connection, now() + kVerbTime, now);
    const auto transaction = must(card::Transaction::begin(timed));
    card::PlainChannel channel(timed);
    return work(channel);
  }
  daemon::CardLook look(daemon::PublicFiles& files) {
    return at_card([&](card::Channel& channel) { return daemon::look_at_card(channel, files); });
  }
  daemon::CardLoginOutcome log_in(daemon::PublicFiles& files) {
    const SecretBytes pin = SecretBytes::copy_of(kLoginPin), can = SecretBytes::copy_of(kLoginCan);
    return at_card([&](card::Channel& channel) {
      return daemon::log_in_with_card(channel, {.origin = kOrigin, .nonce = kNonce, .pin = &pin, .can = &can}, files,
                                      random);
    });
  }
  void expect_token(const daemon::CardLoginOutcome& outcome) {
    ASSERT_EQ(outcome.kind, Kind::signed_token) << outcome.why.message;
    const auto token = must(crypto::parse_web_eid_token(outcome.token));
    EXPECT_EQ(token.certificate, card.certificate().der());
    EXPECT_TRUE(crypto::verify_web_eid(token, must(card.certificate().public_key()), kOrigin, kNonce));
  }

  static crypto::testing::TestCentre& centre() {
    static crypto::testing::TestCentre one;
    return one;
  }
  const std::string reader = "Reader 0";
  SystemRandom random;
  HandClock clock;
  SimulatedReaders readers;
  LoginCard card{centre(), {}};
  FaultyCard faulty{readers, reader, card.in(GetParam()), clock, kVerbTime};
};

TEST_P(EachCommandOfALogin, MakesATrueTokenOrNone) {
  daemon::PublicFiles cold;
  faulty.forget();
  expect_token(log_in(cold));
  const unsigned commands = faulty.seen();
  ASSERT_GT(commands, 10u);
  for (const FaultRow& row : kFaults) {
    for (unsigned command = 1; command <= commands; ++command) {
      SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(command) + " of " + std::to_string(commands));
      daemon::PublicFiles files;
      faulty.arm(command, row);
      const auto outcome = log_in(files);
      ASSERT_TRUE(faulty.fired());
      faulty.disarm();
      if (outcome.kind == Kind::signed_token) {
        expect_token(outcome);
      } else if (is_gone(row.fault)) {
        EXPECT_EQ(outcome.kind, Kind::card_removed) << outcome.why.message;
      } else if (is_silent(row.fault) || row.fault == Fault::late) {
        EXPECT_EQ(outcome.kind, Kind::failed) << outcome.why.message;
      } else {
        // A card's word for its PIN is taken where nothing is secured.
        const std::set<Kind> garbage{Kind::failed,      Kind::wrong_card,    Kind::wrong_can, Kind::wrong_pin,
                                     Kind::pin_blocked, Kind::transport_pin, Kind::last_try};
        EXPECT_TRUE(garbage.contains(outcome.kind)) << static_cast<int>(outcome.kind) << outcome.why.message;
      }
      EXPECT_EQ(outcome.why.message.find(kLoginPin), std::string::npos);
      const auto next = log_in(files);
      ASSERT_EQ(next.kind, Kind::signed_token) << next.why.message;
      expect_token(next);
    }
  }
}

TEST_P(EachCommandOfALogin, IsSeenForWhatItIsTheNextTime) {
  daemon::PublicFiles cold;
  faulty.forget();
  const auto reference = look(cold);
  ASSERT_EQ(reference.state, GetParam() == os::Interface::contact ? State::ready : State::needs_can);
  const unsigned commands = faulty.seen();
  for (const FaultRow& row : kFaults) {
    for (unsigned command = 1; command <= commands; ++command) {
      SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(command) + " of " + std::to_string(commands));
      daemon::PublicFiles files;
      faulty.arm(command, row);
      const auto seen = look(files);
      ASSERT_TRUE(faulty.fired());
      faulty.disarm();
      if (is_gone(row.fault) || is_silent(row.fault)) {
        EXPECT_EQ(seen.state, State::unreadable) << static_cast<int>(seen.state);
      }
      const auto next = look(files);
      ASSERT_EQ(next.state, reference.state) << next.why.message;
      EXPECT_EQ(next.label, reference.label);
      EXPECT_EQ(next.serial_tail, reference.serial_tail);
      EXPECT_EQ(next.tries_left, reference.tries_left);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Kartad, EachCommandOfALogin,
                         ::testing::Values(os::Interface::contact, os::Interface::contactless), [](const auto& one) {
                           return one.param == os::Interface::contact ? "Contact" : "Contactless";
                         });

}  // namespace
}  // namespace karta::test
