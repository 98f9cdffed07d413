// karta-sim control: tells a running karta-sim what to do.
#include "firmware-sim/link/control.h"

#include <cstdio>
#include <memory>

#include "firmware-sim/program/program.h"

namespace karta::sim {

void add_control(CLI::App& app, Deed& deed) {
  struct Options {
    std::string socket;
    std::vector<std::string> words;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      app.add_subcommand("control", "Tell a running karta-sim: insert, remove, swap, cut-power, status, quit");
  verb->add_option("SOCKET", options->socket, "What its --control names")->required();
  verb->add_option("COMMAND", options->words,
                   "insert [CARD], remove [CARD], swap [CARD] IMAGE, reset [CARD], "
                   "cut-power [CARD] [command=N] [write=N], status, quit")
      ->required();
  verb->footer(
      "Returns when it is done: after insert, programs find the card.\n"
      "Example: karta-sim control /run/user/1000/cards remove 2");
  verb->callback([options, &deed] {
    deed = [options]() -> Status {
      std::string line;
      for (const std::string& word : options->words) line += (line.empty() ? "" : " ") + word;
      std::printf("%s", TRY(ask_control(options->socket, line)).c_str());
      return {};
    };
  });
}

}  // namespace karta::sim
