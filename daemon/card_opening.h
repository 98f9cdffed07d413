// CardOpening: a card that has proved itself to the terminal under a role, and what is known of it: the beginning of
// every verb of clinic and pharmacy.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "card/identity_application.h"
#include "daemon/decision.h"
#include "daemon/desk.h"
#include "daemon/request_body.h"
#include "daemon/terminal_identity.h"
#include "daemon/trust_data.h"

namespace karta::daemon {

/// What the holder gives: "can" (6 digits), or "pin" (5 to 8 digits) and perhaps the CAN beside it.
struct HolderSecret {
  card::PacePassword password = card::PacePassword::can;
  SecretBytes secret;
  SecretBytes can;  ///< to resume a suspended PIN; may be empty
};
/// Takes "can" and "pin" from a request; fails with `usage` where neither is there.
Result<HolderSecret> take_holder_secret(RequestBody& body);

/// Members refer to each other: held by pointer, destroyed in their order from the end.
struct CardOpening {
  std::unique_ptr<CardUse> use;
  TerminalKeys keys;
  std::shared_ptr<const TrustSnapshot> trust;
  std::unique_ptr<card::IdentityApplication> identity;  ///< null where the card did not prove itself
  std::string region;                                   ///< of its issuer, as the trust list names it
  Evidence evidence;
  Decision decision;  ///< by the evidence so far

  std::optional<std::uint64_t> status_index() const { return evidence.status_index; }
  /// "good", "stopped", "unknown"
  std::string_view state() const;
};

struct OpeningRequest {
  std::string_view role;     ///< of the terminal
  std::string_view verb;     ///< whose policy counts
  bool ask_on_line = false;  ///< the authority's word beside the stop-list's
  /// The card is asked whether it is valid today (TR-03110-3 A.6.5.2): for those who do not read its last day. That
  /// needs no right. A card that has nothing to compare with is judged by the rest.
  bool compare_validity = false;
};

/// EAC and the judgement. A card that fails to prove that it is genuine is no error: `identity` is null and `decision`
/// says why. Everything else that goes wrong is: a wrong CAN, a terminal the card does not let in, a card taken away.
Result<std::unique_ptr<CardOpening>> open_card(ReaderDesk& desk, const OpeningRequest& request,
                                               const HolderSecret& secret);

/// {status_index, state, valid_until, region}
Json card_json(const CardOpening& opening);

}  // namespace karta::daemon
