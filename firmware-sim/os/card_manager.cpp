// The card manager: GlobalPlatform's commands for sessions, keys, domains and the card's life (card specification 2.3
// section 11, amendment D for SCP03, amendment A scenario 3 for confidential key loading).
#include "firmware-sim/os/card_manager.h"

#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

constexpr u8 kName[] = {0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00};
constexpr std::size_t kShortestPart = 7;  // of the name, in a SELECT by its beginning

constexpr u8 kZeroBlock[kAesBlockBytes] = {};
constexpr u8 kAesKeyType = 0x88;
constexpr std::size_t kCheckBytes = 3;
constexpr u8 kAllKeys = 0x81;  // P2 of PUT KEY: several keys, the first with identifier 1
constexpr u8 kHighestVersion = 0x7F;
constexpr u8 kScp03 = 0x03;
// "i": pseudo-random challenge 10, R-MAC 20, R-ENCRYPTION 40; 01 for S16.
constexpr u8 kProtocolParameter = 0x70;
constexpr u8 kSixteen = 0x01;

constexpr u16 kLoadingKeyId = 0x00C5;  // EC key of the MF that domains' keys are agreed with
constexpr u8 kScenario = 0x03;
constexpr u8 kSetUsage = 0x3C;  // C-MAC, C-DECRYPTION, R-MAC, R-ENCRYPTION
constexpr u8 kSecurityDomain = 0x80;
constexpr std::size_t kShortestName = 5;  // 7816-4 section 12.2.3
constexpr std::size_t kStatusEntryBytes = 2 + 2 + kMaxNameBytes + 4 + 5;

bool key_size(std::size_t octets) { return octets == 16 || octets == 24 || octets == 32; }

// Whose keys a new session takes, and whose are shown: the domain selected last, else the issuer.
u8 selected_owner(System& card) {
  File file;
  if (card.application == kNoSlot || card.application == kCardManagerSlot) return kIssuer;
  if (card.files.load(card.application, file) != Sw::ok || !KeySets::is_domain(file)) return kIssuer;
  return card.application;
}

// The session, whosever it is; its commands are under MAC. `level`: bits it must have beside.
Sw require_session(const System& card, u8 level = 0) {
  const ChannelSession& session = card.channel.session();
  if (session.kind != ChannelKind::scp03 || !card.administers(session.authority)) {
    return Sw::security_status_not_satisfied;
  }
  return (session.level & level) == level ? Sw::ok : Sw::security_status_not_satisfied;
}

Sw require_issuer(const System& card) { return card.administers(kIssuer) ? Sw::ok : Sw::security_status_not_satisfied; }

// Amendment D section 4.1.4: key check value.
Sw check_value(System& card, ByteView key, ByteSpan out) {
  u8 block[kAesBlockBytes];
  for (u8& octet : block) octet = 0x01;
  if (card.hal.aes_cbc(Cipher::encrypt, key, kZeroBlock, block, block) != HalStatus::ok) return Sw::no_diagnosis;
  copy(out, ByteView(block).first(kCheckBytes));
  return Sw::ok;
}

Sw save_set(System& card, u8 owner, u8 index, const KeySet& set) {
  Transaction transaction(card.journal, 1);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(card.key_sets.store(owner, index, set));
  return transaction.commit();
}

// The life of the card in GlobalPlatform's numbers.
u8 life_state(const System& card) {
  switch (card.life) {
    case CardLife::initialised:
      return card.activated ? 0x07 : 0x01;
    case CardLife::personalised:
      return 0x0F;
    case CardLife::locked:
      return 0x7F;
    case CardLife::terminated:
      break;
  }
  return 0xFF;
}

Sw domain_state(System& card, const File& df, u8& state) {
  state = 0x07;
  if (KeySets::is_domain(df)) {
    KeySet set;
    u8 index = 0;
    const Sw sw = card.key_sets.find(df.slot, 0, set, index);
    if (sw == Sw::ok) state = 0x0F;
    if (sw != Sw::ok && sw != Sw::referenced_data_not_found) return sw;
  }
  if (df.life == LifeCycle::deactivated) state = static_cast<u8>(state | 0x80);
  return Sw::ok;
}

// A length octet and as many octets, the fields of INSTALL.
bool next_field(ByteView& rest, ByteView& out) {
  if (rest.empty() || rest.size() - 1 < rest[0]) return false;
  out = rest.subspan(1, rest[0]);
  rest = rest.subspan(1U + rest[0]);
  return true;
}

// The domain of this name.
Sw find_domain(System& card, ByteView name, File& out) {
  KARTA_OS_TRY(card.files.find_full_name(name, out));
  return KeySets::is_domain(out) ? Sw::ok : Sw::file_not_found;
}

// One key of PUT KEY (amendment D section 7.2): type, length, key length, the key under the DEK, its check value.
Sw read_key(System& card, ByteView dek, ByteView& rest, KeySet& set, std::size_t index) {
  if (rest.size() < 3 || rest[0] != kAesKeyType) return Sw::incorrect_data;
  const std::size_t n = rest[2];
  const std::size_t wrapped = (n + kAesBlockBytes - 1) / kAesBlockBytes * kAesBlockBytes;
  if (!key_size(n) || rest[1] != wrapped + 1 || rest.size() < 3 + wrapped + 1 + kCheckBytes) return Sw::incorrect_data;
  if (set.key_bytes != 0 && set.key_bytes != n) return Sw::incorrect_data;
  set.key_bytes = static_cast<u8>(n);
  u8 key[kMaxAesKeyBytes];
  const WipeOnExit wipe_key(key);
  if (card.hal.aes_cbc(Cipher::decrypt, dek, kZeroBlock, rest.subspan(3, wrapped), ByteSpan(key).first(wrapped)) !=
      HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  u8 kcv[kCheckBytes];
  KARTA_OS_TRY(check_value(card, ByteView(key).first(n), kcv));
  const ByteView check = rest.subspan(3 + wrapped, 1 + kCheckBytes);
  if (check[0] != kCheckBytes || !equal(check.subspan(1), kcv)) return Sw::incorrect_data;
  copy(set.keys[index], ByteView(key).first(n));
  rest = rest.subspan(3 + wrapped + 1 + kCheckBytes);
  return Sw::ok;
}

// Where a set of PUT KEY goes. `replaced` is a version, or 0 for a new set.
Sw place_for(System& card, u8 owner, u8 replaced, u8 version, u8& index) {
  KeySet present[KeySets::kPerOwner];
  for (u8 i = 0; i < KeySets::kPerOwner; ++i) KARTA_OS_TRY(card.key_sets.load(owner, i, present[i]));
  u8 found = KeySets::kPerOwner;
  for (u8 i = KeySets::kPerOwner; i-- > 0;) {
    // A blank card's set gives way to the first own one.
    if (replaced != 0 ? present[i].version == replaced : present[i].version == 0 || present[i].initial) found = i;
    if (replaced == 0 && present[i].initial) break;
  }
  if (found == KeySets::kPerOwner) return replaced != 0 ? Sw::referenced_data_not_found : Sw::not_enough_memory;
  const KeySet& other = present[1 - found];
  if (version == other.version) return Sw::incorrect_data;
  index = found;
  return Sw::ok;
}

// X9.63 key derivation with SHA-256: out = H(z || 1 || info) || H(z || 2 || info) ...
Sw derive_x963(System& card, ByteView z, ByteView info, ByteSpan out) {
  u8 block[32];
  const WipeOnExit wipe_block(block);
  for (u32 counter = 1; !out.empty(); ++counter) {
    u8 number[4];
    write_u32(number, counter);
    const ByteView message[] = {z, number, info};
    if (card.hal.digest(Digest::sha256, message, block) != HalStatus::ok) return Sw::no_diagnosis;
    const std::size_t n = out.size() < sizeof block ? out.size() : sizeof block;
    copy(out, ByteView(block).first(n));
    out = out.subspan(n);
  }
  return Sw::ok;
}

// The control reference template of confidential key loading, A6: what the keys are to be.
Sw read_loading_template(ByteView data, u8& key_bytes, u8& version) {
  TlvCursor cursor(data);
  u8 seen = 0;
  for (Tlv object; cursor.next(object);) {
    if (object.value.size() != 1) return Sw::incorrect_data;
    const u8 value = object.value[0];
    switch (object.tag) {
      case 0x90:
        if (value != kScenario) return Sw::incorrect_data;
        seen = static_cast<u8>(seen | 0x01);
        break;
      case 0x95:
        if (value != kSetUsage) return Sw::incorrect_data;
        seen = static_cast<u8>(seen | 0x02);
        break;
      case 0x80:
        if (value != kAesKeyType) return Sw::incorrect_data;
        seen = static_cast<u8>(seen | 0x04);
        break;
      case 0x81:
        if (!key_size(value)) return Sw::incorrect_data;
        key_bytes = value;
        seen = static_cast<u8>(seen | 0x08);
        break;
      case 0x83:
        if (value == 0 || value > kHighestVersion) return Sw::incorrect_data;
        version = value;
        seen = static_cast<u8>(seen | 0x10);
        break;
      default:
        return Sw::incorrect_data;
    }
  }
  return cursor.ok() && seen == 0x1F ? Sw::ok : Sw::incorrect_data;
}

// Amendment A scenario 3, the card's side: keys nobody but the department can know, and a receipt that it has them.
Sw load_domain_keys(System& card, ByteView data, ByteView crt, ByteView point, Writer& reply) {
  File df;
  if (card.personalised_domain == kNoSlot) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(card.files.load(card.personalised_domain, df));
  if (!KeySets::is_domain(df)) return Sw::conditions_not_satisfied;
  KeySet set;
  u8 index = 0;
  const Sw present = card.key_sets.find(df.slot, 0, set, index);
  if (present == Sw::ok) return Sw::conditions_not_satisfied;  // from then on its own session's affair
  if (present != Sw::referenced_data_not_found) return present;
  u8 n = 0;
  KARTA_OS_TRY(read_loading_template(crt, n, set.version));

  File key;
  KeyShape shape;
  if (const Sw sw = card.files.find_child(kMasterFileSlot, kLoadingKeyId, key); sw != Sw::ok) {
    return sw == Sw::file_not_found ? Sw::referenced_data_not_found : sw;
  }
  if (key.kind != FileKind::ec_key || key.properties[1] != kUsageKeyLoading || !key_shape(key, shape)) {
    return Sw::conditions_not_satisfied;
  }
  if (point.size() != point_bytes(shape.curve)) return Sw::incorrect_data;

  u8 z[kMaxFieldBytes];
  const WipeOnExit wipe_z(z);
  const ByteSpan x = ByteSpan(z).first(field_bytes(shape.curve));
  KARTA_OS_TRY(card.keys.ec_agree(key, point, x));
  u8 buffer[3 + 1 + kMaxNameBytes + 1 + kSerialBytes];
  Writer info{ByteSpan(buffer)};
  info.byte(kSetUsage);
  info.byte(kAesKeyType);
  info.byte(n);
  info.byte(df.name_bytes);
  info.bytes(df.aid());
  info.byte(kSerialBytes);
  info.bytes(card.serial);

  u8 material[(1 + kKeysInSet) * kMaxAesKeyBytes];
  const WipeOnExit wipe_material(material);
  const ByteSpan all = ByteSpan(material).first((1U + kKeysInSet) * n);
  KARTA_OS_TRY(derive_x963(card, x, info.written(), all));
  set.key_bytes = n;
  set.initial = false;
  set.sequence = 0;
  for (std::size_t i = 0; i < kKeysInSet; ++i) copy(set.keys[i], all.subspan((1 + i) * n, n));
  u8 receipt[kAesBlockBytes];
  const ByteView message[] = {data};
  if (card.hal.aes_cmac(all.first(n), message, receipt) != HalStatus::ok) return Sw::no_diagnosis;
  KARTA_OS_TRY(save_set(card, df.slot, 0, set));
  card.personalised_domain = kNoSlot;
  reply.object(0x86, receipt);
  return Sw::ok;
}

// INSTALL [for install and make selectable]: the DF of a domain, without keys so far.
Sw install_domain(System& card, ByteView data) {
  ByteView package;
  ByteView module;
  ByteView name;
  ByteView privileges;
  ByteView parameters;
  ByteView token;
  if (!next_field(data, package) || !next_field(data, module) || !next_field(data, name) ||
      !next_field(data, privileges) || !next_field(data, parameters) || !next_field(data, token) || !data.empty() ||
      !token.empty() || name.size() < kShortestName || name.size() > kMaxNameBytes ||
      (privileges.size() != 1 && privileges.size() != 3) || (privileges[0] & kSecurityDomain) == 0) {
    return Sw::incorrect_data;
  }
  File df;
  df.kind = FileKind::df;
  df.life = LifeCycle::activated;
  df.parent = kMasterFileSlot;
  df.id = static_cast<u16>(0xD100 | name[name.size() - 1]);
  df.name_bytes = static_cast<u8>(name.size());
  copy(df.name, name);
  df.rules = {{0xFF, 0xFF, 0xFF}};
  if (!parameters.empty()) {
    TlvCursor outer(parameters);
    Tlv object;
    if (!outer.next(object) || object.tag != 0xC9) return Sw::incorrect_data;
    TlvCursor inner(object.value);
    while (inner.next(object)) {
      if (object.tag != 0x83 || object.value.size() != 2) return Sw::incorrect_data;
      df.id = read_u16(object.value.data());
    }
    if (!inner.ok() || outer.next(object) || !outer.ok()) return Sw::incorrect_data;
  }
  if (!valid_file_id(df.id)) return Sw::incorrect_data;
  KARTA_OS_TRY(require_free_name(card, name));
  File same;
  if (const Sw sw = card.files.find_child(kMasterFileSlot, df.id, same); sw != Sw::file_not_found) {
    return sw == Sw::ok ? Sw::file_exists : sw;
  }
  Transaction transaction(card.journal, 2);
  KARTA_OS_TRY(transaction.status());
  KARTA_OS_TRY(card.files.create(df, 1));
  KARTA_OS_TRY(card.key_sets.format_domain(df));
  return transaction.commit();
}

// INSTALL [for personalization]: whom the next STORE DATA is for.
Sw choose_domain(System& card, ByteView data) {
  ByteView empty[2];
  ByteView name;
  ByteView rest[3];
  if (!next_field(data, empty[0]) || !next_field(data, empty[1]) || !next_field(data, name) ||
      !next_field(data, rest[0]) || !next_field(data, rest[1]) || !next_field(data, rest[2]) || !data.empty()) {
    return Sw::incorrect_data;
  }
  File df;
  if (find_domain(card, name, df) != Sw::ok) return Sw::referenced_data_not_found;
  card.personalised_domain = df.slot;
  return Sw::ok;
}

Sw delete_domain(System& card, ByteView name) {
  File df;
  if (find_domain(card, name, df) != Sw::ok) return Sw::referenced_data_not_found;
  {
    Transaction transaction(card.journal, kFileTablePageCount);
    KARTA_OS_TRY(transaction.status());
    KARTA_OS_TRY(card.files.remove(df.slot));
    KARTA_OS_TRY(transaction.commit());
  }
  if (card.personalised_domain == df.slot) card.personalised_domain = kNoSlot;
  KARTA_OS_TRY(card.forget_removed());
  return card.files.collect();
}

Sw delete_key_set(System& card, u8 version) {
  const u8 owner = card.channel.session().authority;
  KeySet set;
  u8 index = 0;
  KARTA_OS_TRY(card.key_sets.find(owner, version, set, index));
  KeySet other;
  KARTA_OS_TRY(card.key_sets.load(owner, static_cast<u8>(1 - index), other));
  if (version == 0 || other.version == 0) return Sw::conditions_not_satisfied;  // never the last one
  return save_set(card, owner, index, KeySet{});
}

struct StatusEntry {
  ByteView name;
  u8 state;
  u8 privileges;
};

// Table 11-36 and, with `tlv`, 11-37.
void write_status(const StatusEntry& entry, bool tlv, Writer& reply) {
  if (!tlv) {
    reply.byte(static_cast<u8>(entry.name.size()));
    reply.bytes(entry.name);
    reply.byte(entry.state);
    reply.byte(entry.privileges);
    return;
  }
  const u8 privileges[] = {entry.privileges, 0x00, 0x00};
  reply.header(0xE3, 2 + entry.name.size() + 4 + 2 + sizeof privileges);
  reply.object(0x4F, entry.name);
  reply.object(0x9F70, {&entry.state, 1});
  reply.object(0xC5, privileges);
}

bool begins_with(ByteView name, ByteView part) {
  return name.size() >= part.size() && equal(name.first(part.size()), part);
}

}  // namespace

bool is_card_manager(ByteView name) {
  return name.empty() || (name.size() >= kShortestPart && begins_with(kName, name));
}

void select_card_manager(System& card, Writer* reply) {
  card.current_df = kMasterFileSlot;
  card.current_ef = kNoSlot;
  if (card.application != kNoSlot && card.application != kCardManagerSlot) card.leave_application();
  card.application = kCardManagerSlot;
  if (reply == nullptr) return;
  constexpr u8 kProprietary[] = {0x9F, 0x65, 0x02, kMaxData >> 8, kMaxData & 0xFF};  // longest data field
  reply->header(0x6F, 2 + sizeof kName + 2 + sizeof kProprietary);
  reply->object(0x84, kName);
  reply->object(0xA5, kProprietary);
}

Sw require_free_name(System& card, ByteView name) {
  File same;
  if (equal(name, kName)) return Sw::name_exists;
  const Sw sw = card.files.find_full_name(name, same);
  return sw == Sw::file_not_found ? Sw::ok : sw == Sw::ok ? Sw::name_exists : sw;
}

// GlobalPlatform section H.2: which specifications the card follows; 64: SCP03 with its parameter.
Sw write_recognition_data(System&, Writer& reply) {
  constexpr u8 kData[] = {0x66, 0x31, 0x73, 0x2F,                                //
                          0x06, 0x07, 0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x01,  // GlobalPlatform
                          0x60, 0x0C, 0x06, 0x0A, 0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x02, 0x02,   0x03,
                          0x01,                                                              // version 2.3.1
                          0x63, 0x09, 0x06, 0x07, 0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x03,  //
                          0x64, 0x0B, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x04, kScp03, kProtocolParameter};
  static_assert(sizeof kData == 2 + 0x31);
  reply.bytes(kData);
  return Sw::ok;
}

Sw write_key_information(System& card, Writer& reply) {
  KeySet sets[KeySets::kPerOwner];
  std::size_t keys = 0;
  for (u8 i = 0; i < KeySets::kPerOwner; ++i) {
    const Sw sw = card.key_sets.load(selected_owner(card), i, sets[i]);
    if (sw != Sw::ok) return sw;
    if (sets[i].version != 0) keys += kKeysInSet;
  }
  reply.header(0xE0, keys * 6);
  for (const KeySet& set : sets) {
    for (u8 id = 1; set.version != 0 && id <= kKeysInSet; ++id) {
      const u8 value[] = {id, set.version, kAesKeyType, set.key_bytes};
      reply.object(0xC0, value);
    }
  }
  return Sw::ok;
}

// GET DATA 01B0: the card's life in GlobalPlatform's numbers, then for each PIN that is set its reference, the tries
// left and its state: 01 transport, 02 deactivated, 04 the issuer may set it again.
Sw write_card_state(System& card, Writer& reply) {
  reply.byte(life_state(card));
  for (u8 index = 0; index < kPinCount; ++index) {
    Secret secret;
    KARTA_OS_TRY(card.secrets.load(index, secret));
    if (!secret.is_set()) continue;
    reply.byte(static_cast<u8>(index + 1));
    reply.byte(secret.tries);
    reply.byte(static_cast<u8>((secret.is_transport() ? 0x01 : 0) | (secret.is_deactivated() ? 0x02 : 0) |
                               ((secret.flags & Secret::kIssuerResets) != 0 ? 0x04 : 0)));
  }
  return Sw::ok;
}

Sw write_sequence_counter(System& card, Writer& reply) {
  KeySet set;
  u8 index = 0;
  KARTA_OS_TRY(card.key_sets.find(selected_owner(card), 0, set, index));
  u8 sequence[4];
  write_u32(sequence, set.sequence);
  reply.object(0xC1, ByteView(sequence).last(3));
  return Sw::ok;
}

Sw write_issuer_number(System& card, Writer& reply) {
  u8 number[KeySets::kMaxNumberBytes];
  std::size_t n = 0;
  KARTA_OS_TRY(card.key_sets.load_number(0, number, n));
  if (n == 0) return Sw::referenced_data_not_found;
  reply.object(0x42, ByteView(number).first(n));
  return Sw::ok;
}

Sw write_card_number(System& card, Writer& reply) {
  u8 number[KeySets::kMaxNumberBytes];
  std::size_t n = 0;
  KARTA_OS_TRY(card.key_sets.load_number(1, number, n));
  reply.object(0x45, n != 0 ? ByteView(number).first(n) : ByteView(card.serial));
  return Sw::ok;
}

// Amendment D section 7.1.1. The counter is used up durably before anything is answered: no challenge comes twice
// (behaviours 19 and 23).
Sw initialize_update(System& card, const Command& command, Writer& reply) {
  if (card.channel.kind() == ChannelKind::scp03 && command.secured) return Sw::conditions_not_satisfied;
  if (command.p2 != 0 || command.p1 > kHighestVersion) return Sw::incorrect_p1_p2;
  const std::size_t n = command.data.size();
  if (n != 8 && n != 16) return Sw::wrong_length;
  if (card.channel.active() && !command.secured) card.end_channel();
  const u8 owner = selected_owner(card);
  KeySet set;
  u8 index = 0;
  KARTA_OS_TRY(card.key_sets.find(owner, command.p1, set, index));
  if (set.sequence >= kSequenceEnd) return Sw::conditions_not_satisfied;
  set.sequence += 1;
  KARTA_OS_TRY(save_set(card, owner, index, set));

  File df;
  if (owner != kIssuer) KARTA_OS_TRY(card.files.load(owner, df));
  u8 counter[4];
  write_u32(counter, set.sequence);
  const ByteView sequence = ByteView(counter).last(3);
  u8 challenge_octets[16];
  u8 cryptogram_octets[16];
  const ByteSpan challenge = ByteSpan(challenge_octets).first(n);
  const ByteSpan cryptogram = ByteSpan(cryptogram_octets).first(n);
  const ByteView name = owner == kIssuer ? ByteView(kName) : df.aid();
  if (!derive(card.hal, set.enc(), Derivation::card_challenge, sequence, name, challenge)) return Sw::no_diagnosis;
  ChannelSession& session = card.channel.prepared();
  KARTA_OS_TRY(prepare_scp03(card.hal, set.enc(), set.mac(), command.data, challenge, session, cryptogram));
  session.authority = owner;
  session.key_version = set.version;

  reply.bytes(card.serial);
  reply.byte(set.version);
  reply.byte(kScp03);
  reply.byte(static_cast<u8>(kProtocolParameter | (n == 16 ? kSixteen : 0)));
  reply.bytes(challenge);
  reply.bytes(cryptogram);
  reply.bytes(sequence);
  return Sw::ok;
}

Sw external_authenticate_scp03(System& card, const Command& command, Writer&) {
  ChannelSession& session = card.channel.prepared();
  if (session.key_bytes == 0 || command.secured) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(authenticate_scp03(card.hal, session, command));
  card.channel.start_prepared();
  return Sw::ok;
}

// Section 11.8 and amendment D section 7.2.
Sw put_key(System& card, const Command& command, Writer& reply) {
  KARTA_OS_TRY(require_session(card, kCommandDecryption));
  if (command.p2 != kAllKeys || command.p1 > kHighestVersion) return Sw::incorrect_p1_p2;
  if (command.data.empty()) return Sw::wrong_length;
  const ChannelSession& session = card.channel.session();
  const u8 owner = session.authority;
  KeySet set;
  u8 index = 0;
  {
    KeySet wrapping;
    const Sw sw = card.key_sets.find(owner, session.key_version, wrapping, index);
    if (sw != Sw::ok) return sw == Sw::referenced_data_not_found ? Sw::conditions_not_satisfied : sw;
    set.version = command.data[0];
    if (set.version == 0 || set.version > kHighestVersion) return Sw::incorrect_data;
    ByteView rest = command.data.subspan(1);
    for (std::size_t i = 0; i < kKeysInSet; ++i) KARTA_OS_TRY(read_key(card, wrapping.dek(), rest, set, i));
    if (!rest.empty()) return Sw::incorrect_data;
  }
  KARTA_OS_TRY(place_for(card, owner, command.p1, set.version, index));
  KARTA_OS_TRY(save_set(card, owner, index, set));
  reply.byte(set.version);
  for (const auto& key : set.keys) {
    KARTA_OS_TRY(check_value(card, ByteView(key).first(set.key_bytes), reply.claim(kCheckBytes)));
  }
  return Sw::ok;
}

// Section 11.11, one block of BER-TLV.
Sw store_data(System& card, const Command& command, Writer& reply) {
  KARTA_OS_TRY(require_issuer(card));
  if ((command.p1 & 0xFE) != 0x90 || command.p2 != 0) return Sw::incorrect_p1_p2;
  TlvCursor cursor(command.data);
  Tlv object;
  if (!cursor.next(object)) return Sw::incorrect_data;
  if (object.tag == 0xA6) {
    Tlv point;
    Tlv more;
    if (!cursor.next(point) || point.tag != 0x5F49 || cursor.next(more) || !cursor.ok()) return Sw::incorrect_data;
    return load_domain_keys(card, command.data, object.value, point.value, reply);
  }
  if (!card.key_sets.has_issuer()) return Sw::conditions_not_satisfied;
  Transaction transaction(card.journal, 1);
  KARTA_OS_TRY(transaction.status());
  do {
    if (object.tag != 0x42 && object.tag != 0x45) return Sw::incorrect_data;
    if (object.value.empty() || object.value.size() > KeySets::kMaxNumberBytes) return Sw::incorrect_data;
    KARTA_OS_TRY(card.key_sets.store_number(object.tag == 0x42 ? 0 : 1, object.value));
  } while (cursor.next(object));
  return cursor.ok() ? transaction.commit() : Sw::incorrect_data;
}

// Section 11.2. A domain goes with all below it, which nobody reads on the way.
Sw delete_object(System& card, const Command& command, Writer& reply) {
  KARTA_OS_TRY(require_session(card));
  if (command.p1 != 0 || (command.p2 & 0x7F) != 0) return Sw::incorrect_p1_p2;
  TlvCursor cursor(command.data);
  Tlv object;
  Tlv more;
  if (!cursor.next(object) || cursor.next(more) || !cursor.ok()) return Sw::incorrect_data;
  if (object.tag == 0xD2 && object.value.size() == 1) {
    KARTA_OS_TRY(delete_key_set(card, object.value[0]));
  } else if (object.tag == 0x4F) {
    KARTA_OS_TRY(require_issuer(card));
    KARTA_OS_TRY(delete_domain(card, object.value));
  } else {
    return Sw::incorrect_data;
  }
  reply.byte(0x00);
  return Sw::ok;
}

// Section 11.5.
Sw install(System& card, const Command& command, Writer& reply) {
  KARTA_OS_TRY(require_issuer(card));
  switch (command.p1_p2()) {
    case 0x0C00:
      KARTA_OS_TRY(install_domain(card, command.data));
      break;
    case 0x2000:
      KARTA_OS_TRY(choose_domain(card, command.data));
      break;
    default:
      return Sw::incorrect_p1_p2;
  }
  reply.byte(0x00);
  return Sw::ok;
}

// Section 11.10. The card's life moves forward only (behaviour 40); a domain is locked and unlocked.
Sw set_status(System& card, const Command& command, Writer&) {
  KARTA_OS_TRY(require_issuer(card));
  if (command.p1 == 0x80) {
    if (command.p2 <= life_state(card)) return Sw::conditions_not_satisfied;
    switch (command.p2) {
      case 0x07:
        return card.move_on(CardLife::initialised);
      case 0x0F:
        return card.move_on(CardLife::personalised);
      case 0x7F:
        return card.move_on(CardLife::locked);
      case 0xFF:
        return card.move_on(CardLife::terminated);
      default:
        return Sw::incorrect_p1_p2;
    }
  }
  if (command.p1 != 0x40) return Sw::incorrect_p1_p2;
  ByteView rest = command.data;
  ByteView name;
  if (!next_field(rest, name) || !rest.empty()) return Sw::incorrect_data;
  File df;
  if (find_domain(card, name, df) != Sw::ok) return Sw::referenced_data_not_found;
  Transaction transaction(card.journal, 1);
  KARTA_OS_TRY(transaction.status());
  df.life = (command.p2 & 0x80) != 0 ? LifeCycle::deactivated : LifeCycle::activated;
  KARTA_OS_TRY(card.files.store(df));
  return transaction.commit();
}

// Section 11.4. A domain's session sees itself, the issuer's all.
Sw get_status(System& card, const Command& command, Writer& reply) {
  KARTA_OS_TRY(require_session(card));
  if ((command.p2 & ~0x03) != 0 || (command.p1 != 0x80 && command.p1 != 0x40)) return Sw::incorrect_p1_p2;
  const bool tlv = (command.p2 & 0x02) != 0;
  const bool next = (command.p2 & 0x01) != 0;
  TlvCursor cursor(command.data);
  Tlv name;
  if (!cursor.next(name) || name.tag != 0x4F) return Sw::incorrect_data;
  const u8 authority = card.channel.session().authority;
  if (command.p1 == 0x80) {
    if (next || authority != kIssuer || !begins_with(kName, name.value)) return Sw::referenced_data_not_found;
    write_status({.name = kName, .state = life_state(card), .privileges = kSecurityDomain}, tlv, reply);
    return Sw::ok;
  }
  u8 slot = next ? card.status_cursor : 0;
  card.status_cursor = Files::kSlots;
  for (; slot < Files::kSlots; ++slot) {
    File df;
    KARTA_OS_TRY(card.files.load(slot, df));
    if (!df.is_df() || df.name_bytes == 0 || !begins_with(df.aid(), name.value)) continue;
    if (authority != kIssuer && authority != slot) continue;
    if (reply.room() < kStatusEntryBytes) {
      card.status_cursor = slot;
      return Sw::more_data;
    }
    u8 state = 0;
    KARTA_OS_TRY(domain_state(card, df, state));
    write_status({.name = df.aid(), .state = state, .privileges = KeySets::is_domain(df) ? kSecurityDomain : u8{0}},
                 tlv, reply);
  }
  return reply.size() == 0 ? Sw::referenced_data_not_found : Sw::ok;
}

}  // namespace karta::os
