// bench tap, the daemon's part: what a running kartad adds to a tap: processor time, the disk's, the stop-list's; one
// reader and sixteen; memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "identity/stop_list/stop_table.h"
#include "tests/bench/bench.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/kartad/farm/gate_house.h"

namespace karta::test {
namespace {

double seconds_of(clockid_t which) {
  timespec now{};
  ::clock_gettime(which, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::size_t resident_octets() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * 4096;
}

/// Readers with cards, and a daemon behind them.
class GateBench {
 public:
  explicit GateBench(unsigned gates) : house({.gates = gates}) {
    for (unsigned gate = 0; gate < gates; ++gate) {
      // Zone 5 takes trips, and a bench takes many.
      cards.push_back(std::make_unique<IdentityCard>(IdentityCardOptions{.seed = 300 + gate}));
      sell_trips(*cards.back(), 1'000'000, 1);
      readers.add_reader(GateHouse::reader(gate));
    }
    before_ = resident_octets();
    daemon::Environment environment{
        .clock = clock,
        .random = house.random,
        .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
          return std::make_unique<BorrowedReaders>(readers);
        },
        .modes = kTransitModes,
        .open_rules = daemon::transit_rules_opener()};
    auto started = daemon::Daemon::start(house.config(), environment);
    bench::demand(started.has_value(), "the daemon does not start");
    running = std::move(*started);
    running->events().listen(0, [this](const daemon::Event& event) {
      if (event.kind != "tap") return true;
      const auto data = nlohmann::json::parse(event.data);
      bench::demand(data.at("decision") == "open", "a gate stayed closed");
      const std::lock_guard lock(mutex_);
      done_[data.at("reader").get<std::string>()] += 1;
      told_.notify_all();
      return true;
    });
  }
  ~GateBench() { running->stop(); }

  /// One tap; milliseconds from the card in the field to the word that the gate is open and all is written down.
  /// `modelled`: each command takes as long as on a modern chip at 424 kbit/s.
  double tap(unsigned gate, bool modelled) {
    const std::string name = GateHouse::reader(gate);
    std::uint64_t before = 0;
    {
      const std::lock_guard lock(mutex_);
      before = done_[name];
    }
    const auto begun = std::chrono::steady_clock::now();
    SimulatedReaders::Card held = contactless(*cards[gate]);
    held.process = [this, &card = *cards[gate], modelled](ByteView command) {
      const double from = seconds_of(CLOCK_THREAD_CPUTIME_ID);
      Bytes answer = to_bytes(card.sim.card().process(command));
      const double spent = seconds_of(CLOCK_THREAD_CPUTIME_ID) - from;
      card_cpu.fetch_add(static_cast<std::uint64_t>(spent * 1e9));
      if (modelled && command.size() > 1) {
        const int ms = command[1] == 0xA4 ? 4 : command[1] == 0x32 ? 30 : command[1] == 0x34 ? 18 : 7;
        std::this_thread::sleep_for(std::chrono::milliseconds(ms));
      }
      return answer;
    };
    held.reset = [this, reset = held.reset] {
      const double from = seconds_of(CLOCK_THREAD_CPUTIME_ID);
      reset();
      card_cpu.fetch_add(static_cast<std::uint64_t>((seconds_of(CLOCK_THREAD_CPUTIME_ID) - from) * 1e9));
    };
    readers.insert(name, std::move(held));
    {
      std::unique_lock lock(mutex_);
      const bool told = told_.wait_for(lock, std::chrono::seconds(30), [&] { return done_[name] > before; });
      bench::demand(told, "a tap does not end");
    }
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
    readers.remove(name);
    return took.count();
  }
  std::size_t grown() const {
    const std::size_t now = resident_octets();
    return now > before_ ? now - before_ : 0;
  }

  FixedClock clock{crypto::testing::test_time()};
  SimulatedReaders readers;
  GateHouse house;
  std::vector<std::unique_ptr<IdentityCard>> cards;
  std::unique_ptr<daemon::Daemon> running;
  std::atomic<std::uint64_t> card_cpu{0};

 private:
  std::size_t before_ = 0;
  std::mutex mutex_;
  std::condition_variable told_;
  std::map<std::string, std::uint64_t> done_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median milliseconds of taps of modelled cards at so many readers at once.
double latency(GateBench& bench, unsigned readers, unsigned taps) {
  std::vector<std::vector<double>> all(readers);
  std::vector<std::thread> threads;
  for (unsigned gate = 0; gate < readers; ++gate) {
    threads.emplace_back([&, gate] {
      for (unsigned i = 0; i < taps; ++i) all[gate].push_back(bench.tap(gate, true));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> flat;
  for (const auto& one : all) flat.insert(flat.end(), one.begin(), one.end());
  return median(flat);
}

int run() {
  constexpr unsigned kGates = 16, kTaps = 400;
  GateBench bench(kGates);
  for (unsigned i = 0; i < 20; ++i) (void)bench.tap(0, false);
  const double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  bench.card_cpu = 0;
  std::vector<double> wall;
  for (unsigned i = 0; i < kTaps; ++i) wall.push_back(bench.tap(i % kGates, false));
  const double host =
      (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before) * 1e3 - static_cast<double>(bench.card_cpu) * 1e-6;
  const double cpu = host / kTaps;
  std::printf("\nkartad at a gate\n");
  std::printf("  processor time a tap, the card's apart        %8.3f ms  (bound: 1 ms)\n", cpu);
  bench::record("tap/host-cpu", cpu, "ms", "budget", 1);
  std::printf("  a tap with a card that takes no time          %8.3f ms  (two syncs of the journal are in it)\n",
              median(wall));
  bench::record("tap/wall-without-card", median(wall), "ms", "", 0);
  const double one = latency(bench, 1, 20), sixteen = latency(bench, kGates, 20);
  std::printf("  card of 59 ms, one reader                     %8.1f ms\n", one);
  std::printf("  the same at each of sixteen at once           %8.1f ms\n", sixteen);
  bench::record("tap/latency-1-reader", one, "ms", "", 0);
  bench::record("tap/latency-16-readers", sixteen, "ms", "one reader", one);
  std::printf("  memory the daemon has taken with 16 readers   %8.1f MB  (bound: 64 MB and the stop-list)\n",
              static_cast<double>(bench.grown()) / 1e6);
  bench::record("tap/memory", static_cast<double>(bench.grown()) / 1e6, "MB", "budget", 64);

  // The stop-list as a gate has it: ten million cards, one in a hundred stopped.
  constexpr std::uint64_t kCards = 10'000'000;
  std::vector<std::uint64_t> stopped;
  for (std::uint64_t index = 7; index < kCards; index += 100) stopped.push_back(index);
  identity::StopListHead head;
  head.epoch = 1;
  head.issuer = "bench";
  head.next_update = head.this_update + std::chrono::hours(1);
  const Bytes body = crypto::testing::must(identity::encode_stop_list(head, {{0, kCards}}, stopped));
  GateHouse& house = bench.house;
  house.centre.issuing_signer.set_certificate_chain({house.centre.issuing.der()});
  const Bytes file = crypto::testing::must(identity::sign_stop_list(body, house.centre.issuing_signer));
  const auto list = crypto::testing::must(identity::StopList::parse(file));
  const auto table = crypto::testing::must(identity::StopTable::unfold(list));
  std::uint64_t at = 1, found = 0;
  const double rate = bench::rate([&] {
    for (int i = 0; i < 1000; ++i) {
      at = at * 6364136223846793005u + 1442695040888963407u;
      found += table.find((at >> 20) % kCards) == identity::CardVerdict::stopped ? 1 : 0;
    }
  });
  const double nanoseconds = 1e9 / (rate * 1000);
  bench::demand(found > 0, "no card was found stopped");
  std::printf("  stop-list check                               %8.1f ns  (bound: 1000 ns)\n", nanoseconds);
  bench::record("tap/stop-list-check", nanoseconds, "ns", "budget", 1000);
  return testing::Test::HasFailure() ? 70 : 0;
}

}  // namespace
}  // namespace karta::test

int main() { return karta::test::run(); }
