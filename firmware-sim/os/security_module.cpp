// The security module (docs/transactions.md): a card whose DF holds master keys works the terminal's side of OPEN and
// COMMIT, and never shows a key. One kind of master, for issuing centres, hands out the key of one ledger at a time.
#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

using Step = LedgerSession::Step;

bool is_kind(u8 kind, LedgerKind last) { return kind >= 1 && kind <= static_cast<u8>(last); }

// The master of this DF whose identifier ends in `low`, opened by its use rule: the module's PIN.
Sw find_master(System& card, u8 kind, u8 low, File& out) {
  bool found = false;
  for (u8 slot = 0; slot < Files::kSlots && !found; ++slot) {
    KARTA_OS_TRY(card.files.load(slot, out));
    found = out.kind == FileKind::aes_key && out.parent == card.current_df && (out.id & 0xFF) == low &&
            out.properties[1] != kUsageLedger;
  }
  if (!found) return Sw::referenced_data_not_found;
  KARTA_OS_TRY(card.require_usable(out));
  KARTA_OS_TRY(card.require(out, Right::use));
  const u8 only = out.properties[2];
  return only == 0 || only == kind ? Sw::ok : Sw::conditions_not_satisfied;
}

// K of the ledger; one use of the master is spent before.
Sw derive_with(System& card, const File& master, u8 kind, ByteView serial, SymmetricKey& out) {
  SymmetricKey key;
  KARTA_OS_TRY(card.symmetric_keys.take(master, key));
  return derive_ledger_key(card.hal, key.view(), kind, serial, out);
}

// The session stands where this command goes on from. It moves on with success and ends with any error
// (Card::process).
Sw require_step(const System& card, Step step) {
  return card.ledger_session.step == step ? Sw::ok : Sw::conditions_not_satisfied;
}

}  // namespace

// PREPARE, 80 52 kind low: serial; answers the terminal's nonce.
Sw prepare_terminal(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  if (!is_kind(command.p1, LedgerKind::credit)) return Sw::incorrect_p1_p2;
  if (command.data.size() != kLedgerSerialBytes || command.ne == 0) return Sw::wrong_length;
  File master;
  KARTA_OS_TRY(find_master(card, command.p1, command.p2, master));
  SymmetricKey key;
  KARTA_OS_TRY(derive_with(card, master, command.p1, command.data, key));
  if (card.hal.random(session.nonce) != HalStatus::ok) return Sw::no_diagnosis;
  session.kind = command.p1;
  session.key_bytes = key.bytes;
  copy(session.key, key.view());
  copy(session.serial, command.data);
  session.step = Step::prepared;
  reply.bytes(session.nonce);
  return Sw::ok;
}

// CHECK, 80 54 counters entry-octets: the answer of OPEN; answers what it says.
Sw check_opening(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  KARTA_OS_TRY(require_step(card, Step::prepared));
  const u8 counters = command.p1;
  const u8 entry_bytes = command.p2;
  if (counters < 1 || counters > kMaxCounters || entry_bytes < kMinEntryBytes || entry_bytes > kMaxEntryBytes) {
    return Sw::incorrect_p1_p2;
  }
  const std::size_t frame = kLedgerNonceBytes + kLedgerMacBytes;
  if (command.data.size() <= frame || (command.data.size() - frame) % kAesBlockBytes != 0) return Sw::wrong_length;
  const ByteView cryptogram = command.data.subspan(kLedgerNonceBytes, command.data.size() - frame);
  u8 base[kLedgerBaseBytes];
  write_ledger_base(session.kind, session.nonce, command.data.first(kLedgerNonceBytes), session.serial, base);
  SymmetricKey enc;
  SymmetricKey mac_key;
  enc.bytes = mac_key.bytes = session.key_bytes;
  KARTA_OS_TRY(derive_session_keys(card.hal, session.key_view(), base, enc.span(), mac_key.span()));
  copy(session.key, mac_key.view());
  KARTA_OS_TRY(ledger_mac(card.hal, mac_key.view(), LedgerStep::opening, base, cryptogram, session.last));
  if (!equal_constant_time(session.last, command.data.last(kLedgerMacBytes))) return Sw::authentication_failed;

  const ByteSpan plain = reply.claim(cryptogram.size());
  constexpr u8 kZeroBlock[kAesBlockBytes] = {};
  if (plain.empty() || card.hal.aes_cbc(Cipher::decrypt, enc.view(), kZeroBlock, cryptogram, plain) != HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  std::size_t length = 0;
  if (!strip_padding(plain, length)) return Sw::incorrect_data;
  session.order_bytes = static_cast<u8>(counters * kCounterBytes + entry_bytes);
  session.step = Step::checked;
  reply.shorten(length);
  return Sw::ok;
}

// AUTHORISE, 80 56 00 00: new counters and entry; answers MAC_T. Once a session.
Sw authorise_commit(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  KARTA_OS_TRY(require_step(card, Step::checked));
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() != session.order_bytes || command.ne == 0) return Sw::wrong_length;
  u8 mac[kLedgerMacBytes];
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::order, session.last, command.data, mac));
  copy(session.last, mac);
  session.step = Step::authorised;
  reply.bytes(mac);
  return Sw::ok;
}

// CONFIRM, 80 58 00 00: the answer of COMMIT; answers MAC_R.
Sw confirm_commit(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  KARTA_OS_TRY(require_step(card, Step::authorised));
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  constexpr std::size_t kReceiptBytes = 4 + kLedgerCodeBytes + kLedgerMacBytes;
  if (command.data.size() != kReceiptBytes || command.ne == 0) return Sw::wrong_length;
  const ByteView receipt = command.data.last(kLedgerMacBytes);
  u8 mac[kLedgerMacBytes];
  const WipeOnExit wipe_mac(mac);
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::receipt, session.last,
                          command.data.first(kReceiptBytes - kLedgerMacBytes), mac));
  if (!equal_constant_time(mac, receipt)) return Sw::authentication_failed;
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::ratification, receipt, {}, mac));
  session.end();
  reply.bytes(mac);
  return Sw::ok;
}

// 80 5A 03 low: kind, serial, sequence, counters, entry; answers the settlement code a card must have given.
Sw compute_settlement_code(System& card, const Command& command, Writer& reply) {
  constexpr u8 kKind = static_cast<u8>(LedgerKind::settlement);
  if (command.p1 != kKind) return Sw::incorrect_p1_p2;
  constexpr std::size_t kHead = 1 + kLedgerSerialBytes + 4;
  const ByteView data = command.data;
  if (data.size() < kHead + kCounterBytes + kMinEntryBytes || command.ne == 0 ||
      data.size() > kHead + kMaxCounters * kCounterBytes + kMaxEntryBytes) {
    return Sw::wrong_length;
  }
  if (!is_kind(data[0], LedgerKind::credit)) return Sw::incorrect_data;
  const ByteView serial = data.subspan(1, kLedgerSerialBytes);
  File master;
  KARTA_OS_TRY(find_master(card, kKind, command.p2, master));
  SymmetricKey key;
  KARTA_OS_TRY(derive_with(card, master, kKind, serial, key));
  return settlement_code(card.hal, key.view(), data[0], serial, data.subspan(1 + kLedgerSerialBytes, 4),
                         data.subspan(kHead), reply.claim(kLedgerCodeBytes));
}

// 80 5C kind low: serial; answers K, for who issues cards and nobody else: a master of that usage, and the session of
// its administrator with both directions encrypted.
Sw derive_for_issuing(System& card, const Command& command, Writer& reply) {
  if (!is_kind(command.p1, LedgerKind::settlement)) return Sw::incorrect_p1_p2;
  if (command.data.size() != kLedgerSerialBytes || command.ne == 0) return Sw::wrong_length;
  File master;
  KARTA_OS_TRY(find_master(card, command.p1, command.p2, master));
  if (master.properties[1] != kUsageIssuingMaster) return Sw::conditions_not_satisfied;
  u8 owner = kIssuer;
  KARTA_OS_TRY(card.key_sets.owner_of(master.slot, owner));
  constexpr u8 kBothWays = kCommandMac | kCommandDecryption | kResponseMac | kResponseEncryption;
  if (!command.secured || !card.administers(owner) || card.channel.session().level != kBothWays) {
    return Sw::security_status_not_satisfied;
  }
  SymmetricKey key;
  KARTA_OS_TRY(derive_with(card, master, command.p1, command.data, key));
  reply.bytes(key.view());
  return Sw::ok;
}

}  // namespace karta::os
