// Clinic: the mode of a clinic's or an ambulance's desk: who is here, are they insured, what must be known in an
// emergency; and the card's receipt that it was there.
#pragma once

#include "daemon/mode.h"

namespace karta::daemon {

/// [clinic]: role, groups, purposes, receipt, ask_on_line. A ModeRow's read.
Result<ModePlan> read_clinic(service::ConfigTable& table);

}  // namespace karta::daemon
