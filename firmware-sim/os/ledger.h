// Ledgers in memory (EF descriptor 32, docs/transactions.md): counters, a product and a journal that change together or
// not at all. Nothing here judges rights or checksums: that is ledger_commands.cpp's.
//
// The extent: page 0 the shape, which COMMIT never writes, and the product; from page 1 on what COMMIT changes: flags,
// sequence, settlement code, counters, then the journal as a ring. Where that part fits one page a commit is one page.
#pragma once

#include "firmware-sim/os/files.h"
#include "firmware-sim/os/ledger_protocol.h"

namespace karta::os {

constexpr std::size_t kMaxProductBytes = 160;
constexpr u8 kMaxEntriesKept = 32;
constexpr u32 kSequenceOfNoMore = 0xFFFFFFFF;

// Tag A2 of CREATE, and the product's version.
struct LedgerShape {
  u8 counters = 0;
  u8 entry_bytes = 0;
  u8 kept = 0;
  u16 debit_key = 0;
  u16 credit_key = 0;
  u16 settlement_key = 0;  // 0: none
  u16 signing_key = 0;     // 0: none
  u8 serial[kLedgerSerialBytes] = {};
  u16 product_version = 0;

  std::size_t counter_octets() const { return kCounterBytes * counters; }
};

struct LedgerState {
  bool ratified = true;
  bool credit = false;  // the last commit was one
  u32 sequence = 0;     // commits so far
  u8 code[kLedgerCodeBytes] = {};
  u8 counters[kMaxCounters * kCounterBytes] = {};
};

class Ledgers {
 public:
  // Pages a commit touches at most: the state's, and an entry across a page's end.
  static constexpr std::size_t kCommitPages = 3;

  Ledgers(NvmJournal& journal, Files& files) : journal_(journal), files_(files) {}

  // Tag A2: false where anything is missing, not known or beyond its limits. `product_bytes`: of tag 80.
  static bool parse_shape(ByteView contents, std::size_t product_bytes, LedgerShape& out);
  static std::size_t pages_of(const LedgerShape& shape);
  // Inside a transaction with room for pages_of() and the record: the ledger as it begins.
  Sw write_new(File& file, const LedgerShape& shape);

  Sw shape(const File& file, LedgerShape& out);
  Sw state(const File& file, const LedgerShape& shape, LedgerState& out);
  // `out`: file.size octets.
  Sw product(const File& file, ByteSpan out);
  // Entry `number`, 1 the newest; `out`: entry_bytes. 6A83 when there is none.
  Sw entry(const File& file, const LedgerShape& shape, u32 sequence, u8 number, ByteSpan out);

  // The durable steps, each a transaction of its own.
  Sw commit(File& file, const LedgerShape& shape, const LedgerState& state, ByteView entry);
  Sw ratify(File& file);
  // Octets of the product; its version is one more. 6985 when the version is at its end.
  Sw update_product(File& file, std::size_t offset, ByteView data);

 private:
  NvmJournal& journal_;
  Files& files_;
};

}  // namespace karta::os
