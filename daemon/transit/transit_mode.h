// TransitMode: gates: one at each reader of the mode, a tap whenever a card comes; and an inspector's look at a card.
#pragma once

#include "daemon/mode.h"
#include "daemon/trust_data.h"

namespace karta::daemon {

/// [transit]: role, region, keys with passphrase_file or credential (absent: card-signed taps only), card_signed,
/// longest_answer_ms, require_stop_list, [[transit.output]]. A ModeRow's read.
Result<ModePlan> read_transit(service::ConfigTable& table);

/// How the daemon's trust data open the rules file (card/transit_rules.h).
RulesOpener transit_rules_opener();

}  // namespace karta::daemon
