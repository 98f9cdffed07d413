// Signing, deciphering, key agreement, and generating keys.
#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

using Operation = SecurityEnvironment::Operation;

// Control reference templates of MSE SET (7816-4 table 79) and the key usage each needs.
struct Template {
  u8 p2;
  Operation operation;
  FileKind key;  // none: either type
  u8 usage;
};
constexpr Template kTemplates[] = {
    {.p2 = 0xB6, .operation = Operation::sign, .key = FileKind::none, .usage = kUsageSign},
    {.p2 = 0xB8, .operation = Operation::decipher, .key = FileKind::rsa_key, .usage = kUsageDecipher},
    {.p2 = 0xA4, .operation = Operation::agree, .key = FileKind::ec_key, .usage = kUsageAgree},
};

// Algorithm references of MyEID's MSE.
struct Algorithm {
  u8 reference;
  FileKind key;
  bool pkcs1;        // the card adds or takes off the padding
  bool sha1_digest;  // the card puts SHA-1's DigestInfo in front
};
constexpr Algorithm kAlgorithms[] = {
    {.reference = 0x00, .key = FileKind::rsa_key, .pkcs1 = false, .sha1_digest = false},
    {.reference = 0x02, .key = FileKind::rsa_key, .pkcs1 = true, .sha1_digest = false},
    {.reference = 0x12, .key = FileKind::rsa_key, .pkcs1 = true, .sha1_digest = true},
    {.reference = 0x04, .key = FileKind::ec_key, .pkcs1 = false, .sha1_digest = false},
};

const Algorithm* find_algorithm(u8 reference, FileKind key) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.reference == reference && algorithm.key == key) return &algorithm;
  }
  return nullptr;
}

// SHA-1's DigestInfo up to the hash (RFC 8017 section 9.2 note 1).
constexpr u8 kSha1DigestInfo[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E,
                                  0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14};
constexpr std::size_t kSha1Bytes = 20;

// The key of the environment, if `operation` is what it was set up for, its usage allows it and its PIN was verified.
Sw ready_key(System& card, Operation operation, File& key) {
  if (card.environment.operation != operation) return Sw::conditions_not_satisfied;
  KARTA_OS_TRY(card.files.load(card.environment.key_slot, key));
  if (!key.is_key()) return Sw::incompatible_file;
  KARTA_OS_TRY(card.require_usable(key));
  return card.require(key, Right::use);
}

// A key with a consent nibble answers once for each time its PIN was verified: the right goes before the result comes.
void spend_consent(System& card, const File& key) {
  const u8 reference = key.properties[0] >> 4;
  if (reference >= 1 && reference <= kPinCount) card.security.revoke(reference);
}

// RFC 8017 section 9.2: 00 01 FF .. FF 00 T.
bool encode_pkcs1(ByteView prefix, ByteView message, ByteSpan block) {
  const std::size_t t = prefix.size() + message.size();
  if (block.size() < t + 11) return false;
  const std::size_t padding = block.size() - t - 3;
  block[0] = 0x00;
  block[1] = 0x01;
  for (std::size_t i = 0; i < padding; ++i) block[2 + i] = 0xFF;
  block[2 + padding] = 0x00;
  copy(block.subspan(3 + padding), prefix);
  copy(block.subspan(3 + padding + prefix.size()), message);
  return true;
}

// RFC 8017 section 7.2.2: 00 02, eight or more non-zero octets, 00, M. Looks at every octet whatever it holds; only the
// verdict shows. The holder's PIN stands before this oracle.
bool decode_pkcs1(ByteView block, std::size_t& message_offset) {
  u32 bad = block[0] | (block[1] ^ 0x02U);
  u32 offset = 0;
  u32 found = 0;
  for (std::size_t i = 2; i < block.size(); ++i) {
    const u32 is_zero = (static_cast<u32>(block[i]) - 1U) >> 31;
    offset |= (is_zero & ~found & 1U) * static_cast<u32>(i + 1);
    found |= is_zero;
  }
  bad |= found ^ 1U;
  bad |= (offset - 11U) >> 31;  // 2 octets, 8 of padding, the 00
  message_offset = offset;
  return bad == 0;
}

// ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 section 2.2.3).
std::size_t integer_bytes(ByteView value, ByteView& trimmed) {
  while (value.size() > 1 && value[0] == 0) value = value.subspan(1);
  trimmed = value;
  return value.size() + ((value[0] & 0x80) != 0 ? 1 : 0);
}

void write_integer(Writer& out, ByteView trimmed, std::size_t length) {
  out.header(0x02, length);
  if (length > trimmed.size()) out.byte(0x00);
  out.bytes(trimmed);
}

void write_ecdsa_signature(Writer& out, ByteView raw) {
  ByteView r;
  ByteView s;
  const std::size_t r_bytes = integer_bytes(raw.first(raw.size() / 2), r);
  const std::size_t s_bytes = integer_bytes(raw.last(raw.size() / 2), s);
  out.header(0x30, Writer::header_bytes(0x02, r_bytes) + r_bytes + Writer::header_bytes(0x02, s_bytes) + s_bytes);
  write_integer(out, r, r_bytes);
  write_integer(out, s, s_bytes);
}

Sw sign_rsa(System& card, const File& key, ByteView input, Writer& reply) {
  const Algorithm* algorithm = find_algorithm(card.environment.algorithm, FileKind::rsa_key);
  if (algorithm == nullptr) return Sw::conditions_not_satisfied;
  const std::size_t k = key.size / 8U;
  u8 block[kMaxModulusBytes];
  const WipeOnExit wipe_block(block);
  const ByteSpan in = ByteSpan(block).first(k);
  if (!algorithm->pkcs1) {
    if (input.size() != k) return Sw::wrong_length;
    copy(in, input);
  } else {
    if (algorithm->sha1_digest && input.size() != kSha1Bytes) return Sw::wrong_length;
    if (!encode_pkcs1(algorithm->sha1_digest ? ByteView(kSha1DigestInfo) : ByteView(), input, in)) {
      return Sw::wrong_length;
    }
  }
  spend_consent(card, key);
  return card.keys.rsa_private(key, in, reply.claim(k));
}

Sw sign_ec(System& card, const File& key, ByteView input, Writer& reply) {
  KeyShape shape;
  if (!key_shape(key, shape)) return Sw::incompatible_file;
  const std::size_t n = field_bytes(shape.curve);
  // Terminals pad a short hash with zeros up to the field; taken as 528 bits, the coprocessor would cut seven of them
  // off a P-521 hash on the right. The zeros carry nothing, so they go.
  while (input.size() > 64 && input[0] == 0) input = input.subspan(1);
  if (input.size() > n) input = input.first(n);
  u8 raw[2 * kMaxFieldBytes];
  const WipeOnExit wipe_raw(raw);
  spend_consent(card, key);
  KARTA_OS_TRY(card.keys.ec_sign(key, input, ByteSpan(raw).first(2 * n)));
  write_ecdsa_signature(reply, ByteView(raw).first(2 * n));
  return Sw::ok;
}

// 7816-8 section 5.4, COMPUTE DIGITAL SIGNATURE (P1-P2 9E 9A): the data field is the hash, the DigestInfo or the block.
Sw compute_signature(System& card, const Command& command, Writer& reply) {
  File key;
  KARTA_OS_TRY(ready_key(card, Operation::sign, key));
  if (command.data.empty()) return Sw::wrong_length;
  return key.kind == FileKind::rsa_key ? sign_rsa(card, key, command.data, reply)
                                       : sign_ec(card, key, command.data, reply);
}

// 7816-8 section 5.10, DECIPHER (P1-P2 80 86): a padding indicator, then the cryptogram. 00: all of it; 81 and 82: its
// first and second half in two commands, as terminals without chaining do with MyEID cards.
Sw decipher(System& card, const Command& command, Writer& reply) {
  File key;
  KARTA_OS_TRY(ready_key(card, Operation::decipher, key));
  if (key.kind != FileKind::rsa_key) return Sw::incompatible_file;
  const Algorithm* algorithm = find_algorithm(card.environment.algorithm, FileKind::rsa_key);
  if (algorithm == nullptr || algorithm->sha1_digest) return Sw::conditions_not_satisfied;
  if (command.data.size() < 2) return Sw::wrong_length;
  const u8 indicator = command.data[0];
  const ByteView part = command.data.subspan(1);
  const std::size_t k = key.size / 8U;

  u8 input[kMaxModulusBytes];
  const WipeOnExit wipe_input(input);
  std::size_t n = 0;
  const std::size_t first_half = card.cryptogram_bytes;
  card.cryptogram_bytes = 0;
  switch (indicator) {
    case 0x81:
      if (part.size() > sizeof card.cryptogram || part.size() >= k) return Sw::wrong_length;
      copy(card.cryptogram, part);
      card.cryptogram_bytes = static_cast<u16>(part.size());
      return Sw::ok;
    case 0x82:
      if (first_half == 0) return Sw::conditions_not_satisfied;
      copy(input, ByteView(card.cryptogram).first(first_half));
      n = first_half;
      [[fallthrough]];
    case 0x00:
      if (n + part.size() != k) return Sw::wrong_length;
      copy(ByteSpan(input).subspan(n), part);
      break;
    default:
      return Sw::incorrect_data;
  }
  spend_consent(card, key);
  u8 plain[kMaxModulusBytes];
  const WipeOnExit wipe_plain(plain);
  const ByteSpan block = ByteSpan(plain).first(k);
  KARTA_OS_TRY(card.keys.rsa_private(key, ByteView(input).first(k), block));
  if (!algorithm->pkcs1) {
    reply.bytes(block);
    return Sw::ok;
  }
  std::size_t offset = 0;
  if (!decode_pkcs1(block, offset)) return Sw::incorrect_data;
  reply.bytes(block.subspan(offset));
  return Sw::ok;
}

// The data of MSE SET: 80 algorithm, 81 key file, 84 key reference (MyEID: always 00).
Sw set_environment(System& card, const Template& row, ByteView data) {
  u8 algorithm = 0;
  u16 file_id = 0;
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    const ByteView v = object.value;
    switch (object.tag) {
      case 0x80:
        if (v.size() != 1) return Sw::incorrect_data;
        algorithm = v[0];
        break;
      case 0x81:  // an identifier, or a path that ends in it
        if (v.size() < 2 || v.size() % 2 != 0) return Sw::incorrect_data;
        file_id = read_u16(v.last(2).data());
        break;
      case 0x84:
        if (v.size() != 1 || v[0] != 0) return Sw::incorrect_data;
        break;
      default:
        return Sw::incorrect_data;
    }
  }
  if (!cursor.ok() || file_id == 0) return Sw::incorrect_data;

  File key;
  Sw sw = card.files.find_child(card.current_df, file_id, key);
  if (sw == Sw::file_not_found) {
    File esign;
    KARTA_OS_TRY(card.files.find_child(kMasterFileSlot, kEsignFileId, esign));
    sw = card.files.find_child(esign.slot, file_id, key);
  }
  if (sw == Sw::file_not_found) return Sw::referenced_data_not_found;
  KARTA_OS_TRY(sw);
  if (!key.is_key() || (row.key != FileKind::none && row.key != key.kind)) return Sw::incompatible_file;
  if (find_algorithm(algorithm, key.kind) == nullptr) return Sw::incorrect_data;
  // Key purpose: a signature key never deciphers, an encryption key never signs (behaviour 32).
  const u8 usage = key.properties[1];
  if (usage != 0 && (usage & row.usage) == 0) return Sw::conditions_not_satisfied;
  card.environment = {.operation = row.operation, .algorithm = algorithm, .key_slot = key.slot};
  return Sw::ok;
}

bool begins_with(ByteView data, u8 tag) { return !data.empty() && data[0] == tag; }

// An object identifier in tag 80 means a protocol of TR-03110; MyEID has a single octet there.
bool names_protocol(ByteView data) { return data.size() > 2 && data[0] == 0x80 && data[1] > 1; }

// The public key as answer to GENERATE with Le: 7F49 {81 modulus, 82 exponent} or {86 point} (7816-8 table 5).
Sw write_public_key(System& card, const File& file, Writer& reply) {
  KeyShape shape;
  if (!key_shape(file, shape)) return Sw::incompatible_file;
  if (!shape.rsa) {
    const std::size_t n = point_bytes(shape.curve);
    reply.header(0x7F49, Writer::header_bytes(0x86, n) + n);
    reply.header(0x86, n);
    return card.keys.public_point(file, reply.claim(n));
  }
  constexpr u8 kExponent[] = {0x01, 0x00, 0x01};
  const std::size_t k = shape.modulus_bytes;
  reply.header(0x7F49, Writer::header_bytes(0x81, k) + k + 2 + sizeof kExponent);
  reply.header(0x81, k);
  KARTA_OS_TRY(card.keys.modulus(file, reply.claim(k)));
  reply.object(0x82, kExponent);
  return Sw::ok;
}

}  // namespace

// 7816-4 section 11.6.11, MANAGE SECURITY ENVIRONMENT. SET with P1 = 41 (or 81, C1: the low bits say SET, the high ones
// which secure messaging direction it is for) and RESTORE of the empty environment, P1-P2 F3 00.
Sw manage_security_environment(System& card, const Command& command, Writer& reply) {
  card.cryptogram_bytes = 0;
  if (command.p1_p2() == 0xC1A4) return begin_pace(card, command, reply);
  if (card.exposed()) return Sw::security_status_not_satisfied;
  if (command.p1_p2() == 0xF300) {
    card.environment = {};
    return Sw::ok;
  }
  if (command.p1 != 0x41 && command.p1 != 0x81 && command.p1 != 0xC1) return Sw::incorrect_p1_p2;
  card.environment = {};
  card.pace.stop();
  if (command.p1_p2() == 0x81B6 && begins_with(command.data, 0x83)) {
    return select_certificate_issuer(card, command.data);
  }
  if (command.p2 == 0xA4 && names_protocol(command.data)) {
    return command.p1 == 0x81 ? announce_terminal(card, command.data) : announce_chip_protocol(card, command.data);
  }
  for (const Template& row : kTemplates) {
    if (row.p2 == command.p2) return set_environment(card, row, command.data);
  }
  return Sw::incorrect_p1_p2;
}

// 7816-8 section 5.3, PERFORM SECURITY OPERATION.
Sw perform_security_operation(System& card, const Command& command, Writer& reply) {
  switch (command.p1_p2()) {
    case 0x9E9A:
      return compute_signature(card, command, reply);
    case 0x8086:
      return decipher(card, command, reply);
    case 0x00BE:
      return verify_certificate(card, command);
    default:
      return Sw::incorrect_p1_p2;
  }
}

// 7816-4 section 11.6.5, GENERAL AUTHENTICATE: a step of the protocol the environment was set up for; else as MyEID
// uses it for ECDH: 7C {85 point}; the answer is the x coordinate.
Sw general_authenticate(System& card, const Command& command, Writer& reply) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  switch (card.environment.operation) {
    case Operation::pace:
      return continue_pace(card, command, reply);
    case Operation::chip_authentication:
      return authenticate_chip(card, command, reply);
    case Operation::restricted_identification:
      return identify_to_sector(card, command, reply);
    default:
      break;
  }
  if (card.exposed()) return Sw::security_status_not_satisfied;
  File key;
  KARTA_OS_TRY(ready_key(card, Operation::agree, key));
  KeyShape shape;
  if (key.kind != FileKind::ec_key || !key_shape(key, shape)) return Sw::incompatible_file;
  TlvCursor outer(command.data);
  Tlv dynamic;
  if (!outer.next(dynamic) || dynamic.tag != 0x7C) return Sw::incorrect_data;
  TlvCursor inner(dynamic.value);
  Tlv point;
  if (!inner.next(point) || point.tag != 0x85 || point.value.size() != point_bytes(shape.curve)) {
    return Sw::incorrect_data;
  }
  spend_consent(card, key);
  return card.keys.ec_agree(key, point.value, reply.claim(field_bytes(shape.curve)));
}

// 7816-8 section 5.1, GENERATE ASYMMETRIC KEY PAIR into the current key file. RSA may name the public exponent,
// 30 {81 exponent}; only 65537 is made. With Le the public key is the answer.
Sw generate_key_pair(System& card, const Command& command, Writer& reply) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  File file;
  KARTA_OS_TRY(card.current_file(file));
  if (!file.is_key()) return Sw::incompatible_file;
  KARTA_OS_TRY(card.require_usable(file));
  KARTA_OS_TRY(card.require(file, Right::generate));
  if (!command.data.empty()) {
    constexpr u8 kF4[] = {0x01, 0x00, 0x01};
    TlvCursor outer(command.data);
    Tlv parameters;
    if (file.kind != FileKind::rsa_key || !outer.next(parameters) || parameters.tag != 0x30) return Sw::incorrect_data;
    TlvCursor inner(parameters.value);
    Tlv exponent;
    if (!inner.next(exponent) || exponent.tag != 0x81 || !equal(exponent.value, kF4)) return Sw::incorrect_data;
  }
  KARTA_OS_TRY(card.keys.generate(file, card.counter_after_change(file.slot)));
  return command.ne == 0 ? Sw::ok : write_public_key(card, file, reply);
}

}  // namespace karta::os
