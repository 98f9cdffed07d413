// RecordedCard is a card of this process whose exchanges are written down as karta-sim does it with --record: for tests
// and benchmarks that want a trace without a reader.
#pragma once

#include <chrono>

#include "firmware-sim/host/card_device.h"
#include "firmware-sim/link/apdu_record.h"

namespace karta::sim {

class RecordedCard final : public CardDevice {
 public:
  /// Both must outlive it. `number`: the card's in the record.
  RecordedCard(unsigned number, CardDevice& card, ApduRecord& record);

  void power_on() override;
  void power_off() override;
  void reset() override;
  ByteView atr() override { return card_.atr(); }
  ByteView process(ByteView command) override;
  std::optional<CommandCost> last_command() const override { return card_.last_command(); }
  void cut_power_at(PowerCut cut) override { card_.cut_power_at(cut); }

 private:
  const unsigned number_;
  CardDevice& card_;
  ApduRecord& record_;
  std::chrono::steady_clock::time_point last_answer_;
};

}  // namespace karta::sim
