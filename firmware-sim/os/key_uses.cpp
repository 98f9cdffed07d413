#include "firmware-sim/os/key_uses.h"

namespace karta::os {
namespace {

constexpr std::size_t kLimitOffset = 1;
constexpr std::size_t kLeftOffset = 5;

}  // namespace

Sw load_uses(Files& files, const File& file, KeyUses& out) {
  u8 stored[kUsesBytes];
  KARTA_OS_TRY(files.read(file, kUsesOffset, stored));
  out = {.limited = stored[0] != 0, .limit = read_u32(stored + kLimitOffset), .left = read_u32(stored + kLeftOffset)};
  return Sw::ok;
}

Sw write_uses(Files& files, File& file, const KeyUses& uses) {
  u8 stored[kUsesBytes];
  stored[0] = uses.limited ? 1 : 0;
  write_u32(stored + kLimitOffset, uses.limit);
  write_u32(stored + kLeftOffset, uses.left);
  return files.write(file, kUsesOffset, stored);
}

Sw spend_use(NvmJournal& journal, Files& files, const File& file) {
  KeyUses uses;
  KARTA_OS_TRY(load_uses(files, file, uses));
  if (!uses.limited) return Sw::ok;
  if (uses.left == 0) return Sw::conditions_not_satisfied;
  uses.left -= 1;
  File counted = file;
  Transaction transaction(journal, 2);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(write_uses(files, counted, uses));
  return transaction.commit();
}

void refill_uses(ByteSpan header) {
  copy(header.subspan(kUsesOffset + kLeftOffset, 4), header.subspan(kUsesOffset + kLimitOffset, 4));
}

}  // namespace karta::os
