#include "firmware-sim/os/system.h"

#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

constexpr u8 kRootVersion = 1;
constexpr std::size_t kRootBytes = 3 + kSerialBytes + 2;
constexpr std::size_t kEpochOffset = 3 + kSerialBytes;

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
  if (life != CardLife::initialised && life != CardLife::personalised && life != CardLife::locked &&
      life != CardLife::terminated) {
    return Sw::memory_failure;
  }
  activated = root[2] != 0;
  copy(serial, {root + 3, kSerialBytes});
  anchors.epoch = read_u16(root + kEpochOffset);
  return files.recover();
}

Sw System::store_root() {
  u8 root[kRootBytes];
  root[0] = kRootVersion;
  root[1] = static_cast<u8>(life);
  root[2] = activated ? 1 : 0;
  copy({root + 3, kSerialBytes}, serial);
  write_u16(root + kEpochOffset, anchors.epoch);
  return journal.write(kRootPage, 0, root);
}

Sw System::write_blank(const AccessRules& mf_rules, const AccessRules& esign_rules) {
  // The trust anchors of before are of another epoch.
  anchors.epoch = static_cast<u16>(anchors.epoch + 1);
  KARTA_OS_TRY(store_root());
  KARTA_OS_TRY(secrets.format());
  KARTA_OS_TRY(files.format());
  // A wipe leaves the issuer's keys as they are: it must not bring back those everybody knows.
  if (!key_sets.has_issuer()) KARTA_OS_TRY(key_sets.format_issuer());

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
  atr.channel.read.octet = static_cast<u8>(ChannelCondition::free);
  atr.short_id = 0x01;
  KARTA_OS_TRY(files.create(atr, 1));
  KARTA_OS_TRY(files.write(atr, 0, kEfAtr));

  File dir;
  dir.kind = FileKind::transparent;
  dir.id = kDirFileId;
  dir.parent = mf.slot;
  dir.size = kBlankDirBytes;
  dir.rules = kOpenFile;
  dir.channel.read.octet = static_cast<u8>(ChannelCondition::free);
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
  end_channel();
  forget_selection();
}

void System::end_channel() {
  channel.end();
  personalised_domain = kNoSlot;
  status_cursor = Files::kSlots;
  security.clear_all();
  environment = {};
  pace.clear();
  terminal.clear();
  ledger_session.end();
  files.drop_session_object();
  cryptogram_bytes = 0;
  wipe(cryptogram);
}

void System::leave_application(bool keep_session_object) {
  security.clear();
  environment = {};
  if (!keep_session_object) files.drop_session_object();
}

Sw System::forget_removed() {
  environment = {};
  files.drop_session_object();  // its DF may be gone
  current_ef = kNoSlot;
  File file;
  KARTA_OS_TRY(files.load(current_df, file));
  if (!file.is_df()) current_df = kMasterFileSlot;
  // A domain that deleted itself administers nothing any more, whatever takes its slot.
  if (const u8 authority = channel.session().authority; authority != kIssuer) {
    KARTA_OS_TRY(files.load(authority, file));
    if (!KeySets::is_domain(file)) channel.session().authenticated = false;
  }
  if (application == kNoSlot || application == kCardManagerSlot) return Sw::ok;
  KARTA_OS_TRY(files.load(application, file));
  if (file.is_df()) return Sw::ok;
  application = kNoSlot;
  security.clear();
  return Sw::ok;
}

Sw System::move_on(CardLife to) {
  if (to < life) return Sw::conditions_not_satisfied;
  const bool was_activated = activated;
  const CardLife was_life = life;
  KeySet first;
  u8 index = 0;
  bool drops_initial = false;
  if (!issued() && to != CardLife::initialised) {
    const Sw sw = key_sets.find(kIssuer, 0, first, index);
    if (sw != Sw::ok && sw != Sw::referenced_data_not_found) return sw;
    drops_initial = sw == Sw::ok && first.initial;
  }
  Transaction transaction(journal, 2);
  KARTA_OS_TRY(transaction.status());
  activated = true;
  life = to;
  Sw sw = store_root();
  if (sw == Sw::ok && drops_initial) sw = key_sets.store(kIssuer, index, KeySet{});
  if (sw == Sw::ok) sw = transaction.commit();
  if (sw != Sw::ok) {
    activated = was_activated;
    life = was_life;
    return sw;
  }
  if (drops_initial) channel.session().authenticated = false;
  security.clear();
  environment = {};
  return Sw::ok;
}

bool System::administers(u8 owner) const {
  const ChannelSession& session = channel.session();
  return session.kind == ChannelKind::scp03 && session.authenticated && (session.level & kCommandMac) != 0 &&
         session.authority == owner;
}

Sw System::require_administrator(const File& file) {
  u8 owner = kIssuer;
  KARTA_OS_TRY(key_sets.owner_of(file.slot, owner));
  if (administers(owner) || (owner == kIssuer && !issued())) return Sw::ok;
  return Sw::security_status_not_satisfied;
}

void System::forget_selection() {
  security.clear();
  environment = {};
  files.drop_session_object();
  current_df = kMasterFileSlot;
  current_ef = kNoSlot;
  application = kNoSlot;
  cryptogram_bytes = 0;
  wipe(cryptogram);
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
    if (application != kNoSlot && application != slot) leave_application(file.kind == FileKind::session_object);
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

Sw System::require(const File& file, Right right) {
  // Who administers a file is not asked for more, except to read it or to use a key: those are never the
  // administrator's. In a domain the rules never sleep.
  u8 owner = kIssuer;
  KARTA_OS_TRY(key_sets.owner_of(file.slot, owner));
  const bool own = (right != Right::read && right != Right::debit) || file.is_df();
  if (own && administers(owner)) return Sw::ok;
  if (owner == kIssuer && !operational(file)) return Sw::ok;
  if (!security.satisfies(file.rules.nibble(right))) return Sw::security_status_not_satisfied;
  if (file.is_df() || right == Right::remove) return Sw::ok;
  const ChannelRule& rule = right == Right::read    ? file.channel.read
                            : right == Right::debit ? file.channel.debit
                                                    : file.channel.update;
  return channel_satisfies(file, rule) ? Sw::ok : Sw::security_status_not_satisfied;
}

u16 System::counter_after_change(u8 slot) {
  File esign;
  const bool inside =
      files.find_child(kMasterFileSlot, kEsignFileId, esign) == Sw::ok && files.is_within(slot, esign.slot);
  return static_cast<u16>(journal.stamp() + (inside ? 1 : 0));
}

}  // namespace karta::os
