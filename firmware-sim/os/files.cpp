#include "firmware-sim/os/files.h"

namespace karta::os {
namespace {

// What is not files and a full transaction always find room, whatever the files take.
constexpr std::size_t kSystemPages = 3 + kFileTablePageCount + 8;  // root, secrets, table, key sets, anchors, date
constexpr std::size_t kReservedPages = kSystemPages + kMaxTransactionPages + 2;

u16 table_page(u8 slot) { return static_cast<u16>(kFileTablePages + slot / Files::kPerPage); }
std::size_t table_offset(u8 slot) { return slot % Files::kPerPage * Files::kRecordBytes; }

// A page taken into use begins as zeros, whatever a file removed in the same transaction left under its number.
constexpr u8 kZeroPayload[kPayloadBytes] = {};

bool in(const u8* set, std::size_t page) { return (set[page / 8] >> (page % 8) & 1) != 0; }
void add(u8* set, std::size_t page) { set[page / 8] = static_cast<u8>(set[page / 8] | 1U << (page % 8)); }

constexpr std::size_t kNameOffset = 18;

// The record as stored; offsets are written out once here and once in encode().
void decode(const u8* r, u8 slot, File& out) {
  out = {};
  out.slot = slot;
  out.kind = static_cast<FileKind>(r[0]);
  out.life = static_cast<LifeCycle>(r[1]);
  out.id = read_u16(r + 2);
  out.parent = r[4];
  out.pages = r[5];
  out.size = read_u16(r + 6);
  out.first_page = read_u16(r + 8);
  out.written = r[10];
  out.short_id = r[11];
  copy(out.rules.octets, {r + 12, 3});
  copy(out.properties, {r + 15, 2});
  out.properties[2] = r[38];
  out.channel.read = {.octet = r[34], .right = r[35]};
  out.channel.update = {.octet = r[36], .right = r[37]};
  if (out.is_df()) {
    out.name_bytes = r[17] <= kMaxNameBytes ? r[17] : 0;
    copy(out.name, {r + kNameOffset, kMaxNameBytes});
  } else {  // only a DF has a name; its place is others' otherwise
    out.channel.debit = {.octet = r[kNameOffset], .right = r[kNameOffset + 1]};
    out.record_bytes = r[kNameOffset + 2];
    out.records = r[kNameOffset + 3];
  }
}

void encode(const File& file, u8* r) {
  wipe({r, Files::kRecordBytes});
  r[0] = static_cast<u8>(file.kind);
  r[1] = static_cast<u8>(file.life);
  write_u16(r + 2, file.id);
  r[4] = file.parent;
  r[5] = file.pages;
  write_u16(r + 6, file.size);
  write_u16(r + 8, file.first_page);
  r[10] = file.written;
  r[11] = file.short_id;
  copy({r + 12, 3}, file.rules.octets);
  copy({r + 15, 2}, ByteView(file.properties).first(2));
  r[38] = file.properties[2];
  r[34] = file.channel.read.octet;
  r[35] = file.channel.read.right;
  r[36] = file.channel.update.octet;
  r[37] = file.channel.update.right;
  if (file.is_df()) {
    r[17] = file.name_bytes;
    copy({r + kNameOffset, kMaxNameBytes}, file.name);
  } else {
    r[kNameOffset] = file.channel.debit.octet;
    r[kNameOffset + 1] = file.channel.debit.right;
    r[kNameOffset + 2] = file.record_bytes;
    r[kNameOffset + 3] = file.records;
  }
}

}  // namespace

Sw Files::recover() {
  end_ = kSlots;
  u8 end = 0;
  for (u8 slot = 0; slot < kSlots; ++slot) {
    File file;
    KARTA_OS_TRY(load(slot, file));
    if (file.kind != FileKind::none) end = static_cast<u8>(slot + 1);
  }
  end_ = end;
  if (end_ == 0) return Sw::memory_failure;  // not even an MF
  return collect();
}

Sw Files::format() {
  for (u16 page = 0; page < kFileTablePageCount; ++page) {
    KARTA_OS_TRY(journal_.write(static_cast<u16>(kFileTablePages + page), 0, kZeroPayload));
  }
  end_ = 0;
  return Sw::ok;
}

void Files::create_session_object(File& file) {
  file.slot = kSessionSlot;
  session_ = file;
}

Sw Files::load(u8 slot, File& out) {
  if (slot == kSessionSlot) {
    out = session_;
    return session_.kind == FileKind::none ? Sw::file_not_found : Sw::ok;
  }
  if (slot >= kSlots) return Sw::file_not_found;
  u8 record[kRecordBytes];
  KARTA_OS_TRY(journal_.read(table_page(slot), table_offset(slot), record));
  decode(record, slot, out);
  return Sw::ok;
}

Sw Files::store(const File& file) {
  u8 record[kRecordBytes];
  encode(file, record);
  return journal_.write(table_page(file.slot), table_offset(file.slot), record);
}

Sw Files::find_child(u8 parent, u16 id, File& out) {
  for (u8 slot = 0; slot < end_; ++slot) {
    KARTA_OS_TRY(load(slot, out));
    if (out.kind != FileKind::none && out.parent == parent && out.id == id) return Sw::ok;
  }
  out = session_;
  if (out.kind != FileKind::none && out.parent == parent && out.id == id) return Sw::ok;
  return Sw::file_not_found;
}

// 7816-4 section 7.3.2: where tag 88 is absent the five low bits of the file identifier serve as short identifier;
// those given expressly come first.
Sw Files::find_short_id(u8 parent, u8 short_id, File& out) {
  for (u8 slot = 0; slot < end_; ++slot) {
    KARTA_OS_TRY(load(slot, out));
    if (out.has_short_id() && out.parent == parent && out.short_id == short_id) return Sw::ok;
  }
  return Sw::file_not_found;
}

Sw Files::find_kind(u8 parent, FileKind kind, File& out) {
  for (u8 slot = 0; slot < end_; ++slot) {
    KARTA_OS_TRY(load(slot, out));
    if (out.kind == kind && out.parent == parent) return Sw::ok;
  }
  return Sw::file_not_found;
}

Sw Files::find_name(ByteView name, u8 after, File& out) {
  for (u8 slot = after == kNoSlot ? 0 : static_cast<u8>(after + 1); slot < end_; ++slot) {
    KARTA_OS_TRY(load(slot, out));
    if (out.is_df() && out.name_bytes >= name.size() && equal(out.aid().first(name.size()), name)) return Sw::ok;
  }
  return Sw::file_not_found;
}

Sw Files::find_full_name(ByteView name, File& out) {
  for (u8 after = kNoSlot;; after = out.slot) {
    KARTA_OS_TRY(find_name(name, after, out));
    if (out.name_bytes == name.size()) return Sw::ok;
  }
}

bool Files::is_within(u8 slot, u8 ancestor) {
  // A damaged parent link must not turn into a walk without end.
  for (u8 steps = 0; steps < kSlots && slot != kNoSlot; ++steps) {
    if (slot == ancestor) return true;
    File file;
    if (load(slot, file) != Sw::ok) return false;
    slot = file.parent;
  }
  return false;
}

Sw Files::owned(PageSet& set, std::size_t& pages) {
  wipe(set);
  pages = 0;
  for (u8 slot = 0; slot < end_; ++slot) {
    File file;
    KARTA_OS_TRY(load(slot, file));
    if (file.kind == FileKind::none) continue;
    for (std::size_t i = 0; i < file.pages; ++i) {
      if (file.first_page + i < kLogicalPages) add(set, file.first_page + i);
    }
    pages += file.pages;
  }
  return Sw::ok;
}

Sw Files::create(File& file, std::size_t pages) {
  u8 free_slot = kNoSlot;
  for (u8 slot = 0; slot < kSlots && free_slot == kNoSlot; ++slot) {
    File other;
    KARTA_OS_TRY(load(slot, other));
    if (other.kind == FileKind::none) free_slot = slot;
  }
  PageSet set;
  std::size_t taken = 0;
  KARTA_OS_TRY(owned(set, taken));
  if (free_slot == kNoSlot || pages > 0xFF || taken + pages + kReservedPages > journal_.physical_pages()) {
    return Sw::not_enough_memory;
  }
  std::size_t first = kFirstExtentPage;
  std::size_t run = 0;
  while (run < pages) {
    if (first + run >= kLogicalPages) return Sw::not_enough_memory;
    if (in(set, first + run)) {
      first += run + 1;
      run = 0;
    } else {
      ++run;
    }
  }
  file.slot = free_slot;
  file.first_page = static_cast<u16>(first);
  file.pages = static_cast<u8>(pages);
  file.written = 0;
  KARTA_OS_TRY(store(file));
  // Too high after an abort does no harm: the slots behind are empty.
  if (end_ <= free_slot) end_ = static_cast<u8>(free_slot + 1);
  return Sw::ok;
}

Sw Files::remove(u8 slot) {
  u8 doomed[(kSlots + 7) / 8] = {};  // found before the first link is cut
  for (u8 other = 0; other < end_; ++other) {
    File file;
    KARTA_OS_TRY(load(other, file));
    if (file.kind != FileKind::none && is_within(other, slot)) add(doomed, other);
  }
  for (u8 other = 0; other < end_; ++other) {
    if (!in(doomed, other)) continue;
    File gone;
    gone.slot = other;
    KARTA_OS_TRY(store(gone));
  }
  return Sw::ok;
}

Sw Files::collect() {
  PageSet set;
  std::size_t pages = 0;
  KARTA_OS_TRY(owned(set, pages));
  for (u16 page = kFirstExtentPage; page < kLogicalPages; ++page) {
    if (journal_.exists(page) && !in(set, page)) KARTA_OS_TRY(journal_.drop(page));
  }
  return Sw::ok;
}

Sw Files::read(const File& file, std::size_t offset, ByteSpan out) {
  while (!out.empty()) {
    const std::size_t index = offset / kPayloadBytes;
    const std::size_t within = offset % kPayloadBytes;
    const std::size_t n = out.size() < kPayloadBytes - within ? out.size() : kPayloadBytes - within;
    if (index >= file.pages) return Sw::memory_failure;
    if (index < file.written) {
      KARTA_OS_TRY(journal_.read(static_cast<u16>(file.first_page + index), within, out.first(n)));
    } else {
      wipe(out.first(n));
    }
    out = out.subspan(n);
    offset += n;
  }
  return Sw::ok;
}

Sw Files::extend(File& file, std::size_t offset) {
  constexpr std::size_t kStep = 16;
  while (file.written < offset / kPayloadBytes) {
    std::size_t n = offset / kPayloadBytes - file.written;
    if (n > kStep) n = kStep;
    Transaction transaction(journal_, n + 1);
    KARTA_OS_TRY(transaction.status());
    File grown = file;
    for (std::size_t i = 0; i < n; ++i) {
      KARTA_OS_TRY(journal_.write(static_cast<u16>(file.first_page + file.written + i), 0, kZeroPayload));
    }
    grown.written = static_cast<u8>(file.written + n);
    KARTA_OS_TRY(store(grown));
    KARTA_OS_TRY(transaction.commit());
    file = grown;
  }
  return Sw::ok;
}

Sw Files::write(File& file, std::size_t offset, ByteView data) {
  const u8 written = file.written;
  while (!data.empty()) {
    const std::size_t index = offset / kPayloadBytes;
    const std::size_t within = offset % kPayloadBytes;
    const std::size_t n = data.size() < kPayloadBytes - within ? data.size() : kPayloadBytes - within;
    if (index >= file.pages || index > file.written) return Sw::memory_failure;
    const u16 page = static_cast<u16>(file.first_page + index);
    if (index == file.written) {
      KARTA_OS_TRY(journal_.write(page, 0, kZeroPayload));
      file.written = static_cast<u8>(index + 1);
    }
    KARTA_OS_TRY(journal_.write(page, within, data.first(n)));
    data = data.subspan(n);
    offset += n;
  }
  return file.written == written ? Sw::ok : store(file);
}

}  // namespace karta::os
