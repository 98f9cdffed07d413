#include "firmware-sim/os/key_sets.h"

namespace karta::os {
namespace {

// A page: 0 two numbers of eleven octets, length first; 24 and 128 the sets: version, key octets, flags, sequence
// counter (3), the keys, 32 octets each.
constexpr std::size_t kNumberBytes = 1 + KeySets::kMaxNumberBytes;
constexpr std::size_t kSetsOffset = 24;
constexpr std::size_t kSetStride = 104;
constexpr std::size_t kSetHeader = 6;
constexpr std::size_t kSetBytes = kSetHeader + kKeysInSet * kMaxAesKeyBytes;
constexpr u8 kFlagInitial = 0x01;
static_assert(2 * kNumberBytes <= kSetsOffset && kSetBytes <= kSetStride);
static_assert(kSetsOffset + KeySets::kPerOwner * kSetStride <= kPayloadBytes);

constexpr u8 kInitialVersion = 0x01;
constexpr u8 kInitialKeyBytes = 16;

std::size_t offset_of(u8 index) { return kSetsOffset + index * kSetStride; }

}  // namespace

Sw KeySets::format_issuer() {
  KeySet first;
  first.version = kInitialVersion;
  first.key_bytes = kInitialKeyBytes;
  first.initial = true;
  for (auto& key : first.keys) {
    for (u8 i = 0; i < kInitialKeyBytes; ++i) key[i] = static_cast<u8>(0x40 + i);
  }
  return store(kIssuer, 0, first);
}

Sw KeySets::format_domain(File& df) {
  const u8 none[1] = {0};
  return files_.write(df, 0, none);  // the page begins as zeros
}

Sw KeySets::page_of(u8 owner, u16& page) {
  if (owner == kIssuer) {
    page = kIssuerPage;
    return Sw::ok;
  }
  File df;
  KARTA_OS_TRY(files_.load(owner, df));
  if (!is_domain(df)) return Sw::referenced_data_not_found;
  page = df.first_page;
  return Sw::ok;
}

Sw KeySets::load(u8 owner, u8 index, KeySet& out) {
  u16 page = 0;
  KARTA_OS_TRY(page_of(owner, page));
  if (owner == kIssuer && !has_issuer()) return Sw::referenced_data_not_found;
  u8 header[kSetHeader];
  KARTA_OS_TRY(journal_.read(page, offset_of(index), header));
  out.version = header[0];
  out.key_bytes = header[1] <= kMaxAesKeyBytes ? header[1] : 0;
  out.initial = (header[2] & kFlagInitial) != 0;
  out.sequence = read_u32(header + 2) & 0xFFFFFF;
  for (std::size_t i = 0; i < kKeysInSet; ++i) {
    KARTA_OS_TRY(journal_.read(page, offset_of(index) + kSetHeader + i * kMaxAesKeyBytes, out.keys[i]));
  }
  return Sw::ok;
}

Sw KeySets::store(u8 owner, u8 index, const KeySet& set) {
  u16 page = 0;
  KARTA_OS_TRY(page_of(owner, page));
  u8 header[kSetHeader];
  write_u32(header + 2, set.sequence);
  header[0] = set.version;
  header[1] = set.key_bytes;
  header[2] = set.initial ? kFlagInitial : 0;
  KARTA_OS_TRY(journal_.write(page, offset_of(index), header));
  for (std::size_t i = 0; i < kKeysInSet; ++i) {
    KARTA_OS_TRY(journal_.write(page, offset_of(index) + kSetHeader + i * kMaxAesKeyBytes, set.keys[i]));
  }
  return Sw::ok;
}

Sw KeySets::find(u8 owner, u8 version, KeySet& out, u8& index) {
  for (index = 0; index < kPerOwner; ++index) {
    KARTA_OS_TRY(load(owner, index, out));
    if (out.version != 0 && (version == 0 || out.version == version)) return Sw::ok;
  }
  return Sw::referenced_data_not_found;
}

Sw KeySets::load_number(u8 object, u8 (&out)[kMaxNumberBytes], std::size_t& length) {
  length = 0;
  if (!has_issuer()) return Sw::ok;
  u8 stored[kNumberBytes];
  KARTA_OS_TRY(journal_.read(kIssuerPage, object * kNumberBytes, stored));
  length = stored[0] <= kMaxNumberBytes ? stored[0] : 0;
  copy(out, ByteView(stored).subspan(1, length));
  return Sw::ok;
}

Sw KeySets::store_number(u8 object, ByteView value) {
  u8 stored[kNumberBytes] = {static_cast<u8>(value.size())};
  copy(ByteSpan(stored).subspan(1), value);
  return journal_.write(kIssuerPage, object * kNumberBytes, stored);
}

Sw KeySets::owner_of(u8 slot, u8& owner) {
  owner = kIssuer;
  for (u8 steps = 0; steps < Files::kSlots && slot != kNoSlot; ++steps) {
    File file;
    KARTA_OS_TRY(files_.load(slot, file));
    if (is_domain(file)) {
      owner = slot;
      return Sw::ok;
    }
    slot = file.parent;
  }
  return Sw::ok;
}

}  // namespace karta::os
