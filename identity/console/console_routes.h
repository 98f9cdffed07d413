// ConsoleRoutes: the operator's console, for one worker (docs/console.md).
//
//   GET      /console                            overview
//   GET POST /console/find                       a citizen or a card, for a purpose and a case
//   GET      /console/citizens/ID?purpose&case   the record, cards; in the access log first
//   GET      /console/cards/ID?purpose&case      a card's life; from there
//   GET POST /console/cards/ID/step              its next step: a reason, then done
//   GET      /console/terminals[/NAME]
//   GET POST /console/terminals/NAME/revoke
//   GET      /console/numbers[?days=30]          counts by day as charts
//   GET      /console/requests[?department&state]   requests between departments, overdue ones first
//   GET      /console/requests/ID?purpose&case   one of them, in the citizen's access log first; from there
//   GET      /console/requests/ID/receipt, /answer-receipt
//   GET      /console/acts                       what operators did
//
// An operator is a citizen logged in with card and PIN, or whoever shows a client certificate, named in [console].
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "identity/console/config.h"
#include "identity/login/sessions.h"
#include "identity/room_routes.h"

namespace karta::identity {

struct ConsoleOptions {
  std::string address;         ///< "https://id.example": the origin of these pages
  std::string log_in_address;  ///< of the pages for logging in: the same, but behind the door for certificates
  SessionOptions sessions = {};
  /// Tells the provider that a log-in is over, so that portals hear of it; may be empty.
  SessionEnding ending = {};
};

/// `database`: of the registry; terminals are read through a connection of their own.
Result<std::unique_ptr<RoomRoutes>> open_console_routes(const ConsoleConfig& config, const std::string& database,
                                                        ConsoleOptions options, const RoomSurroundings& around);

}  // namespace karta::identity
