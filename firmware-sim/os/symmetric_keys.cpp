#include "firmware-sim/os/symmetric_keys.h"

#include "firmware-sim/os/key_uses.h"

namespace karta::os {
namespace {

// The key file: 0 version, 6 uses (key_uses.h), 16 the key.
constexpr std::size_t kKeyOffset = 16;
static_assert(kUsesOffset + kUsesBytes <= kKeyOffset && SymmetricKeys::kStoredBytes <= kPayloadBytes);

}  // namespace

bool valid_symmetric_key(const File& file) {
  const u8 usage = file.properties[1];
  return file.kind == FileKind::aes_key && (file.size == 128 || file.size == 256) && file.properties[0] == 0 &&
         file.properties[2] <= 3 && (usage == kUsageLedger || usage == kUsageMaster || usage == kUsageIssuingMaster);
}

Sw SymmetricKeys::import(File& file, ByteView value, u16 stamp) {
  const std::size_t n = file.size / 8U;
  if (value.size() != 1 + n) return Sw::wrong_length;
  if (value[0] == 0) return Sw::incorrect_data;
  u8 stored[kStoredBytes];
  const WipeOnExit wipe_stored(stored);
  KARTA_OS_TRY(files_.read(file, 0, stored));
  stored[0] = value[0];
  refill_uses(stored);
  copy(ByteSpan(stored).subspan(kKeyOffset), value.subspan(1));
  Transaction transaction(journal_, Files::pages_touched(0, kStoredBytes));
  KARTA_OS_TRY(transaction.status());
  journal_.set_stamp(stamp);
  KARTA_OS_TRY(files_.write(file, 0, stored));
  return transaction.commit();
}

Sw SymmetricKeys::version(const File& file, u8& out) { return files_.read(file, 0, {&out, 1}); }

Sw SymmetricKeys::take(const File& file, SymmetricKey& out) {
  u8 number = 0;
  KARTA_OS_TRY(version(file, number));
  if (number == 0) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(spend_use(journal_, files_, file));
  out.bytes = static_cast<u8>(file.size / 8);
  return files_.read(file, kKeyOffset, out.span());
}

}  // namespace karta::os
