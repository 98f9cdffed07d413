// CardState: what a karta card tells of itself to whoever asks: where it stands in its life, and how its PINs do.
#pragma once

#include <vector>

#include "card/channel.h"
#include "card/global_platform.h"

namespace karta::card {

struct PinState {
  std::uint8_t reference = 0;
  unsigned tries_left = 0;    ///< 0: blocked
  bool transport = false;     ///< the issuer's, good for being changed only
  bool deactivated = false;   ///< by a terminal with the right to manage PINs
  bool issuer_reset = false;  ///< the issuer may set a new transport PIN
};

struct CardState {
  CardLife life = CardLife::op_ready;
  std::vector<PinState> pins;

  /// Null where there is none of this reference.
  const PinState* pin(std::uint8_t reference) const;
};

/// One command; costs no try. Fails with `not_found` on cards that tell nothing of the kind.
Result<CardState> read_card_state(Channel& channel);
/// The same from the answer to GET DATA 01B0. Fails with `card_unresponsive`.
Result<CardState> parse_card_state(ByteView answer);

}  // namespace karta::card
