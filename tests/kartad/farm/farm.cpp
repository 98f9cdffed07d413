// The farm: cards at gates, pulled, cut inside COMMIT, with readers that go, a pcscd that is started anew and a daemon
// that is killed, until trips on cards, journals, openings and settlement are compared to the last one.
#include "tests/kartad/farm/farm.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <random>
#include <shared_mutex>
#include <thread>

#include "issuing/settlement.h"
#include "tests/kartad/farm/farm_wire.h"
#include "tests/kartad/farm/gate_house.h"

extern char** environ;

namespace karta::test {
namespace {

constexpr std::uint32_t kTrips = 100'000;
constexpr auto kMost = std::chrono::seconds(60);  // nothing in here takes as long

/// The daemon in a process of its own.
class FarmDaemon {
 public:
  FarmDaemon(const std::filesystem::path& config, unsigned gates) {
    std::vector<std::string> words = {std::string(KARTA_BINARY_DIR) + "/test/farm_daemon", config.string()};
    std::vector<int> theirs;
    const auto pair = [&](int& ours) {
      int ends[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
      ours = ends[0];
      theirs.push_back(ends[1]);
    };
    pair(control);
    sockets.resize(gates);
    for (int& socket : sockets) pair(socket);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    // Beyond what is open here, so that no number is in its own way.
    int number = 500;
    for (const int end : theirs) {
      ::posix_spawn_file_actions_adddup2(&actions, end, number);
      words.push_back(std::to_string(number++));
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&child_, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
    ::posix_spawn_file_actions_destroy(&actions);
    for (const int end : theirs) ::close(end);
    done.resize(gates);
    for (auto& one : done) one = std::make_unique<Done>();
    listener_ = std::thread([this] { listen(); });
  }
  ~FarmDaemon() {
    kill();
    listener_.join();
    ::close(control);
    for (const int socket : sockets) ::close(socket);
  }
  void kill() {
    if (killed_.exchange(true)) return;
    ::kill(child_, SIGKILL);
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  bool killed() const { return killed_; }
  void tell(char letter, unsigned gate) {
    const std::lock_guard lock(telling_);
    send_message(control, letter, as_bytes(GateHouse::reader(gate)));
  }
  bool await_up() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kMost, [this] { return up_ || ended_; }) && up_;
  }

  /// The end of a tap at one gate, as the daemon tells it.
  struct Done {
    int pipe[2] = {-1, -1};
    std::string decision;
    Done() { EXPECT_EQ(::pipe(pipe), 0); }
    ~Done() {
      ::close(pipe[0]);
      ::close(pipe[1]);
    }
  };
  int control = -1;
  std::vector<int> sockets;
  std::vector<std::unique_ptr<Done>> done;

 private:
  void listen() {
    while (const auto message = receive_message(control)) {
      const std::lock_guard lock(mutex_);
      if (message->letter == 'U') up_ = true;
      if (message->letter == 'D') {
        const std::string text = message->text();
        const std::size_t bar = text.find('|');
        Done& one = *done.at(static_cast<std::size_t>(std::stoul(text.substr(5, bar - 5))));
        one.decision = text.substr(bar + 1);
        EXPECT_EQ(::write(one.pipe[1], "d", 1), 1);
      }
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  pid_t child_ = 0;
  std::atomic<bool> killed_{false};
  std::mutex telling_, mutex_;
  std::condition_variable changed_;
  bool up_ = false, ended_ = false;
  std::thread listener_;
};

/// What happens to a tap.
struct Trouble {
  enum class Kind { none, pull, cut, reader, pcscd, kill };
  static constexpr std::size_t kKinds = 6;
  Kind kind = Kind::none;
  unsigned command = 0;     ///< the how-manieth of the tap
  bool before = false;      ///< before the card has it, or behind
  std::uint64_t write = 0;  ///< cut: at which write of COMMIT
};

class Farm {
 public:
  Farm(GateHouse& house, unsigned gates, unsigned cards, std::uint64_t seed)
      : house_(house), gates_(gates), dice_(seed) {
    for (unsigned i = 0; i < cards; ++i) {
      auto card = std::make_unique<IdentityCard>(IdentityCardOptions{.seed = 100 + i});
      sell_trips(*card, kTrips, i + 1);
      idle_.push_back(card.get());
      cards_.push_back(std::move(card));
    }
    restart();
  }

  /// All gates at work until so many cards have been held to them.
  void run(std::uint64_t taps, unsigned kills) {
    left_ = static_cast<std::int64_t>(taps);
    kills_left_ = static_cast<int>(kills);
    std::vector<std::thread> gates;
    for (unsigned gate = 0; gate < gates_; ++gate) {
      const std::uint64_t seed = dice_();
      gates.emplace_back([this, gate, seed] {
        std::mt19937_64 dice(seed);
        while (left_.fetch_sub(1) > 0) {
          IdentityCard* const card = take_card(dice);
          tap(gate, *card, trouble(dice), dice);
          const std::lock_guard lock(cards_mutex_);
          idle_.push_back(card);
        }
      });
    }
    for (std::thread& gate : gates) gate.join();
  }
  /// Every card once at a gate, in peace: what was lost is settled.
  void settle() {
    std::mt19937_64 dice(1);
    for (const auto& card : cards_) EXPECT_EQ(tap(1, *card, {}, dice), "open");
  }

  const std::vector<std::unique_ptr<IdentityCard>>& cards() const { return cards_; }
  std::map<std::string, std::uint64_t> decisions() const {
    const std::lock_guard lock(counts_mutex_);
    return decisions_;
  }
  std::uint64_t kills() const { return kills_; }
  std::uint64_t struck(Trouble::Kind kind) const { return struck_[static_cast<std::size_t>(kind)]; }
  void stop() { daemon_.reset(); }

 private:
  void restart() {
    daemon_.reset();
    daemon_ = std::make_shared<FarmDaemon>(house_.config(), gates_);
    ASSERT_TRUE(daemon_->await_up());
  }
  IdentityCard* take_card(std::mt19937_64& dice) {
    const std::lock_guard lock(cards_mutex_);
    const std::size_t which = dice() % idle_.size();
    IdentityCard* const card = idle_[which];
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(which));
    return card;
  }
  Trouble trouble(std::mt19937_64& dice) {
    const auto below = [&](unsigned bound) { return static_cast<unsigned>(dice() % bound); };
    Trouble out;
    out.command = below(4);
    out.before = below(2) == 0;
    out.write = below(12);
    const unsigned one = below(100);
    if (one < 12) out.kind = Trouble::Kind::pull;
    if (one >= 12 && one < 24) out.kind = Trouble::Kind::cut;
    if (one >= 24 && one < 27) out.kind = Trouble::Kind::reader;
    if (one >= 31 && one < 33) out.kind = Trouble::Kind::pcscd;
    if (one >= 27 && one < 31 && kills_left_.fetch_sub(1) > 0) out.kind = Trouble::Kind::kill;
    return out;
  }

  /// The daemon's decision; empty where it was killed.
  std::string tap(unsigned gate, IdentityCard& card, const Trouble& trouble, std::mt19937_64& dice) {
    std::string decision;
    std::shared_ptr<FarmDaemon> served;
    {
      std::shared_lock lock(daemon_mutex_, std::defer_lock);
      std::unique_lock alone(daemon_mutex_, std::defer_lock);
      // All gates stand on one pcscd: where it goes in the middle of a tap, no other gate is in the middle of one.
      if (trouble.kind == Trouble::Kind::pcscd) {
        alone.lock();
      } else {
        lock.lock();
      }
      served = daemon_;
      decision = tap_at(*served, gate, card, trouble, dice);
    }
    if (served->killed()) {
      const std::unique_lock lock(daemon_mutex_);
      if (daemon_ == served) {
        ++kills_;
        served.reset();
        restart();
      }
    }
    const std::lock_guard lock(counts_mutex_);
    ++decisions_[decision.empty() ? "killed" : decision];
    return decision;
  }

  std::string tap_at(FarmDaemon& daemon, unsigned gate, IdentityCard& card, const Trouble& trouble,
                     std::mt19937_64& dice) {
    sim::SoftCard& chip = card.sim.card();
    chip.set_interface(os::Interface::contactless);
    chip.power_off();
    chip.power_on();
    bool gone = false, reader_gone = false;
    unsigned commands = 0;
    daemon.tell('I', gate);
    FarmDaemon::Done& done = *daemon.done[gate];
    const int socket = daemon.sockets[gate];
    using Kind = Trouble::Kind;
    const auto strike = [&](bool before) {
      if (trouble.command != commands || trouble.before != before) return;
      const auto struck = [&] { ++struck_[static_cast<std::size_t>(trouble.kind)]; };
      if (trouble.kind == Kind::pull) {
        gone = true;
        struck();
      }
      if ((trouble.kind == Kind::reader || trouble.kind == Kind::pcscd) && !reader_gone) {
        reader_gone = true;
        daemon.tell(trouble.kind == Kind::pcscd ? 'P' : 'X', gate);
        struck();
      }
      if (trouble.kind == Kind::kill) daemon.kill();
    };
    for (;;) {
      pollfd both[2] = {{socket, POLLIN, 0}, {done.pipe[0], POLLIN, 0}};
      const int ready = ::poll(both, 2, static_cast<int>(std::chrono::milliseconds(kMost).count()));
      if (ready <= 0) {
        ADD_FAILURE() << "gate " << gate << " stands still";
        daemon.kill();
        break;
      }
      if (both[1].revents != 0 && both[0].revents == 0) {
        char letter = 0;
        EXPECT_EQ(::read(done.pipe[0], &letter, 1), 1);
        break;
      }
      const auto message = receive_message(socket);
      if (!message) break;  // killed
      if (message->letter == 'Z') {
        chip.reset();
        send_message(socket, 'A', {});
        continue;
      }
      strike(true);
      Bytes answer;
      if (!gone && !reader_gone) {
        const bool commit = message->octets.size() > 1 && message->octets[0] == 0x80 && message->octets[1] == 0x34;
        const bool cut = commit && trouble.kind == Kind::cut;
        if (cut) chip.cut_power_at({.command = 1, .write = trouble.write});
        answer = to_bytes(chip.process(message->octets));
        if (answer.empty()) {
          gone = true;
          if (cut) ++struck_[static_cast<std::size_t>(Kind::cut)];
        }
      }
      strike(false);
      ++commands;
      if (daemon.killed()) break;
      if (!send_message(socket, reader_gone ? 'L' : gone || answer.empty() ? 'G' : 'A', answer)) break;
      // Killed a moment after the answer: somewhere between receipt, gate, RATIFY and journal.
      if (trouble.kind == Kind::kill && trouble.command + 1 == commands && trouble.before) {
        std::atomic<unsigned> spin{0};
        for (const unsigned most = static_cast<unsigned>(dice() % 200'000); spin.load() < most;) spin.fetch_add(1);
        daemon.kill();
        break;
      }
    }
    chip.power_off();
    if (daemon.killed()) return {};
    const std::string decision = done.decision;
    if (reader_gone) {
      if (trouble.kind != Kind::pcscd) daemon.tell('A', gate);
    } else {
      daemon.tell('R', gate);
    }
    return decision;
  }

  GateHouse& house_;
  unsigned gates_;
  std::mt19937_64 dice_;
  std::vector<std::unique_ptr<IdentityCard>> cards_;
  std::mutex cards_mutex_;
  std::vector<IdentityCard*> idle_;
  std::shared_mutex daemon_mutex_;
  std::shared_ptr<FarmDaemon> daemon_;
  std::atomic<std::int64_t> left_{0};
  std::atomic<int> kills_left_{0};
  std::uint64_t kills_ = 0;
  std::array<std::atomic<std::uint64_t>, Trouble::kKinds> struck_{};
  mutable std::mutex counts_mutex_;
  std::map<std::string, std::uint64_t> decisions_;
};

std::uint64_t seed_of_this_run() {
  if (const char* const given = std::getenv("KARTA_FARM_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device()();
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

void run_farm(std::uint64_t taps, unsigned kills) {
  const std::uint64_t seed = seed_of_this_run();
  std::printf("[ farm     ] KARTA_FARM_SEED=%llu\n", static_cast<unsigned long long>(seed));
  constexpr unsigned kGates = 4, kCards = 10;
  GateHouse house({.gates = kGates});
  Farm farm(house, kGates, kCards, seed);
  farm.run(taps, kills);
  farm.settle();
  farm.stop();
  std::printf("[ farm     ] %llu taps, %llu kills:", static_cast<unsigned long long>(taps),
              static_cast<unsigned long long>(farm.kills()));
  for (const auto& [decision, count] : farm.decisions()) {
    std::printf(" %s %llu", decision.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf("\n");
  // What was to happen did.
  for (const auto& [kind, name] : {std::pair(Trouble::Kind::pull, "pulls"),
                                   {Trouble::Kind::cut, "cuts"},
                                   {Trouble::Kind::reader, "readers lost"},
                                   {Trouble::Kind::pcscd, "pcscd restarts"}}) {
    EXPECT_GT(farm.struck(kind), 0u) << name;
    std::printf("[ farm     ] %s %llu\n", name, static_cast<unsigned long long>(farm.struck(kind)));
  }
  EXPECT_GT(farm.kills(), 0u);
  for (const char* const decision : {"open", "lost-answer", "removed"}) EXPECT_GT(farm.decisions()[decision], 0u);
  compare(house, farm);
}

}  // namespace karta::test
