// READ RECORD, UPDATE RECORD and APPEND RECORD (ISO/IEC 7816-4 section 11.4).
#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/ledger_commands.h"

namespace karta::os {
namespace {

// The low bits of P2: what P1 means.
constexpr u8 kThisRecord = 4;
constexpr u8 kThisToLast = 5;

// P2: short file identifier in the high five bits, 00 for the current EF.
Sw find_records(System& card, const Command& command, File& out) {
  const u8 short_id = command.p2 >> 3;
  if (short_id == 0x1F) return Sw::incorrect_p1_p2;
  if (short_id != 0) {
    KARTA_OS_TRY(card.files.find_short_id(card.current_df, short_id, out));
    if (!card.visible(out)) return Sw::file_not_found;
    card.select(out);
  } else {
    KARTA_OS_TRY(card.current_file(out));
    if (!card.visible(out)) return Sw::file_not_found;
  }
  if (!out.holds_records() && out.kind != FileKind::ledger) return Sw::incompatible_file;
  return card.require_usable(out);
}

// A ledger's entries come by COMMIT and by nothing else.
Sw find_changeable(System& card, const Command& command, File& out) {
  KARTA_OS_TRY(find_records(card, command, out));
  if (!out.holds_records()) return Sw::incompatible_file;
  return card.require(out, Right::update);
}

}  // namespace

// Section 11.4.3, READ RECORD. From a record to the last, those are answered that fit whole.
Sw read_record(System& card, const Command& command, Writer& reply) {
  const u8 mode = command.p2 & 0x07;
  if ((mode != kThisRecord && mode != kThisToLast) || command.p1 == 0) return Sw::incorrect_p1_p2;
  if (!command.data.empty() || command.ne == 0) return Sw::wrong_length;
  File file;
  KARTA_OS_TRY(find_records(card, command, file));
  KARTA_OS_TRY(card.require(file, Right::read));
  if (file.kind == FileKind::ledger) {
    return read_ledger_entries(card, file, command.p1, mode == kThisToLast, reply);
  }
  u8 record[kMaxRecordBytes];
  const WipeOnExit wipe_record(record);
  std::size_t length = 0;
  KARTA_OS_TRY(card.records.read(file, command.p1, record, length));
  reply.bytes(ByteView(record).first(length));
  for (u8 number = command.p1; mode == kThisToLast && number < file.records;) {
    const Sw sw = card.records.read(file, ++number, record, length);
    if (sw == Sw::record_not_found || reply.room() < length) break;
    KARTA_OS_TRY(sw);
    reply.bytes(ByteView(record).first(length));
  }
  return Sw::ok;
}

// Section 11.4.5, UPDATE RECORD.
Sw update_record(System& card, const Command& command, Writer&) {
  if ((command.p2 & 0x07) != kThisRecord || command.p1 == 0) return Sw::incorrect_p1_p2;
  File file;
  KARTA_OS_TRY(find_changeable(card, command, file));
  return card.records.update(file, command.p1, command.data, card.counter_after_change(file.slot));
}

// Section 11.4.6, APPEND RECORD.
Sw append_record(System& card, const Command& command, Writer&) {
  if ((command.p2 & 0x07) != 0 || command.p1 != 0) return Sw::incorrect_p1_p2;
  File file;
  KARTA_OS_TRY(find_changeable(card, command, file));
  return card.records.append(file, command.data, card.counter_after_change(file.slot));
}

}  // namespace karta::os
