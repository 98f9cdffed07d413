// kartad: the card at the clinic, the pharmacy, the gate, the counter and the citizen's own machine.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "daemon/citizen/citizen_mode.h"
#include "daemon/clinic.h"
#include "daemon/counter/counter_mode.h"
#include "daemon/daemon.h"
#include "daemon/pages/pages.h"
#include "daemon/pharmacy.h"
#include "daemon/transit/transit_mode.h"
#include "service/log.h"
#include "service/supervisor.h"

namespace {

using namespace karta;

constexpr std::chrono::milliseconds kTick{500};

constexpr daemon::ModeRow kModes[] = {
    {"clinic", daemon::read_clinic},   {"pharmacy", daemon::read_pharmacy},     {"transit", daemon::read_transit},
    {"counter", daemon::read_counter}, {"citizen", daemon::read_citizen, true},
};

int report(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  const std::string hint(error.next_step());
  if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", hint.c_str());
  return error.exit_code();
}

/// Nothing this process holds may end up in a core file, or be read by another process of the same user.
void keep_secrets_in() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

std::unique_ptr<daemon::ReaderSource> pcsc_readers(const daemon::DaemonConfig& config) {
  card::PcscOptions options;
  options.answer_timeout = config.answer_time;
  options.busy_timeout = config.busy_time;
  return std::make_unique<daemon::PcscReaderSource>(options);
}

Status serve(const std::string& file, const daemon::Environment& environment) {
  service::Supervisor supervisor;
  keep_secrets_in();
  const bool for_journal = std::getenv("JOURNAL_STREAM") != nullptr;
  service::set_up_log({.level = service::LogLevel::info, .for_journal = for_journal});
  const auto running = TRY(daemon::Daemon::start(file, environment));
  std::string where;
  for (const std::string& one : running->addresses()) where += (where.empty() ? "" : ", ") + one;
  service::log_info("kartad " KARTA_VERSION " listens at " + where);
  supervisor.notify("READY=1\nSTATUS=listening at " + where);
  auto told_watchdog = std::chrono::steady_clock::now();
  for (;;) {
    const service::Signal signal = supervisor.next(kTick);
    if (signal == service::Signal::stop) break;
    if (signal == service::Signal::reload) {
      supervisor.notify_reloading();
      const Status taken = running->reload();
      if (taken) {
        service::log_info("the configuration was read again");
      } else {
        service::log_error("the configuration stays as it was", taken.error());
      }
      supervisor.notify("READY=1");
    }
    const auto interval = supervisor.watchdog_interval();
    if (interval.count() > 0 && std::chrono::steady_clock::now() - told_watchdog >= interval) {
      supervisor.notify("WATCHDOG=1");
      told_watchdog = std::chrono::steady_clock::now();
    }
  }
  supervisor.notify("STOPPING=1\nSTATUS=finishing calls");
  service::log_info("stopping: calls that arrived are answered");
  running->stop();
  service::log_info("stopped");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app("The card at the clinic, the pharmacy, the gate, the counter and at home", "kartad");
    app.set_version_flag("--version", "kartad " KARTA_VERSION);
    std::string file;
    bool check = false;
    app.add_option("--config", file, "the configuration: kartad.toml")->required();
    app.add_flag("--check", check, "open everything the configuration names, say what is wrong, serve nothing");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);
      return report({ErrorKind::usage, error.what(), "see: kartad --help"});
    }
    const SystemClock clock;
    SystemRandom random;
    const daemon::Environment environment{.clock = clock,
                                          .random = random,
                                          .make_readers = pcsc_readers,
                                          .modes = kModes,
                                          .read_pages = daemon::read_pages,
                                          .open_rules = daemon::transit_rules_opener()};
    if (check) {
      const auto warnings = daemon::check_daemon(file, environment);
      if (!warnings) return report(warnings.error());
      for (const std::string& one : *warnings) std::fprintf(stderr, "warning: %s\n", one.c_str());
      std::fprintf(stderr, "\"%s\" can be served\n", file.c_str());
      return 0;
    }
    const Status done = serve(file, environment);
    return done ? 0 : report(done.error());
  } catch (const std::exception& error) {
    return report({ErrorKind::internal, std::string("unexpected: ") + error.what(), ""});
  }
}
