// PIN pads (PC/SC part 10): a reader with keys of its own takes the PIN and puts it into the command, so that no
// program ever sees it. Here are the octets: what a reader says it can do, and what it is told to do.
//
// A structure names the command with an empty PIN field (FF) and says where the digits go: ASCII, from the left, in
// fields of eight octets, as the MyEID profile has it. Numbers of more than one octet are little-endian.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "card/status_word.h"

namespace karta::card {

/// The control codes a reader answers to for PIN entry; empty: it has no such feature.
struct PinPadFeatures {
  std::optional<std::uint32_t> verify_direct;  ///< FEATURE_VERIFY_PIN_DIRECT, 06
  std::optional<std::uint32_t> modify_direct;  ///< FEATURE_MODIFY_PIN_DIRECT, 07
  friend bool operator==(const PinPadFeatures&, const PinPadFeatures&) = default;
};

/// The answer to GET_FEATURE_REQUEST: a row of tag, length 04, control code (big-endian). Unknown tags are passed over.
/// Fails with `malformed` where a row is cut off or of another length.
Result<PinPadFeatures> parse_features(ByteView answer);

/// How many digits the pad takes.
struct PinPadLimits {
  std::uint8_t least = 4, most = 8;
};
/// PIN_VERIFY_STRUCTURE for VERIFY (ISO 7816-4 §11.6.6) of the PIN `reference`.
Bytes verify_structure(std::uint8_t reference, PinPadLimits limits);
/// PIN_MODIFY_STRUCTURE for CHANGE REFERENCE DATA (§11.6.7): the old PIN, then the new one twice.
Bytes change_structure(std::uint8_t reference, PinPadLimits limits);
/// The same for RESET RETRY COUNTER (§11.6.10): the PUK, then the new PIN twice.
Bytes unblock_structure(std::uint8_t reference, PinPadLimits limits);

/// What a pad's own status word says where the card was not asked at all: 6400 nobody typed, 6401 the cancel key, 6402
/// the new PIN typed in two ways, 6403 too short or too long. Empty for every other one, which is the card's.
std::optional<Error> pad_error(StatusWord status);

}  // namespace karta::card
