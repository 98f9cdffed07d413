// AES keys in key files (descriptor 29): the keys of ledgers, and the master keys a security module derives them from.
// A value comes whole or not at all and never leaves: commands get a copy that wipes itself.
#pragma once

#include "firmware-sim/os/files.h"
#include "firmware-sim/os/hal.h"

namespace karta::os {

// Key usage of an AES key, second octet of tag 85.
constexpr u8 kUsageLedger = 0x80;         // of one ledger on this card
constexpr u8 kUsageMaster = 0x81;         // derives ledgers' keys and uses them itself
constexpr u8 kUsageIssuingMaster = 0x83;  // and hands them to whoever issues cards

struct SymmetricKey {
  u8 bytes = 0;  // 16, 32
  u8 octets[kMaxAesKeyBytes] = {};

  ~SymmetricKey() { wipe(octets); }
  ByteView view() const { return {octets, bytes}; }
  ByteSpan span() { return {octets, bytes}; }
};

// False when the card has no such key: 128 or 256 bits, one of the usages.
bool valid_symmetric_key(const File& file);

class SymmetricKeys {
 public:
  static constexpr std::size_t kStoredBytes = 16 + kMaxAesKeyBytes;

  SymmetricKeys(NvmJournal& journal, Files& files) : journal_(journal), files_(files) {}

  // PUT DATA 01 8A: `version (01..FF) || key`, in place of what was there, in one step. 6700 for another length, 6A80
  // for version 00.
  Sw import(File& file, ByteView value, u16 stamp);
  // Version of the key in the file; 00 while there is none.
  Sw version(const File& file, u8& out);
  // The key, one use of it spent. 6985 for a file that holds none.
  Sw take(const File& file, SymmetricKey& out);

 private:
  NvmJournal& journal_;
  Files& files_;
};

}  // namespace karta::os
