// karta-sim setup-readers: reader entries for a pcscd.
#include <cstdio>
#include <memory>

#include "firmware-sim/link/reader_address.h"
#include "firmware-sim/link/reader_setup.h"
#include "firmware-sim/program/program.h"

namespace karta::sim {

void add_setup_readers(CLI::App& app, Deed& deed) {
  struct Options {
    std::string directory;
    unsigned readers = 1;
    std::string driver = kVpcdDriver;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("setup-readers", "Write virtual readers' entries for pcscd");
  verb->add_option("DIR", options->directory, "Folder for the entries: one of your own, or /etc/reader.conf.d")
      ->required();
  verb->add_option("--readers", options->readers, "How many readers, of two slots each (1 to 8)")
      ->capture_default_str();
  verb->add_option("--driver", options->driver, "vpcd's driver file")->capture_default_str();
  verb->footer("Prints the readers' names. Then run: pcscd --foreground --config DIR");
  verb->callback([options, &deed] {
    deed = [options]() -> Status {
      const ReaderSetup setup = TRY(set_up_readers(options->directory, options->readers, options->driver));
      std::fprintf(stderr, "wrote %s\n", setup.configuration.c_str());
      for (const std::string& name : setup.reader_names) std::printf("%s\n", name.c_str());
      return {};
    };
  });
}

}  // namespace karta::sim
