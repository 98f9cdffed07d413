// How often a key may still be used: tag A3 {80 uses} of CREATE, kept in the key file's header beside the key, so that
// counting down and the key cannot come apart. A new key in the file begins with the whole number again.
#pragma once

#include "firmware-sim/os/files.h"

namespace karta::os {

// Where the header of every key file keeps it: a flag, uses of a new key (4), uses left (4).
constexpr std::size_t kUsesOffset = 6;
constexpr std::size_t kUsesBytes = 9;

struct KeyUses {
  bool limited = false;
  u32 limit = 0;
  u32 left = 0;
};

Sw load_uses(Files& files, const File& file, KeyUses& out);
// Inside a transaction with room for the file's first page and its record.
Sw write_uses(Files& files, File& file, const KeyUses& uses);
// Behaviour 35: one use fewer, durably, before the key is touched. 6985 when there is none left; nothing happens to a
// key without the limit.
Sw spend_use(NvmJournal& journal, Files& files, const File& file);
// The header of a file whose key is replaced: all uses.
void refill_uses(ByteSpan header);

}  // namespace karta::os
