// GET DATA and PUT DATA: the card's description, PINs, wiping, and keys part by part.
#include "firmware-sim/os/card_manager.h"
#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

constexpr u16 kWipe = 0x01E0;
constexpr u16 kSharedPukObject = 0x010F;
constexpr u16 kCanObject = 0x0110;
constexpr u16 kTrustAnchorObject = 0x0120;
constexpr u16 kCardDateObject = 0x0121;
constexpr u8 kMaxTries = 15;  // 63Cx has room for no more
constexpr std::size_t kTransportDigits = 5;

// PUT DATA 01 01..0E: PIN (8, FF-padded), PUK (8, FF-padded), tries, tries of the PUK, then MyEID's reserved 00, where
// bit 1 marks a transport PIN (5 digits), bit 2 has the PIN unblocked by the shared PUK, the PUK field being FF, and
// bit 3 lets the issuer's session put a transport PIN in its place for good.
constexpr std::size_t kPinObjectBytes = 19;
constexpr u8 kObjectTransport = 0x01;
constexpr u8 kObjectSharedPuk = 0x02;
constexpr u8 kObjectIssuerResets = 0x04;

// A fresh piece of the card's description: GET DATA `p1 p2` in one row.
struct DataObject {
  u16 p1_p2;
  Sw (*write)(System& card, Writer& reply);
};

// 01A0, "applet information", exactly 20 octets: name, version 4.5.5, serial, change counter.
Sw write_card_information(System& card, Writer& reply) {
  constexpr u8 kName[] = {'K', 'A', 'R', 'T', 'A'};
  constexpr u8 kVersion[] = {4, 5, 5};  // from 4.5 on OpenSC uses command chaining
  reply.bytes(kName);
  reply.bytes(kVersion);
  reply.bytes(card.serial);
  reply.u16_be(card.change_counter());
  return Sw::ok;
}

// 01AA: version, features (01 RSA, 08 ECC), longest RSA, DES, AES and ECC key in bits.
Sw write_capabilities(System&, Writer& reply) {
  reply.byte(0x01);
  for (const u16 value : {u16{0x0009}, u16{4096}, u16{0}, u16{0}, u16{521}}) reply.u16_be(value);
  return Sw::ok;
}

// 01A1: the identifiers of the files in the current DF.
Sw write_file_list(System& card, Writer& reply) {
  for (u8 slot = 0; slot < Files::kSlots; ++slot) {
    File file;
    KARTA_OS_TRY(card.files.load(slot, file));
    if (file.kind != FileKind::none && file.parent == card.current_df) reply.u16_be(file.id);
  }
  return Sw::ok;
}

// 0101: modulus of the current key file.
Sw write_modulus(System& card, Writer& reply) {
  File file;
  KARTA_OS_TRY(card.current_file(file));
  if (file.kind != FileKind::rsa_key) return Sw::incompatible_file;
  return card.keys.modulus(file, reply.claim(file.size / 8U));
}

// 0102: public exponent of the current key file, three octets as a rule.
Sw write_public_exponent(System& card, Writer& reply) {
  File file;
  KARTA_OS_TRY(card.current_file(file));
  if (file.kind != FileKind::rsa_key) return Sw::incompatible_file;
  u32 exponent = 0;
  KARTA_OS_TRY(card.keys.public_exponent(file, exponent));
  if (exponent > 0xFFFFFF) reply.byte(static_cast<u8>(exponent >> 24));
  reply.byte(static_cast<u8>(exponent >> 16));
  reply.u16_be(static_cast<u16>(exponent));
  return Sw::ok;
}

// 0186: public point of the current key file under tag 86.
Sw write_public_point(System& card, Writer& reply) {
  File file;
  KARTA_OS_TRY(card.current_file(file));
  KeyShape shape;
  if (file.kind != FileKind::ec_key || !key_shape(file, shape)) return Sw::incompatible_file;
  const std::size_t n = point_bytes(shape.curve);
  reply.header(0x86, n);
  return card.keys.public_point(file, reply.claim(n));
}

constexpr DataObject kDataObjects[] = {
    {.p1_p2 = 0x01A0, .write = write_card_information}, {.p1_p2 = 0x01AA, .write = write_capabilities},
    {.p1_p2 = 0x01A1, .write = write_file_list},        {.p1_p2 = 0x0101, .write = write_modulus},
    {.p1_p2 = 0x0066, .write = write_recognition_data}, {.p1_p2 = 0x00E0, .write = write_key_information},
    {.p1_p2 = 0x00C1, .write = write_sequence_counter}, {.p1_p2 = 0x0042, .write = write_issuer_number},
    {.p1_p2 = 0x0045, .write = write_card_number},      {.p1_p2 = 0x0102, .write = write_public_exponent},
    {.p1_p2 = 0x0186, .write = write_public_point},     {.p1_p2 = 0x01B0, .write = write_card_state},
};

bool all(ByteView value, u8 octet) {
  for (const u8 c : value) {
    if (c != octet) return false;
  }
  return true;
}

bool digits(ByteView value) {
  for (const u8 c : value) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// Once access rules are in force, reference data is added under the application's CREATE rule and never overwritten:
// else PUT DATA would be a way around every PUK.
Sw require_new_secret(System& card, const Secret& present) {
  if (!card.activated) return Sw::ok;
  if (present.is_set()) return Sw::conditions_not_satisfied;
  File esign;
  KARTA_OS_TRY(card.files.find_child(kMasterFileSlot, kEsignFileId, esign));
  return card.require(esign, Right::create_ef);
}

Sw store_secret(System& card, u8 index, const Secret& secret) {
  Transaction transaction(card.journal, 1);
  KARTA_OS_TRY(transaction.status());
  card.journal.set_stamp(static_cast<u16>(card.change_counter() + 1));
  KARTA_OS_TRY(card.secrets.store(index, secret));
  return transaction.commit();
}

// A PIN in use that was made so takes a new transport value from the issuer's session, with all its tries; nothing else
// about it changes. Without the mark only its PUK unblocks it: a qualified key stays its holder's alone.
Sw reset_by_issuer(System& card, u8 reference, u8 index, Secret& secret, u8 flags, ByteView pin) {
  const u8 kept = static_cast<u8>((secret.flags & ~Secret::kDeactivated) | Secret::kTransport);
  if (!card.administers(kIssuer) || (secret.flags & Secret::kIssuerResets) == 0 || flags != kept) {
    return Sw::conditions_not_satisfied;
  }
  secret.flags = static_cast<u8>(secret.flags | Secret::kTransport);
  secret.tries = secret.max_tries;
  wipe(secret.value);
  copy(secret.value, pin);
  card.security.revoke(reference);
  return store_secret(card, index, secret);
}

Sw put_pin(System& card, u8 reference, ByteView data) {
  u8 index = 0;
  KARTA_OS_TRY(reference_index(card, reference, index));
  if (data.size() != kPinObjectBytes) return Sw::wrong_length;
  const ByteView pin = data.first(kPinBytes);
  const ByteView puk = data.subspan(kPinBytes, kPinBytes);
  const u8 tries = data[16];
  const u8 puk_tries = data[17];
  const u8 options = data[18];
  const bool transport = (options & kObjectTransport) != 0;
  const bool shared_puk = (options & kObjectSharedPuk) != 0;
  const bool issuer_resets = (options & kObjectIssuerResets) != 0;
  if ((options & ~(kObjectTransport | kObjectSharedPuk | kObjectIssuerResets)) != 0) return Sw::incorrect_data;
  if (tries == 0 || tries > kMaxTries) return Sw::incorrect_data;
  if (transport ? !digits(pin.first(kTransportDigits)) || !all(pin.subspan(kTransportDigits), 0xFF)
                : !valid_pin(pin, false)) {
    return Sw::incorrect_data;
  }
  if (shared_puk ? !all(puk, 0xFF) : puk_tries == 0 || puk_tries > kMaxTries || !valid_pin(puk, false)) {
    return Sw::incorrect_data;
  }

  Secret secret;
  KARTA_OS_TRY(card.secrets.load(index, secret));
  const u8 flags =
      static_cast<u8>(Secret::kSet | (transport ? Secret::kTransport : 0) | (shared_puk ? Secret::kHasSharedPuk : 0) |
                      (issuer_resets ? Secret::kIssuerResets : 0));
  if (card.activated && secret.is_set()) return reset_by_issuer(card, reference, index, secret, flags, pin);
  KARTA_OS_TRY(require_new_secret(card, secret));
  secret.flags = flags;
  secret.tries = secret.max_tries = tries;
  secret.puk_tries = secret.max_puk_tries = shared_puk ? 0 : puk_tries;
  wipe(secret.value);
  copy(secret.value, pin);
  copy(secret.puk, puk);
  card.security.revoke(reference);
  return store_secret(card, index, secret);
}

// 01 0F: the PUK of an issued card: ten digits, tries.
Sw put_shared_puk(System& card, ByteView data) {
  if (data.size() != kPukDigits + 1) return Sw::wrong_length;
  const u8 tries = data[kPukDigits];
  if (!digits(data.first(kPukDigits)) || tries == 0 || tries > kMaxTries) return Sw::incorrect_data;
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(kSharedPuk, secret));
  KARTA_OS_TRY(require_new_secret(card, secret));
  secret.flags = Secret::kSet;
  secret.tries = secret.max_tries = tries;
  wipe(secret.value);
  copy(secret.value, data.first(kPukDigits));
  return store_secret(card, kSharedPuk, secret);
}

// 01 10: the CAN, six digits.
Sw put_can(System& card, ByteView data) {
  if (data.size() != kCanDigits) return Sw::wrong_length;
  if (!digits(data)) return Sw::incorrect_data;
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(kCan, secret));
  KARTA_OS_TRY(require_new_secret(card, secret));
  secret = {};
  secret.flags = Secret::kSet;
  copy(secret.value, data);
  return store_secret(card, kCan, secret);
}

// 01 E0: the card as it was when blank, with new rules: FF FF, rules of the MF (3), rules of DF 5015 (3).
// The change counter goes on: a terminal must not take the new content for the old.
Sw wipe_card(System& card, ByteView data) {
  if (data.size() != 8) return Sw::wrong_length;
  if (card.issued()) return Sw::conditions_not_satisfied;  // its life moves one way
  File mf;
  KARTA_OS_TRY(card.files.load(kMasterFileSlot, mf));
  KARTA_OS_TRY(card.require(mf, Right::initialise));
  AccessRules mf_rules;
  AccessRules esign_rules;
  copy(mf_rules.octets, data.subspan(2, 3));
  copy(esign_rules.octets, data.subspan(5, 3));

  const bool was_activated = card.activated;
  const u16 epoch = card.anchors.epoch;
  Transaction transaction(card.journal, kMaxTransactionPages);
  KARTA_OS_TRY(transaction.status());
  card.journal.set_stamp(static_cast<u16>(card.change_counter() + 1));
  card.activated = false;
  Sw sw = card.write_blank(mf_rules, esign_rules);
  if (sw == Sw::ok) sw = transaction.commit();
  if (sw != Sw::ok) {
    card.activated = was_activated;
    card.anchors.epoch = epoch;
    return sw;
  }
  card.forget_selection();
  return card.files.collect();
}

constexpr u8 kSymmetricKeyObject = 0x8A;

Sw put_key_part(System& card, u8 part, ByteView value) {
  File file;
  KARTA_OS_TRY(card.current_file(file));
  if (part == kSymmetricKeyObject ? file.kind != FileKind::aes_key : !file.is_key()) return Sw::incompatible_file;
  KARTA_OS_TRY(card.require_usable(file));
  KARTA_OS_TRY(card.require_administrator(file));
  KARTA_OS_TRY(card.require(file, Right::update));
  if (value.empty()) return Sw::wrong_length;
  const u16 counter = card.counter_after_change(file.slot);
  return part == kSymmetricKeyObject ? card.symmetric_keys.import(file, value, counter)
                                     : card.keys.import_part(file, part, value, counter);
}

}  // namespace

// 7816-4 section 11.5.3, GET DATA.
Sw get_data(System& card, const Command& command, Writer& reply) {
  if (!command.data.empty()) return Sw::wrong_length;
  for (const DataObject& object : kDataObjects) {
    if (object.p1_p2 == command.p1_p2()) return object.write(card, reply);
  }
  return Sw::referenced_data_not_found;
}

// 7816-4 section 11.5.6, PUT DATA.
Sw put_data(System& card, const Command& command, Writer&) {
  if (command.p1 != 0x01) return Sw::referenced_data_not_found;
  if (command.p2 >= 0x80 && command.p2 <= kSymmetricKeyObject) return put_key_part(card, command.p2, command.data);
  // Everything else is the card's, and the issuer's to put: a domain's session has no business here.
  if (card.issued() && !card.administers(kIssuer)) return Sw::security_status_not_satisfied;
  if (command.p1_p2() == kWipe) return wipe_card(card, command.data);
  if (command.p1_p2() == kSharedPukObject) return put_shared_puk(card, command.data);
  if (command.p1_p2() == kCanObject) return put_can(card, command.data);
  if (command.p1_p2() == kTrustAnchorObject) return put_trust_anchor(card, command.data);
  if (command.p1_p2() == kCardDateObject) return put_card_date(card, command.data);
  if (command.p2 >= 0x01 && command.p2 <= kPinCount) return put_pin(card, command.p2, command.data);
  return Sw::referenced_data_not_found;
}

}  // namespace karta::os
