// postgres_load URL NAME THREADS: takes codes out of a registry's database as a log-in does, until its standard input
// ends, and says on its standard output what it was told. For tests/identity/postgres_kill.sh.
//
// A code is taken once, whoever is first: its row is written, and the citizen's access log, in one transaction. "took
// N" says that the commit was answered; "late N" that another had it; "unknown N" that the connection went at the
// commit; "error KIND" that it did not happen; "slow MS" that a call took longer than 2.5 seconds in which nobody on
// this machine waited for a processor or a disk.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

#include "base/random.h"
#include "identity/citizen_reads.h"
#include "service/group_commit.h"

namespace karta {
namespace {

using identity::CitizenId;
using service::Database;

constexpr std::int64_t kCitizens = 64;

/// One line, at once: who is killed afterwards has said it.
void say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const std::string whole = line + "\n";
  (void)!::write(STDOUT_FILENO, whole.data(), whole.size());
}

/// For how long, since the machine started, somebody on it has waited for a processor or a disk: the kernel's pressure
/// stall information, proc(5). 0 where the kernel keeps none.
std::chrono::milliseconds stalled() {
  std::chrono::microseconds all{0};
  for (const char* const file : {"/proc/pressure/cpu", "/proc/pressure/io"}) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);  // "some avg10=... total=MICROSECONDS"
    const std::size_t at = line.find("total=");
    if (at != std::string::npos) all += std::chrono::microseconds(std::stoll(line.substr(at + 6)));
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(all);
}

int load(const std::string& url, const std::string& name, int threads) {
  static SystemRandom random;
  const SystemClock clock;
  auto writes = service::GroupCommit::open(url);
  if (!writes) {
    std::fprintf(stderr, "%s\n", writes.error().message.c_str());
    return 1;
  }
  std::atomic<bool> over = false;
  std::atomic<std::int64_t> next = 1;
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      std::optional<Database> own;
      while (!over) {
        const std::int64_t code = next++;
        const auto began = std::chrono::steady_clock::now();
        const auto stalled_before = stalled();
        std::int64_t taken = 0;
        const Status done = [&]() -> Status {
          if (!own) own = TRY(Database::open(url));
          return (*writes)->write(*own, [&](Database& database) -> Status {
            taken = TRY(database.execute(
                "INSERT INTO test_codes (code, used_by) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING", {code, name}));
            if (taken == 0) return {};
            return append_access(database, CitizenId{code % kCitizens + 1}, {name, "log in", std::to_string(code)},
                                 "name", clock.now());
          });
        }();
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
        if ((took - (stalled() - stalled_before)).count() > 2500) say("slow " + std::to_string(took.count()));
        if (done) {
          say((taken == 1 ? "took " : "late ") + std::to_string(code));
        } else if (service::is_outcome_unknown(done.error())) {
          say("unknown " + std::to_string(code));
        } else {
          say("error " + std::string(row_of(done.error().kind).name) + " " + done.error().message);
          // As somebody who was answered 503.
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
      }
    });
  }
  // Until whoever began it lets go.
  char octet = 0;
  while (::read(STDIN_FILENO, &octet, 1) > 0) {
  }
  over = true;
  for (std::thread& worker : workers) worker.join();
  return 0;
}

}  // namespace
}  // namespace karta

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: postgres_load URL NAME THREADS\n");
    return 64;
  }
  return karta::load(argv[1], argv[2], std::atoi(argv[3]));
}
