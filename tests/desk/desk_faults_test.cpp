// What goes wrong between desk, counter and card: cards pulled at every command, networks that lose and repeat,
// counters that lie. Whatever happens, a deed repeated ends in the right state, and a counter gets nothing it should
// not.
#include "card/channel.h"
#include "card/iso7816.h"
#include "tests/desk/desk_world.h"

namespace karta::test {
namespace {

using identity::CardState;

constexpr unsigned kMostCommands = 200;  // no deed takes so many
constexpr unsigned kLongDeed = 12;       // behind it, what is alike is tried now and then only

/// The next command at which something is tried: every one of the session's beginning and of short deeds, each fourth
/// of a long one.
unsigned next_of(unsigned number) { return number + (number < kLongDeed ? 1 : 4); }

/// Something that can be done to a card, and how one sees that it was.
struct DeskDeed {
  const char* name;
  std::function<std::unique_ptr<DeskWorld>()> world;
  std::function<Json(DeskWorld&)> request;
  std::function<void(DeskWorld&, const Json& result, const std::string& where)> verify;
};

std::string letter_pin(DeskWorld& world) {
  std::ifstream in(world.letters() / (world.serial + "-PIN1.txt"));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t at = text.find("transport PIN1: ");
  EXPECT_NE(at, std::string::npos);
  return at == std::string::npos ? "" : text.substr(at + 16, 5);
}

class DeskFaults : public DeskTest {
 protected:
  std::vector<DeskDeed> deeds() {
    std::vector<DeskDeed> all;
    all.push_back({"activate", [] { return std::make_unique<DeskWorld>(base, serial); },
                   [](DeskWorld&) {
                     return Json{{"deed", "activate"}};
                   },
                   [](DeskWorld& world, const Json&, const std::string& where) {
                     EXPECT_EQ(world.record().state, CardState::active) << where;
                   }});
    all.push_back({"renew",
                   [] {
                     auto world = active();
                     world->clock.advance(std::chrono::days(1800));
                     // Longer than the files of the card: they are made anew, in three commands each.
                     auto& registry = world->centre->registry();
                     const auto holder = registry.read_citizen(world->record().citizen, {"test", "look", "case 1"});
                     identity::Citizen changed = holder->citizen;
                     changed.family = "Выдуманов-Придуманов-Вымышленный-Несуществующий";
                     changed.family_latin.clear();
                     EXPECT_TRUE(identity::complete(changed, *identity::parse_date("2026-11-22")).empty());
                     EXPECT_TRUE(registry.change_citizen(world->record().citizen, changed, {"test", "marriage"}));
                     return world;
                   },
                   [](DeskWorld&) {
                     return Json{{"deed", "renew"}};
                   },
                   [](DeskWorld& world, const Json&, const std::string& where) {
                     world.expect_certificates_in_order(where);
                     // Not one more than was needed.
                     const auto known = world.centre->registry().certificates_of(world.record().id, {"t", "l", "c"});
                     EXPECT_EQ(known->size(), 9u) << where << ": four renewed, and the card's own";
                   }});
    all.push_back({"unblock", [] { return active(); },
                   [](DeskWorld&) {
                     return Json{{"deed", "unblock"}};
                   },
                   [](DeskWorld& world, const Json&, const std::string& where) {
                     DeskWorld::Plain plain(*world.card);
                     auto esign = card::ESignApplication::open(plain.channel);
                     ASSERT_TRUE(esign) << where;
                     const SecretBytes own = SecretBytes::copy_of("246813");
                     EXPECT_TRUE(esign->change_pin(card::PinKind::pin1, SecretBytes::copy_of(letter_pin(world)), own))
                         << where;
                     EXPECT_TRUE(esign->verify_pin(card::PinKind::pin1, own)) << where;
                   }});
    const auto offer = std::make_shared<std::optional<card::DomainOffer>>();
    all.push_back(
        {"application", [] { return active(); },
         [offer](DeskWorld& world) {
           DeskWorld::Plain plain(*world.card);
           const auto file = card::read_file(plain.channel, card::Path{card::kEfAgreementCertificate});
           const auto key = crypto::Certificate::from_der(*file)->public_key();
           offer->emplace(std::move(*card::DomainOffer::make(kLibrary, *from_hex(world.serial), *key->type(),
                                                             key->key_octets(), 1, 32, world.random)));
           return Json{{"deed", "application"}, {"aid", to_hex(kLibrary)}, {"offer", to_hex((*offer)->message)}};
         },
         [offer](DeskWorld& world, const Json& result, const std::string& where) {
           const auto receipt = from_hex(result["receipt"].get<std::string>());
           ASSERT_TRUE(receipt) << where;
           const auto keys = (*offer)->finish(*receipt);
           ASSERT_TRUE(keys) << where;
           // And they are the card's.
           DeskWorld::Plain plain(*world.card);
           ASSERT_OK(plain.channel.run(card::select_application(kLibrary, card::SelectReturn::nothing), "select"));
           const auto session = card::Scp03Channel::open(
               plain.channel, {}, [&](const card::Scp03Greeting&) { return Result<card::Scp03KeySet>(keys->clone()); },
               world.random);
           EXPECT_TRUE(session) << where;
           EXPECT_EQ(world.events("application-loaded"), 1u) << where;
         }});
    return all;
  }

  /// The deed with `spoil` at work; then honestly.
  void spoiled_then_honest(const DeskDeed& deed, const std::string& where,
                           const std::function<void(DeskWorld&, CounterCard&, DeskLine&)>& spoil, bool& reached,
                           bool must_fail) {
    const auto world = deed.world();
    const Json request = deed.request(*world);
    Result<Json> first = Json();
    {
      DeskLine line(*world->desk);
      CounterCard at(*world->card);
      spoil(*world, at, line);
      first = world->deed(line, at, request);
      reached = reached || at.was_pulled();
    }
    if (must_fail) {
      EXPECT_FALSE(first) << where;
      if (deed.name == std::string_view("activate")) {
        EXPECT_EQ(world->record().state, CardState::shipped) << where;
      }
      EXPECT_EQ(world->events("application-loaded"), 0u) << where;
    }
    const auto again = world->deed(request);
    ASSERT_TRUE(again) << where << ": " << again.error().message;
    deed.verify(*world, *again, where);
  }
};

TEST_F(DeskFaults, ACardPulledAtAnyCommandIsFinishedNextTime) {
  for (const DeskDeed& deed : deeds()) {
    for (const auto pull : {CounterCard::Pull::before, CounterCard::Pull::after}) {
      unsigned number = 1;
      for (;; ++number) {
        ASSERT_LT(number, kMostCommands);
        const std::string where = std::string(deed.name) + ", pulled " +
                                  (pull == CounterCard::Pull::before ? "before" : "after") + " command " +
                                  std::to_string(number);
        bool pulled = false;
        spoiled_then_honest(
            deed, where,
            [&](DeskWorld&, CounterCard& at, DeskLine&) {
              at.pull = pull;
              at.pull_at = number;
            },
            pulled, false);
        if (HasFatalFailure() || !pulled) break;
      }
      EXPECT_GT(number, 4u) << deed.name;
    }
  }
}

TEST_F(DeskFaults, NetworksMayLoseRepeatAndReorder) {
  using Fault = DeskLine::Fault;
  for (const DeskDeed& deed : deeds()) {
    for (const Fault fault : {Fault::request_lost, Fault::answer_lost, Fault::doubled, Fault::stale_first}) {
      const auto world = deed.world();
      const Json request = deed.request(*world);
      DeskLine line(*world->desk);
      // Every second request meets it, the opening among them.
      line.fault = [&](unsigned number) { return number % 2 == 1 ? fault : Fault::none; };
      CounterCard at(*world->card);
      const auto done = world->deed(line, at, request);
      const std::string where = std::string(deed.name) + ", fault " + std::to_string(static_cast<int>(fault));
      ASSERT_TRUE(done) << where << ": " << done.error().message;
      deed.verify(*world, *done, where);
    }
  }
}

TEST_F(DeskFaults, ANetworkThatGoesForGoodLeavesTheDeedRepeatable) {
  for (const DeskDeed& deed : deeds()) {
    for (unsigned last = 1; last < kMostCommands; ++last) {
      const auto world = deed.world();
      const Json request = deed.request(*world);
      Result<Json> first = Json();
      {
        DeskLine line(*world->desk);
        line.fault = [&](unsigned number) {
          return number > last ? DeskLine::Fault::request_lost : DeskLine::Fault::none;
        };
        CounterCard at(*world->card);
        first = world->deed(line, at, request);
      }
      if (first) break;
      EXPECT_EQ(kind_of(first), ErrorKind::io);
      const std::string where = std::string(deed.name) + ", no network after request " + std::to_string(last);
      const auto again = world->deed(request);
      ASSERT_TRUE(again) << where << ": " << again.error().message;
      deed.verify(*world, *again, where);
    }
  }
}

TEST_F(DeskFaults, AlteredCommandsAndAnswersGetNowhere) {
  for (const DeskDeed& deed : deeds()) {
    for (const bool answers : {false, true}) {
      for (unsigned number = 1; number < kMostCommands; number = next_of(number)) {
        bool altered = false;
        bool ignored = false;
        const std::string where =
            std::string(deed.name) + (answers ? ", answer " : ", command ") + std::to_string(number) + " altered";
        const auto alter = [&](unsigned at, Bytes& octets) {
          if (at != number) return;
          altered = true;
          octets.back() ^= 0x01;
        };
        spoiled_then_honest(
            deed, where,
            [&](DeskWorld&, CounterCard& at, DeskLine&) { (answers ? at.on_answer : at.on_command) = alter; }, ignored,
            false);
        if (HasFatalFailure() || !altered) break;
      }
    }
  }
}

TEST_F(DeskFaults, InjectedCommandsEndTheSession) {
  const Bytes select_mf = *from_hex("00A4000C023F00");
  for (const DeskDeed& deed : deeds()) {
    for (unsigned number = 1; number < kMostCommands; number = next_of(number)) {
      bool reached = false, ignored = false;
      const std::string where = std::string(deed.name) + ", a command injected before " + std::to_string(number);
      spoiled_then_honest(
          deed, where,
          [&](DeskWorld& world, CounterCard& at, DeskLine&) {
            at.on_command = [&](unsigned now, Bytes&) {
              if (now != number) return;
              reached = true;
              world.card->process(select_mf);
            };
          },
          ignored, false);
      if (HasFatalFailure() || !reached) break;
    }
  }
}

// From some command on another card answers: never does the first card's deed count as done.
TEST_F(DeskFaults, AnotherCardCannotStandIn) {
  SeededRandom seeded(9);
  for (const DeskDeed& deed : deeds()) {
    for (unsigned number = 1; number < kMostCommands; number = next_of(number)) {
      auto other = sim::SoftCard::blank(sim::new_serial(seeded));
      ASSERT_OK(other);
      (*other)->power_on();
      unsigned commands = 0;
      bool ignored = false;
      spoiled_then_honest(
          deed, std::string(deed.name) + ", another card from command " + std::to_string(number),
          [&](DeskWorld&, CounterCard& at, DeskLine&) {
            at.other = other->get();
            at.other_from = number;
            at.on_command = [&](unsigned now, Bytes&) { commands = now; };
          },
          ignored, false);
      if (HasFatalFailure() || commands < number) break;
    }
  }
}

// A card that says the right serial number and has not its keys; and a counter without any card.
TEST_F(DeskFaults, ACardWithoutKeysIsNotActivated) {
  DeskWorld world(base, serial);
  SeededRandom seeded(9);
  auto clone = sim::SoftCard::blank(sim::new_serial(seeded));
  ASSERT_OK(clone);
  {
    DeskLine line(*world.desk);
    CounterCard at(**clone);
    const Bytes right = *from_hex(serial);
    at.on_answer = [&](unsigned, Bytes& answer) {
      if (answer.size() == 22) std::copy(right.begin(), right.end(), answer.begin() + 8);  // card information
      if (answer.size() > 40) {                                                            // INITIALIZE UPDATE
        std::copy(right.begin(), right.end(), answer.begin());
        answer[10] = 0x02;
      }
    };
    EXPECT_EQ(kind_of(world.deed(line, at, {{"deed", "activate"}})), ErrorKind::card_insecure);
  }
  {
    DeskLine line(*world.desk);
    CounterCard at(*world.card);
    at.on_answer = [](unsigned, Bytes& answer) { answer = {0x90, 0x00}; };
    EXPECT_FALSE(world.deed(line, at, {{"deed", "activate"}}));
  }
  EXPECT_EQ(world.record().state, CardState::shipped);
}

// ---- the session alone ---------------------------------------------------------------------------------------------

/// A session whose deed sends what it is told and says what came of it.
struct Alone {
  explicit Alone(issuing::DeskLimits limits, std::vector<std::vector<Bytes>> batches) : session("s", limits) {
    first = DeskLine::wait([&](identity::DeskAnswer answer) {
      session.start(
          [batches = std::move(batches)](issuing::ApduCarrier& carrier) -> Result<std::string> {
            std::string seen = "[";
            for (const auto& batch : batches) {
              const auto answers = TRY(carrier.exchange(batch));
              for (const Bytes& octets : answers) seen += "\"" + to_hex(octets) + "\",";
            }
            seen.back() = ']';
            return seen;
          },
          std::move(answer));
    });
  }
  Result<identity::DeskStep> next(std::uint64_t step, std::vector<Bytes> replies, bool lost = false) {
    return DeskLine::wait([&](identity::DeskAnswer answer) {
      session.next({.step = step, .replies = std::move(replies), .card_lost = lost}, std::move(answer));
    });
  }
  issuing::DeskSession session;
  Result<identity::DeskStep> first = identity::DeskStep{};
};

const Bytes kOk = {0x90, 0x00};

TEST(DeskSession, NumbersItsStepsAndRepeatsThem) {
  Alone alone({}, {{Bytes{1}}, {Bytes{2}, Bytes{3}}});
  ASSERT_OK(alone.first);
  EXPECT_EQ(alone.first->number, 1u);
  const auto second = alone.next(1, {kOk});
  ASSERT_OK(second);
  EXPECT_EQ(second->number, 2u);
  EXPECT_EQ(second->commands, (std::vector<Bytes>{{2}, {3}}));
  const auto again = alone.next(1, {Bytes{0x6A, 0x82}});  // whatever it says now
  ASSERT_OK(again);
  EXPECT_EQ(again->number, 2u);
  EXPECT_EQ(kind_of(alone.next(0, {kOk})), ErrorKind::usage);
  EXPECT_EQ(kind_of(alone.next(3, {kOk})), ErrorKind::usage);
  for (int i = 0; i < 2; ++i) {
    const auto last = alone.next(2, {kOk, kOk});
    ASSERT_OK(last);
    EXPECT_TRUE(last->done);
    EXPECT_EQ(last->result, R"(["9000","9000","9000"])");
  }
}

TEST(DeskSession, ACounterThatFallsSilentIsNotWaitedFor) {
  issuing::DeskLimits limits;
  limits.reply_time = std::chrono::milliseconds(1);
  Alone alone(limits, {{Bytes{1}}});
  ASSERT_OK(alone.first);
  // The session ends by itself; from then on everybody is told how.
  while (!alone.session.ended()) std::this_thread::yield();
  EXPECT_EQ(kind_of(alone.next(1, {kOk})), ErrorKind::card_unresponsive);
  EXPECT_EQ(kind_of(alone.next(1, {kOk})), ErrorKind::card_unresponsive);
}

TEST(DeskSession, CommandsAreCounted) {
  issuing::DeskLimits limits;
  limits.commands = 3;
  Alone alone(limits, {{Bytes{1}, Bytes{2}}, {Bytes{3}}, {Bytes{4}}});
  ASSERT_OK(alone.next(1, {kOk, kOk}));
  EXPECT_EQ(kind_of(alone.next(2, {kOk})), ErrorKind::limit);
}

TEST(DeskSession, ALostCardEndsIt) {
  Alone alone({}, {{Bytes{1}}, {Bytes{2}}});
  EXPECT_EQ(kind_of(alone.next(1, {}, true)), ErrorKind::card_removed);
  EXPECT_TRUE(alone.session.ended());
}

TEST(DeskSession, EndsWithoutItsCounter) {
  Alone alone({}, {{Bytes{1}}});
  ASSERT_OK(alone.first);
  // Going out of scope here ends the deed that waits for the counter.
}

// ---- the connection alone ------------------------------------------------------------------------------------------

struct Scripted final : issuing::ApduCarrier {
  Result<std::vector<Bytes>> exchange(std::vector<Bytes> commands) override {
    journeys.push_back(std::move(commands));
    return answers;
  }
  std::vector<std::vector<Bytes>> journeys;
  std::vector<Bytes> answers;
};

TEST(RemoteConnection, AChainIsOneJourneyThereAndBack) {
  Scripted carrier;
  issuing::RemoteConnection connection(carrier, {}, "far");
  card::PlainChannel channel(connection);
  channel.set_limits({});
  // Three parts there; 600 octets back, which the far side fetched whole.
  Bytes long_answer(600, 0x77);
  append(long_answer, kOk);
  carrier.answers = {kOk, kOk, long_answer};
  const auto answer = channel.transmit({0x00, 0x2A, 0x80, 0x86, Bytes(600, 0x11), card::kShortResponse});
  ASSERT_OK(answer);
  EXPECT_EQ(answer->data, Bytes(600, 0x77));
  ASSERT_EQ(carrier.journeys.size(), 1u);
  EXPECT_EQ(carrier.journeys[0].size(), 3u);
}

TEST(RemoteConnection, ARefusalInAChainIsTheAnswer) {
  Scripted carrier;
  issuing::RemoteConnection connection(carrier, {}, "far");
  card::PlainChannel channel(connection);
  channel.set_limits({});
  carrier.answers = {kOk, Bytes{0x69, 0x82}};
  const auto answer = channel.transmit({0x00, 0x2A, 0x80, 0x86, Bytes(600, 0x11), card::kShortResponse});
  ASSERT_OK(answer);
  EXPECT_EQ(answer->status.value, 0x6982);
}

TEST(RemoteConnection, AnswersOutOfStepAreRefused) {
  for (const std::vector<Bytes>& answers : {std::vector<Bytes>{}, std::vector<Bytes>{kOk, kOk},
                                            std::vector<Bytes>{Bytes{0x90}}, std::vector<Bytes>{Bytes{}}}) {
    Scripted carrier;
    carrier.answers = answers;
    issuing::RemoteConnection connection(carrier, {}, "far");
    EXPECT_EQ(kind_of(connection.transmit(Bytes{0x00, 0xA4, 0x00, 0x0C})), ErrorKind::card_unresponsive);
  }
  Scripted carrier;
  issuing::RemoteConnection connection(carrier, {}, "far");
  ASSERT_OK(connection.transmit(Bytes{0x10, 0x2A, 0x80, 0x86}));
  carrier.answers = {Bytes{0x6A, 0x82}, kOk};
  EXPECT_EQ(kind_of(connection.transmit(Bytes{0x00, 0x2A, 0x80, 0x86})), ErrorKind::card_unresponsive);
  ASSERT_OK(connection.transmit(Bytes{0x10, 0x2A, 0x80, 0x86}));
  carrier.answers = {kOk};
  EXPECT_EQ(kind_of(connection.transmit(Bytes{0x00, 0x2A, 0x80, 0x86})), ErrorKind::card_unresponsive);
}

}  // namespace
}  // namespace karta::test
