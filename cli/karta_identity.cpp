// karta-identity: the identity system's server.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "identity/services/config.h"
#include "identity/services/key.h"
#include "identity/services/serve.h"
#include "issuing/desk/desk.h"
#include "issuing/terminal_desk.h"

namespace {

using karta::identity::AuthorityConfig;

int report(const karta::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  const std::string hint(error.next_step());
  if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", hint.c_str());
  return error.exit_code();
}

/// What the server does with cards' certificates and with cards is the issuing room's.
karta::identity::AuthorityPorts ports_over(const karta::Clock& clock) {
  karta::identity::AuthorityPorts ports;
  ports.terminals =
      [&clock](const AuthorityConfig& config) -> karta::Result<std::shared_ptr<karta::identity::TerminalPort>> {
    const karta::SecretBytes passphrase = TRY(karta::identity::read_secret_file(config.secret_file));
    return TRY(karta::issuing::TerminalDesk::open(config.centre, passphrase, clock));
  };
  ports.desk = [&clock](const AuthorityConfig& config) -> karta::Result<std::shared_ptr<karta::identity::DeskPort>> {
    const karta::SecretBytes passphrase = TRY(karta::identity::read_secret_file(config.secret_file));
    return TRY(karta::issuing::Desk::open(config.centre, passphrase, clock));
  };
  return ports;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app(
        "The identity system's server: log-in for portals, OCSP, CRLs, time-stamps, trust list, terminals and counters",
        "karta-identity");
    app.set_version_flag("--version", "karta-identity " KARTA_VERSION);
    app.require_subcommand(1);
    std::string file;
    bool check = false;
    CLI::App& serve = *app.add_subcommand("serve", "Serve until SIGTERM; SIGHUP reads the configuration again");
    serve.add_option("--config", file, "the configuration: identity.toml")->required();
    serve.add_flag("--check", check, "open everything the configuration names, say what is wrong, serve nothing");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);
      return report({karta::ErrorKind::usage, error.what(), "see: karta-identity serve --help"});
    }
    const karta::SystemClock clock;
    const karta::identity::AuthorityPorts ports = ports_over(clock);
    const karta::Status done = check ? karta::identity::check_server(file, ports) : karta::identity::serve(file, ports);
    if (!done) return report(done.error());
    if (check) std::fprintf(stderr, "\"%s\" can be served\n", file.c_str());
    return 0;
  } catch (const std::exception& error) {
    return report({karta::ErrorKind::internal, std::string("unexpected: ") + error.what(), ""});
  }
}
