#include "firmware-sim/os/system.h"

namespace karta::os {
namespace {

constexpr u8 kRootVersion = 1;
constexpr std::size_t kRootBytes = 3 + kSerialBytes;

constexpr u8 kPkcs15Aid[] = {0xA0, 0x00, 0x00, 0x00, 0x63, 0x50, 0x4B, 0x43, 0x53, 0x2D, 0x31, 0x35};

// EF.ATR (7816-4 section 12.2.2): card capabilities (selection by full and partial name, path and FID; short file
// identifiers; chaining; extended length), and the longest command and response APDU in octets (tag 7F66).
constexpr u16 kLongestCommand = 4 + 3 + kMaxData + 2;
constexpr u16 kLongestResponse = kMaxData + 2;
constexpr u8 kEfAtr[] = {0x47,
                         0x03,
                         0xF4,
                         0x01,
                         0xC0,  //
                         0x7F,
                         0x66,
                         0x08,  //
                         0x02,
                         0x02,
                         kLongestCommand >> 8,
                         kLongestCommand & 0xFF,
                         0x02,
                         0x02,
                         kLongestResponse >> 8,
                         kLongestResponse & 0xFF};

constexpr u16 kDirFileId = 0x2F00;
constexpr u16 kAtrFileId = 0x2F01;
constexpr u16 kBlankDirBytes = 128;  // what pkcs15-init's profile would create
constexpr AccessRules kOpenFile = {{0x00, 0x0F, 0xFF}};

}  // namespace

Sw System::format(ByteView new_serial) {
  KARTA_OS_TRY(journal.format());
  life = CardLife::initialised;
  activated = false;
  copy(serial, new_serial);
  Transaction transaction(journal, kMaxTransactionPages);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(write_blank({{0x00, 0x0F, 0xFF}}, {{0x00, 0x0F, 0xFF}}));
  return transaction.commit();
}

Sw System::load() {
  KARTA_OS_TRY(journal.recover());
  u8 root[kRootBytes];
  KARTA_OS_TRY(journal.read(kRootPage, 0, root));
  if (root[0] != kRootVersion) return Sw::memory_failure;
  life = static_cast<CardLife>(root[1]);
  if (life != CardLife::initialised && life != CardLife::personalised) return Sw::memory_failure;
  activated = root[2] != 0;
  copy(serial, {root + 3, kSerialBytes});
  return files.recover();
}

Sw System::store_root() {
  u8 root[kRootBytes];
  root[0] = kRootVersion;
  root[1] = static_cast<u8>(life);
  root[2] = activated ? 1 : 0;
  copy({root + 3, kSerialBytes}, serial);
  return journal.write(kRootPage, 0, root);
}

Sw System::write_blank(const AccessRules& mf_rules, const AccessRules& esign_rules) {
  KARTA_OS_TRY(store_root());
  KARTA_OS_TRY(secrets.format());
  KARTA_OS_TRY(files.format());

  File mf;
  mf.kind = FileKind::df;
  mf.id = kMasterFileId;
  mf.rules = mf_rules;
  KARTA_OS_TRY(files.create(mf, 0));

  File atr;
  atr.kind = FileKind::transparent;
  atr.id = kAtrFileId;
  atr.parent = mf.slot;
  atr.size = sizeof kEfAtr;
  atr.rules = {{0x0F, 0xFF, 0xFF}};
  atr.short_id = 0x01;
  KARTA_OS_TRY(files.create(atr, 1));
  KARTA_OS_TRY(files.write(atr, 0, kEfAtr));

  File dir;
  dir.kind = FileKind::transparent;
  dir.id = kDirFileId;
  dir.parent = mf.slot;
  dir.size = kBlankDirBytes;
  dir.rules = kOpenFile;
  dir.short_id = 0x1E;  // 7816-4 section 12.2.1
  KARTA_OS_TRY(files.create(dir, 1));

  File esign;
  esign.kind = FileKind::df;
  esign.id = kEsignFileId;
  esign.parent = mf.slot;
  esign.rules = esign_rules;
  esign.name_bytes = sizeof kPkcs15Aid;
  copy(esign.name, kPkcs15Aid);
  return files.create(esign, 0);
}

void System::clear_session() {
  security.clear();
  environment = {};
  files.drop_session_object();
  current_df = kMasterFileSlot;
  current_ef = kNoSlot;
  application = kNoSlot;
  cryptogram_bytes = 0;
  wipe(cryptogram);
  keys.wipe_memory();
}

void System::select(const File& file) {
  current_ef = file.is_df() ? kNoSlot : file.slot;
  current_df = file.is_df() ? file.slot : file.parent;
  // The application entered is the nearest named DF at or above: a path leads into one without naming it.
  File above;
  u8 slot = current_df;
  for (u8 steps = 0; steps < Files::kSlots && slot != kNoSlot; ++steps, slot = above.parent) {
    if (files.load(slot, above) != Sw::ok) break;
    if (above.name_bytes == 0) continue;
    if (application != kNoSlot && application != slot) {
      security.clear();
      environment = {};
      if (file.kind != FileKind::session_object) files.drop_session_object();
    }
    application = slot;
    return;
  }
}

Sw System::current_file(File& out) {
  if (current_ef == kNoSlot) return Sw::no_current_file;
  return files.load(current_ef, out);
}

Sw System::require_usable(const File& file) {
  File above = file;
  for (u8 steps = 0; steps < Files::kSlots; ++steps) {
    if (above.life == LifeCycle::deactivated || above.life == LifeCycle::terminated)
      return Sw::conditions_not_satisfied;
    if (above.parent == kNoSlot) return Sw::ok;
    KARTA_OS_TRY(files.load(above.parent, above));
  }
  return Sw::memory_failure;
}

Sw System::require(const File& file, Right right) const {
  if (!operational(file) || security.satisfies(file.rules.nibble(right))) return Sw::ok;
  return Sw::security_status_not_satisfied;
}

u16 System::counter_after_change(u8 slot) {
  File esign;
  const bool inside =
      files.find_child(kMasterFileSlot, kEsignFileId, esign) == Sw::ok && files.is_within(slot, esign.slot);
  return static_cast<u16>(journal.stamp() + (inside ? 1 : 0));
}

}  // namespace karta::os
