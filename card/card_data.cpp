#include "card/card_data.h"

#include "card/ledger.h"

namespace karta::card {

CardSecrets CardSecrets::generate(const CardProfile& profile, RandomSource& random) {
  CardSecrets secrets;
  for (const PinProfile& pin : profile.pins) {
    secrets.transport_pins.emplace(pin.kind, random.digits(pin.transport_digits));
  }
  secrets.puk = random.digits(profile.puk_digits);
  secrets.can = random.digits(profile.can_digits);
  return secrets;
}

LedgerData LedgerData::derive(const LedgerMasters& masters, RandomSource& random) {
  LedgerData ledger;
  ledger.serial = random.bytes(kLedgerSerialOctets);
  for (const auto& [kind, master] : masters) {
    ledger.keys.emplace(kind, diversify_ledger_key(master, kind, ledger.serial));
  }
  return ledger;
}

}  // namespace karta::card
