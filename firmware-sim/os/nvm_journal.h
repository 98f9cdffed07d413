// Non-volatile memory with transactions: logical pages on erasable physical pages, copied on write.
//
// A change of a logical page is written to a fresh physical page, taken round-robin from the erased ones so that wear
// is spread. The last page of a transaction carries the commit mark; only then are the old copies erased, so that no
// old key or counter stays behind. A physical page of 256 octets:
//
//    0  1  magic 4B
//    1  1  commit mark: 0, or in the transaction's last page the number of its pages
//    2  2  logical page
//    4  4  transaction, ascending
//    8  1  index of the page within the transaction
//    9  1  00
//   10  2  stamp: sixteen bits the layer above keeps for nothing (the card's change counter)
//   12  4  CRC-32 of octets 0..11 and 16..255
//   16 240 payload
//
// Recovery at power-on: of the highest transaction either the commit page is there, then all of it counts, or it is
// not, then all of it is erased. Lower transactions are committed by the existence of a higher one. Older copies and
// torn pages are erased. Every step of this can be cut and done again. A live page whose checksum fails is `corrupt` to
// whoever asks for it, and never used. Where the commit mark counts more pages than are sound (a cell has decayed), the
// transaction is undone if older copies show that it had not been finished, so that never half of it is seen; a
// finished one loses the decayed page only.
#pragma once

#include "firmware-sim/os/bytes.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/status_word.h"

namespace karta::os {

constexpr std::size_t kPageBytes = 256;
constexpr std::size_t kPageHeaderBytes = 16;
constexpr std::size_t kPayloadBytes = kPageBytes - kPageHeaderBytes;
constexpr std::size_t kMaxPhysicalPages = 384;  // 96 KiB
constexpr std::size_t kMinPhysicalPages = 64;
constexpr std::size_t kLogicalPages = 640;        // more names than pages, so that long files find a run of names
constexpr std::size_t kMaxTransactionPages = 24;  // 2,048 octets of data and the tables they touch fit twice

constexpr u16 kNoPage = 0xFFFF;

// Which physical page holds a logical one: nine bits a page.
class PageMap {
 public:
  u16 page_of(u16 logical) const {
    const std::size_t bit = logical * kBits;
    const u32 page = (entries_[bit / 8] | static_cast<u32>(entries_[bit / 8 + 1]) << 8) >> (bit % 8) & kNone;
    return page == kNone ? kNoPage : static_cast<u16>(page);
  }
  void set(u16 logical, u16 page) {
    const std::size_t bit = logical * kBits;
    u32 window = entries_[bit / 8] | static_cast<u32>(entries_[bit / 8 + 1]) << 8;
    window = (window & ~(kNone << (bit % 8))) | (page & kNone) << (bit % 8);
    entries_[bit / 8] = static_cast<u8>(window);
    entries_[bit / 8 + 1] = static_cast<u8>(window >> 8);
  }
  void clear() {
    for (u8& octet : entries_) octet = 0xFF;
  }

 private:
  static constexpr std::size_t kBits = 9;
  static constexpr u32 kNone = 0x1FF;
  static_assert(kMaxPhysicalPages < kNone);
  u8 entries_[(kLogicalPages * kBits + 7) / 8 + 1];
};

class NvmJournal {
 public:
  explicit NvmJournal(Hal& hal) : hal_(hal) {}

  // Erases everything. 6581 when the memory fails or has too few pages.
  Sw format();
  // Rebuilds the state after power-on and finishes what a cut left undone. 6581 when the memory fails.
  Sw recover();

  // True when the logical page has been written and not dropped.
  bool exists(u16 logical) const { return map_.page_of(logical) != kNoPage; }
  // Reads payload octets of an existing page, inside a transaction as it will be. 6581 when missing or corrupt.
  Sw read(u16 logical, std::size_t offset, ByteSpan out);

  // Opens a transaction that will touch at most `pages` logical pages; 6A84 when they cannot all be written, before
  // anything has changed.
  Sw begin(std::size_t pages);
  // Changes payload octets; a page that did not exist begins as zeros.
  Sw write(u16 logical, std::size_t offset, ByteView data);
  // Makes the transaction durable and erases the old copies. After an error the transaction is undone, or, when the
  // memory itself failed, faulted() is set and the next recover() decides.
  Sw commit();
  void abort();
  bool in_transaction() const { return open_; }

  // Erases a logical page that no durable structure names any more. Outside transactions only.
  Sw drop(u16 logical);

  u16 stamp() const { return stamp_; }
  // Takes effect with the transaction that is open.
  void set_stamp(u16 stamp) { next_stamp_ = stamp; }

  // Set by the first failure of the hardware; only recover() clears it.
  bool faulted() const { return faulted_; }
  std::size_t free_pages() const;
  std::size_t physical_pages() const { return physical_; }
  // Forgets the page kept from the last read, so that the next read checks the memory again.
  void forget() { held_ = kNoPage; }
  void wipe_memory();  // what is held of page contents in RAM

 private:
  struct Change {
    u16 logical;
    u16 old_page;
    u16 new_page;  // kNoPage while only in a slot
  };
  struct Slot {
    u16 logical = kNoPage;
    u8 image[kPageBytes];
  };

  Sw fault() {
    faulted_ = true;
    return Sw::memory_failure;
  }
  bool used(u16 page) const { return (used_[page / 8] >> (page % 8) & 1) != 0; }
  void set_used(u16 page, bool on);
  u16 find_free();
  Sw load(u16 page);  // into held page, checked
  u32 crc(const u8* image);
  bool valid(const u8* image);
  Slot* slot_of(u16 logical);
  Change* change_of(u16 logical);
  Sw flush(Slot& slot, u8 commit_count);
  Sw destroy(u16 page);
  // Recovery: true when a page of the transaction still has an older copy.
  Sw has_older_copies(u32 transaction, const u8* sound, bool& out);

  Hal& hal_;
  u16 physical_ = 0;
  u16 cursor_ = 0;  // round-robin position
  u32 last_transaction_ = 0;
  u16 stamp_ = 0;
  u16 next_stamp_ = 0;
  bool open_ = false;
  bool faulted_ = false;
  u8 reserved_ = 0;
  u8 changed_ = 0;
  u8 next_slot_ = 0;
  u16 held_ = kNoPage;
  PageMap map_;
  u8 used_[kMaxPhysicalPages / 8];
  Change changes_[kMaxTransactionPages];
  Slot slots_[2];
  u8 held_image_[kPageBytes];
  u8 check_[64];
};

// An open transaction that undoes itself unless committed.
class Transaction {
 public:
  Transaction(NvmJournal& journal, std::size_t pages) : journal_(journal), status_(journal.begin(pages)) {}
  ~Transaction() {
    if (status_ == Sw::ok && !done_) journal_.abort();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Sw status() const { return status_; }
  Sw commit() {
    done_ = true;
    return journal_.commit();
  }

 private:
  NvmJournal& journal_;
  Sw status_;
  bool done_ = false;
};

}  // namespace karta::os
