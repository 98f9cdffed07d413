// Pharmacy: the mode of a pharmacy's desk: what the holder is entitled to, and a package taken off it exactly once.
#pragma once

#include "daemon/mode.h"

namespace karta::daemon {

/// [pharmacy]: role, keys, passphrase_file or credential, ask_on_line. A ModeRow's read.
Result<ModePlan> read_pharmacy(service::ConfigTable& table);

}  // namespace karta::daemon
