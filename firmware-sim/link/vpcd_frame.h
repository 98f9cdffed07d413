// The vpcd protocol's frames: a 16-bit big-endian length and as many octets of payload. From the reader, a payload of
// one octet is a control (VpcdControl) and a longer one a command APDU; to the reader go ATRs and response APDUs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace karta::sim {

enum class VpcdControl : std::uint8_t {
  power_off = 0,  ///< no reply
  power_on = 1,   ///< no reply
  reset = 2,      ///< no reply
  atr = 4,        ///< reply: a frame with the ATR; an empty one ejects the card
};

/// The longest payload that the length field can say.
constexpr std::size_t kMaxVpcdPayload = 0xFFFF;

/// VpcdFrameReader cuts a byte stream into frames, however the network cuts it into segments. Octets are received
/// straight into its buffer: write up to space().size() octets there, say how many with received(), then take next()
/// until empty.
class VpcdFrameReader {
 public:
  VpcdFrameReader();

  /// Room for the octets still missing of the frame under way; never empty once next() has been drained.
  MutableByteView space();
  void received(std::size_t count);

  /// The payload of the next whole frame, valid until space() is called again. A frame of length 0 yields an empty
  /// view.
  std::optional<ByteView> next();

  /// Forgets a frame under way: a new connection begins.
  void clear();

 private:
  Bytes buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Length and payload in one buffer, so that they leave in one segment. `payload` at most kMaxVpcdPayload octets.
void append_vpcd_frame(Bytes& out, ByteView payload);

}  // namespace karta::sim
