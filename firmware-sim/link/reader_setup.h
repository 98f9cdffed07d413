// Writes what pcscd needs for virtual readers: a reader.conf file with an entry each, and for each entry a copy of the
// driver of its own. Entries that share a driver file share its static table, and all would talk to the last card.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace karta::sim {

/// Where Debian's vsmartcard-vpcd puts the driver.
constexpr const char* kVpcdDriver = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

struct ReaderSetup {
  std::string configuration;              ///< the reader.conf file written
  std::vector<std::string> reader_names;  ///< as PC/SC programs see them, slots included
};

/// Writes `directory`/karta-readers and `directory`/karta-drivers/, replacing those of an earlier call; the directory
/// is made if missing. Fails: `usage` (number of readers), `not_found` (no driver), `io`.
Result<ReaderSetup> set_up_readers(const std::string& directory, unsigned readers,
                                   const std::string& driver = kVpcdDriver);

}  // namespace karta::sim
