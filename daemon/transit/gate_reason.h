// GateReason: why a gate opened or stayed closed: a code for programs, plain words for people.
#pragma once

#include <span>
#include <string_view>

#include "card/transit.h"

namespace karta::daemon {

enum class GateReason : std::uint8_t {
  open,
  no_product,
  not_valid,
  wrong_zone,
  used_up,
  quota,
  pass_back,
  no_entry,
  stopped,
  unknown_card,
  not_genuine,     ///< without the key: a copy, a stranger's card, or somebody in between
  no_application,  ///< no transit application on it
  too_slow,        ///< answers later than a card at this gate can: relayed
  lost_answer,     ///< COMMIT was sent, its answer did not come: present the card again
  removed,
  busy,  ///< another program holds the card
  unresponsive,
  refused,  ///< the card answered with an error
  no_rules,
  rules_too_old,
  no_stop_list,
  stop_list_too_old,
  trust_list_too_old,  ///< of card-signed taps: who has certified the card is not known any more
  clock,    ///< stands where it cannot be
  no_keys,  ///< masters, module or anchors are not there
  journal,  ///< nothing can be written down
};
struct GateReasonRow {
  GateReason reason;
  std::string_view name;  ///< "pass-back"
  std::string_view english, russian;
  bool recorded;  ///< a refusal for this is a journal record; what only says that a card left too early is not
};
std::span<const GateReasonRow> gate_reason_rows();
const GateReasonRow& row_of(GateReason reason);

GateReason gate_reason_of(card::TapReason reason);
/// Of what a card's answers ended with.
GateReason gate_reason_of(const Error& error);

}  // namespace karta::daemon
