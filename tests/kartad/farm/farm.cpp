#include "tests/kartad/farm/farm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <random>
#include <shared_mutex>
#include <thread>

#include "issuing/settlement.h"
#include "tests/kartad/farm/farm_process.h"
#include "tests/kartad/farm/farm_slot.h"
#include "tests/kartad/farm/gate_house.h"

namespace karta::test {
namespace {

constexpr std::uint32_t kTrips = 100'000;
constexpr unsigned kGates = 8, kCards = 12;
constexpr std::uint64_t kSeed = 20'261;

/// What happens to a tap.
struct Trouble {
  enum class Kind : std::uint8_t { none, pull, cut, reader, pcscd, kill };
  Kind kind = Kind::none;
  unsigned command = 0;     ///< the how-manieth of the tap
  bool before = false;      ///< before the card has it, or behind
  std::uint64_t write = 0;  ///< cut: at which write of COMMIT
  bool crash = false;       ///< pcscd: killed, or ended in order
};
using Kind = Trouble::Kind;

/// What became of troubles of one kind.
struct TroubleRow {
  std::string_view name;
  std::uint64_t struck = 0;
  std::uint64_t in_tap = 0;     ///< between a card's first command and its last
  std::uint64_t in_commit = 0;  ///< at COMMIT
  std::uint64_t unheard = 0;    ///< the card wrote, and its receipt did not reach the gate
  // The card's next tap that nothing disturbed and that the gate opened for:
  std::uint64_t settled = 0;  ///< let through for what it had paid
  std::uint64_t charged = 0;  ///< paid
};

/// One tap, as the farm saw it.
struct Outcome {
  std::string decision = {};  ///< the daemon's; empty: it was killed
  bool settled = false, struck = false, in_tap = false, in_commit = false;
  bool written = false;  ///< the card answered COMMIT with 9000
  bool open() const { return decision == "open"; }
};

class Farm {
 public:
  Farm(GateHouse& house, const FarmPlan& plan, std::uint64_t seed) : house_(house), plan_(plan), dice_(seed) {
    for (unsigned i = 0; i < kCards; ++i) {
      auto card = std::make_unique<IdentityCard>(IdentityCardOptions{.seed = 100 + i});
      sell_trips(*card, kTrips, i + 1);
      idle_.push_back(i);
      cards_.push_back(std::move(card));
    }
    for (unsigned gate = 0; gate < kGates; ++gate) {
      names_.push_back(house.reader_name(gate));
      slots_.push_back(std::make_unique<FarmSlot>(gate));
    }
    troubled_.resize(kCards);
    start_daemon();
  }

  /// All gates at work until so many cards have been held to them.
  void run() {
    shuffle_troubles();
    std::vector<std::thread> gates;
    for (unsigned gate = 0; gate < kGates; ++gate) {
      gates.emplace_back([this, gate, seed = dice_()] {
        std::mt19937_64 dice(seed);
        for (std::uint64_t at = 0; (at = next_.fetch_add(1)) < plan_.taps;) {
          const Trouble trouble = trouble_at(at, gate);
          const unsigned card = take_card(dice);
          tap(gate, card, trouble, dice);
          const std::lock_guard lock(cards_mutex_);
          idle_.push_back(card);
        }
        const std::lock_guard lock(counts_mutex_);
        closing_ = true;
        opened_.notify_all();
      });
    }
    for (std::thread& gate : gates) gate.join();
  }
  /// Every card once, and every gate, in peace: what was lost is settled.
  void settle() {
    std::mt19937_64 dice(1);
    for (unsigned card = 0; card < kCards; ++card) {
      Outcome last = tap(card % kGates, card, {}, dice);
      // The first card after a reader has come back is taken for one that lay there, and may have been the last here.
      if (last.decision == "pass-back") last = tap(card % kGates, card, {}, dice);
      EXPECT_EQ(last.decision, "open") << "card " << card;
    }
  }
  void stop() { daemon_.reset(); }

  const std::vector<std::unique_ptr<IdentityCard>>& cards() const { return cards_; }
  const TroubleRow& row(Kind kind) const { return rows_[static_cast<std::size_t>(kind)]; }
  std::uint64_t came_back() const { return came_back_ + (all_open() ? 1 : 0); }
  std::uint64_t crashes() const { return crashes_; }
  const std::map<std::string, std::uint64_t>& decisions() const { return decisions_; }
  void print() const;

 private:
  void start_daemon() {
    daemon_.reset();
    daemon_ = std::make_shared<FarmDaemon>(house_.config(), names_);
    ASSERT_TRUE(daemon_->await_up());
  }
  unsigned take_card(std::mt19937_64& dice) {
    const std::lock_guard lock(cards_mutex_);
    const std::size_t which = dice() % idle_.size();
    const unsigned card = idle_[which];
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(which));
    return card;
  }

  /// Which tap meets what. Restarts of pcscd are not among them: one comes when all gates are back from the last.
  void shuffle_troubles() {
    const auto below = [&](unsigned bound) { return static_cast<unsigned>(dice_() % bound); };
    const auto add = [&](Kind kind, std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i) {
        troubles_.push_back({.kind = kind, .command = below(4), .before = below(2) == 0, .write = below(12)});
      }
    };
    add(Kind::pull, plan_.taps * 12 / 100);
    add(Kind::cut, plan_.taps * 12 / 100);
    add(Kind::reader, plan_.taps * 3 / 100);
    add(Kind::kill, plan_.kills);
    troubles_.resize(plan_.taps);
    std::shuffle(troubles_.begin(), troubles_.end(), dice_);
  }
  Trouble trouble_at(std::uint64_t at, unsigned gate) {
    std::unique_lock lock(counts_mutex_);
    const auto due = [&] {
      return restarts_ < plan_.restarts && !restarting_ && at * plan_.restarts >= restarts_ * plan_.taps;
    };
    // A restart is over when every gate has opened again: the quick ones wait for the slow.
    if (restarts_ > 0 && open_since_[gate]) {
      opened_.wait_for(lock, kFarmPatience, [&] { return !due() || all_open() || closing_; });
    }
    if (!due() || (restarts_ > 0 && !all_open())) return troubles_[at];
    constexpr std::array<unsigned, 6> kCommands = {2, 1, 2, 3, 0, 2};
    const std::uint64_t one = restarts_++;
    restarting_ = true;
    return {.kind = Kind::pcscd,
            .command = kCommands[one % 6],
            .before = one % 4 < 2,
            .crash = one % 6 != 1 && one % 6 != 5};
  }
  bool all_open() const {
    return std::all_of(open_since_.begin(), open_since_.end(), [](bool open) { return open; });
  }
  void strike_pcscd(bool crash) {
    {
      const std::lock_guard lock(counts_mutex_);
      if (restarts_ > 1) ++came_back_;
      if (crash) ++crashes_;
      open_since_.fill(false);
    }
    pcscd_.restart(crash);
  }

  Outcome tap(unsigned gate, unsigned card, const Trouble& trouble, std::mt19937_64& dice) {
    Outcome out;
    std::shared_ptr<FarmDaemon> served;
    {
      const std::shared_lock lock(daemon_mutex_);
      served = daemon_;
      out = tap_at(*served, gate, *cards_[card], trouble, dice);
    }
    if (served->killed()) {
      const std::unique_lock lock(daemon_mutex_);
      if (daemon_ == served) {
        served.reset();
        start_daemon();
      }
    }
    count(gate, card, trouble, out);
    return out;
  }
  void count(unsigned gate, unsigned card, const Trouble& trouble, const Outcome& out) {
    const std::lock_guard lock(counts_mutex_);
    ++decisions_[out.decision.empty() ? "killed" : out.decision];
    TroubleRow& row = rows_[static_cast<std::size_t>(trouble.kind)];
    const bool struck = out.struck;
    if (trouble.kind == Kind::pcscd) restarting_ = false;
    // A gate that opened for a card before pcscd went says nothing of one that came back.
    if (out.open() && trouble.kind != Kind::pcscd) open_since_[gate] = true;
    opened_.notify_all();
    row.struck += struck ? 1 : 0;
    row.in_tap += struck && out.in_tap ? 1 : 0;
    row.in_commit += struck && out.in_commit ? 1 : 0;
    row.unheard += struck && out.written && !out.open() ? 1 : 0;
    if (struck) troubled_[card].push_back(trouble.kind);
    if (trouble.kind != Kind::none || !out.open()) return;
    for (const Kind kind : std::exchange(troubled_[card], {})) {
      TroubleRow& before = rows_[static_cast<std::size_t>(kind)];
      (out.settled ? before.settled : before.charged) += 1;
    }
  }

  Outcome tap_at(FarmDaemon& daemon, unsigned gate, IdentityCard& card, const Trouble& trouble, std::mt19937_64& dice) {
    Outcome out;
    const auto still = [&](const char* what) {
      if (!daemon.killed()) ADD_FAILURE() << "gate " << gate << " stands still: " << what;
      daemon.kill();
    };
    if (!daemon.await(gate, [](const FarmDaemon::Gate& one) { return one.quiet(); })) still("no reader");
    daemon.forget_taps(gate);
    sim::SoftCard& chip = card.sim.card();
    unsigned commands = 0;
    bool gone = false, unplugged = false;
    std::atomic<bool> dies{false};
    // On the slot's thread. What pcscd or the daemon are told there happens in the middle of a transaction.
    const auto exchange = [&](ByteView command) -> std::optional<Bytes> {
      const bool commit = command.size() > 1 && command[0] == 0x80 && command[1] == 0x34;
      const auto strike = [&](bool before) {
        if (trouble.command != commands || trouble.before != before) return;
        if (trouble.kind == Kind::none || trouble.kind == Kind::cut || out.struck) return;
        out.struck = out.in_tap = true;
        out.in_commit = commit;
        if (trouble.kind == Kind::pull) gone = true;
        if (trouble.kind == Kind::reader) {
          gone = unplugged = true;
          daemon.unplug(gate);
        }
        if (trouble.kind == Kind::pcscd) strike_pcscd(trouble.crash);
        // At once, or a moment after the answer: somewhere between receipt, gate, RATIFY and journal.
        if (trouble.kind == Kind::kill && (before || trouble.write % 2 == 0)) daemon.kill();
        if (trouble.kind == Kind::kill) dies = true;
        if (dies) daemon.poke();
      };
      strike(true);
      Bytes answer;
      if (!gone) {
        if (commit && trouble.kind == Kind::cut) {
          chip.cut_power_at({.command = 1, .write = trouble.write});
          out.struck = out.in_tap = out.in_commit = true;
        }
        answer = to_bytes(chip.process(command));
        if (answer.empty()) gone = true;
        if (commit && equal(answer.size() < 2 ? ByteView() : ByteView(answer).last(2), Bytes{0x90, 0x00})) {
          out.written = true;
        }
      }
      strike(false);
      ++commands;
      if (gone) return std::nullopt;
      return answer;
    };
    slots_[gate]->insert(chip, exchange);
    if (!daemon.await(gate, [&](const FarmDaemon::Gate& one) { return one.taps > 0 || dies; })) still("no decision");
    if (dies) {
      std::atomic<unsigned> spin{0};
      for (const unsigned most = static_cast<unsigned>(dice() % 400'000); spin.load() < most;) spin.fetch_add(1);
      daemon.kill();
    }
    slots_[gate]->remove();
    if (unplugged) daemon.plug_in(gate);
    if (trouble.kind == Kind::pcscd) {
      // The tap was shorter than thought: it goes with no card in the field.
      if (!std::exchange(out.struck, true)) strike_pcscd(trouble.crash);
      pcscd_.await_back();
    }
    if (daemon.killed()) return out;
    const FarmDaemon::Gate told = daemon.gate(gate);
    out.decision = told.decision;
    out.settled = told.settled;
    return out;
  }

  GateHouse& house_;
  const FarmPlan plan_;
  std::mt19937_64 dice_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<IdentityCard>> cards_;
  std::vector<std::unique_ptr<FarmSlot>> slots_;
  std::vector<Trouble> troubles_;
  std::atomic<std::uint64_t> next_{0};
  std::mutex cards_mutex_;
  std::vector<unsigned> idle_;
  FarmPcscd pcscd_;  // of the one tap that meets its restart
  std::shared_mutex daemon_mutex_;
  std::shared_ptr<FarmDaemon> daemon_;

  mutable std::mutex counts_mutex_;  // of all below
  std::condition_variable opened_;
  bool restarting_ = false, closing_ = false;
  std::uint64_t restarts_ = 0, crashes_ = 0, came_back_ = 0;
  std::array<bool, kGates> open_since_{};    // the last restart of pcscd
  std::vector<std::vector<Kind>> troubled_;  // by card: since its last tap in peace
  std::array<TroubleRow, 6> rows_{{{.name = "none"},
                                   {.name = "card pulled"},
                                   {.name = "power cut in COMMIT"},
                                   {.name = "reader lost"},
                                   {.name = "pcscd restarted"},
                                   {.name = "kartad killed"}}};
  std::map<std::string, std::uint64_t> decisions_;
};

void Farm::print() const {
  std::printf("[ farm     ] %-20s %7s %7s %9s %8s %8s %8s\n", "", "struck", "in tap", "in COMMIT", "unheard", "settled",
              "charged");
  for (const TroubleRow& row : rows_) {
    if (&row == &rows_.front()) continue;
    std::printf("[ farm     ] %-20s", std::string(row.name).c_str());
    const std::array<std::pair<int, std::uint64_t>, 6> columns = {
        {{7, row.struck}, {7, row.in_tap}, {9, row.in_commit}, {8, row.unheard}, {8, row.settled}, {8, row.charged}}};
    for (const auto& [width, value] : columns) std::printf(" %*llu", width, static_cast<unsigned long long>(value));
    std::printf("\n");
  }
  std::printf("[ farm     ] pcscd crashed %llu times, all %u gates opened again after %llu restarts; taps:",
              static_cast<unsigned long long>(crashes_), kGates, static_cast<unsigned long long>(came_back()));
  for (const auto& [decision, count] : decisions_) {
    std::printf(" %s %llu", decision.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf("\n");
}

std::uint64_t seed_of_this_run() {
  if (const char* const given = std::getenv("KARTA_FARM_SEED")) return std::strtoull(given, nullptr, 10);
  return kSeed;
}

/// A farm in which little happened proves little.
void demand_troubles(const Farm& farm, const FarmPlan& plan) {
  struct Demand {
    Kind kind;
    std::uint64_t struck, in_tap, in_commit, unheard, settled, charged;
  };
  const std::uint64_t taps = plan.taps, kills = plan.kills, restarts = plan.restarts;
  const Demand demands[] = {
      {Kind::pull, taps / 12, taps / 12, taps / 100, taps / 200, taps / 100, taps / 25},
      {Kind::cut, taps / 12, taps / 12, taps / 12, 0, taps / 40, taps / 100},
      {Kind::reader, taps / 50, taps / 50, taps / 400, taps / 1000, taps / 400, taps / 100},
      {Kind::pcscd, restarts, restarts * 2 / 3, restarts / 6, restarts / 12, 0, restarts / 4},
      {Kind::kill, kills * 3 / 4, kills * 2 / 3, kills / 12, kills / 12, 0, kills / 4},
  };
  for (const Demand& demand : demands) {
    const TroubleRow& row = farm.row(demand.kind);
    EXPECT_GE(row.struck, demand.struck) << row.name;
    EXPECT_GE(row.in_tap, demand.in_tap) << row.name;
    EXPECT_GE(row.in_commit, demand.in_commit) << row.name;
    EXPECT_GE(row.unheard, demand.unheard) << row.name << ": answers lost";
    EXPECT_GE(row.settled, demand.settled) << row.name << ": settled at the card's next tap";
    EXPECT_GE(row.charged, demand.charged) << row.name << ": charged at the card's next tap";
  }
  // No trouble here is of the gate's keys or rules, or a refusal of the card's.
  for (const auto& [decision, count] : farm.decisions()) {
    constexpr std::array<std::string_view, 7> kFitting = {"open",         "pass-back", "lost-answer", "removed",
                                                          "unresponsive", "busy",      "killed"};
    EXPECT_NE(std::find(kFitting.begin(), kFitting.end(), decision), kFitting.end()) << decision << ": " << count;
  }
  EXPECT_GE(farm.crashes(), restarts / 2);
  EXPECT_EQ(farm.came_back(), restarts) << "a gate did not open any more after pcscd was restarted";
}

/// Trips on cards, openings, journal and settlement, to the last one.
void compare(GateHouse& house, Farm& farm) {
  using issuing::SettlementFindingKind;
  auto journal = identity::JournalReader::open(house.journal());
  ASSERT_TRUE(journal) << journal.error().message;
  const auto verified = journal->verify();
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->whole()) << verified->findings.front().words;

  SystemRandom random;
  card::MasterTransactionKeys back_office(ledger_masters(kTransitMasters), random);
  issuing::Settlement settlement(&back_office);
  std::multiset<std::pair<std::uint32_t, std::uint32_t>> told;
  for (std::uint64_t at = 0;;) {
    const auto page = journal->pages(at, 1000);
    ASSERT_TRUE(page);
    if (page->empty()) break;
    at = page->back().number;
    const Status added = settlement.add("farm", *page);
    ASSERT_TRUE(added) << added.error().message;
    for (const auto& record : *page) {
      if (record.kind == card::kRefusalKind) {
        const auto refusal = card::GateRefusal::from_json(record.body);
        ASSERT_TRUE(refusal) << record.body;
        if (refusal->number) told.erase({refusal->gate, *refusal->number});
        continue;
      }
      if (record.kind != card::kTapKind && record.kind != card::kSettledKind) continue;
      const auto tap = card::TapRecord::from_json(record.body);
      ASSERT_TRUE(tap) << record.body;
      if (record.kind == card::kTapKind || tap->opens || tap->opened) told.emplace(tap->gate, tap->number);
    }
  }
  const issuing::SettlementReport report = settlement.finish();
  for (const auto& finding : report.findings) {
    ADD_FAILURE() << name_of(finding.kind) << " ledger " << to_hex(finding.ledger) << " sequence " << finding.sequence
                  << " gate " << finding.gate << " number " << finding.number << " record " << finding.record << ": "
                  << finding.words;
  }
  // On cards: what is gone off the counters, and how many commits there were.
  std::uint64_t trips = 0, commits = 0;
  for (const auto& card : farm.cards()) {
    const card::LedgerState state = ledger_of(*card);
    ASSERT_EQ(state.counters.size(), 2u);
    trips += kTrips - state.counters[1];
    commits += state.sequence - 1;  // the sale was the first
  }
  EXPECT_EQ(report.commits, commits);
  EXPECT_EQ(report.all.taps, commits);
  EXPECT_EQ(report.all.trips, trips);
  // At the gates: every commit opened once, and nothing else did.
  const auto openings = house.openings();
  EXPECT_EQ(openings.size(), commits) << "free rides, or paid ones the gate stayed closed for";
  EXPECT_EQ(openings, told);
  std::printf("[ farm     ] commits %llu, trips %llu, openings %zu, journal records %llu\n",
              static_cast<unsigned long long>(commits), static_cast<unsigned long long>(trips), openings.size(),
              static_cast<unsigned long long>(report.records));
}

}  // namespace

void run_farm(const FarmPlan& plan) {
  const std::uint64_t seed = seed_of_this_run();
  std::printf("[ farm     ] KARTA_FARM_SEED=%llu\n", static_cast<unsigned long long>(seed));
  GateHouse house({.gates = kGates, .behind_pcscd = true});
  Farm farm(house, plan, seed);
  farm.run();
  farm.settle();
  farm.stop();
  farm.print();
  compare(house, farm);
  demand_troubles(farm, plan);
}

}  // namespace karta::test
