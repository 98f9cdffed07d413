// Commands: each function makes one command of ISO 7816-4, -8 or -9 (or of the MyEID profile), nothing more.
#pragma once

#include "base/secret.h"
#include "card/apdu.h"

namespace karta::card {

/// ISO 7816-4 §11.2.2 SELECT: what is to come back.
enum class SelectReturn : std::uint8_t { control_parameters = 0x04, nothing = 0x0C };

CommandApdu select_master_file(SelectReturn wanted);
/// By application identifier, 1 to 16 octets.
CommandApdu select_application(ByteView aid, SelectReturn wanted);
/// By path from the MF, which is not named (ISO 7816-4 P1 = 08).
CommandApdu select_path_from_master(ByteView path, SelectReturn wanted);
/// By file identifier under the current DF (P1 = 00).
CommandApdu select_file(std::uint16_t file_id, SelectReturn wanted);

/// §11.3.3 READ BINARY of the current EF; `offset` under 32,768.
CommandApdu read_binary(std::size_t offset, std::size_t count);
/// The same by short file identifier (1 to 30), from offset 0.
CommandApdu read_binary_short_id(std::uint8_t short_id, std::size_t count);
/// §11.3.5 UPDATE BINARY of the current EF.
CommandApdu update_binary(std::size_t offset, ByteView content);

/// §11.7.2 GET DATA, even INS.
CommandApdu get_data(std::uint16_t object, std::size_t count);
/// §11.7.6 PUT DATA, even INS.
CommandApdu put_data(std::uint16_t object, ByteView content, bool sensitive);

/// §11.6.6 VERIFY; `pin` as it stands on the wire (padded).
CommandApdu verify(std::uint8_t reference, ByteView pin);
/// VERIFY without data: asks for the state, costs no try.
CommandApdu verify_status(std::uint8_t reference);
/// §11.6.7 CHANGE REFERENCE DATA, old then new.
CommandApdu change_reference_data(std::uint8_t reference, ByteView old_pin, ByteView new_pin);
/// §11.6.10 RESET RETRY COUNTER, resetting code then new reference data.
CommandApdu reset_retry_counter(std::uint8_t reference, ByteView puk, ByteView new_pin);
/// MyEID: forget every verified PIN; with a reference, that one (cards of ours).
CommandApdu log_out(std::uint8_t reference = 0);
/// §11.6.3 GET CHALLENGE: `count` random octets, 1 to 256.
CommandApdu get_challenge(std::size_t count);

/// ISO 7816-4 §11.6.11 MANAGE SECURITY ENVIRONMENT SET, as the MyEID profile wants it.
enum class SecurityTemplate : std::uint8_t { authentication = 0xA4, signature = 0xB6, confidentiality = 0xB8 };
CommandApdu manage_security_environment(SecurityTemplate purpose, std::uint8_t algorithm, std::uint16_t key_file);
/// ISO 7816-8 §11.8 PSO: COMPUTE DIGITAL SIGNATURE.
CommandApdu compute_digital_signature(ByteView input, std::size_t count);
/// ISO 7816-8 §11.12 PSO: DECIPHER; the padding indicator is put before `cryptogram`.
CommandApdu decipher(ByteView cryptogram, std::size_t count);
/// ISO 7816-4 §11.6.5 GENERAL AUTHENTICATE with the other party's public point (key agreement, MyEID profile).
CommandApdu key_agreement(ByteView point, std::size_t count);
/// ISO 7816-8 §11.3 GENERATE ASYMMETRIC KEY PAIR in the current key file; `parameters` empty for elliptic curves.
CommandApdu generate_key_pair(ByteView parameters, std::size_t count);

/// ISO 7816-9 §7.2 CREATE FILE with file control parameters, the 62 template.
CommandApdu create_file(ByteView control_parameters);
/// ISO 7816-9 §7.3 DELETE FILE under the current DF.
CommandApdu delete_file(std::uint16_t file_id);
/// ISO 7816-9 §7.5 ACTIVATE FILE.
CommandApdu activate_file(std::uint16_t file_id);

}  // namespace karta::card
