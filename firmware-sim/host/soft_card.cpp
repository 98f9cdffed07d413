#include "firmware-sim/host/soft_card.h"

#include <algorithm>
#include <utility>

namespace karta::sim {

SoftCard::SoftCard(NvmImage image, const SoftCardOptions& options)
    : options_(options),
      hal_(std::make_unique<HostHal>(std::move(image), options.random)),
      card_(std::make_unique<os::Card>(*hal_, os::kDefaultConfig)),
      response_(os::kMaxResponseBytes) {}

SoftCard::~SoftCard() { power_off(); }

Status SoftCard::format() {
  if (!card_->format(hal_->image().label().serial)) {
    return fail(ErrorKind::internal, "the card operating system cannot format its memory");
  }
  return {};
}

Result<std::unique_ptr<SoftCard>> SoftCard::blank(const CardSerial& serial, const SoftCardOptions& options) {
  const ImageLabel label{.serial = serial, .contactless = options.interface == os::Interface::contactless};
  std::unique_ptr<SoftCard> card(new SoftCard(NvmImage::in_memory(label), options));
  TRY(card->format());
  return card;
}

Result<std::unique_ptr<SoftCard>> SoftCard::create(const std::string& path, const ImageLabel& label,
                                                   const SoftCardOptions& options) {
  NvmImage image = TRY(NvmImage::create(path, label));
  std::unique_ptr<SoftCard> card(new SoftCard(std::move(image), options));
  TRY(card->format());
  TRY(card->hal_->image().publish());
  return card;
}

Result<std::unique_ptr<SoftCard>> SoftCard::open(const std::string& path, const SoftCardOptions& options) {
  NvmImage image = TRY(NvmImage::open(path));
  return std::unique_ptr<SoftCard>(new SoftCard(std::move(image), options));
}

void SoftCard::power_on() {
  power_off();
  hal_->restore_power();
  on_ = card_->boot(options_.interface);
  mute_ = !on_;
}

void SoftCard::power_off() {
  if (!hal_->has_power() && !on_) return;
  on_ = false;
  card_->power_off();
  hal_->lose_power();
}

void SoftCard::reset() {
  if (!on_) return power_on();
  on_ = card_->reset(options_.interface);
  mute_ = !on_;
}

ByteView SoftCard::atr() {
  if (mute_) return {};
  return options_.interface == os::Interface::contact ? os::kDefaultConfig.atr_contact
                                                      : os::kDefaultConfig.atr_contactless;
}

void SoftCard::cut_power_at(PowerCut cut) {
  cut_ = cut;
  cut_armed_ = cut.command != 0;
}

ByteView SoftCard::process(ByteView command) {
  if (!on_) return {};
  const bool cut = cut_armed_ && --cut_.command == 0;
  if (cut) cut_armed_ = false;
  hal_->begin_command(command.size());
  if (!cut || cut_.write != 0) {
    if (cut) hal_->lose_power_at_write(cut_.write);
    const std::size_t size = card_->process(command, response_);
    if (!cut && hal_->has_power()) {
      hal_->meter().end_command(size);
      return ByteView(response_).first(size);
    }
  }
  power_off();
  return {};
}

CardSerial new_serial(RandomSource& random) {
  CardSerial serial{};
  serial[0] = 0xF0;  // proprietary, as the prefix of our application identifiers
  serial[1] = 0x4B;
  random.fill(MutableByteView(serial).last(8));
  return serial;
}

Result<CardSerial> parse_serial(std::string_view hex) {
  CardSerial serial{};
  const auto octets = from_hex(hex.size() % 2 == 0 ? std::string(hex) : "0" + std::string(hex));
  if (!octets || octets->empty() || octets->size() > serial.size()) {
    return fail(ErrorKind::malformed, "\"" + std::string(hex) + "\" is not a serial number",
                "a serial number has up to 20 hexadecimal digits");
  }
  std::copy(octets->begin(), octets->end(), serial.end() - static_cast<std::ptrdiff_t>(octets->size()));
  return serial;
}

}  // namespace karta::sim
