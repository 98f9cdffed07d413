// ./dev bench clinic: what a visit costs the daemon itself, and whether sixteen readers hinder one another. Cards are
// simulated in this process; each command takes the time a modern chip would, so that what is measured is the daemon's.
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <thread>

#include "tests/bench/bench.h"
#include "tests/kartad/daemon_fixture.h"

namespace karta {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr unsigned kReaders = 16, kVisits = 12;
/// A visit's modelled card time over its commands (docs/cost-model.md).
constexpr std::chrono::milliseconds kCommandTime{20};

double cpu_seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double resident_megabytes() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

/// The simulators' own time, which no terminal spends.
std::atomic<double> simulators{0};

test::SimulatedReaders::Card patient(test::IdentityCard& card, bool chip_time) {
  auto out = test::contactless(card);
  out.process = [inner = out.process, chip_time](ByteView command) {
    const double begun = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    Bytes answer = inner(command);
    simulators += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
    if (chip_time) {
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable().wait_for(lock, kCommandTime);
    }
    return answer;
  };
  return out;
}

std::string reader_name(unsigned number) { return "Sim Clinic " + std::to_string(100 + number); }

double visit_seconds(test::TestDaemon& kartad, const std::string& reader) {
  const auto begun = SteadyClock::now();
  const auto answer =
      kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", std::string(test::kCan)}, {"reader", reader}});
  bench::demand(answer.status == 201 && answer.body["decision"] == "accepted", "a visit was not accepted");
  return std::chrono::duration<double>(SteadyClock::now() - begun).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run() {
  std::vector<std::unique_ptr<test::IdentityCard>> cards;
  test::TestDaemon kartad;
  bench::demand(kartad.start().has_value(), "the daemon does not start");
  for (unsigned i = 0; i < kReaders; ++i) {
    test::IdentityCardOptions options;
    options.card_signed = true;
    options.seed = i + 1;
    cards.push_back(std::make_unique<test::IdentityCard>(options));
    kartad.readers.add_reader(reader_name(i));
  }
  const auto insert = [&](bool chip_time) {
    kartad.forget_events();
    for (unsigned i = 0; i < kReaders; ++i) kartad.readers.insert(reader_name(i), patient(*cards[i], chip_time));
    while (kartad.count("card-in") < kReaders) bench::demand(kartad.saw("card-in"), "a card was not seen");
  };

  insert(false);
  visit_seconds(kartad, reader_name(0));
  simulators = 0;
  const double cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (unsigned i = 0; i < kVisits; ++i) visit_seconds(kartad, reader_name(0));
  const double own = (cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu - simulators) / kVisits * 1000;
  std::printf("%-60s %8.2f ms\n", "a visit: the daemon's and its client's processor time", own);
  bench::record("clinic visit, host CPU", own, "ms", "", 0);

  insert(true);
  std::vector<double> alone;
  for (unsigned i = 0; i < kVisits / 2; ++i) alone.push_back(visit_seconds(kartad, reader_name(0)));
  std::vector<double> together;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (unsigned reader = 0; reader < kReaders; ++reader) {
    threads.emplace_back([&, reader] {
      for (unsigned i = 0; i < kVisits / 2; ++i) {
        const double took = visit_seconds(kartad, reader_name(reader));
        const std::lock_guard lock(mutex);
        together.push_back(took);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%-60s %8.1f ms\n", "a visit, one reader at work (median, 20 ms a command)", median(alone) * 1000);
  std::printf("%-60s %8.1f ms\n", "a visit, sixteen readers at work (median)", median(together) * 1000);
  bench::record("clinic visit, 1 reader", median(alone) * 1000, "ms", "16 readers", median(together) * 1000);
  std::printf("%-60s %8.1f MB\n", "resident, sixteen simulated cards included", resident_megabytes());
  bench::record("kartad resident with 16 simulated cards", resident_megabytes(), "MB", "", 0);
}

}  // namespace
}  // namespace karta

int main() {
  karta::run();
  return 0;
}
