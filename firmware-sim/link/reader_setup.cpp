#include "firmware-sim/link/reader_setup.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "firmware-sim/link/reader_address.h"

namespace karta::sim {

namespace files = std::filesystem;

Result<ReaderSetup> set_up_readers(const std::string& directory, unsigned readers, const std::string& driver) {
  if (readers < 1 || readers > kMaxReaders) {
    return fail(ErrorKind::usage, "cannot set up " + std::to_string(readers) + " readers",
                "pcscd knows 16 slots, and each reader has 2: give 1 to " + std::to_string(kMaxReaders));
  }
  std::error_code error;
  if (!files::is_regular_file(driver, error)) {
    return fail(ErrorKind::not_found, "there is no virtual reader driver at \"" + driver + "\"",
                "install it (apt-get install vsmartcard-vpcd), or name it with --driver");
  }
  // pcscd wants absolute paths, and passes over subfolders.
  const files::path root = files::absolute(directory, error);
  const files::path drivers = root / "karta-drivers";
  files::create_directories(drivers, error);
  if (error) return fail(ErrorKind::io, "cannot make \"" + drivers.string() + "\": " + error.message());
  ReaderSetup setup{.configuration = (root / "karta-readers").string(), .reader_names = {}};
  std::string text = "# Virtual readers of karta-sim: an entry, a port and a driver copy each.\n";
  for (unsigned reader = 1; reader <= readers; ++reader) {
    const files::path copy = drivers / ("libifdvpcd-" + std::to_string(reader) + ".so");
    // Not over the old copy: a running pcscd has it mapped.
    const files::path fresh = copy.string() + ".new";
    files::copy_file(driver, fresh, files::copy_options::overwrite_existing, error);
    if (!error) files::rename(fresh, copy, error);
    if (error) return fail(ErrorKind::io, "cannot copy the driver to \"" + copy.string() + "\": " + error.message());
    std::array<char, 8> port{};
    std::snprintf(port.data(), port.size(), "0x%04X", unsigned{ReaderAddress{.reader = reader}.port()});
    const std::string name = "Karta Virtual Reader " + std::to_string(reader);
    text += "\nFRIENDLYNAME \"" + name + "\"\nDEVICENAME /dev/null:" + port.data() + "\nLIBPATH " + copy.string() +
            "\nCHANNELID " + port.data() + "\n";
    for (unsigned slot = 0; slot < kSlotsPerReader; ++slot) {
      setup.reader_names.push_back(name + " 00 0" + std::to_string(slot));
    }
  }
  std::ofstream out(setup.configuration, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(ErrorKind::io, "cannot write \"" + setup.configuration + "\"");
  return setup;
}

}  // namespace karta::sim
