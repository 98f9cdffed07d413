// SoftCard is a whole card in this process: the card operating system on a HostHal. Tests and benchmarks put commands
// in and get answers out; the reader link puts it into a real pcscd's reader.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "firmware-sim/host/card_device.h"
#include "firmware-sim/host/host_hal.h"
#include "firmware-sim/os/card.h"

namespace karta::sim {

struct SoftCardOptions {
  os::Interface interface = os::Interface::contact;
  RandomSource* random = nullptr;  ///< none: the operating system's generator; else it must outlive the card
};

class SoftCard final : public CardDevice {
 public:
  /// A blank card in memory, powered off. Fails (`internal`) if the card operating system cannot format it.
  static Result<std::unique_ptr<SoftCard>> blank(const CardSerial& serial, const SoftCardOptions& options = {});
  /// A blank card in a new file. Fails: `already_exists`, `io`.
  static Result<std::unique_ptr<SoftCard>> create(const std::string& path, const ImageLabel& label,
                                                  const SoftCardOptions& options = {});
  /// The card in the file, powered off. Fails as NvmImage::open does.
  static Result<std::unique_ptr<SoftCard>> open(const std::string& path, const SoftCardOptions& options = {});

  ~SoftCard() override;

  void power_on() override;
  void power_off() override;
  void reset() override;
  ByteView atr() override;
  ByteView process(ByteView command) override;
  std::optional<CommandCost> last_command() const override {
    return CommandCost{.counts = meter().command(), .keys = hal_->loaded_keys()};
  }
  void cut_power_at(PowerCut cut) override;

  /// From the next power_on() on.
  void set_interface(os::Interface interface) { options_.interface = interface; }

  /// True after a power_on() that the card survived, until it loses power.
  bool is_on() const { return on_; }
  HostHal& hal() { return *hal_; }
  const Meter& meter() const { return hal_->meter(); }

 private:
  SoftCard(NvmImage image, const SoftCardOptions& options);
  Status format();

  SoftCardOptions options_;
  std::unique_ptr<HostHal> hal_;
  std::unique_ptr<os::Card> card_;
  Bytes response_;
  bool on_ = false;
  bool mute_ = false;  // the last start failed
  PowerCut cut_;
  bool cut_armed_ = false;
};

/// A serial number for a new card: the low eight octets are random, as OpenSC tells cards apart by them.
CardSerial new_serial(RandomSource& random);

/// Reads up to twenty hexadecimal digits, zero-padded on the left. Fails (`malformed`) on anything else.
Result<CardSerial> parse_serial(std::string_view hex);

}  // namespace karta::sim
