// Program: what karta and karta-sign have in common: options, the card to work on, how a run ends.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace karta::cli {

/// Every run ends in one place: a command returns its exit code or an Error, and run_program reports the latter.
using Run = std::function<Result<int>()>;

/// Lets `command` do `run` when it is the one called.
void on_call(CLI::App& command, Run& chosen, Run run);

/// Parses, runs, reports. `add` puts the program's commands on the app and must call on_call for each of them.
/// Exit codes: what the command returns; 0 after --help and --version; 64 on a wrong call; otherwise the error's.
int run_program(int argc, char** argv, const std::string& name, const std::string& description,
                const std::function<void(CLI::App&, Run&)>& add);

/// --dir: the issuing centre's folder; KARTA_DIR where it is not given, else the present folder.
void add_centre_option(CLI::App& command, std::string& folder);

/// How secrets come in: --pin-fd or --passphrase-fd, and --pin-program.
struct SecretOptions {
  int descriptor = -1;
  std::string program;
};
void add_pin_options(CLI::App& command, SecretOptions& options, const std::string& lines);
void add_passphrase_options(CLI::App& command, SecretOptions& options);

}  // namespace karta::cli
