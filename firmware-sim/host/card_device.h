// CardDevice is a card as a reader sees it: power, ATR, bytes in and bytes out. The reader link and the in-process
// tests drive any card through it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/secret.h"
#include "firmware-sim/host/meter.h"

namespace karta::sim {

/// Where the power fails: during the `command`-th command from now (1: the next), at the `write`-th write or erase of
/// non-volatile memory that this command makes. 0 writes: before the command does anything. If the command makes fewer,
/// the power fails after its work and before its answer.
struct PowerCut {
  std::uint64_t command = 1;
  std::uint64_t write = 0;
};

/// One command as a meter saw it.
struct CommandCost {
  MeterReading counts;
  std::span<const SecretBytes> keys;  ///< the AES keys it brought into the coprocessor
};

class CardDevice {
 public:
  virtual ~CardDevice() = default;

  /// Cold start. Whatever the card held in RAM (PIN states, selections) is gone.
  virtual void power_on() = 0;
  virtual void power_off() = 0;
  /// Warm reset: for the holder's rights the same as power_off() and power_on().
  virtual void reset() = 0;

  /// The answer to reset, valid until the card changes. Also answered without power, since readers poll with it.
  /// Empty: the card is mute.
  virtual ByteView atr() = 0;

  /// One command APDU of any length and content in, the response APDU (ending in its status word) out; the view is
  /// valid until the next call. Empty: the power failed in mid-command, and the card gives no answer.
  virtual ByteView process(ByteView command) = 0;

  /// What the last command cost the card, where it has a meter; also of one that its power failed in. Valid until the
  /// next call.
  virtual std::optional<CommandCost> last_command() const { return std::nullopt; }

  /// Arms one power cut; a later call replaces it.
  virtual void cut_power_at(PowerCut cut) = 0;
};

}  // namespace karta::sim
