// A card that answers garbage, late or never, or is pulled, at each command of a tap: the gate says what it was, opens
// once for each ride that was taken or signed for, and the same card passes when it is presented again.
#include <gtest/gtest.h>

#include "card/tap_record.h"
#include "daemon/transit/gate_reason.h"
#include "issuing/settlement.h"
#include "tests/kartad/card_faults.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/kartad/farm/gate_house.h"

namespace karta::test {
namespace {

constexpr std::chrono::seconds kVerbTime{60};  // what a configuration has that does not say
constexpr std::uint32_t kTrips = 1000;

struct Form {
  const char* name;
  bool counted;      ///< the gate has the debit key
  bool card_signed;  ///< the card has a key that signs
  unsigned gate;     ///< odd: a card's pass does not hold, and trips are taken
};
constexpr Form kForms[] = {{"Counted", true, false, 1}, {"Signed", false, true, 0}, {"CountedOrSigned", true, true, 0}};
void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

/// What each fault may be called at a gate. After COMMIT was sent every one of them is a lost answer; after the gate
/// has opened none matters any more.
using Names = std::set<std::string>;
const Names kGone{"removed", "lost-answer", "open"}, kSilent{"unresponsive", "lost-answer", "open"},
    kLate{"too-slow", "unresponsive", "lost-answer", "open"},
    kGarbage{"not-genuine", "no-application", "refused", "unresponsive", "lost-answer", "open"};
const Names& names_of(Fault fault) {
  if (is_gone(fault)) return kGone;
  if (is_silent(fault)) return kSilent;
  return fault == Fault::late ? kLate : kGarbage;
}

class EachCommandOfATap : public ::testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    readers.add_reader(reader);
    daemon::Environment environment{
        .clock = wall,
        .random = house.random,
        .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
          return std::make_unique<BorrowedReaders>(readers);
        },
        .modes = kTransitModes,
        .open_rules = daemon::transit_rules_opener(),
        .steady_now = clock.now()};
    auto started = daemon::Daemon::start(house.config(), environment);
    ASSERT_TRUE(started) << started.error().message;
    running = std::move(*started);
    running->events().listen(0, [this](const daemon::Event& event) {
      if (event.kind != "tap") return true;
      const std::lock_guard lock(mutex);
      decisions.push_back(nlohmann::json::parse(event.data).at("decision").get<std::string>());
      told.notify_all();
      return true;
    });
    ASSERT_TRUE(readers.await_taken());
  }
  void TearDown() override {
    if (running) running->stop();
  }
  /// Holds the card to the gate; what the gate decides.
  std::string tap() {
    std::size_t before = 0;
    {
      const std::lock_guard lock(mutex);
      before = decisions.size();
    }
    readers.insert(reader, faulty.as_card());
    std::string decision = "nothing";
    {
      std::unique_lock lock(mutex);
      if (told.wait_for(lock, std::chrono::seconds(20), [&] { return decisions.size() > before; })) {
        decision = decisions.back();
      }
    }
    readers.remove(reader);
    // The desk lets go of the card before anybody else works on it.
    EXPECT_TRUE(readers.await_taken());
    return decision;
  }
  struct Seen {
    std::uint32_t sequence = 0, trips = 0;
    std::size_t openings = 0, signed_taps = 0;
  };
  /// Card, journal and gate after some taps; `from`: records before are not looked at.
  Seen look(std::uint64_t from) {
    const card::LedgerState state = ledger_of(card);
    Seen out{.sequence = state.sequence, .trips = state.counters.at(1), .openings = house.openings().size()};
    for (const auto& record : records_after(from)) {
      if (record.kind != card::kTapKind) continue;
      const auto tap = card::TapRecord::from_json(record.body);
      EXPECT_TRUE(tap) << record.body;
      if (tap && tap->form == card::TapRecord::Form::card_signed) ++out.signed_taps;
    }
    return out;
  }
  std::vector<identity::JournalRecord> records_after(std::uint64_t number) {
    auto records = running->journal().pages(number, 100);
    EXPECT_TRUE(records);
    return records ? std::move(*records) : std::vector<identity::JournalRecord>();
  }
  /// A refusal is in the journal where it is of the card's making, under its name and once.
  void expect_record(const std::string& decision, std::uint64_t before) {
    bool wanted = false;
    for (const auto& row : daemon::gate_reason_rows()) wanted = wanted || (row.name == decision && row.recorded);
    unsigned refusals = 0;
    for (const auto& record : records_after(before)) {
      if (record.kind != card::kRefusalKind) continue;
      const auto refusal = card::GateRefusal::from_json(record.body);
      ASSERT_TRUE(refusal) << record.body;
      EXPECT_EQ(refusal->reason, decision);
      ++refusals;
    }
    EXPECT_EQ(refusals, wanted ? 1u : 0u) << decision;
  }
  /// What the back office finds: nothing.
  void expect_settled(std::size_t openings) {
    card::MasterTransactionKeys office(ledger_masters(kTransitMasters), card.random);
    issuing::Settlement settlement(&office, {house.centre.issuing});
    const auto records = running->journal().pages(0, 100'000);
    ASSERT_TRUE(records);
    ASSERT_TRUE(settlement.add("gate", *records));
    const auto report = settlement.finish();
    for (const auto& finding : report.findings) {
      ADD_FAILURE() << name_of(finding.kind) << " number " << finding.number << ": " << finding.words;
    }
    EXPECT_EQ(report.commits + report.all.card_signed, openings);
  }

  const Form form = GetParam();
  GateHouse house{{.gates = 2, .counted = form.counted, .longest_answer_ms = 250}};
  const std::string reader = GateHouse::reader(form.gate);
  FixedClock wall{crypto::testing::test_time()};
  HandClock clock;
  IdentityCard card{IdentityCardOptions{.card_signed = form.card_signed}};
  SimulatedReaders readers;
  FaultyCard faulty{readers, reader, contactless(card), clock, kVerbTime};
  std::unique_ptr<daemon::Daemon> running;
  std::mutex mutex;
  std::condition_variable told;
  std::vector<std::string> decisions;
};

TEST_P(EachCommandOfATap, OpensOnceForWhatWasTakenAndNeverForGarbage) {
  sell_trips(card, kTrips, 1);
  faulty.forget();
  ASSERT_EQ(tap(), "open");
  const unsigned commands = faulty.seen();
  ASSERT_GT(commands, 2u);
  Seen last = look(0);
  ASSERT_EQ(last.openings, 1u);
  for (const FaultRow& row : kFaults) {
    for (unsigned command = 1; command <= commands; ++command) {
      SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(command) + " of " + std::to_string(commands));
      const std::uint64_t before = running->journal().last().number;
      faulty.arm(command, row);
      const std::string decision = tap();
      ASSERT_TRUE(faulty.fired());
      faulty.disarm();
      EXPECT_TRUE(names_of(row.fault).contains(decision)) << decision;
      expect_record(decision, before);
      const std::size_t open = decision == "open" ? 1 : 0;
      EXPECT_EQ(house.openings().size(), last.openings + open);
      ASSERT_EQ(tap(), "open") << "presented again, after " << decision;
      const Seen now = look(before);
      EXPECT_EQ(now.openings, last.openings + open + 1);
      EXPECT_EQ(now.openings - last.openings, now.sequence - last.sequence + now.signed_taps)
          << "one opening for each ride that was taken or signed for";
      if (form.gate % 2 != 0) {
        EXPECT_EQ(last.trips - now.trips, now.sequence - last.sequence);
      }
      last = now;
    }
  }
  expect_settled(last.openings);
}
INSTANTIATE_TEST_SUITE_P(Kartad, EachCommandOfATap, ::testing::ValuesIn(kForms),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace karta::test
