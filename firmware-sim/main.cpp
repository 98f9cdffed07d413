// karta-sim: citizen cards in software, in the readers of the real pcscd.
#include <cstdio>

#include "firmware-sim/program/program.h"

namespace {

int complain(const karta::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  const auto hint = error.next_step();
  if (!hint.empty()) std::fprintf(stderr, "hint: %.*s\n", static_cast<int>(hint.size()), hint.data());
  return error.exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace karta;
  CLI::App app("karta-sim: citizen cards in software, in the readers of the real pcscd", "karta-sim");
  app.require_subcommand(1);
  sim::Deed deed;
  sim::add_new(app, deed);
  sim::add_run(app, deed);
  sim::add_farm(app, deed);
  sim::add_setup_readers(app, deed);
  sim::add_control(app, deed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return complain({ErrorKind::usage, error.what(), "see karta-sim --help, and karta-sim VERB --help"});
  }
  const Status done = deed();
  return done ? 0 : complain(done.error());
}
