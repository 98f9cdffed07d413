// The life of a card: its states and which may follow which.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace karta::identity {

/// Never renumber: the registry stores them.
enum class CardState : std::uint8_t {
  ordered = 1,    ///< status index allocated, nothing made yet
  produced = 2,   ///< personalised and checked
  shipped = 3,    ///< on its way to the citizen
  active = 4,     ///< in the citizen's hands
  suspended = 5,  ///< not to be accepted for the time being
  revoked = 6,    ///< never to be accepted again
  expired = 7,    ///< its time is over
  replaced = 8,   ///< another card took its place
};
struct CardStateRow {
  CardState state;
  std::string_view name;
  bool stopped;  ///< its status index stands on the stop-list
  bool final;    ///< nothing follows
};
std::span<const CardStateRow> card_states();
const CardStateRow& row_of(CardState state);
Result<CardState> parse_card_state(std::string_view name);

/// Why a card or a certificate was revoked: CRLReason of RFC 5280 §5.3.1, its numbers and names.
enum class RevocationReason : std::uint8_t {
  unspecified = 0,
  key_compromise = 1,
  ca_compromise = 2,
  affiliation_changed = 3,
  superseded = 4,
  cessation_of_operation = 5,
  certificate_hold = 6,
  privilege_withdrawn = 9,
  aa_compromise = 10,
};
std::string_view name_of(RevocationReason reason);
Result<RevocationReason> parse_revocation_reason(std::string_view name);

struct CardTransition {
  CardState from;
  CardState to;
};
/// Every step a card may take; all others are refused.
std::span<const CardTransition> card_transitions();

/// True where time alone may end a card in this state: the table has the step to expired.
bool lapses(CardState state);
/// What a card is at `now` that the registry has in `state`: expired from its end on, though nobody has set it so. Its
/// steps go by the registry's state; what it is called, and counted as, by this one.
CardState state_at(CardState state, const std::optional<Time>& valid_until, Time now);

/// not_permitted, naming both states and what may follow, unless the table has the step.
Status check_transition(CardState from, CardState to);

}  // namespace karta::identity
