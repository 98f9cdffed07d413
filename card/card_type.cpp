#include "card/card_type.h"

#include <array>

namespace karta::card {
namespace {

// Short commands, 255 octets chained: what every card takes that takes anything.
constexpr ChannelLimits kShort{kShortData, kShortResponse, true};
// What a karta card's EF.ATR announces in 7F66: known from its ATR, so no command is spent to ask.
constexpr ChannelLimits kKarta{2048, 2048, true};

constexpr auto kTypes = std::to_array<CardType>({
    {.name = "karta", .historical_suffix = "KartaOsEID", .limits = kKarta, .short_ids = true, .esign = true},
    {.name = "karta contactless", .historical_suffix = "KartaSim", .limits = kKarta, .short_ids = true, .esign = false},
    {.name = "OsEID", .historical_suffix = "OsEID", .limits = kShort, .short_ids = false, .esign = true},
    {.name = "MyEID", .historical_suffix = "MyEID", .limits = kShort, .short_ids = false, .esign = true},
    {.name = "unknown", .historical_suffix = "", .limits = kShort, .short_ids = false, .esign = true},
});

}  // namespace

// ISO 7816-3 §8.2: TS, T0 (Y1, K), then for each set bit of Y: TA, TB, TC, TD; TD tells the next Y and protocol; then K
// historical bytes; TCK where a protocol other than T=0 is offered.
ByteView historical_bytes(ByteView atr) {
  if (atr.size() < 2 || (atr[0] != 0x3B && atr[0] != 0x3F)) return {};
  const std::size_t historical = atr[1] & 0x0F;
  unsigned present = atr[1] >> 4;
  std::size_t at = 2;
  while (present != 0) {
    if (present & 1) ++at;
    if (present & 2) ++at;
    if (present & 4) ++at;
    if ((present & 8) == 0) break;
    if (at >= atr.size()) return {};
    present = atr[at++] >> 4;
  }
  if (at > atr.size() || historical > atr.size() - at) return {};
  return atr.subspan(at, historical);
}

std::span<const CardType> card_types() { return kTypes; }

const CardType& card_type_of(ByteView atr) {
  const std::string_view historical = as_text(historical_bytes(atr));
  for (const CardType& type : kTypes) {
    if (historical.ends_with(type.historical_suffix)) return type;
  }
  return kTypes.back();
}

}  // namespace karta::card
