// Citizen: the mode of the citizen's own machine: sites ask, through their identity provider, for a log-in with the
// card; the citizen sees who asks for what, and types the PIN here.
//
//   GET  /agent/login?request=JWS   from the provider's page: a request object; answered with a place of its own
//   GET  /agent/r/ID                the page: who asks, the cards there are, the PIN
//   POST /agent/r/ID                the PIN, or giving up; answered with the way back to the provider
//   GET  /agent/r/ID/events         "change" whenever a card comes or goes
//   GET  /agent/hello?request=JWS   leads back at once: the agent is here
//
// Nothing here is for programs: no API, no caller, no session, no cookie.
#pragma once

#include "daemon/mode.h"

namespace karta::daemon {

/// [citizen] and its [[citizen.provider]]: issuer, roots. A ModeRow's read.
Result<ModePlan> read_citizen(service::ConfigTable& table);

}  // namespace karta::daemon
