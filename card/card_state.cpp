#include "card/card_state.h"

#include <algorithm>

#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint16_t kObjectState = 0x01B0;
constexpr std::size_t kEntry = 3;  // reference, tries, state
constexpr std::uint8_t kTransport = 0x01, kDeactivated = 0x02, kIssuerReset = 0x04;

}  // namespace

const PinState* CardState::pin(std::uint8_t reference) const {
  const auto found =
      std::find_if(pins.begin(), pins.end(), [&](const auto& one) { return one.reference == reference; });
  return found == pins.end() ? nullptr : &*found;
}

Result<CardState> parse_card_state(ByteView answer) {
  if (answer.empty() || (answer.size() - 1) % kEntry != 0) {
    return fail(ErrorKind::card_unresponsive, "what the card tells of its state cannot be read");
  }
  CardState state;
  state.life = static_cast<CardLife>(answer[0]);
  for (ByteView rest = answer.subspan(1); !rest.empty(); rest = rest.subspan(kEntry)) {
    state.pins.push_back(
        {rest[0], rest[1], (rest[2] & kTransport) != 0, (rest[2] & kDeactivated) != 0, (rest[2] & kIssuerReset) != 0});
  }
  return state;
}

Result<CardState> read_card_state(Channel& channel) {
  const ResponseApdu answer = TRY(channel.transmit(get_data(kObjectState, kShortResponse)));
  if (answer.status.ok()) return parse_card_state(answer.data);
  // Other cards of the profile know no such object.
  return fail(ErrorKind::not_found, "the card tells nothing of its state");
}

}  // namespace karta::card
