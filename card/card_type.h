// CardType: what a card's answer to reset tells before the first command.
#pragma once

#include <span>
#include <string_view>

#include "card/channel.h"

namespace karta::card {

struct CardType {
  std::string_view name;
  std::string_view historical_suffix;  ///< the historical bytes end so
  ChannelLimits limits;
  /// Transparent files have the low five bits of their identifier as short file identifier: a file is read in one
  /// command.
  bool short_ids;
  bool esign;  ///< MyEID-profile commands in plain have business here (not over the contactless interface)
};

/// The table; the last row fits every card.
std::span<const CardType> card_types();
/// The first row that fits `atr` (ISO 7816-3 §8.2). A broken ATR gets the last row.
const CardType& card_type_of(ByteView atr);
/// Historical bytes of an ATR, aliased; empty where there are none or the ATR is broken.
ByteView historical_bytes(ByteView atr);

}  // namespace karta::card
