// Counter: the mode of a multifunctional centre's counter: cards activated, unblocked, renewed, filled and replaced, on
// the word of the authority, which speaks with the card through this program.
#pragma once

#include "daemon/mode.h"

namespace karta::daemon {

/// [counter]: within_days. A ModeRow's read. Asks for an [authority], and for a first [[terminal]] of the role counter.
Result<ModePlan> read_counter(service::ConfigTable& table);

}  // namespace karta::daemon
