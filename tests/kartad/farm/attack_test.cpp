// Attackers at the gate of a running daemon: each is refused with its reason, in the journal, and no gate opens.
#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "card/issuer_channel.h"
#include "card/security_module.h"
#include "card/tap_record.h"
#include "crypto/trust_list.h"
#include "issuing/settlement.h"
#include "service/database.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/kartad/farm/gate_house.h"

namespace karta::test {
namespace {

using crypto::testing::must;

constexpr std::uint8_t kInsOpen = 0x32, kInsCommit = 0x34, kInsInternalAuthenticate = 0x88;

bool is_command(ByteView command, std::uint8_t ins) { return command.size() > 1 && command[1] == ins; }

class GateAttack : public ::testing::Test {
 protected:
  void start(GateHouseOptions options = {.gates = 1}) {
    if (!house) house = std::make_unique<GateHouse>(options);
    daemon::Environment environment{
        .clock = clock,
        .random = house->random,
        .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
          return std::make_unique<BorrowedReaders>(readers);
        },
        .modes = kTransitModes,
        .open_rules = daemon::transit_rules_opener()};
    auto started = daemon::Daemon::start(house->config(), environment);
    ASSERT_TRUE(started) << started.error().message;
    running = std::move(*started);
    running->events().listen(0, [this](const daemon::Event& event) {
      if (event.kind != "tap") return true;
      const std::lock_guard lock(mutex);
      decisions.push_back(nlohmann::json::parse(event.data).at("decision").get<std::string>());
      told.notify_all();
      return true;
    });
  }
  void TearDown() override {
    if (running) running->stop();
  }
  /// Holds the card to the gate; what the gate decides.
  std::string tap(SimulatedReaders::Card held) {
    std::size_t before = 0;
    {
      const std::lock_guard lock(mutex);
      before = decisions.size();
    }
    readers.insert(reader, std::move(held));
    std::string decision = "nothing";
    {
      std::unique_lock lock(mutex);
      if (told.wait_for(lock, std::chrono::seconds(20), [&] { return decisions.size() > before; })) {
        decision = decisions.back();
      }
    }
    readers.remove(reader);
    return decision;
  }
  /// How often the journal tells of a refusal for this.
  std::size_t refused(std::string_view reason) {
    std::size_t count = 0;
    const auto records = running->journal().pages(0, 10'000);
    EXPECT_TRUE(records);
    if (!records) return 0;
    for (const auto& record : *records) {
      if (record.kind != card::kRefusalKind) continue;
      const auto refusal = card::GateRefusal::from_json(record.body);
      EXPECT_TRUE(refusal) << record.body;
      if (refusal && refusal->reason == reason) ++count;
    }
    return count;
  }

  const std::string reader = GateHouse::reader(0);
  MovableClock clock{crypto::testing::test_time()};
  SimulatedReaders readers;
  std::unique_ptr<GateHouse> house;
  std::unique_ptr<daemon::Daemon> running;
  std::mutex mutex;
  std::condition_variable told;
  std::vector<std::string> decisions;
  IdentityCard card;

  GateAttack() { readers.add_reader(reader); }
};

TEST_F(GateAttack, AnHonestCardPasses) {
  start();
  EXPECT_EQ(tap(contactless(card)), "open");
  EXPECT_EQ(house->openings().size(), 1u);
  EXPECT_EQ(ledger_of(card).sequence, 1u);
  EXPECT_TRUE(ledger_of(card).ratified);
}

// The configuration is read again while a card lies on the reader: it has paid, and does not come anew.
TEST_F(GateAttack, ACardThatLiesThereIsNotTakenAgainByAReload) {
  start();
  unsigned cards = 0;
  running->events().listen(0, [&](const daemon::Event& event) {
    if (event.kind != "card-in") return true;
    const std::lock_guard lock(mutex);
    ++cards;
    told.notify_all();
    return true;
  });
  const auto wait_for = [&](auto condition) {
    std::unique_lock lock(mutex);
    return told.wait_for(lock, std::chrono::seconds(20), condition);
  };
  readers.insert(reader, contactless(card));
  ASSERT_TRUE(wait_for([&] { return decisions.size() == 1; }));
  const Status reloaded = running->reload();
  ASSERT_TRUE(reloaded) << reloaded.error().message;
  ASSERT_TRUE(wait_for([&] { return cards == 2; })) << "the card is seen";
  readers.remove(reader);
  EXPECT_EQ(tap(contactless(card)), "open");
  running->stop();
  EXPECT_EQ(decisions, (std::vector<std::string>{"open", "open"}));
  EXPECT_EQ(house->openings().size(), 2u);
  EXPECT_EQ(ledger_of(card).sequence, 2u);
}

// The program itself begins anew: whoever lies there has paid, unless somebody else has passed since.
TEST_F(GateAttack, ACardThatLiesThereIsNotTakenAgainByARestart) {
  start();
  readers.insert(reader, contactless(card));
  const auto decided = [&](std::size_t count) {
    std::unique_lock lock(mutex);
    return told.wait_for(lock, std::chrono::seconds(20), [&] { return decisions.size() == count; });
  };
  ASSERT_TRUE(decided(1));
  for (std::size_t restart = 2; restart < 4; ++restart) {
    running->stop();
    running.reset();
    start();
    ASSERT_TRUE(decided(restart));
    EXPECT_EQ(decisions.back(), "pass-back");
  }
  EXPECT_EQ(house->openings().size(), 1u);
  EXPECT_EQ(ledger_of(card).sequence, 1u);
  readers.remove(reader);
  EXPECT_EQ(tap(contactless(card)), "open") << "laid there again";

  // The program is gone, another card has passed here behind this one, and this one lies there now.
  IdentityCard other({.seed = 2});
  running->stop();
  running.reset();
  start();
  EXPECT_EQ(tap(contactless(other)), "open");
  running->stop();
  running.reset();
  readers.insert(reader, contactless(card));
  start();
  ASSERT_TRUE(decided(6));
  EXPECT_EQ(decisions.back(), "open");
}

TEST_F(GateAttack, ARelayedCardAnswersTooLate) {
  start({.gates = 1, .longest_answer_ms = 1});
  bool committed = false;
  const auto decision = tap(contactless(card, [&](ByteView command, Bytes answer) {
    committed = committed || is_command(command, kInsCommit);
    if (is_command(command, kInsOpen)) {
      // The way to a card elsewhere and back.
      const auto arrives = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
      while (std::chrono::steady_clock::now() < arrives) {
      }
    }
    return answer;
  }));
  EXPECT_EQ(decision, "too-slow");
  EXPECT_FALSE(committed);
  EXPECT_EQ(refused("too-slow"), 1u);
  EXPECT_TRUE(house->openings().empty());
}

TEST_F(GateAttack, ARelayedSignatureComesTooLate) {
  start({.gates = 1, .counted = false, .longest_answer_ms = 1});
  IdentityCard signing({.seed = 7, .card_signed = true});
  const auto decision = tap(contactless(signing, [&](ByteView command, Bytes answer) {
    if (is_command(command, kInsInternalAuthenticate)) {
      const auto arrives = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
      while (std::chrono::steady_clock::now() < arrives) {
      }
    }
    return answer;
  }));
  EXPECT_EQ(decision, "too-slow");
  EXPECT_EQ(refused("too-slow"), 1u);
  EXPECT_TRUE(house->openings().empty());
}

// No card tells of a signed tap later: where it cannot be written down the gate stays closed.
TEST_F(GateAttack, ASignedTapThatCannotBeWrittenDownOpensNothing) {
  start({.gates = 1, .counted = false});
  IdentityCard signing({.seed = 7, .card_signed = true});
  {
    auto other = service::Database::open(house->journal().string());
    ASSERT_TRUE(other) << other.error().message;
    const auto held = other->begin();
    ASSERT_TRUE(held) << held.error().message;
    EXPECT_EQ(tap(contactless(signing)), "journal");
  }
  EXPECT_TRUE(house->openings().empty());
  EXPECT_EQ(tap(contactless(signing)), "open") << "no pass-back for a gate that stayed closed";
  EXPECT_EQ(house->openings().size(), 1u);
}

TEST_F(GateAttack, WhatWasRecordedBeforeOpensNothing) {
  start();
  Bytes open, commit;
  EXPECT_EQ(tap(contactless(card,
                            [&](ByteView command, Bytes answer) {
                              if (is_command(command, kInsOpen)) open = answer;
                              if (is_command(command, kInsCommit)) commit = answer;
                              return answer;
                            })),
            "open");
  // The opening of before: it is bound to another nonce of the gate's.
  EXPECT_EQ(tap(contactless(
                card, [&](ByteView command, Bytes answer) { return is_command(command, kInsOpen) ? open : answer; })),
            "not-genuine");
  EXPECT_EQ(refused("not-genuine"), 1u);
  // The receipt of before: the card wrote, the gate has no proof of it, and settles when the card comes again.
  EXPECT_EQ(tap(contactless(card, [&](ByteView command,
                                      Bytes answer) { return is_command(command, kInsCommit) ? commit : answer; })),
            "lost-answer");
  EXPECT_EQ(refused("lost-answer"), 1u);
  EXPECT_EQ(house->openings().size(), 1u);
  EXPECT_EQ(tap(contactless(card)), "open");
  EXPECT_EQ(house->openings().size(), 2u);
  EXPECT_EQ(ledger_of(card).sequence, 2u) << "two openings, two commits";
}

TEST_F(GateAttack, ACopyWithoutKeysIsNotGenuine) {
  start();
  SeededRandom noise(5);
  EXPECT_EQ(tap(contactless(card,
                            [&](ByteView command, Bytes answer) {
                              if (!is_command(command, kInsOpen)) return answer;
                              Bytes forged = noise.bytes(answer.size() - 2);
                              append(forged, ByteView(answer).last(2));
                              return forged;
                            })),
            "not-genuine");
  EXPECT_EQ(refused("not-genuine"), 1u);
  EXPECT_TRUE(house->openings().empty());
}

TEST_F(GateAttack, AStoppedCardStaysOutAndPaysNothing) {
  house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1});
  house->write_stop_list({4711});
  start();
  EXPECT_EQ(tap(contactless(card)), "stopped");
  EXPECT_EQ(refused("stopped"), 1u);
  EXPECT_TRUE(house->openings().empty());
  EXPECT_EQ(ledger_of(card).sequence, 0u);
}

// Paid, the gate stayed closed, and the card was stopped before it came again: told to the back office, and let in
// nowhere.
TEST_F(GateAttack, AStoppedCardDoesNotPassForATripItPaidBefore) {
  start();
  EXPECT_EQ(tap(contactless(card, [&](ByteView command,
                                      Bytes answer) { return is_command(command, kInsCommit) ? Bytes{} : answer; })),
            "lost-answer");
  EXPECT_EQ(ledger_of(card).sequence, 1u);
  running->stop();
  running.reset();
  house->write_stop_list({4711});
  start();
  EXPECT_EQ(tap(contactless(card)), "stopped");
  EXPECT_EQ(tap(contactless(card)), "stopped");
  EXPECT_TRUE(house->openings().empty());
  EXPECT_EQ(ledger_of(card).sequence, 1u);
  const auto records = running->journal().pages(0, 10'000);
  ASSERT_TRUE(records);
  issuing::Settlement settlement(nullptr);
  ASSERT_TRUE(settlement.add("gate", *records));
  const auto report = settlement.finish();
  EXPECT_TRUE(report.faultless());
  EXPECT_EQ(report.count(issuing::SettlementFindingKind::not_opened), 1u) << "to be given back";
}

// What a gate goes by is missing, or too old: no card is at fault, none is asked for anything, and none passes.
TEST_F(GateAttack, AGateThatIsNotInOrderStaysClosed) {
  struct Row {
    const char* reason;
    std::function<void()> before;  // the start
    std::chrono::seconds later;    // moved while it runs
  };
  const auto days = [](int count) { return std::chrono::hours(24 * count); };
  const Row rows[] = {
      {"no-rules", [&] { std::filesystem::remove(house->folder.path() / "rules.p7m"); }, {}},
      {"no-stop-list", [&] { std::filesystem::remove_all(house->folder.path() / "lists"); }, {}},
      // Both are good for 72 hours beyond their time.
      {"stop-list-too-old", [&] { clock.advance(days(7)); }, {}},
      {"rules-too-old",
       [&] {
         clock.advance(days(34));
         house->now = clock.now();
         house->write_stop_list({});
       },
       {}},
      {"clock", [] {}, days(2)},
      {"clock", [] {}, -std::chrono::hours(1)},
  };
  std::uint64_t seed = 20;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.reason);
    IdentityCard held({.seed = ++seed});
    running.reset();
    clock.advance(crypto::testing::test_time() - clock.now());
    house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1});
    row.before();
    start();
    if (row.later.count() != 0) {
      EXPECT_EQ(tap(contactless(held)), "open");
      clock.advance(row.later);
    }
    const std::size_t opened = house->openings().size();
    const std::uint32_t sequence = ledger_of(held).sequence;
    EXPECT_EQ(tap(contactless(held)), row.reason);
    EXPECT_EQ(house->openings().size(), opened);
    EXPECT_EQ(ledger_of(held).sequence, sequence);
    running->stop();
  }
}

// Whose state no list tells passes nowhere, unless the gate is set up to take that.
TEST_F(GateAttack, ACardThatSignsNeedsItsRegionsList) {
  house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1, .counted = false});
  std::filesystem::remove_all(house->folder.path() / "lists");
  start();
  IdentityCard signing({.seed = 7, .card_signed = true});
  EXPECT_EQ(tap(contactless(signing)), "unknown-card");
  EXPECT_TRUE(house->openings().empty());
}

TEST_F(GateAttack, ACardOfNoKnownBatchStaysOut) {
  house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1});
  house->write_stop_list({}, 100);
  start();
  EXPECT_EQ(tap(contactless(card)), "unknown-card");
  EXPECT_EQ(refused("unknown-card"), 1u);
  EXPECT_EQ(ledger_of(card).sequence, 0u);
}

// Card-signed taps need no key in the gate: whoever has the issuers' certificates serves another region's cards.
TEST_F(GateAttack, ACardThatSignsPassesWithoutKeysInTheGateAndOnceOnly) {
  start({.gates = 1, .counted = false, .pass_back = 300});
  IdentityCard signing({.seed = 7, .card_signed = true});
  EXPECT_EQ(tap(contactless(signing)), "open");
  EXPECT_EQ(tap(contactless(signing)), "pass-back");
  EXPECT_EQ(house->openings().size(), 1u);
  IdentityCard other({.seed = 8, .card_signed = true});
  EXPECT_EQ(tap(contactless(other,
                            [&](ByteView command, Bytes answer) {
                              if (is_command(command, 0x88)) answer[12] ^= 0x01;
                              return answer;
                            })),
            "not-genuine");
  EXPECT_EQ(refused("not-genuine"), 1u);
  // Its record is proof for the back office.
  const auto records = running->journal().pages(0, 10'000);
  ASSERT_TRUE(records);
  issuing::Settlement settlement(nullptr, {house->centre.issuing});
  ASSERT_TRUE(settlement.add("gate", *records));
  const auto report = settlement.finish();
  EXPECT_TRUE(report.faultless()) << report.findings.front().words;
  EXPECT_EQ(report.all.card_signed, 1u);
}

// A card that answers garbage, too little, an error or nothing, at each command of a tap: the gate opens where it has
// its proof, the same card passes at the next try, and each commit has opened the gate once.
TEST_F(GateAttack, WhateverIsAnsweredAtEachCommandIsNeitherFreeNorPaidTwice) {
  const auto spoilt = [](unsigned how, Bytes answer) -> Bytes {
    if (how == 0) return {};
    if (how == 1) return {0x90};
    if (how == 2) return {0x6F, 0x00};
    for (std::size_t i = 0; i < answer.size(); ++i) answer[i] = static_cast<std::uint8_t>(0xA5 ^ i);
    return answer;
  };
  constexpr unsigned kWays = 4;
  for (const bool counted : {true, false}) {
    house.reset();
    start({.gates = 1, .counted = counted, .more = counted ? "card_signed = false" : ""});
    IdentityCard held({.seed = 7, .card_signed = true});
    unsigned commands = 0;
    EXPECT_EQ(tap(contactless(held,
                              [&](ByteView, Bytes answer) {
                                ++commands;
                                return answer;
                              })),
              "open");
    std::size_t opened = 1;
    for (unsigned at = 1; at <= commands; ++at) {
      for (unsigned how = 0; how < kWays; ++how) {
        unsigned seen = 0;
        const std::string decision = tap(contactless(
            held, [&](ByteView, Bytes answer) { return ++seen == at ? spoilt(how, std::move(answer)) : answer; }));
        ASSERT_GE(seen, at);
        // RATIFY is sent behind the open gate.
        EXPECT_EQ(decision == "open", counted && at == commands) << at << " " << how << " " << decision;
        EXPECT_EQ(tap(contactless(held)), "open") << at << " " << how;
        opened += decision == "open" ? 2 : 1;
      }
    }
    EXPECT_EQ(house->openings().size(), opened);
    if (counted) {
      EXPECT_EQ(ledger_of(held).sequence, opened);
    }
    running->stop();
    running.reset();
    readers.begin_again();
  }
}

// A PIN that is wrong in the file is presented once, not at every tap: the fifth time would block the module for good.
TEST_F(GateAttack, AWrongPinInTheFileDoesNotBlockTheModule) {
  SimulatedCard module(77);
  SystemRandom random;
  {
    card::PlainChannel plain(module.connection());
    const card::CardManagerProfile manager;
    const SecretBytes master(Bytes(card::kMasterKeyOctets, 0x6B));
    card::IssuerChannelRequest request;
    request.profile = &manager;
    request.master = &master;
    request.take_blank = true;
    const auto issuer = must(card::open_issuer_channel(plain, request, random));
    card::TransactionMasters masters;
    masters.emplace("health", ledger_masters(kHealthMasters));
    masters.emplace("transit", ledger_masters(kTransitMasters));
    ASSERT_TRUE(card::make_security_module(*issuer, *card::find_module_role("gate"), masters, secret("246813")));
    module.replug();
  }
  unsigned presented = 0;
  readers.add_reader("Module");
  readers.insert("Module", {.process =
                                [&](ByteView command) {
                                  presented += command.size() > 5 && command[1] == 0x20 ? 1 : 0;
                                  return to_bytes(module.card().process(command));
                                },
                            .atr = [&] { return to_bytes(module.card().atr()); },
                            .reset = [&] { module.card().reset(); }});
  house = std::make_unique<GateHouse>(GateHouseOptions{
      .gates = 1, .counted = false, .more = "card_signed = false\nkeys = \"sam:Module\"\npassphrase_file = \"pin\"\n"});
  const auto write_pin = [&](std::string_view pin) {
    house->write("pin", as_bytes(pin));
    ::chmod((house->folder.path() / "pin").c_str(), 0600);
  };
  write_pin("111222\n");
  start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(tap(contactless(card)), "no-keys");
  EXPECT_EQ(presented, 1u);
  write_pin("246813\n");
  EXPECT_EQ(tap(contactless(card)), "open");
  EXPECT_EQ(presented, 2u);
}

// A gate of region B that has no keys and knows nobody: the national trust list names region A's issuer, and A's cards
// pass, by A's stop-list, as long as the trust list is not too old for the gate's policy.
TEST_F(GateAttack, AnotherRegionsCardPassesByTheTrustListAlone) {
  house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1, .counted = false});
  const Bytes written = must(read_file(house->config(), 1u << 20));
  std::string text(as_text(written));
  const std::string by_hand = "card_issuers = [\"issuing.der\"]\nstop_list_signers = [\"issuing.der\"]\n";
  ASSERT_NE(text.find(by_hand), std::string::npos);
  text.replace(text.find(by_hand), by_hand.size(), "trust_list = \"trust-list.p7m\"\nroots = [\"root.der\"]\n");
  house->write("kartad.toml", as_bytes(text));
  house->write("root.der", house->centre.centre.root.der());
  const auto write_trust_list = [&](std::uint64_t sequence) {
    crypto::TrustList list;
    list.sequence = sequence;
    list.issued_at = clock.now() - std::chrono::hours(1);
    list.next_update = clock.now() + std::chrono::hours(1);
    list.entries.push_back(
        {crypto::TrustService::unqualified_ca, "Region A", "A", house->centre.issuing.der(), list.issued_at, {}});
    house->write("trust-list.p7m", must(crypto::sign_trust_list(list, house->centre.centre.citizen)));
  };
  const auto restart = [&] {
    running->stop();
    running.reset();
    start();
  };
  write_trust_list(1);
  start();
  IdentityCard signing({.seed = 7, .card_signed = true});
  EXPECT_EQ(tap(contactless(signing)), "open");
  // 72 hours past its time are the policy's, and they are over; nothing else is.
  running->stop();
  clock.advance(std::chrono::hours(74));
  house->now = clock.now();
  house->write_stop_list({});
  restart();
  EXPECT_EQ(tap(contactless(signing)), "trust-list-too-old");
  write_trust_list(2);
  restart();
  // Another card: the one of before might have lain there through the restart.
  IdentityCard other({.seed = 8, .card_signed = true});
  EXPECT_EQ(tap(contactless(other)), "open");
  house->write_stop_list({4711});
  restart();
  EXPECT_EQ(tap(contactless(signing)), "stopped");
  EXPECT_EQ(house->openings().size(), 2u);
}

// Two stations that know nothing of each other: the second takes a trip of its own and writes down what it saw, and the
// back office gives the first one back.
TEST_F(GateAttack, AnotherStationTellsOfATripThatOpenedNothing) {
  start();
  EXPECT_EQ(tap(contactless(card, [&](ByteView command,
                                      Bytes answer) { return is_command(command, kInsCommit) ? Bytes{} : answer; })),
            "lost-answer");
  running->stop();
  running.reset();
  const std::unique_ptr<GateHouse> first = std::move(house);
  house = std::make_unique<GateHouse>(GateHouseOptions{.gates = 1, .first_gate = 201});
  start();
  EXPECT_EQ(tap(contactless(card)), "open");
  EXPECT_TRUE(first->openings().empty());
  EXPECT_EQ(house->openings().size(), 1u);
  card::MasterTransactionKeys office(ledger_masters(kTransitMasters), card.random);
  issuing::Settlement settlement(&office);
  for (const GateHouse* const one : {first.get(), house.get()}) {
    const auto journal = identity::JournalReader::open(one->journal());
    ASSERT_TRUE(journal) << journal.error().message;
    const auto records = journal->pages(0, 10'000);
    ASSERT_TRUE(records);
    ASSERT_TRUE(settlement.add(one->journal().string(), *records));
  }
  const auto report = settlement.finish();
  EXPECT_TRUE(report.faultless());
  EXPECT_EQ(report.commits, 2u);
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings.front().kind, issuing::SettlementFindingKind::not_opened);
  EXPECT_EQ(report.findings.front().gate, 101u);
}

TEST_F(GateAttack, AProgramOpensTheGateWithoutAShell) {
  house = std::make_unique<GateHouse>(
      GateHouseOptions{.gates = 1, .output = "command = [\"/usr/bin/touch\", \"opened-{gate}-{number};x\"]"});
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(house->folder.path());
  start();
  EXPECT_EQ(tap(contactless(card)), "open");
  const auto made = house->folder.path() / "opened-101-1;x";
  const auto most = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!std::filesystem::exists(made) && std::chrono::steady_clock::now() < most) std::this_thread::yield();
  EXPECT_TRUE(std::filesystem::exists(made));
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace karta::test
