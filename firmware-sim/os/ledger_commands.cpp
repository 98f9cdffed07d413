// OPEN, COMMIT, RATIFY and INTERNAL AUTHENTICATE (docs/transactions.md): the card's side of taking from and putting
// into a ledger.
#include "firmware-sim/os/ledger_commands.h"

#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

constexpr u8 kFlagRatified = 0x01;
constexpr u8 kFlagCredit = 0x02;

// The ledger of the current DF, its rule satisfied. In plain over contactless one that is not free for this does not
// exist (behaviour 45).
Sw find_ledger(System& card, Right right, File& out) {
  const Sw absent = card.exposed() ? Sw::file_not_found : Sw::referenced_data_not_found;
  if (const Sw sw = card.files.find_kind(card.current_df, FileKind::ledger, out); sw != Sw::ok) {
    return sw == Sw::file_not_found ? absent : sw;
  }
  const Sw allowed = card.require(out, right);
  if (allowed == Sw::security_status_not_satisfied && card.exposed()) return absent;
  KARTA_OS_TRY(allowed);
  return card.require_usable(out);
}

// A key of the ledger, one use of it spent. A file that is no such key is as good as one without a key.
Sw take_key(System& card, const File& ledger, u16 id, SymmetricKey& out) {
  File key;
  const Sw sw = card.files.find_child(ledger.parent, id, key);
  if (sw == Sw::file_not_found) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(sw);
  if (key.kind != FileKind::aes_key || key.properties[1] != kUsageLedger) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(card.require_usable(key));
  return card.symmetric_keys.take(key, out);
}

// Version of a key for the FCI; 00 where there is none.
u8 version_of(System& card, u8 df, u16 id) {
  File key;
  u8 version = 0;
  if (card.files.find_child(df, id, key) != Sw::ok || key.kind != FileKind::aes_key) return 0;
  return card.symmetric_keys.version(key, version) == Sw::ok ? version : u8{0};
}

// Once the card is issued, what a ledger holds leaves it encrypted only: inside secure messaging, or in a session of
// SCP03 that encrypts answers.
Sw require_confidential(const System& card) {
  if (!card.issued()) return Sw::ok;
  const ChannelSession& session = card.channel.session();
  if (session.kind == ChannelKind::scp03) {
    const bool encrypted = session.authenticated && (session.level & kResponseEncryption) != 0;
    return encrypted ? Sw::ok : Sw::security_status_not_satisfied;
  }
  const bool open = card.channel_password() != Password::none && !card.security.transport();
  return open ? Sw::ok : Sw::security_status_not_satisfied;
}

// A debit only takes: no counter goes up.
bool takes_only(ByteView before, ByteView after) {
  for (std::size_t at = 0; at < before.size(); at += kCounterBytes) {
    if (read_u32(&after[at]) > read_u32(&before[at])) return false;
  }
  return true;
}

// 80 00.. behind the plain part, which begins at `from`, to whole blocks.
void pad(Writer& reply, std::size_t from) {
  constexpr u8 kPadding[kAesBlockBytes] = {0x80};
  reply.bytes(ByteView(kPadding).first(kAesBlockBytes - (reply.size() - from) % kAesBlockBytes));
}

// Flags, sequence, version, counters, product, last entry, code.
Sw write_opening(System& card, const File& ledger, const LedgerShape& shape, const LedgerState& state, Writer& reply) {
  reply.byte(static_cast<u8>((state.ratified ? kFlagRatified : 0) | (state.credit ? kFlagCredit : 0)));
  u8 sequence[4];
  write_u32(sequence, state.sequence);
  reply.bytes(sequence);
  reply.u16_be(shape.product_version);
  reply.bytes(ByteView(state.counters).first(shape.counter_octets()));
  KARTA_OS_TRY(card.ledgers.product(ledger, reply.claim(ledger.size)));
  const ByteSpan entry = reply.claim(shape.entry_bytes);
  if (state.sequence != 0) {
    KARTA_OS_TRY(card.ledgers.entry(ledger, shape, state.sequence, 1, entry));
  } else {
    wipe(entry);
  }
  reply.bytes(state.code);
  return Sw::ok;
}

Sw write_content(System& card, const File& ledger, const LedgerShape& shape, const LedgerState& state, Writer& out) {
  KARTA_OS_TRY(card.ledgers.product(ledger, out.claim(ledger.size)));
  out.bytes(ByteView(state.counters).first(shape.counter_octets()));
  u8 sequence[4];
  write_u32(sequence, state.sequence);
  out.bytes(sequence);
  return out.ok() ? Sw::ok : Sw::no_diagnosis;
}

}  // namespace

// OPEN, 80 32 kind 00, nonce of the terminal.
Sw open_ledger(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  const bool debit = command.p1 == static_cast<u8>(LedgerKind::debit);
  if ((!debit && command.p1 != static_cast<u8>(LedgerKind::credit)) || command.p2 != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() != kLedgerNonceBytes || command.ne == 0) return Sw::wrong_length;
  File ledger;
  KARTA_OS_TRY(find_ledger(card, debit ? Right::debit : Right::update, ledger));
  LedgerShape shape;
  LedgerState state;
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  KARTA_OS_TRY(card.ledgers.state(ledger, shape, state));

  const ByteSpan nonce = reply.claim(kLedgerNonceBytes);
  if (nonce.empty() || card.hal.random(nonce) != HalStatus::ok) return Sw::no_diagnosis;
  u8 base[kLedgerBaseBytes];
  write_ledger_base(command.p1, command.data, nonce, shape.serial, base);
  SymmetricKey enc;
  {
    SymmetricKey key;
    KARTA_OS_TRY(take_key(card, ledger, debit ? shape.debit_key : shape.credit_key, key));
    enc.bytes = session.key_bytes = key.bytes;
    KARTA_OS_TRY(derive_session_keys(card.hal, key.view(), base, enc.span(), session.key_span()));
  }
  const std::size_t from = reply.size();
  KARTA_OS_TRY(write_opening(card, ledger, shape, state, reply));
  pad(reply, from);
  if (!reply.ok()) return Sw::no_diagnosis;
  constexpr u8 kZeroBlock[kAesBlockBytes] = {};
  const ByteSpan cryptogram = reply.written().subspan(from);
  if (card.hal.aes_cbc(Cipher::encrypt, enc.view(), kZeroBlock, cryptogram, cryptogram) != HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::opening, base, cryptogram, session.last));
  reply.bytes(session.last);
  session.kind = command.p1;
  session.ledger_slot = ledger.slot;
  session.step = LedgerSession::Step::opened;
  return Sw::ok;
}

// COMMIT, 80 34 00 00: new counters, new entry, MAC_T. The checksum is compared before anything is judged. The opening
// ends with an error of any kind (Card::process).
Sw commit_ledger(System& card, const Command& command, Writer& reply) {
  LedgerSession& session = card.ledger_session;
  if (session.step != LedgerSession::Step::opened) return Sw::conditions_not_satisfied;
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  File ledger;
  LedgerShape shape;
  LedgerState state;
  KARTA_OS_TRY(card.files.load(session.ledger_slot, ledger));
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  const std::size_t counter_octets = shape.counter_octets();
  const std::size_t order_octets = counter_octets + shape.entry_bytes;
  if (command.data.size() != order_octets + kLedgerMacBytes) return Sw::wrong_length;
  const ByteView order = command.data.first(order_octets);
  const ByteView counters = order.first(counter_octets);
  u8 mac[kLedgerMacBytes];
  const WipeOnExit wipe_mac(mac);  // of a forged order it is the checksum the forger is looking for
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::order, session.last, order, mac));
  if (!equal_constant_time(mac, command.data.last(kLedgerMacBytes))) return Sw::authentication_failed;

  KARTA_OS_TRY(card.ledgers.state(ledger, shape, state));
  const bool credit = session.kind == static_cast<u8>(LedgerKind::credit);
  if (state.sequence == kSequenceOfNoMore) return Sw::conditions_not_satisfied;
  if (!credit && !takes_only(ByteView(state.counters).first(counter_octets), counters)) {
    return Sw::conditions_not_satisfied;
  }
  state.ratified = false;
  state.credit = credit;
  state.sequence += 1;
  copy(state.counters, counters);
  u8 sequence[4];
  write_u32(sequence, state.sequence);
  if (shape.settlement_key != 0) {
    SymmetricKey key;
    KARTA_OS_TRY(take_key(card, ledger, shape.settlement_key, key));
    KARTA_OS_TRY(settlement_code(card.hal, key.view(), session.kind, shape.serial, sequence, order, state.code));
  }
  // The receipt is made before the write, so that nothing can fail between what is durable and its answer.
  reply.bytes(sequence);
  reply.bytes(state.code);
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::receipt, mac, reply.written(), session.last));
  KARTA_OS_TRY(card.ledgers.commit(ledger, shape, state, order.subspan(counter_octets)));
  reply.bytes(session.last);
  session.step = LedgerSession::Step::committed;
  return Sw::ok;
}

// RATIFY, 80 36 00 00: MAC_R. The terminal has the receipt.
Sw ratify_ledger(System& card, const Command& command, Writer&) {
  LedgerSession& session = card.ledger_session;
  if (session.step != LedgerSession::Step::committed) return Sw::conditions_not_satisfied;
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() != kLedgerMacBytes) return Sw::wrong_length;
  u8 mac[kLedgerMacBytes];
  const WipeOnExit wipe_mac(mac);
  KARTA_OS_TRY(ledger_mac(card.hal, session.key_view(), LedgerStep::ratification, session.last, {}, mac));
  if (!equal_constant_time(mac, command.data)) return Sw::authentication_failed;
  File ledger;
  KARTA_OS_TRY(card.files.load(session.ledger_slot, ledger));
  session.end();
  return card.ledgers.ratify(ledger);
}

// 7816-4 section 11.6.3, INTERNAL AUTHENTICATE, 00 88 00 00: the card's signed statement of what the ledger holds.
Sw internal_authenticate(System& card, const Command& command, Writer& reply) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() != kLedgerNonceBytes || command.ne == 0) return Sw::wrong_length;
  File ledger;
  KARTA_OS_TRY(find_ledger(card, Right::debit, ledger));
  LedgerShape shape;
  LedgerState state;
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  if (shape.signing_key == 0) return Sw::referenced_data_not_found;
  File key;
  KeyShape key_form;
  if (const Sw sw = card.files.find_child(ledger.parent, shape.signing_key, key); sw != Sw::ok) {
    return sw == Sw::file_not_found ? Sw::conditions_not_satisfied : sw;
  }
  if (key.kind != FileKind::ec_key || key.properties[1] != kUsageStatement || !key_shape(key, key_form)) {
    return Sw::conditions_not_satisfied;
  }
  KARTA_OS_TRY(card.require_usable(key));
  KARTA_OS_TRY(card.ledgers.state(ledger, shape, state));
  KARTA_OS_TRY(write_content(card, ledger, shape, state, reply));
  reply.u16_be(shape.product_version);
  constexpr u8 kLabel[] = {'K', 'T', 'X', 'P'};
  const ByteView statement[] = {kLabel, command.data, shape.serial, reply.written()};
  u8 digest[32];
  if (!reply.ok() || card.hal.digest(Digest::sha256, statement, digest) != HalStatus::ok) return Sw::no_diagnosis;
  return card.keys.ec_sign(key, digest, reply.claim(2 * field_bytes(key_form.curve)));
}

Sw read_ledger(System& card, const File& ledger, std::size_t offset, std::size_t octets, Writer& reply,
               std::size_t& total) {
  KARTA_OS_TRY(require_confidential(card));
  LedgerShape shape;
  LedgerState state;
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  KARTA_OS_TRY(card.ledgers.state(ledger, shape, state));
  u8 content[kMaxProductBytes + kMaxCounters * kCounterBytes + 4];
  const WipeOnExit wipe_content(content);
  Writer out{ByteSpan(content)};
  KARTA_OS_TRY(write_content(card, ledger, shape, state, out));
  total = out.size();
  if (offset >= total) return Sw::wrong_offset;
  const std::size_t left = total - offset;
  reply.bytes(out.written().subspan(offset, octets < left ? octets : left));
  return Sw::ok;
}

Sw read_ledger_entries(System& card, const File& ledger, u8 number, bool to_last, Writer& reply) {
  KARTA_OS_TRY(require_confidential(card));
  LedgerShape shape;
  LedgerState state;
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  KARTA_OS_TRY(card.ledgers.state(ledger, shape, state));
  for (std::size_t at = number;; ++at) {
    u8 entry[kMaxEntryBytes];
    const WipeOnExit wipe_entry(entry);
    const ByteSpan octets = ByteSpan(entry).first(shape.entry_bytes);
    const Sw sw = card.ledgers.entry(ledger, shape, state.sequence, static_cast<u8>(at), octets);
    if (sw == Sw::record_not_found && at != number) return Sw::ok;
    KARTA_OS_TRY(sw);
    reply.bytes(octets);
    if (!to_last) return Sw::ok;
  }
}

Sw update_ledger(System& card, File& ledger, std::size_t offset, ByteView data) {
  if (offset > ledger.size || data.size() > ledger.size - offset) return Sw::wrong_offset;
  return card.ledgers.update_product(ledger, offset, data);
}

Sw write_ledger_information(System& card, const File& df, Writer& reply) {
  File ledger;
  if (!card.issued()) return Sw::ok;
  const Sw sw = card.files.find_kind(df.slot, FileKind::ledger, ledger);
  if (sw == Sw::file_not_found) return Sw::ok;
  KARTA_OS_TRY(sw);
  if (card.require(ledger, Right::debit) != Sw::ok && card.require(ledger, Right::update) != Sw::ok) return Sw::ok;
  LedgerShape shape;
  KARTA_OS_TRY(card.ledgers.shape(ledger, shape));
  reply.header(0xA5, 2 + kLedgerSerialBytes + 4 + 4 + 5);
  reply.object(0x80, shape.serial);
  const u8 versions[] = {version_of(card, df.slot, shape.debit_key), version_of(card, df.slot, shape.credit_key)};
  reply.object(0x81, versions);
  reply.header(0x82, 2);
  reply.u16_be(shape.product_version);
  const u8 sizes[] = {shape.counters, shape.entry_bytes, static_cast<u8>(ledger.size)};
  reply.object(0x83, sizes);
  return Sw::ok;
}

}  // namespace karta::os
