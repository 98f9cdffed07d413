// PersonalisationPlan: what making a card will do, step by step, and what it costs on the wire.
#pragma once

#include <string>
#include <vector>

#include "card/transports.h"

namespace karta::card {

/// One step as --dry-run shows it. Figures are exact for short forms and extended lengths alike, unless `estimated`.
struct PlanStep {
  std::string words;  ///< "create key file 4B01 for AUT (p256), PIN1, sign"
  unsigned commands = 0;
  std::size_t octets_out = 0;
  std::size_t octets_back = 0;
  bool estimated = false;  ///< depends on a certificate not made yet
  bool portrait = false;   ///< the holder's picture: counted apart
};

struct PersonalisationPlan {
  std::vector<PlanStep> prepare, complete;
  // All steps, the portrait's included.
  unsigned commands() const;
  std::size_t octets_out() const;
  std::size_t octets_back() const;
  /// The portrait's alone: it is longer than all the rest, and budgets are stated without it. Its hash in
  /// EF.CardSecurity, about 40 octets, counts with the rest.
  WireCount portrait() const;
};

}  // namespace karta::card
