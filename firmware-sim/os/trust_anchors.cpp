#include "firmware-sim/os/trust_anchors.h"

#include "firmware-sim/os/files.h"

namespace karta::os {
namespace {

// A record, alone in its page: 0 taken, 1 epoch (2), 3 order (2), 5 type, 6 curve, 7 algorithm, 8 length of the
// reference, 9 reference (16), 25 rights (8), 33 expires (6), 39 point (129), 168 sector rights (2).
constexpr std::size_t kHolderOffset = 9;
constexpr std::size_t kRightsOffset = kHolderOffset + kMaxHolderBytes;
constexpr std::size_t kExpiresOffset = kRightsOffset + 8;
constexpr std::size_t kPointOffset = kExpiresOffset + kDateBytes;
constexpr std::size_t kSectorOffset = kPointOffset + kMaxCertifiedPointBytes;
constexpr std::size_t kRecordBytes = kSectorOffset + 2;
static_assert(kRecordBytes <= kPayloadBytes);

constexpr TerminalType kTypes[] = {TerminalType::inspection, TerminalType::authentication, TerminalType::signature};

u16 page_of(TerminalType type, u8 index) {
  return static_cast<u16>(kTrustAnchorPages + (static_cast<u8>(type) - 1) * TrustAnchors::kPerType + index);
}

}  // namespace

Sw TrustAnchors::place(TerminalType type, u8 index, Place& out) {
  out = {};
  const u16 page = page_of(type, index);
  if (type == TerminalType::none || !journal_.exists(page)) return Sw::ok;
  u8 head[5];
  KARTA_OS_TRY(journal_.read(page, 0, head));
  out = {.taken = head[0] == 1 && read_u16(head + 1) == epoch, .order = read_u16(head + 3)};
  return Sw::ok;
}

Sw TrustAnchors::load_at(TerminalType type, u8 index, CertifiedKey& out) {
  u8 r[kRecordBytes];
  KARTA_OS_TRY(journal_.read(page_of(type, index), 0, r));
  out = {};
  out.type = type;
  out.role = CertificateRole::cvca;
  out.curve = static_cast<Curve>(r[6]);
  out.algorithm = r[7];
  out.holder_bytes = r[8] <= kMaxHolderBytes ? r[8] : 0;
  copy(out.holder, {r + kHolderOffset, kMaxHolderBytes});
  out.rights = static_cast<u64>(read_u32(r + kRightsOffset)) << 32 | read_u32(r + kRightsOffset + 4);
  copy(out.expires, {r + kExpiresOffset, kDateBytes});
  copy(out.point, {r + kPointOffset, kMaxCertifiedPointBytes});
  out.sector_rights = read_u16(r + kSectorOffset);
  return Sw::ok;
}

Sw TrustAnchors::load(TerminalType type, u8 age, CertifiedKey& out) {
  Place places[kPerType];
  for (u8 i = 0; i < kPerType; ++i) KARTA_OS_TRY(place(type, i, places[i]));
  for (u8 i = 0; i < kPerType; ++i) {
    if (!places[i].taken) continue;
    u8 newer = 0;
    for (const Place& other : places) newer = static_cast<u8>(newer + (other.taken && other.order > places[i].order));
    if (newer == age) return load_at(type, i, out);
  }
  return Sw::referenced_data_not_found;
}

Sw TrustAnchors::find(TerminalType type, ByteView holder, CertifiedKey& out) {
  for (u8 age = 0; age < kPerType; ++age) {
    KARTA_OS_TRY(load(type, age, out));
    if (equal(out.reference(), holder)) return Sw::ok;
  }
  return Sw::referenced_data_not_found;
}

bool TrustAnchors::knows(ByteView holder) {
  CertifiedKey anchor;
  for (const TerminalType type : kTypes) {
    if (find(type, holder, anchor) == Sw::ok) return true;
  }
  return false;
}

Sw TrustAnchors::store(const CertifiedKey& anchor) {
  Place places[kPerType];
  u16 order = 0;
  u8 chosen = 0;
  for (u8 i = 0; i < kPerType; ++i) {
    KARTA_OS_TRY(place(anchor.type, i, places[i]));
    if (places[i].taken && places[i].order > order) order = places[i].order;
  }
  if (places[0].taken && (!places[1].taken || places[1].order < places[0].order)) chosen = 1;
  u8 r[kRecordBytes] = {};
  r[0] = 1;
  write_u16(r + 1, epoch);
  write_u16(r + 3, static_cast<u16>(order + 1));
  r[5] = static_cast<u8>(anchor.type);
  r[6] = static_cast<u8>(anchor.curve);
  r[7] = anchor.algorithm;
  r[8] = anchor.holder_bytes;
  copy(ByteSpan(r).subspan(kHolderOffset), anchor.holder);
  write_u32(r + kRightsOffset, static_cast<u32>(anchor.rights >> 32));
  write_u32(r + kRightsOffset + 4, static_cast<u32>(anchor.rights));
  copy(ByteSpan(r).subspan(kExpiresOffset), anchor.expires);
  copy(ByteSpan(r).subspan(kPointOffset), anchor.point);
  write_u16(r + kSectorOffset, anchor.sector_rights);
  return journal_.write(page_of(anchor.type, chosen), 0, r);
}

Sw TrustAnchors::date(ByteSpan out) {
  wipe(out);
  if (!journal_.exists(kCardDatePage)) return Sw::ok;
  u8 r[2 + kDateBytes];
  KARTA_OS_TRY(journal_.read(kCardDatePage, 0, r));
  if (read_u16(r) == epoch) copy(out, ByteView(r).last(kDateBytes));
  return Sw::ok;
}

Sw TrustAnchors::set_date(ByteView date) {
  u8 r[2 + kDateBytes];
  write_u16(r, epoch);
  copy(ByteSpan(r).last(kDateBytes), date);
  return journal_.write(kCardDatePage, 0, r);
}

}  // namespace karta::os
