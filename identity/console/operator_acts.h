// OperatorActs: what operators did and looked at, in the order of time: written down before it is done.
//
// No personal datum stands in it: citizens and cards by their ids, searches by what was searched for, not by the words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/registry.h"

namespace karta::identity {

struct OperatorAct {
  std::int64_t id = 0;  ///< random
  Time at{};
  std::string name;     ///< of the operator
  std::string kind;     ///< "find", "citizen", "card", "card-step", "terminal-revoke"
  std::string subject;  ///< whom or what it is about: an id, a name of a terminal
  std::string detail;
  std::string reason;  ///< in the operator's words: purpose and case
};

class OperatorActs {
 public:
  /// `registry` must outlive it.
  explicit OperatorActs(Registry& registry) : registry_(&registry) {}

  /// `act.id` and `act.at` are given here.
  Status record(OperatorAct act);
  /// Registry::change_card_state() and its act, in one transaction: both are written down or neither. The card as it is
  /// then; none if it was not in `from` (any more): then nothing is done.
  Result<std::optional<Card>> step_card(CardId card, CardState from, CardState to, RevocationReason reason,
                                        const Cause& cause, OperatorAct act);
  /// Newest first, at most `limit` older than the act `before`.
  Result<std::vector<OperatorAct>> list(std::size_t limit = kPageLimit, const std::optional<std::int64_t>& before = {});

 private:
  Status insert(OperatorAct& act);

  Registry* registry_;
};

}  // namespace karta::identity
