// karta-sim new: makes a blank card.
#include <cstdio>
#include <memory>

#include "firmware-sim/host/soft_card.h"
#include "firmware-sim/program/program.h"

namespace karta::sim {

void add_new(CLI::App& app, Deed& deed) {
  struct Options {
    std::string image;
    std::string serial;
    bool contactless = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("new", "Make a blank card in an image file");
  verb->add_option("IMAGE", options->image, "File to make; never overwritten")->required();
  verb->add_option("--serial", options->serial, "Serial number, up to 20 hexadecimal digits (default: random)");
  verb->add_flag("--contactless", options->contactless, "A card for contactless readers");
  verb->footer("Prints the serial number. Example: karta-sim new sample.card");
  verb->callback([options, &deed] {
    deed = [options]() -> Status {
      ImageLabel label{.serial = {}, .contactless = options->contactless};
      if (options->serial.empty()) {
        SystemRandom random;
        label.serial = new_serial(random);
      } else {
        label.serial = TRY(parse_serial(options->serial));
      }
      TRY(SoftCard::create(options->image, label));
      std::printf("%s\n", to_hex_upper(label.serial).c_str());
      return {};
    };
  });
}

}  // namespace karta::sim
