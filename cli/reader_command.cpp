// karta reader: what pcscd sees.
#include <stdio_ext.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "card/card_type.h"
#include "card/pcsc_reader.h"
#include "cli/commands.h"
#include "cli/json_output.h"

namespace karta::cli {
namespace {

std::string state_of(const card::ReaderInfo& reader) {
  if (!reader.card_present) return "empty";
  if (reader.mute) return "card does not answer";
  std::string state = std::string(card::card_type_of(reader.atr).name);
  if (reader.exclusive) state += ", held by another program";
  return state;
}

Result<int> run_list(bool json) {
  card::PcscReaders readers;
  const auto list = TRY(readers.list());
  if (json) {
    Json document = json_document("karta.reader.list/1");
    document["readers"] = Json::array();
    for (const card::ReaderInfo& reader : list) {
      document["readers"].push_back({{"name", reader.name},
                                     {"card_present", reader.card_present},
                                     {"answers", reader.card_present && !reader.mute},
                                     {"exclusive", reader.exclusive},
                                     {"atr", to_hex(reader.atr)},
                                     {"card", reader.card_present ? state_of(reader) : ""}});
    }
    print_json(document);
    return 0;
  }
  if (list.empty()) return fail(ErrorKind::no_reader, "pcscd runs, but sees no reader");
  for (std::size_t i = 0; i < list.size(); ++i) {
    print(std::to_string(i) + "  " + list[i].name + "  " + state_of(list[i]) +
          (list[i].atr.empty() ? "" : "  ATR " + to_hex_upper(list[i].atr, " ")));
  }
  return 0;
}

/// Ends the watch when the person presses control-C or the program is told to stop.
class StopOnSignal {
 public:
  explicit StopOnSignal(card::ReaderWatch& watch) {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    waiter_ = std::thread([this, &watch] {
      int signal = 0;
      sigwait(&signals_, &signal);
      watch.stop();
      stopped_ = true;
    });
  }
  ~StopOnSignal() {
    if (!stopped_) pthread_kill(waiter_.native_handle(), SIGTERM);
    waiter_.join();
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  bool stopped() const { return stopped_; }

 private:
  sigset_t signals_{};
  std::atomic<bool> stopped_{false};
  std::thread waiter_;
};

Result<int> run_watch(bool json, unsigned most_events) {
  card::ReaderWatch watch;
  const StopOnSignal stop(watch);
  const SystemClock clock;
  unsigned seen = 0;
  while (!stop.stopped()) {
    for (const card::ReaderEvent& event : TRY(watch.next(std::chrono::hours(1)))) {
      if (json) {
        Json line = json_document("karta.reader.event/1");
        line["time"] = format_time(clock.now());
        line["event"] = card::to_string(event.kind);
        if (!event.reader.empty()) line["reader"] = event.reader;
        if (!event.atr.empty()) line["atr"] = to_hex(event.atr);
        print(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      } else {
        print(format_time(clock.now()) + "  " + std::string(card::to_string(event.kind)) +
              (event.reader.empty() ? "" : "  " + event.reader) +
              (event.atr.empty() ? "" : "  ATR " + to_hex_upper(event.atr, " ")));
      }
      if (std::fflush(stdout) != 0) {
        if (errno != EPIPE) return fail(ErrorKind::io, std::string("cannot write: ") + std::strerror(errno));
        __fpurge(stdout);  // whoever listened has gone, and has had enough: no fault
        std::clearerr(stdout);
        return 0;
      }
      if (++seen == most_events) return 0;
    }
  }
  return 0;
}

}  // namespace

void add_reader(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("reader", "Card readers and the cards in them");
  noun.require_subcommand(0, 1);
  auto json = std::make_shared<bool>(false);
  CLI::App& list = *noun.add_subcommand("list", "The readers pcscd sees");
  list.add_flag("--json", *json, "as karta.reader.list/1");
  on_call(list, chosen, [json] { return run_list(*json); });

  auto most = std::make_shared<unsigned>(0);
  CLI::App& watch = *noun.add_subcommand("watch", "Readers and cards as they come and go, until control-C");
  watch.add_flag("--json", *json, "one karta.reader.event/1 a line");
  watch.add_option("--count", *most, "stop after so many events");
  on_call(watch, chosen, [json, most] { return run_watch(*json, *most); });
}

}  // namespace karta::cli
