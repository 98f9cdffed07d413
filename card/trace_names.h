// Names of commands in a trace: what a person reads for `00A4040C0A...`.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"

namespace karta::card {

/// A recorded command APDU taken apart (ISO 7816-4 §5.1). `data` aliases the APDU.
struct RecordedCommand {
  std::uint8_t cla = 0, ins = 0, p1 = 0, p2 = 0;
  ByteView data;
  ByteView le;            ///< the Le field's octets, without the 00 of an extended one
  bool extended = false;  ///< the length fields are
};

/// Nothing where it is no APDU: under four octets, or lengths that do not fit.
std::optional<RecordedCommand> take_apart(ByteView apdu);

/// What the command asks, from its header and its data in the clear: "SELECT transit", "READ BINARY short id 1D".
/// Class bits of chaining and secure messaging do not count.
std::string describe(const RecordedCommand& command);

}  // namespace karta::card
