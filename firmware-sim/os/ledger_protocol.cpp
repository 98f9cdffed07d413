#include "firmware-sim/os/ledger_protocol.h"

namespace karta::os {
namespace {

constexpr std::size_t kLabelBytes = 4;
constexpr u8 kLabelDerive[kLabelBytes] = {'K', 'T', 'X', 'D'};
constexpr u8 kLabelEncryption[kLabelBytes] = {'K', 'T', 'X', 'E'};
constexpr u8 kLabelMac[kLabelBytes] = {'K', 'T', 'X', 'M'};
constexpr u8 kLabelSettlement[kLabelBytes] = {'K', 'T', 'X', 'S'};

// KDF(key; label || rest), out.size() octets: 16 or 32.
Sw derive_from(Hal& hal, ByteView key, ByteView label, ByteView rest, ByteView more, ByteSpan out) {
  for (u8 number = 1; !out.empty(); ++number) {
    const ByteView message[] = {{&number, 1}, label, rest, more};
    if (hal.aes_cmac(key, message, out.first(kAesBlockBytes)) != HalStatus::ok) return Sw::no_diagnosis;
    out = out.subspan(kAesBlockBytes);
  }
  return Sw::ok;
}

}  // namespace

void write_ledger_base(u8 kind, ByteView nonce_terminal, ByteView nonce_card, ByteView serial,
                       u8 (&base)[kLedgerBaseBytes]) {
  base[0] = kind;
  copy(ByteSpan(base).subspan(1), nonce_terminal);
  copy(ByteSpan(base).subspan(1 + kLedgerNonceBytes), nonce_card);
  copy(ByteSpan(base).subspan(1 + 2 * kLedgerNonceBytes), serial);
}

Sw derive_ledger_key(Hal& hal, ByteView master, u8 kind, ByteView serial, SymmetricKey& out) {
  out.bytes = static_cast<u8>(master.size());
  return derive_from(hal, master, kLabelDerive, {&kind, 1}, serial, out.span());
}

Sw derive_session_keys(Hal& hal, ByteView key, const u8 (&base)[kLedgerBaseBytes], ByteSpan key_enc, ByteSpan key_mac) {
  KARTA_OS_TRY(derive_from(hal, key, kLabelEncryption, base, {}, key_enc));
  return derive_from(hal, key, kLabelMac, base, {}, key_mac);
}

Sw ledger_mac(Hal& hal, ByteView key, LedgerStep step, ByteView first, ByteView second, u8 (&out)[kLedgerMacBytes]) {
  const u8 number = static_cast<u8>(step);
  const ByteView message[] = {{&number, 1}, first, second};
  u8 block[kAesBlockBytes];
  const WipeOnExit wipe_block(block);
  if (hal.aes_cmac(key, message, block) != HalStatus::ok) return Sw::no_diagnosis;
  copy(out, ByteView(block).first(kLedgerMacBytes));
  return Sw::ok;
}

Sw settlement_code(Hal& hal, ByteView key, u8 kind, ByteView serial, ByteView sequence, ByteView counters_and_entry,
                   ByteSpan out) {
  const ByteView message[] = {kLabelSettlement, {&kind, 1}, serial, sequence, counters_and_entry};
  u8 block[kAesBlockBytes];
  const WipeOnExit wipe_block(block);
  if (hal.aes_cmac(key, message, block) != HalStatus::ok) return Sw::no_diagnosis;
  copy(out, ByteView(block).first(kLedgerCodeBytes));
  return Sw::ok;
}

void LedgerSession::end() {
  step = Step::none;
  kind = 0;
  ledger_slot = 0;
  key_bytes = 0;
  order_bytes = 0;
  wipe(key);
  wipe(nonce);
  wipe(serial);
  wipe(last);
}

bool LedgerSession::continues_with(u8 instruction) const {
  switch (step) {
    case Step::opened:
      return instruction == kInsCommit;
    case Step::committed:
      return instruction == kInsRatify;
    case Step::prepared:
      return instruction == kInsCheck;
    case Step::checked:
      return instruction == kInsAuthorise;
    case Step::authorised:
      return instruction == kInsConfirm;
    case Step::none:
      break;
  }
  return false;
}

}  // namespace karta::os
