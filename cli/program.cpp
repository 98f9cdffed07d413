#include "cli/program.h"

#include <CLI/CLI.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <exception>

#include "cli/console.h"

namespace karta::cli {
namespace {

constexpr int kUsage = 64;

/// Nothing this process holds may end up in a core file, or be read by another process of the same user.
void keep_secrets_in() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

/// The innermost command the words got to: its help is the one to offer.
const CLI::App& reached(const CLI::App& app) {
  const auto called = app.get_subcommands();
  return called.empty() ? app : reached(*called.front());
}

std::string full_name(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

/// The help of a command, called by its full name; without the empty lines CLI11 ends with.
std::string help_of(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  std::string text = app.help(parent == nullptr ? "" : full_name(*parent));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// A result that did not reach its reader is no success, wherever in the output it broke off.
int finish(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return report(Error{ErrorKind::io, "cannot write to standard output", "is the disk full, or the reader gone?"});
}

/// A file descriptor's number; CLI11's own checks count in floating point and say so.
std::string check_descriptor(const std::string& text) {
  const bool digits = !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? "" : "\"" + text + "\" is no file descriptor: give its number, 0 or more";
}

}  // namespace

void on_call(CLI::App& command, Run& chosen, Run run) {
  command.callback([&chosen, run = std::move(run)] { chosen = run; });
}

int run_program(int argc, char** argv, const std::string& name, const std::string& description,
                const std::function<void(CLI::App&, Run&)>& add) {
  keep_secrets_in();
  std::setlocale(LC_CTYPE, "");
  std::signal(SIGPIPE, SIG_IGN);
  Run chosen;
  try {
    CLI::App app(description, name);
    app.set_version_flag("--version", name + " " KARTA_VERSION);
    app.get_formatter()->column_width(34);
    add(app, chosen);
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      print(help_of(reached(app)));
      return finish(0);
    } catch (const CLI::CallForVersion&) {
      print(name + " " KARTA_VERSION);
      return finish(0);
    } catch (const CLI::ParseError& error) {
      return report(Error{ErrorKind::usage, error.what(), "see: " + full_name(reached(app)) + " --help"});
    }
    if (!chosen) {
      say(help_of(reached(app)));
      return kUsage;
    }
    const auto code = chosen();
    if (!code) return report(code.error());
    return finish(*code);
  } catch (const std::exception& error) {
    return report(Error{ErrorKind::internal, std::string("unexpected: ") + error.what(), ""});
  }
}

void add_centre_option(CLI::App& command, std::string& folder) {
  // Not envname(): it sets this option of commands that were not called, too, and behind --dir of the one that was,
  // where they share `folder`.
  const char* const named = std::getenv("KARTA_DIR");
  folder = named != nullptr && *named != '\0' ? named : ".";
  command.add_option("--dir", folder, "the issuing centre's folder (KARTA_DIR; otherwise the present folder)");
}

void add_pin_options(CLI::App& command, SecretOptions& options, const std::string& lines) {
  command.add_option("--pin-fd", options.descriptor, "read secrets from this file descriptor, one a line: " + lines)
      ->check(check_descriptor)
      ->type_name("N");
  command.add_option("--pin-program", options.program, "ask through this pin-entry program (pinentry-curses, ...)");
}

void add_passphrase_options(CLI::App& command, SecretOptions& options) {
  command.add_option("--passphrase-fd", options.descriptor, "read the passphrase from this file descriptor, one line")
      ->check(check_descriptor)
      ->type_name("N");
  command.add_option("--pin-program", options.program, "ask through this pin-entry program (pinentry-curses, ...)");
}

}  // namespace karta::cli
