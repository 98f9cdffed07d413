#include "identity/card_life.h"

#include <algorithm>
#include <array>
#include <string>

namespace karta::identity {
namespace {

using S = CardState;

constexpr auto kStates = std::to_array<CardStateRow>({
    {S::ordered, "ordered", false, false},
    {S::produced, "produced", false, false},
    {S::shipped, "shipped", false, false},
    {S::active, "active", false, false},
    {S::suspended, "suspended", true, false},
    {S::revoked, "revoked", true, true},
    // An expired card says so itself; the list stays small without it.
    {S::expired, "expired", false, true},
    {S::replaced, "replaced", true, true},
});

constexpr auto kTransitions = std::to_array<CardTransition>({
    {S::ordered, S::produced},
    {S::ordered, S::revoked},  // the order is given up; its index stays dead
    {S::produced, S::shipped},
    {S::produced, S::active},  // handed over where it was made
    {S::produced, S::revoked},
    {S::produced, S::expired},  // never called for
    {S::shipped, S::active},
    {S::shipped, S::revoked},  // lost on the way
    {S::shipped, S::expired},
    {S::active, S::suspended},
    {S::active, S::revoked},
    {S::active, S::expired},
    {S::active, S::replaced},
    {S::suspended, S::active},
    {S::suspended, S::revoked},
    {S::suspended, S::expired},
    {S::suspended, S::replaced},
});

struct ReasonRow {
  RevocationReason reason;
  std::string_view name;
};
constexpr auto kReasons = std::to_array<ReasonRow>({
    {RevocationReason::unspecified, "unspecified"},
    {RevocationReason::key_compromise, "keyCompromise"},
    {RevocationReason::ca_compromise, "cACompromise"},
    {RevocationReason::affiliation_changed, "affiliationChanged"},
    {RevocationReason::superseded, "superseded"},
    {RevocationReason::cessation_of_operation, "cessationOfOperation"},
    {RevocationReason::certificate_hold, "certificateHold"},
    {RevocationReason::privilege_withdrawn, "privilegeWithdrawn"},
    {RevocationReason::aa_compromise, "aACompromise"},
});

template <class Row>
std::string names_of(const Row& rows) {
  std::string names;
  for (const auto& row : rows) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

}  // namespace

std::span<const CardStateRow> card_states() { return kStates; }
const CardStateRow& row_of(CardState state) {
  const auto row = std::ranges::find(kStates, state, &CardStateRow::state);
  KARTA_CHECK(row != kStates.end());
  return *row;
}
Result<CardState> parse_card_state(std::string_view name) {
  const auto row = std::ranges::find(kStates, name, &CardStateRow::name);
  if (row == kStates.end()) {
    return fail(ErrorKind::usage, "\"" + std::string(name) + "\" is no state of a card", "one of " + names_of(kStates));
  }
  return row->state;
}

std::string_view name_of(RevocationReason reason) {
  const auto row = std::ranges::find(kReasons, reason, &ReasonRow::reason);
  KARTA_CHECK(row != kReasons.end());
  return row->name;
}
Result<RevocationReason> parse_revocation_reason(std::string_view name) {
  const auto row = std::ranges::find(kReasons, name, &ReasonRow::name);
  if (row == kReasons.end()) {
    return fail(ErrorKind::usage, "\"" + std::string(name) + "\" is no reason to revoke",
                "one of " + names_of(kReasons) + " (RFC 5280)");
  }
  return row->reason;
}

std::span<const CardTransition> card_transitions() { return kTransitions; }

bool lapses(CardState state) {
  return std::ranges::any_of(
      kTransitions, [&](const CardTransition& step) { return step.from == state && step.to == CardState::expired; });
}
CardState state_at(CardState state, const std::optional<Time>& valid_until, Time now) {
  return valid_until && now >= *valid_until && lapses(state) ? CardState::expired : state;
}

Status check_transition(CardState from, CardState to) {
  std::string next;
  for (const CardTransition& step : kTransitions) {
    if (step.from != from) continue;
    if (step.to == to) return {};
    next += (next.empty() ? "" : ", ") + std::string(row_of(step.to).name);
  }
  return fail(ErrorKind::not_permitted,
              "a card that is " + std::string(row_of(from).name) + " cannot become " + std::string(row_of(to).name),
              next.empty() ? "nothing follows this state; order a new card" : "it can become " + next);
}

}  // namespace karta::identity
