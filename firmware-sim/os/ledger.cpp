#include "firmware-sim/os/ledger.h"

#include "firmware-sim/os/tlv.h"

namespace karta::os {
namespace {

// Page 0: counters, entry octets, entries kept, then the identifiers of debit, credit, settlement and signing key, the
// serial, the product's version, the product.
constexpr std::size_t kKeysOffset = 4;
constexpr std::size_t kSerialOffset = 12;
constexpr std::size_t kVersionOffset = 20;
constexpr std::size_t kProductOffset = 22;
static_assert(kProductOffset + kMaxProductBytes <= kPayloadBytes);

// From page 1 on: flags, sequence, code, counters, ring of entries.
constexpr std::size_t kStateOffset = kPayloadBytes;
constexpr std::size_t kSequenceOffset = 1;
constexpr std::size_t kCodeOffset = 5;
constexpr std::size_t kCountersOffset = 13;
constexpr std::size_t kMaxStateBytes = kCountersOffset + kMaxCounters * kCounterBytes;
static_assert(kMaxStateBytes <= kPayloadBytes);

constexpr u8 kFlagUnratified = 0x01;
constexpr u8 kFlagCredit = 0x02;

constexpr std::size_t kMaxMovingBytes = 960;  // with 40 for what is not counters and entries

std::size_t journal_octets(const LedgerShape& shape) { return std::size_t{shape.entry_bytes} * shape.kept; }
std::size_t entry_offset(const LedgerShape& shape, u32 sequence) {
  return kStateOffset + kCountersOffset + shape.counter_octets() + (sequence - 1) % shape.kept * shape.entry_bytes;
}

}  // namespace

bool Ledgers::parse_shape(ByteView contents, std::size_t product_bytes, LedgerShape& out) {
  struct Row {
    u8 tag;
    u8 octets;
  };
  constexpr Row kRows[] = {{0x80, 1}, {0x81, 1}, {0x82, 1}, {0x83, 2}, {0x84, 2}, {0x85, 8}, {0x86, 2}, {0x87, 2}};
  out = {};
  ByteView values[std::size(kRows)];
  TlvCursor cursor(contents);
  for (Tlv object; cursor.next(object);) {
    const std::size_t row = static_cast<std::size_t>(object.tag) - kRows[0].tag;
    if (row >= std::size(kRows) || !values[row].empty() || object.value.size() != kRows[row].octets) return false;
    values[row] = object.value;
  }
  if (!cursor.ok()) return false;
  for (std::size_t row = 0; row < 6; ++row) {
    if (values[row].empty()) return false;
  }
  out.counters = values[0][0];
  out.entry_bytes = values[1][0];
  out.kept = values[2][0];
  out.debit_key = read_u16(values[3].data());
  out.credit_key = read_u16(values[4].data());
  copy(out.serial, values[5]);
  if (!values[6].empty()) out.settlement_key = read_u16(values[6].data());
  if (!values[7].empty()) out.signing_key = read_u16(values[7].data());
  return out.counters >= 1 && out.counters <= kMaxCounters && out.entry_bytes >= kMinEntryBytes &&
         out.entry_bytes <= kMaxEntryBytes && out.kept >= 1 && out.kept <= kMaxEntriesKept && product_bytes >= 1 &&
         product_bytes <= kMaxProductBytes && out.counter_octets() + journal_octets(out) + 40 <= kMaxMovingBytes;
}

std::size_t Ledgers::pages_of(const LedgerShape& shape) {
  const std::size_t moving = kCountersOffset + shape.counter_octets() + journal_octets(shape);
  return 1 + (moving + kPayloadBytes - 1) / kPayloadBytes;
}

Sw Ledgers::write_new(File& file, const LedgerShape& shape) {
  u8 fixed[kProductOffset] = {shape.counters, shape.entry_bytes, shape.kept};
  const u16 keys[] = {shape.debit_key, shape.credit_key, shape.settlement_key, shape.signing_key};
  for (std::size_t i = 0; i < std::size(keys); ++i) write_u16(fixed + kKeysOffset + 2 * i, keys[i]);
  copy(ByteSpan(fixed).subspan(kSerialOffset), shape.serial);
  write_u16(fixed + kVersionOffset, shape.product_version);
  KARTA_OS_TRY(files_.write(file, 0, fixed));
  // All pages exist from the beginning: a commit then never touches the file's record.
  constexpr u8 kNothing[1] = {0};
  for (std::size_t page = 1; page < file.pages; ++page) {
    KARTA_OS_TRY(files_.write(file, page * kPayloadBytes, kNothing));
  }
  return Sw::ok;
}

Sw Ledgers::shape(const File& file, LedgerShape& out) {
  u8 fixed[kProductOffset];
  KARTA_OS_TRY(files_.read(file, 0, fixed));
  out.counters = fixed[0];
  out.entry_bytes = fixed[1];
  out.kept = fixed[2];
  out.debit_key = read_u16(fixed + kKeysOffset);
  out.credit_key = read_u16(fixed + kKeysOffset + 2);
  out.settlement_key = read_u16(fixed + kKeysOffset + 4);
  out.signing_key = read_u16(fixed + kKeysOffset + 6);
  copy(out.serial, ByteView(fixed).subspan(kSerialOffset, kLedgerSerialBytes));
  out.product_version = read_u16(fixed + kVersionOffset);
  const bool sound = out.counters >= 1 && out.counters <= kMaxCounters && out.entry_bytes <= kMaxEntryBytes &&
                     out.kept != 0 && file.size <= kMaxProductBytes;
  return sound ? Sw::ok : Sw::memory_failure;
}

Sw Ledgers::state(const File& file, const LedgerShape& shape, LedgerState& out) {
  u8 stored[kMaxStateBytes];
  const ByteSpan octets = ByteSpan(stored).first(kCountersOffset + shape.counter_octets());
  KARTA_OS_TRY(files_.read(file, kStateOffset, octets));
  out.ratified = (stored[0] & kFlagUnratified) == 0;
  out.credit = (stored[0] & kFlagCredit) != 0;
  out.sequence = read_u32(stored + kSequenceOffset);
  copy(out.code, octets.subspan(kCodeOffset, kLedgerCodeBytes));
  copy(out.counters, octets.subspan(kCountersOffset));
  return Sw::ok;
}

Sw Ledgers::product(const File& file, ByteSpan out) { return files_.read(file, kProductOffset, out); }

Sw Ledgers::entry(const File& file, const LedgerShape& shape, u32 sequence, u8 number, ByteSpan out) {
  if (number == 0 || number > shape.kept || number > sequence) return Sw::record_not_found;
  return files_.read(file, entry_offset(shape, sequence - number + 1), out);
}

// Counters, entry, sequence, code and flags are one transaction: a cut leaves all of it or nothing (behaviour 50).
Sw Ledgers::commit(File& file, const LedgerShape& shape, const LedgerState& state, ByteView entry) {
  u8 stored[kMaxStateBytes];
  const ByteSpan octets = ByteSpan(stored).first(kCountersOffset + shape.counter_octets());
  stored[0] = static_cast<u8>((state.ratified ? 0 : kFlagUnratified) | (state.credit ? kFlagCredit : 0));
  write_u32(stored + kSequenceOffset, state.sequence);
  copy(octets.subspan(kCodeOffset), state.code);
  copy(octets.subspan(kCountersOffset), ByteView(state.counters).first(shape.counter_octets()));
  Transaction transaction(journal_, kCommitPages);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(files_.write(file, kStateOffset, octets));
  KARTA_OS_TRY(files_.write(file, entry_offset(shape, state.sequence), entry));
  return transaction.commit();
}

Sw Ledgers::ratify(File& file) {
  u8 flags[1];
  KARTA_OS_TRY(files_.read(file, kStateOffset, flags));
  flags[0] = static_cast<u8>(flags[0] & ~kFlagUnratified);
  Transaction transaction(journal_, 1);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(files_.write(file, kStateOffset, flags));
  return transaction.commit();
}

Sw Ledgers::update_product(File& file, std::size_t offset, ByteView data) {
  u8 version[2];
  KARTA_OS_TRY(files_.read(file, kVersionOffset, version));
  // A version that came round would have a terminal take the new product for one it knows.
  if (read_u16(version) == 0xFFFF) return Sw::conditions_not_satisfied;
  write_u16(version, static_cast<u16>(read_u16(version) + 1));
  Transaction transaction(journal_, 1);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(files_.write(file, kVersionOffset, version));
  KARTA_OS_TRY(files_.write(file, kProductOffset + offset, data));
  return transaction.commit();
}

}  // namespace karta::os
