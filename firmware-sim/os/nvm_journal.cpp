#include "firmware-sim/os/nvm_journal.h"

#include <array>

namespace karta::os {
namespace {

constexpr u8 kMagic = 0x4B;

// CRC-32 of ISO/IEC 13239 (reflected 04C11DB7), one table look-up an octet: 1 KiB of flash for a quarter of the time.
constexpr std::array<u32, 256> make_crc_table() {
  std::array<u32, 256> table{};
  for (u32 i = 0; i < 256; ++i) {
    u32 c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320U ^ c >> 1 : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr std::array<u32, 256> kCrcTable = make_crc_table();

u32 crc_update(u32 c, ByteView data) {
  for (const u8 octet : data) c = kCrcTable[(c ^ octet) & 0xFF] ^ c >> 8;
  return c;
}

bool erased(ByteView image) {
  for (const u8 octet : image) {
    if (octet != 0xFF) return false;
  }
  return true;
}

u16 logical_of(const u8* image) { return read_u16(image + 2); }
u32 transaction_of(const u8* image) { return read_u32(image + 4); }

}  // namespace

u32 NvmJournal::crc(const u8* image) {
  hal_.account(Work::crc_bytes, kPageBytes - 4);
  u32 c = crc_update(0xFFFFFFFFU, {image, 12});
  c = crc_update(c, {image + kPageHeaderBytes, kPayloadBytes});
  return ~c;
}

bool NvmJournal::valid(const u8* image) {
  return image[0] == kMagic && image[9] == 0 && logical_of(image) < kLogicalPages && read_u32(image + 12) == crc(image);
}

void NvmJournal::set_used(u16 page, bool on) {
  const u8 bit = static_cast<u8>(1U << (page % 8));
  used_[page / 8] = static_cast<u8>(on ? used_[page / 8] | bit : used_[page / 8] & ~bit);
}

std::size_t NvmJournal::free_pages() const {
  std::size_t n = 0;
  for (u16 page = 0; page < physical_; ++page) n += used(page) ? 0 : 1;
  return n;
}

u16 NvmJournal::find_free() {
  for (u16 i = 0; i < physical_; ++i) {
    const u16 page = static_cast<u16>((cursor_ + i) % physical_);
    if (!used(page)) {
      cursor_ = static_cast<u16>((page + 1) % physical_);
      return page;
    }
  }
  return kNoPage;
}

// Makes a page's content unreadable: erased, or where the cells do not erase any more, programmed to zero and retired.
Sw NvmJournal::destroy(u16 page) {
  if (held_ == page) forget();
  if (hal_.erase(page) == HalStatus::ok) {
    set_used(page, false);
    return Sw::ok;
  }
  set_used(page, true);
  for (std::size_t i = 0; i < sizeof check_; ++i) check_[i] = 0;
  for (std::size_t at = 0; at < kPageBytes; at += sizeof check_) {
    if (hal_.write(page, at, check_) != HalStatus::ok) return fault();
  }
  return Sw::ok;
}

Sw NvmJournal::format() {
  wipe_memory();
  if (hal_.page_bytes() != kPageBytes || hal_.page_count() < kMinPhysicalPages) return Sw::memory_failure;
  physical_ = static_cast<u16>(hal_.page_count() < kMaxPhysicalPages ? hal_.page_count() : kMaxPhysicalPages);
  faulted_ = false;
  open_ = false;
  for (u16 page = 0; page < physical_; ++page) {
    if (hal_.read(page, 0, held_image_) != HalStatus::ok) return fault();
    set_used(page, false);
    if (!erased(held_image_)) KARTA_OS_TRY(destroy(page));
  }
  map_.clear();
  cursor_ = 0;
  last_transaction_ = 0;
  stamp_ = next_stamp_ = 0;
  held_ = kNoPage;
  return Sw::ok;
}

Sw NvmJournal::has_older_copies(u32 transaction, const u8* sound, bool& out) {
  const auto is_sound = [&](u16 page) { return (sound[page / 8] >> (page % 8) & 1) != 0; };
  out = false;
  u8 header[kPageHeaderBytes];
  u8 other_header[kPageHeaderBytes];
  for (u16 page = 0; page < physical_; ++page) {
    // The header of the decayed page itself may still be readable, and an older copy of it alone be left.
    if (!used(page)) continue;
    if (hal_.read(page, 0, header) != HalStatus::ok) return fault();
    if (header[0] != kMagic || transaction_of(header) != transaction) continue;
    for (u16 other = 0; other < physical_; ++other) {
      if (other == page || !is_sound(other)) continue;
      if (hal_.read(other, 0, other_header) != HalStatus::ok) return fault();
      if (logical_of(other_header) == logical_of(header)) out = true;
    }
  }
  return Sw::ok;
}

Sw NvmJournal::recover() {
  wipe_memory();
  if (hal_.page_bytes() != kPageBytes || hal_.page_count() < kMinPhysicalPages) return Sw::memory_failure;
  physical_ = static_cast<u16>(hal_.page_count() < kMaxPhysicalPages ? hal_.page_count() : kMaxPhysicalPages);
  faulted_ = false;
  open_ = false;
  map_.clear();
  held_ = kNoPage;

  // First pass: which pages are erased, valid, or neither; and the highest transaction with its commit mark.
  // `used_` remembers the not erased ones for the second pass.
  u32 highest = 0;
  u8 pages = 0;  // sound ones of it
  u8 mark = 0;   // how many its commit page says there are
  u16 mark_page = 0;
  u16 position = 0;
  u16 stamp = 0;
  u8 sound[kMaxPhysicalPages / 8] = {};  // pages whose checksum held: it is computed once
  for (u16 page = 0; page < physical_; ++page) {
    if (hal_.read(page, 0, held_image_) != HalStatus::ok) return fault();
    const bool blank = erased(held_image_);
    set_used(page, !blank);
    if (blank || !valid(held_image_)) continue;
    sound[page / 8] = static_cast<u8>(sound[page / 8] | 1U << (page % 8));
    const u32 transaction = transaction_of(held_image_);
    if (transaction > highest) {
      highest = transaction;
      pages = mark = 0;
    }
    if (transaction != highest) continue;
    ++pages;
    if (held_image_[1] != 0) {
      mark = held_image_[1];
      mark_page = page;
    }
  }
  bool committed = mark != 0 || highest == 0;
  if (committed && pages < mark) {
    bool unfinished = false;
    KARTA_OS_TRY(has_older_copies(highest, sound, unfinished));
    committed = !unfinished;
    // The commit page goes first: whatever cuts this recovery, the next one sees a transaction without it.
    if (unfinished) KARTA_OS_TRY(destroy(mark_page));
  }

  // Second pass: map the newest committed copy of each logical page, destroy everything else.
  last_transaction_ = 0;
  for (u16 page = 0; page < physical_; ++page) {
    if (!used(page)) continue;
    if ((sound[page / 8] >> (page % 8) & 1) == 0) {
      KARTA_OS_TRY(destroy(page));
      continue;
    }
    u8 header[kPageHeaderBytes];
    if (hal_.read(page, 0, header) != HalStatus::ok) return fault();
    const u32 transaction = transaction_of(header);
    if (!committed && transaction == highest) {
      KARTA_OS_TRY(destroy(page));
      continue;
    }
    if (transaction >= last_transaction_) {
      last_transaction_ = transaction;
      stamp = read_u16(header + 10);
      position = page;
    }
    const u16 logical = logical_of(header);
    if (const u16 other = map_.page_of(logical); other != kNoPage) {
      u8 other_header[kPageHeaderBytes];
      if (hal_.read(other, 0, other_header) != HalStatus::ok) return fault();
      const bool newer = transaction > transaction_of(other_header);
      KARTA_OS_TRY(destroy(newer ? other : page));
      if (!newer) continue;
    }
    map_.set(logical, page);
  }
  stamp_ = next_stamp_ = stamp;
  cursor_ = static_cast<u16>((position + 1) % physical_);
  return Sw::ok;
}

Sw NvmJournal::load(u16 page) {
  if (held_ == page) return Sw::ok;
  forget();
  if (hal_.read(page, 0, held_image_) != HalStatus::ok) return fault();
  if (!valid(held_image_)) return Sw::memory_failure;
  held_ = page;
  return Sw::ok;
}

NvmJournal::Slot* NvmJournal::slot_of(u16 logical) {
  for (Slot& slot : slots_) {
    if (open_ && slot.logical == logical) return &slot;
  }
  return nullptr;
}

NvmJournal::Change* NvmJournal::change_of(u16 logical) {
  for (u8 i = 0; i < changed_; ++i) {
    if (changes_[i].logical == logical) return &changes_[i];
  }
  return nullptr;
}

Sw NvmJournal::read(u16 logical, std::size_t offset, ByteSpan out) {
  if (logical >= kLogicalPages || offset > kPayloadBytes || out.size() > kPayloadBytes - offset) {
    return Sw::memory_failure;
  }
  if (const Slot* slot = slot_of(logical)) {
    copy(out, {slot->image + kPageHeaderBytes + offset, out.size()});
    return Sw::ok;
  }
  const u16 page = map_.page_of(logical);
  if (page == kNoPage) return Sw::memory_failure;
  KARTA_OS_TRY(load(page));
  if (logical_of(held_image_) != logical) return Sw::memory_failure;
  copy(out, {held_image_ + kPageHeaderBytes + offset, out.size()});
  return Sw::ok;
}

Sw NvmJournal::begin(std::size_t pages) {
  if (faulted_ || open_) return Sw::memory_failure;
  // One page beyond the changes: a page changed again after it was flushed is written before its first copy goes.
  if (pages == 0 || pages > kMaxTransactionPages || free_pages() < pages + 1) return Sw::not_enough_memory;
  open_ = true;
  reserved_ = static_cast<u8>(pages);
  changed_ = 0;
  next_slot_ = 0;
  next_stamp_ = stamp_;
  for (Slot& slot : slots_) slot.logical = kNoPage;
  return Sw::ok;
}

Sw NvmJournal::write(u16 logical, std::size_t offset, ByteView data) {
  if (!open_ || logical >= kLogicalPages || offset > kPayloadBytes || data.size() > kPayloadBytes - offset) {
    return Sw::memory_failure;
  }
  Slot* slot = slot_of(logical);
  if (slot == nullptr) {
    if (change_of(logical) == nullptr) {
      if (changed_ >= reserved_) return Sw::not_enough_memory;
      changes_[changed_++] = {.logical = logical, .old_page = map_.page_of(logical), .new_page = kNoPage};
    }
    slot = &slots_[next_slot_];
    next_slot_ ^= 1;
    if (slot->logical != kNoPage) KARTA_OS_TRY(flush(*slot, 0));
    slot->logical = kNoPage;
    if (const u16 page = map_.page_of(logical); page != kNoPage) {
      KARTA_OS_TRY(load(page));
      copy({slot->image, kPageBytes}, {held_image_, kPageBytes});
    } else {
      wipe({slot->image, kPageBytes});
    }
    slot->logical = logical;
  }
  copy({slot->image + kPageHeaderBytes + offset, data.size()}, data);
  return Sw::ok;
}

Sw NvmJournal::flush(Slot& slot, u8 commit_count) {
  Change* change = change_of(slot.logical);
  if (change == nullptr) return Sw::memory_failure;
  u8* image = slot.image;
  image[0] = kMagic;
  image[1] = commit_count;
  write_u16(image + 2, slot.logical);
  write_u32(image + 4, last_transaction_ + 1);
  image[8] = static_cast<u8>(change - changes_);
  image[9] = 0;
  write_u16(image + 10, next_stamp_);
  write_u32(image + 12, crc(image));

  // The copy flushed earlier in this transaction must be gone before this one, perhaps with the commit mark, is there:
  // recovery could not tell two copies of one transaction apart.
  if (change->new_page != kNoPage) {
    const u16 stale = change->new_page;
    change->new_page = kNoPage;
    map_.set(slot.logical, change->old_page);
    KARTA_OS_TRY(destroy(stale));
  }

  // A page that does not take the image is retired for this session, and another one tried.
  for (int attempt = 0; attempt < 4; ++attempt) {
    const u16 page = find_free();
    if (page == kNoPage) return Sw::not_enough_memory;
    set_used(page, true);
    (void)hal_.write(page, 0, {image, kPageBytes});
    bool same = true;
    for (std::size_t at = 0; at < kPageBytes && same; at += sizeof check_) {
      if (hal_.read(page, at, check_) != HalStatus::ok) return fault();
      same = equal(check_, {image + at, sizeof check_});
    }
    wipe(check_);
    if (!same) {
      if (hal_.erase(page) != HalStatus::ok) KARTA_OS_TRY(destroy(page));
      set_used(page, true);
      continue;
    }
    change->new_page = page;
    map_.set(slot.logical, page);
    return Sw::ok;
  }
  return fault();
}

Sw NvmJournal::commit() {
  if (!open_) return Sw::memory_failure;
  Slot* dirty[2];
  int count = 0;
  for (Slot& slot : slots_) {
    if (slot.logical != kNoPage) dirty[count++] = &slot;
  }
  for (int i = 0; i < count; ++i) {
    const bool last = i == count - 1;
    if (const Sw sw = flush(*dirty[i], last ? changed_ : 0); sw != Sw::ok) {
      abort();
      return sw;
    }
  }
  open_ = false;
  for (Slot& slot : slots_) wipe({slot.image, kPageBytes});
  if (changed_ == 0) return Sw::ok;
  last_transaction_ += 1;
  stamp_ = next_stamp_;
  Sw status = Sw::ok;
  for (u8 i = 0; i < changed_; ++i) {
    if (changes_[i].old_page == kNoPage) continue;
    if (const Sw sw = destroy(changes_[i].old_page); sw != Sw::ok) status = sw;
  }
  changed_ = 0;
  return status;
}

void NvmJournal::abort() {
  if (!open_) return;
  open_ = false;
  for (u8 i = 0; i < changed_; ++i) {
    const Change& change = changes_[i];
    map_.set(change.logical, change.old_page);
    // After a fault nobody knows whether the commit page is whole: the memory stays as it is, for recovery to decide
    // about all of it. A tentative page that cannot be destroyed sets the fault too: its transaction number must not be
    // used again.
    if (change.new_page != kNoPage && !faulted_) (void)destroy(change.new_page);
  }
  changed_ = 0;
  next_stamp_ = stamp_;
  for (Slot& slot : slots_) wipe({slot.image, kPageBytes});
}

Sw NvmJournal::drop(u16 logical) {
  if (open_ || logical >= kLogicalPages) return Sw::memory_failure;
  const u16 page = map_.page_of(logical);
  if (page == kNoPage) return Sw::ok;
  map_.set(logical, kNoPage);
  return destroy(page);
}

void NvmJournal::wipe_memory() {
  if (open_) abort();
  for (Slot& slot : slots_) {
    wipe({slot.image, kPageBytes});
    slot.logical = kNoPage;
  }
  wipe(held_image_);
  wipe(check_);
  held_ = kNoPage;
}

}  // namespace karta::os
