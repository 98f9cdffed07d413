// Chip authentication version 2 (BSI TR-03110-3 section 3.4 and B.11) and restricted identification (section 3.5): the
// identity application's two protocols on static keys.
#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

using Operation = SecurityEnvironment::Operation;

constexpr std::size_t kNonceBytes = 8;

// The key file `reference` names in the identity application, if it has the usage. One answer for all that is not so:
// what keys there are is told by EF.CardSecurity.
Sw find_key(System& card, u8 reference, u8 usage, File& out) {
  File identity;
  if (card.files.find_child(kMasterFileSlot, kIdentityFileId, identity) != Sw::ok ||
      card.files.find_child(identity.slot, reference, out) != Sw::ok || out.kind != FileKind::ec_key ||
      (out.properties[1] & usage) == 0) {
    return Sw::referenced_data_not_found;
  }
  return card.require_usable(out);
}

struct Request {
  ByteView protocol;
  ByteView key;
};

bool parse_request(ByteView data, Request& out) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    ByteView* field = object.tag == 0x80 ? &out.protocol : object.tag == 0x84 ? &out.key : nullptr;
    if (field == nullptr || field->data() != nullptr || object.value.empty()) return false;
    *field = object.value;
  }
  return cursor.ok() && !out.protocol.empty() && out.key.size() == 1;
}

// 7816-4 section 11.6.5: dynamic authentication data, 7C {..}.
bool take_dynamic(ByteView data, ByteView& contents) { return take(data, 0x7C, contents) && data.empty(); }

// The digest of a restricted identification protocol: number 3, 4, 5 (1 and 2, SHA-1 and SHA-224, are not ours).
bool identification_digest(u8 number, Digest& out) {
  constexpr Digest kDigests[] = {Digest::sha256, Digest::sha384, Digest::sha512};
  if (number < 3 || number > 5) return false;
  out = kDigests[number - 3];
  return true;
}

// Is this the sector key whose hash the terminal's certificate carries? The hash is over the whole object 7F49, by the
// algorithm of the certificate (TR-03110-3 C.3.2).
Sw check_sector(System& card, ByteView contents, std::size_t sector) {
  const TerminalAuthentication& state = card.terminal;
  const ByteView expected = ByteView(state.sectors[sector]).first(state.sector_bytes[sector]);
  if (expected.empty()) return Sw::conditions_not_satisfied;
  Digest digest = Digest::sha256;
  if (!digest_of(state.imported.algorithm, digest)) return Sw::conditions_not_satisfied;
  u8 header[5];
  Writer writer{ByteSpan(header)};
  writer.header(0x7F49, contents.size());
  const ByteView message[] = {writer.written(), contents};
  u8 hash[kMaxDigestBytes];
  const ByteSpan octets = ByteSpan(hash).first(digest_bytes(digest));
  if (card.hal.digest(digest, message, octets) != HalStatus::ok) return Sw::no_diagnosis;
  return equal(octets, expected) ? Sw::ok : Sw::incorrect_data;
}

Sw identify(System& card, ByteView contents, Writer& reply) {
  std::size_t sector = 0;
  ByteView sector_key;
  if (!take(contents, 0xA0, sector_key)) {
    sector = 1;
    if (!take(contents, 0xA2, sector_key)) return Sw::incorrect_data;
  }
  if (!contents.empty()) return Sw::incorrect_data;
  File key;
  KeyShape shape;
  KARTA_OS_TRY(card.files.load(card.environment.key_slot, key));
  if (!key_shape(key, shape)) return Sw::incompatible_file;
  KARTA_OS_TRY(check_sector(card, sector_key, sector));
  PublicKeyObject object;
  Protocol protocol;
  Digest digest = Digest::sha256;
  if (!parse_public_key(card.hal, sector_key, object) || !parse_protocol(object.algorithm, protocol) ||
      protocol.family != 5 || protocol.variant != 2 || object.point.size() != point_bytes(shape.curve) ||
      (object.has_domain && object.domain != shape.curve) ||
      !identification_digest(card.environment.algorithm, digest)) {
    return Sw::incorrect_data;
  }
  u8 x[kMaxFieldBytes];
  const WipeOnExit wipe_x(x);
  const ByteSpan agreed = ByteSpan(x).first(field_bytes(shape.curve));
  KARTA_OS_TRY(card.keys.ec_agree(key, object.point, agreed));
  const std::size_t n = digest_bytes(digest);
  reply.header(0x7C, 2 + n);
  reply.header(sector == 0 ? 0x81 : 0x83, n);
  const ByteView message[] = {agreed};
  return card.hal.digest(digest, message, reply.claim(n)) == HalStatus::ok ? Sw::ok : Sw::no_diagnosis;
}

}  // namespace

// TR-03110-3 B.11.1, MSE SET AT with P1-P2 41A4 {80 protocol, 84 key}.
Sw announce_chip_protocol(System& card, ByteView data) {
  Request request;
  Protocol protocol;
  if (!parse_request(data, request) || !parse_protocol(request.protocol, protocol)) return Sw::incorrect_data;
  File key;
  switch (protocol.family) {
    case 3:  // chip authentication: once, in the channel where the terminal has proven itself (behaviour 21)
      if (card.channel.kind() != ChannelKind::pace || card.security.terminal() == TerminalType::none ||
          card.security.chip_authenticated()) {
        return Sw::security_status_not_satisfied;
      }
      if (protocol.variant != 2 || aes_key_bytes(protocol.number) == 0) return Sw::incorrect_data;
      KARTA_OS_TRY(find_key(card, request.key[0], kUsageChipAuthentication, key));
      card.environment.operation = Operation::chip_authentication;
      break;
    case 5: {
      Digest digest;
      if (!card.channel_is(ChannelKind::eac) || !card.security.chip_authenticated()) {
        return Sw::security_status_not_satisfied;
      }
      if (protocol.variant != 2 || !identification_digest(protocol.number, digest)) return Sw::incorrect_data;
      KARTA_OS_TRY(find_key(card, request.key[0], kUsageRestrictedIdentification, key));
      const bool authorised_only = (key.properties[1] & kUsageAuthorisedOnly) != 0;
      if (authorised_only && !card.security.has_right(kRightRestrictedIdentification)) {
        return Sw::security_status_not_satisfied;
      }
      card.environment.operation = Operation::restricted_identification;
      break;
    }
    default:
      return Sw::incorrect_data;
  }
  card.environment.algorithm = protocol.number;
  card.environment.key_slot = key.slot;
  return Sw::ok;
}

// TR-03110-3 B.11.2, GENERAL AUTHENTICATE of chip authentication: 7C {80 key} in, 7C {81 nonce, 82 token} out. The key
// is the one whose x the terminal signed; so whoever authenticated itself is who talks on.
Sw authenticate_chip(System& card, const Command& command, Writer& reply) {
  const u8 number = card.environment.algorithm;
  const u8 key_slot = card.environment.key_slot;
  card.environment = {};
  ByteView contents;
  ByteView theirs;
  if (!take_dynamic(command.data, contents) || !take(contents, 0x80, theirs) || !contents.empty()) {
    return Sw::incorrect_data;
  }
  File key;
  KeyShape shape;
  KARTA_OS_TRY(card.files.load(key_slot, key));
  if (!key_shape(key, shape)) return Sw::incompatible_file;
  const std::size_t n = field_bytes(shape.curve);
  if (theirs.size() != point_bytes(shape.curve)) return Sw::incorrect_data;
  const TerminalAuthentication& terminal = card.terminal;
  if (!equal(theirs.subspan(1, n), ByteView(terminal.ephemeral).first(terminal.ephemeral_bytes))) {
    return Sw::authentication_failed;
  }
  u8 x[kMaxFieldBytes];
  const WipeOnExit wipe_x(x);
  const ByteSpan agreed = ByteSpan(x).first(n);
  KARTA_OS_TRY(card.keys.ec_agree(key, theirs, agreed));
  u8 nonce[kNonceBytes];
  if (card.hal.random(nonce) != HalStatus::ok) return Sw::no_diagnosis;
  u8 keys[2 * kMaxAesKeyBytes];
  const WipeOnExit wipe_keys(keys);
  const std::size_t k = aes_key_bytes(number);
  const ByteSpan enc = ByteSpan(keys).first(k);
  const ByteSpan mac = ByteSpan(keys).subspan(kMaxAesKeyBytes, k);
  KARTA_OS_TRY(derive_key(card.hal, agreed, nonce, kDeriveEncryption, enc));
  KARTA_OS_TRY(derive_key(card.hal, agreed, nonce, kDeriveMac, mac));
  const u8 protocol[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x03, 0x02, number};
  u8 token[kTokenBytes];
  KARTA_OS_TRY(authentication_token(card.hal, mac, protocol, theirs, token));
  reply.header(0x7C, 4 + kNonceBytes + kTokenBytes);
  reply.object(0x81, nonce);
  reply.object(0x82, token);
  card.channel.start(ChannelKind::eac, enc, mac);
  card.security.authenticate_chip();
  return Sw::ok;
}

// GENERAL AUTHENTICATE of restricted identification: 7C {A0 key of the first sector} or {A2 of the second}, in one
// command or in two of which the first announces the second.
Sw identify_to_sector(System& card, const Command& command, Writer& reply) {
  ByteView contents;
  const Sw sw = take_dynamic(command.data, contents) ? identify(card, contents, reply) : Sw::incorrect_data;
  if (sw != Sw::ok || (command.cla & 0x10) == 0) card.environment = {};
  return sw;
}

}  // namespace karta::os
