// Selecting, reading, writing, creating and ending files.
#include "firmware-sim/os/card_manager.h"
#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/key_uses.h"
#include "firmware-sim/os/ledger_commands.h"

namespace karta::os {
namespace {

constexpr u8 kNoFci = 0x0C;
constexpr u8 kFcp = 0x04;
constexpr u8 kFci = 0x00;

constexpr u8 kDataCoding = 0x41;  // of records: 7816-4 table 12, as EF.ATR says it of the card

// 7816-4 section 7.4: file control parameters.
Sw write_control_parameters(System& card, const File& file, u16 tag, Writer& reply) {
  u8 buffer[112];
  Writer fcp{ByteSpan(buffer)};
  fcp.header(file.is_df() ? 0x81 : 0x80, 2);
  fcp.u16_be(file.size);
  fcp.header(0x82, file.holds_records() ? 6 : 1);
  fcp.byte(static_cast<u8>(file.kind));
  if (file.holds_records()) {
    fcp.byte(kDataCoding);
    fcp.u16_be(file.record_bytes);
    fcp.u16_be(file.records);
  }
  fcp.header(0x83, 2);
  fcp.u16_be(file.id);
  if (file.name_bytes != 0) fcp.object(0x84, file.aid());
  fcp.object(0x85, ByteView(file.properties).first(file.properties[2] != 0 ? 3 : 2));
  fcp.object(0x86, file.rules.octets);
  if (!file.channel.is_default()) {
    const ChannelRules& rules = file.channel;
    const u8 objects[] = {0x81, 2, rules.read.octet,   rules.read.right,    //
                          0x82, 2, rules.update.octet, rules.update.right,  //
                          0x83, 2, rules.debit.octet,  rules.debit.right};
    fcp.object(0xA1, ByteView(objects).first(file.kind == FileKind::ledger ? 12 : 8));
  }
  if (file.holds_key()) {
    KeyUses uses;
    KARTA_OS_TRY(load_uses(card.files, file, uses));
    if (uses.limited) {
      fcp.header(0xA3, 6);
      fcp.header(0x80, 4);
      u8 left[4];
      write_u32(left, uses.left);
      fcp.bytes(left);
    }
  }
  const bool asleep = file.life == LifeCycle::creation && !card.activated;
  const LifeCycle shown = file.life == LifeCycle::creation && !asleep ? LifeCycle::activated : file.life;
  fcp.header(0x8A, 1);
  fcp.byte(static_cast<u8>(shown));
  if (file.is_df() && tag == 0x6F) KARTA_OS_TRY(write_ledger_information(card, file, fcp));
  reply.object(tag, fcp.written());
  return fcp.ok() ? Sw::ok : Sw::no_diagnosis;
}

// 7816-4 section 11.2.2, table 62, P1 = 00: "Select MF, DF or EF by file identifier": children of the current DF, the
// DF itself, its parent, and the parent's DFs.
Sw find_by_id(System& card, u16 id, File& out) {
  if (id == kMasterFileId) return card.files.load(kMasterFileSlot, out);
  if (const Sw sw = card.files.find_child(card.current_df, id, out); sw != Sw::file_not_found) return sw;
  File df;
  KARTA_OS_TRY(card.files.load(card.current_df, df));
  if (df.id == id) {
    out = df;
    return Sw::ok;
  }
  if (df.parent == kNoSlot) return Sw::file_not_found;
  KARTA_OS_TRY(card.files.load(df.parent, out));
  if (out.id == id) return Sw::ok;
  KARTA_OS_TRY(card.files.find_child(df.parent, id, out));
  return out.is_df() ? Sw::ok : Sw::file_not_found;
}

// P1 = 08 and 09: a path of file identifiers; all but the last are DFs.
Sw find_by_path(System& card, u8 start, ByteView path, File& out) {
  if (path.empty() || path.size() % 2 != 0) return Sw::incorrect_data;
  KARTA_OS_TRY(card.files.load(start, out));
  bool first = true;
  while (!path.empty()) {
    const u16 id = read_u16(path.data());
    path = path.subspan(2);
    const bool names_start = first && start == kMasterFileSlot && id == kMasterFileId;
    first = false;
    if (names_start) continue;
    if (!out.is_df()) return Sw::file_not_found;
    KARTA_OS_TRY(card.files.find_child(out.slot, id, out));
  }
  return Sw::ok;
}

// A name that begins with what is given, hidden ones passed over as if they were not there.
Sw find_visible_name(System& card, ByteView name, u8 after, File& out) {
  do {
    KARTA_OS_TRY(card.files.find_name(name, after, out));
    after = out.slot;
  } while (!card.visible(out));
  return Sw::ok;
}

Sw find_selected(System& card, const Command& command, File& out) {
  const bool next = (command.p2 & 0x03) == 0x02;
  switch (command.p1) {
    case 0x00:
    case 0x01:
    case 0x02:
      if (command.data.empty() && command.p1 == 0x00) return card.files.load(kMasterFileSlot, out);
      if (command.data.size() != 2) return Sw::wrong_length;
      if (command.p1 == 0x00) return find_by_id(card, read_u16(command.data.data()), out);
      KARTA_OS_TRY(card.files.find_child(card.current_df, read_u16(command.data.data()), out));
      return out.is_df() == (command.p1 == 0x01) ? Sw::ok : Sw::file_not_found;
    case 0x03: {
      if (!command.data.empty()) return Sw::wrong_length;
      File df;
      KARTA_OS_TRY(card.files.load(card.current_df, df));
      return df.parent == kNoSlot ? Sw::file_not_found : card.files.load(df.parent, out);
    }
    case 0x04:
      if (command.data.empty() || command.data.size() > kMaxNameBytes) return Sw::wrong_length;
      return find_visible_name(card, command.data, next ? card.current_df : kNoSlot, out);
    case 0x08:
      return find_by_path(card, kMasterFileSlot, command.data, out);
    case 0x09:
      return find_by_path(card, card.current_df, command.data, out);
    default:
      return Sw::incorrect_p1_p2;
  }
}

// P1-P2 of READ and UPDATE BINARY (7816-4 section 11.3.2): bit 8 of P1 set: short file identifier in P1, offset in P2;
// else a fifteen-bit offset into the current EF.
Sw find_binary(System& card, const Command& command, File& out, std::size_t& offset) {
  if ((command.p1 & 0x80) != 0) {
    if ((command.p1 & 0x60) != 0) return Sw::incorrect_p1_p2;
    KARTA_OS_TRY(card.files.find_short_id(card.current_df, command.p1 & 0x1F, out));
    if (!card.visible(out)) return Sw::file_not_found;
    card.select(out);
    offset = command.p2;
  } else {
    KARTA_OS_TRY(card.current_file(out));
    if (!card.visible(out)) return Sw::file_not_found;
    offset = command.p1_p2();
  }
  if (out.kind != FileKind::transparent && out.kind != FileKind::ledger) return Sw::incompatible_file;
  return card.require_usable(out);
}

// Tag A1: 81 rule of reading or using, 82 rule of updating or generating, 83 rule of debiting a ledger, which is that
// of reading where it is not there; each condition and right.
Sw parse_channel_rules(ByteView data, ChannelRules& out) {
  bool has_debit = false;
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    if (object.tag < 0x81 || object.tag > 0x83 || object.value.size() != 2) return Sw::incorrect_data;
    const ChannelRule rule = {.octet = object.value[0], .right = object.value[1]};
    if ((rule.octet & 0x70) != 0) return Sw::incorrect_data;
    if (rule.condition() == ChannelCondition::sector && rule.right >= kSectorRights) return Sw::incorrect_data;
    switch (rule.condition()) {
      case ChannelCondition::usual:
      case ChannelCondition::free:
      case ChannelCondition::channel:
      case ChannelCondition::role:
      case ChannelCondition::terminal:
      case ChannelCondition::sector:
      case ChannelCondition::never:
        (object.tag == 0x81 ? out.read : object.tag == 0x82 ? out.update : out.debit) = rule;
        has_debit = has_debit || object.tag == 0x83;
        break;
      default:
        return Sw::incorrect_data;
    }
  }
  if (!has_debit) out.debit = out.read;
  return cursor.ok() ? Sw::ok : Sw::incorrect_data;
}

// Tag 82: descriptor, perhaps the data coding octet, and of record files the size of a record and how many (7816-4
// table 10; the number may be left to the file's size).
bool parse_descriptor(ByteView v, File& file) {
  if (v.empty() || v.size() > 6) return false;
  file.kind = static_cast<FileKind>(v[0]);
  if (v.size() <= 2) return !file.holds_records();
  if (!file.holds_records() || v.size() == 3) return false;
  const u16 record_bytes = read_u16(&v[2]);
  const u16 records = v.size() == 6 ? read_u16(&v[4]) : v.size() == 5 ? v[4] : 0;
  if (record_bytes == 0 || record_bytes > kMaxRecordBytes || records > kMaxRecords) return false;
  file.record_bytes = static_cast<u8>(record_bytes);
  file.records = static_cast<u8>(records);
  return true;
}

// What CREATE FILE asks for, beside the file itself.
struct Creation {
  KeyUses uses;     // tag A3
  ByteView ledger;  // tag A2
};

// Tag A3 {80 uses}.
bool parse_uses(ByteView data, KeyUses& out) {
  TlvCursor cursor(data);
  Tlv object;
  Tlv more;
  if (!cursor.next(object) || object.tag != 0x80 || object.value.size() != 4 || cursor.next(more) || !cursor.ok()) {
    return false;
  }
  const u32 uses = read_u32(object.value.data());
  out = {.limited = true, .limit = uses, .left = uses};
  return uses != 0;
}

// The objects of a record file agree: its size, where given, is that of all records.
bool complete_records(File& file, u16 size) {
  if (file.records == 0) {
    const std::size_t records = size / file.record_bytes;
    if (records == 0 || records > kMaxRecords) return false;
    file.records = static_cast<u8>(records);
  }
  const u16 all = static_cast<u16>(file.records * file.record_bytes);
  if (size != 0 && size != all) return false;
  file.size = all;
  return true;
}

Sw parse_create(ByteView data, File& file, Creation& creation) {
  TlvCursor outer(data);
  Tlv fcp;
  if (!outer.next(fcp) || fcp.tag != 0x62) return Sw::incorrect_data;
  bool has_id = false;
  bool has_short_id = false;
  u16 size = 0;
  TlvCursor cursor(fcp.value);
  for (Tlv object; cursor.next(object);) {
    const ByteView v = object.value;
    switch (object.tag) {
      case 0x80:
      case 0x81:
        if (v.empty() || v.size() > 2) return Sw::incorrect_data;
        size = v.size() == 2 ? read_u16(v.data()) : v[0];
        break;
      case 0x82:
        if (!parse_descriptor(v, file)) return Sw::incorrect_data;
        break;
      case 0x83:
        if (v.size() != 2) return Sw::incorrect_data;
        file.id = read_u16(v.data());
        has_id = true;
        break;
      case 0x84:
        if (v.empty() || v.size() > kMaxNameBytes) return Sw::incorrect_data;
        copy(file.name, v);
        file.name_bytes = static_cast<u8>(v.size());
        break;
      case 0x85:
        if (v.size() > 3) return Sw::incorrect_data;
        copy(file.properties, v);
        break;
      case 0x86:
        if (v.empty() || v.size() > 3) return Sw::incorrect_data;
        copy(file.rules.octets, v);
        break;
      case 0xA1:
        KARTA_OS_TRY(parse_channel_rules(v, file.channel));
        break;
      case 0xA2:
        creation.ledger = v;
        break;
      case 0xA3:
        if (!parse_uses(v, creation.uses)) return Sw::incorrect_data;
        break;
      case 0x88:
        if (v.size() > 1 || (v.size() == 1 && ((v[0] & 0x07) != 0 || v[0] >> 3 > 30))) return Sw::incorrect_data;
        file.short_id = v.empty() ? 0 : v[0] >> 3;
        has_short_id = true;
        break;
      case 0x8A:
        if (v.size() != 1) return Sw::incorrect_data;
        if (v[0] == 0x00 || v[0] == 0x01 || v[0] == 0x03) {
          file.life = LifeCycle::creation;
        } else if (v[0] == 0x05 || v[0] == 0x07) {
          file.life = LifeCycle::activated;
        } else {
          return Sw::incorrect_data;
        }
        break;
      default:
        break;  // 7816-4 section 5.2.2.1: objects not known are left alone
    }
  }
  if (!cursor.ok() || !has_id) return Sw::incorrect_data;
  if (!valid_file_id(file.id)) return Sw::incorrect_data;
  if (file.name_bytes != 0 && !file.is_df()) return Sw::incorrect_data;
  file.size = file.is_df() ? 0 : size;
  if (file.holds_records() && !complete_records(file, size)) return Sw::incorrect_data;
  if (creation.uses.limited && !file.holds_key()) return Sw::incorrect_data;
  if (!has_short_id && file.has_short_id() && (file.id & 0x1F) != 0x1F) file.short_id = file.id & 0x1F;
  return Sw::ok;
}

// ACTIVATE, DEACTIVATE and TERMINATE without data mean the current file; two octets name one like SELECT P1 = 00.
Sw find_target(System& card, const Command& command, File& out) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() == 2) return find_by_id(card, read_u16(command.data.data()), out);
  if (!command.data.empty()) return Sw::wrong_length;
  return card.files.load(card.current_ef != kNoSlot ? card.current_ef : card.current_df, out);
}

Sw change_life(System& card, File& file, LifeCycle to) {
  if (file.life == LifeCycle::terminated || file.kind == FileKind::session_object) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(card.require_administrator(file));
  KARTA_OS_TRY(card.require(file, Right::remove));
  Transaction transaction(card.journal, 1);
  KARTA_OS_TRY(transaction.status());
  file.life = to;
  KARTA_OS_TRY(card.files.store(file));
  KARTA_OS_TRY(transaction.commit());
  card.environment = {};
  return Sw::ok;
}

Sw terminate(System& card, const Command& command, bool df) {
  File file;
  KARTA_OS_TRY(find_target(card, command, file));
  if (file.slot == kMasterFileSlot) return Sw::conditions_not_satisfied;
  if (file.is_df() != df) return Sw::incompatible_file;
  return change_life(card, file, LifeCycle::terminated);
}

}  // namespace

// 3F00 is the MF, 3FFF means the current application in a path, FFFF and 0000 are reserved (7816-4 section 7.3.1).
bool valid_file_id(u16 id) { return id != kMasterFileId && id != 0x3FFF && id != 0xFFFF && id != 0; }

// 7816-4 section 11.2.2, SELECT.
Sw select_file(System& card, const Command& command, Writer& reply) {
  const u8 information = command.p2 & 0x0C;
  if ((command.p2 & 0xF0) != 0 || (command.p2 & 0x01) != 0) return Sw::incorrect_p1_p2;
  if (information != kFci && information != kFcp && information != kNoFci) return Sw::incorrect_p1_p2;
  if (command.p1 == 0x04 && (command.p2 & 0x03) == 0 && is_card_manager(command.data)) {
    select_card_manager(card, information != kNoFci && command.ne != 0 ? &reply : nullptr);
    return Sw::ok;
  }
  File file;
  KARTA_OS_TRY(find_selected(card, command, file));
  if (!card.visible(file)) return Sw::file_not_found;
  card.select(file);
  // Without Le nothing is returned: a terminal that wants the parameters asks for them.
  if (information != kNoFci && command.ne != 0) {
    KARTA_OS_TRY(write_control_parameters(card, file, information == kFcp ? 0x62 : 0x6F, reply));
  }
  if (file.life == LifeCycle::terminated) return Sw::file_terminated;
  return file.life == LifeCycle::deactivated ? Sw::file_deactivated : Sw::ok;
}

// 7816-4 section 11.3.3, READ BINARY.
Sw read_binary(System& card, const Command& command, Writer& reply) {
  if (!command.data.empty() || command.ne == 0) return Sw::wrong_length;
  File file;
  std::size_t offset = 0;
  KARTA_OS_TRY(find_binary(card, command, file, offset));
  KARTA_OS_TRY(card.require(file, Right::read));
  std::size_t n = command.ne < reply.room() ? command.ne : reply.room();
  if (file.kind == FileKind::ledger) {
    std::size_t total = 0;
    KARTA_OS_TRY(read_ledger(card, file, offset, n, reply, total));
    return n > total - offset && !command.le_is_max ? Sw::end_of_file : Sw::ok;
  }
  if (offset >= file.size) return Sw::wrong_offset;
  const std::size_t left = file.size - offset;
  const bool short_answer = n > left;
  if (short_answer) n = left;
  KARTA_OS_TRY(card.files.read(file, offset, reply.claim(n)));
  return short_answer && !command.le_is_max ? Sw::end_of_file : Sw::ok;
}

// 7816-4 section 11.3.5, UPDATE BINARY.
Sw update_binary(System& card, const Command& command, Writer&) {
  File file;
  std::size_t offset = 0;
  KARTA_OS_TRY(find_binary(card, command, file, offset));
  KARTA_OS_TRY(card.require(file, Right::update));
  if (command.data.empty()) return Sw::wrong_length;
  if (file.kind == FileKind::ledger) return update_ledger(card, file, offset, command.data);
  if (offset > file.size) return Sw::wrong_offset;
  if (command.data.size() > file.size - offset) return Sw::not_enough_memory;
  const u16 counter = card.counter_after_change(file.slot);
  KARTA_OS_TRY(card.files.extend(file, offset));
  Transaction transaction(card.journal, Files::pages_touched(offset, command.data.size()));
  KARTA_OS_TRY(transaction.status());
  card.journal.set_stamp(counter);
  KARTA_OS_TRY(card.files.write(file, offset, command.data));
  return transaction.commit();
}

// 7816-9 section 5.2, CREATE FILE. The new file is current afterwards. A session object lives in RAM, so an issued card
// takes it as well: terminals make one before they ask for a key agreement.
Sw create_file(System& card, const Command& command, Writer&) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  File file;
  Creation creation;
  KARTA_OS_TRY(parse_create(command.data, file, creation));
  std::size_t pages = 0;
  KeyShape shape;
  LedgerShape ledger;
  switch (file.kind) {
    case FileKind::df:
      break;
    case FileKind::transparent:
      if (file.size == 0 || file.size > 0x7FFF) return Sw::incorrect_data;
      pages = (file.size + kPayloadBytes - 1U) / kPayloadBytes;
      break;
    case FileKind::rsa_key:
    case FileKind::ec_key:
      if (!key_shape(file, shape)) return Sw::incorrect_data;
      pages = (shape.stored_bytes + kPayloadBytes - 1) / kPayloadBytes;
      break;
    case FileKind::aes_key:
      if (!valid_symmetric_key(file)) return Sw::incorrect_data;
      pages = 1;
      break;
    case FileKind::linear_fixed:
    case FileKind::linear_variable:
    case FileKind::cyclic:
      pages = (Records::stored_bytes(file) + kPayloadBytes - 1) / kPayloadBytes;
      break;
    case FileKind::ledger:
      if (!Ledgers::parse_shape(creation.ledger, file.size, ledger)) return Sw::incorrect_data;
      pages = Ledgers::pages_of(ledger);
      break;
    case FileKind::session_object:
      break;
    default:
      return Sw::incorrect_data;
  }

  File parent;
  KARTA_OS_TRY(card.files.load(card.current_df, parent));
  KARTA_OS_TRY(card.require_usable(parent));
  if (file.kind == FileKind::session_object) {
    File same;
    if (card.files.find_child(parent.slot, file.id, same) == Sw::ok) return Sw::file_exists;
    file.parent = parent.slot;
    card.files.create_session_object(file);
    card.select(file);
    return Sw::ok;
  }
  KARTA_OS_TRY(card.require_administrator(parent));
  KARTA_OS_TRY(card.require(parent, file.is_df() ? Right::create_df : Right::create_ef));
  File other;
  if (const Sw sw = card.files.find_child(parent.slot, file.id, other); sw != Sw::file_not_found) {
    return sw == Sw::ok ? Sw::file_exists : sw;
  }
  if (file.name_bytes != 0) KARTA_OS_TRY(require_free_name(card, file.aid()));
  if (file.kind == FileKind::ledger) {  // OPEN names none: there is one
    const Sw sw = card.files.find_kind(parent.slot, FileKind::ledger, other);
    if (sw != Sw::file_not_found) return sw == Sw::ok ? Sw::conditions_not_satisfied : sw;
  }
  file.parent = parent.slot;
  const u16 counter = card.counter_after_change(parent.slot);
  // The record; and what a ledger or a limited key begins with, which is there with the file or not at all.
  Transaction transaction(card.journal, 1 + (file.kind == FileKind::ledger ? pages : 1));
  KARTA_OS_TRY(transaction.status());
  card.journal.set_stamp(counter);
  KARTA_OS_TRY(card.files.create(file, pages));
  if (file.kind == FileKind::ledger) KARTA_OS_TRY(card.ledgers.write_new(file, ledger));
  if (creation.uses.limited) KARTA_OS_TRY(write_uses(card.files, file, creation.uses));
  KARTA_OS_TRY(transaction.commit());
  card.environment = {};
  card.select(file);
  return Sw::ok;
}

// 7816-9 section 5.3, DELETE FILE: the current file with all below it, or with data the file it names.
Sw delete_file(System& card, const Command& command, Writer&) {
  File file;
  KARTA_OS_TRY(find_target(card, command, file));
  if (file.slot == kMasterFileSlot) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(card.require(file, Right::remove));
  if (file.kind == FileKind::session_object) {
    card.files.drop_session_object();
    card.current_ef = kNoSlot;
    return Sw::ok;
  }
  KARTA_OS_TRY(card.require_administrator(file));
  const u16 counter = card.counter_after_change(file.slot);
  Transaction transaction(card.journal, kFileTablePageCount);
  KARTA_OS_TRY(transaction.status());
  card.journal.set_stamp(counter);
  KARTA_OS_TRY(card.files.remove(file.slot));
  KARTA_OS_TRY(transaction.commit());
  card.current_df = file.parent;
  KARTA_OS_TRY(card.forget_removed());
  return card.files.collect();
}

// 7816-9 section 5.4, ACTIVATE FILE. Two files mean the card:
// P1 = 04 with the e-signature application's name puts access rules into force, as MyEID does;
// the MF ends personalisation: from then on the administrative commands are closed.
Sw activate_file(System& card, const Command& command, Writer&) {
  if (command.p1 == kPasswordObject) return change_pin_state(card, command, true);
  File file;
  if (command.p1_p2() == 0x0400) {
    if (command.data.empty() || command.data.size() > kMaxNameBytes) return Sw::wrong_length;
    KARTA_OS_TRY(card.files.find_name(command.data, kNoSlot, file));
  } else {
    KARTA_OS_TRY(find_target(card, command, file));
  }
  const bool esign = file.id == kEsignFileId && file.parent == kMasterFileSlot && file.life == LifeCycle::creation;
  const bool master = file.slot == kMasterFileSlot;
  if (!esign && !master) return change_life(card, file, LifeCycle::activated);

  KARTA_OS_TRY(card.require_administrator(file));
  KARTA_OS_TRY(card.require(file, Right::remove));
  if (card.issued()) return Sw::ok;  // it is in force already
  return card.move_on(master ? CardLife::personalised : CardLife::initialised);
}

// 7816-9 section 5.5, DEACTIVATE FILE.
Sw deactivate_file(System& card, const Command& command, Writer&) {
  if (command.p1 == kPasswordObject) return change_pin_state(card, command, false);
  File file;
  KARTA_OS_TRY(find_target(card, command, file));
  if (file.slot == kMasterFileSlot) return Sw::conditions_not_satisfied;
  return change_life(card, file, LifeCycle::deactivated);
}

// 7816-9 section 5.7, TERMINATE DF.
Sw terminate_df(System& card, const Command& command, Writer&) { return terminate(card, command, true); }

// 7816-9 section 5.6, TERMINATE EF.
Sw terminate_ef(System& card, const Command& command, Writer&) { return terminate(card, command, false); }

}  // namespace karta::os
