#include "card/iso7816.h"

#include "base/tlv.h"

namespace karta::card {
namespace {

CommandApdu select_by(std::uint8_t p1, Bytes name, SelectReturn wanted) {
  CommandApdu command(0x00, 0xA4, p1, static_cast<std::uint8_t>(wanted), std::move(name));
  if (wanted != SelectReturn::nothing) command.le = kShortResponse;
  return command;
}

Bytes file_id_octets(std::uint16_t file_id) {
  Bytes octets;
  append_be16(octets, file_id);
  return octets;
}

std::uint8_t high(std::size_t value) { return static_cast<std::uint8_t>(value >> 8); }
std::uint8_t low(std::size_t value) { return static_cast<std::uint8_t>(value); }

}  // namespace

// 00 A4 00 P2 3F00
CommandApdu select_master_file(SelectReturn wanted) { return select_by(0x00, {0x3F, 0x00}, wanted); }
// 00 A4 04 P2 AID
CommandApdu select_application(ByteView aid, SelectReturn wanted) { return select_by(0x04, to_bytes(aid), wanted); }
// 00 A4 08 P2 path
CommandApdu select_path_from_master(ByteView path, SelectReturn wanted) {
  return select_by(0x08, to_bytes(path), wanted);
}
// 00 A4 00 P2 FID
CommandApdu select_file(std::uint16_t file_id, SelectReturn wanted) {
  return select_by(0x00, file_id_octets(file_id), wanted);
}

// 00 B0 offset offset Le
CommandApdu read_binary(std::size_t offset, std::size_t count) {
  return {0x00, 0xB0, static_cast<std::uint8_t>(high(offset) & 0x7F), low(offset), {}, count};
}
// 00 B0 80|SFI 00 Le
CommandApdu read_binary_short_id(std::uint8_t short_id, std::size_t count) {
  return {0x00, 0xB0, static_cast<std::uint8_t>(0x80 | (short_id & 0x1F)), 0x00, {}, count};
}
// 00 D6 offset offset content
CommandApdu update_binary(std::size_t offset, ByteView content) {
  return {0x00, 0xD6, static_cast<std::uint8_t>(high(offset) & 0x7F), low(offset), to_bytes(content)};
}

// 00 CA P1 P2 Le
CommandApdu get_data(std::uint16_t object, std::size_t count) {
  return {0x00, 0xCA, high(object), low(object), {}, count};
}
// 00 DA P1 P2 content
CommandApdu put_data(std::uint16_t object, ByteView content, bool sensitive) {
  CommandApdu command(0x00, 0xDA, high(object), low(object), to_bytes(content));
  command.sensitive = sensitive;
  return command;
}

// 00 20 00 reference PIN
CommandApdu verify(std::uint8_t reference, ByteView pin) {
  CommandApdu command(0x00, 0x20, 0x00, reference, to_bytes(pin));
  command.sensitive = true;
  return command;
}
// 00 20 00 reference
CommandApdu verify_status(std::uint8_t reference) { return {0x00, 0x20, 0x00, reference}; }
// 00 24 00 reference old new
CommandApdu change_reference_data(std::uint8_t reference, ByteView old_pin, ByteView new_pin) {
  CommandApdu command(0x00, 0x24, 0x00, reference, concat({old_pin, new_pin}));
  command.sensitive = true;
  return command;
}
// 00 2C 00 reference PUK new
CommandApdu reset_retry_counter(std::uint8_t reference, ByteView puk, ByteView new_pin) {
  CommandApdu command(0x00, 0x2C, 0x00, reference, concat({puk, new_pin}));
  command.sensitive = true;
  return command;
}
// 00 2E 00 reference
CommandApdu log_out(std::uint8_t reference) { return {0x00, 0x2E, 0x00, reference}; }

// 00 84 00 00
CommandApdu get_challenge(std::size_t count) { return {0x00, 0x84, 0x00, 0x00, {}, count}; }

// 00 22 41 A4|B6|B8 { 80 algorithm, 81 file identifier, 84 key number }: set for computation, decipherment and
// authentication. The key number inside a key file is always 0.
CommandApdu manage_security_environment(SecurityTemplate purpose, std::uint8_t algorithm, std::uint16_t key_file) {
  return {0x00, 0x22, 0x41, static_cast<std::uint8_t>(purpose),
          concat({make_tlv(0x80, Bytes{algorithm}), make_tlv(0x81, file_id_octets(key_file)),
                  make_tlv(0x84, Bytes{0x00})})};
}
// 00 2A 9E 9A input Le
CommandApdu compute_digital_signature(ByteView input, std::size_t count) {
  return {0x00, 0x2A, 0x9E, 0x9A, to_bytes(input), count};
}
// 00 2A 80 86 00 cryptogram Le; padding indicator 00: no further indication (ISO 7816-4 table 52)
CommandApdu decipher(ByteView cryptogram, std::size_t count) {
  CommandApdu command(0x00, 0x2A, 0x80, 0x86, concat({Bytes{0x00}, cryptogram}), count);
  command.sensitive = true;  // for its answer
  return command;
}
// 00 86 00 00 7C { 85 point } Le
CommandApdu key_agreement(ByteView point, std::size_t count) {
  CommandApdu command(0x00, 0x86, 0x00, 0x00, make_tlv(0x7C, make_tlv(0x85, point)), count);
  command.sensitive = true;  // for its answer
  return command;
}
// 00 46 00 00 parameters Le
CommandApdu generate_key_pair(ByteView parameters, std::size_t count) {
  return {0x00, 0x46, 0x00, 0x00, to_bytes(parameters), count};
}

// 00 E0 00 00 FCP
CommandApdu create_file(ByteView control_parameters) { return {0x00, 0xE0, 0x00, 0x00, to_bytes(control_parameters)}; }
// 00 E4 00 00 FID
CommandApdu delete_file(std::uint16_t file_id) { return {0x00, 0xE4, 0x00, 0x00, file_id_octets(file_id)}; }
// 00 44 00 00 FID
CommandApdu activate_file(std::uint16_t file_id) { return {0x00, 0x44, 0x00, 0x00, file_id_octets(file_id)}; }

}  // namespace karta::card
