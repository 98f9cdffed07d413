// The commands: one function each, all of one shape. Decoding of P1-P2 and data happens here, once; what a command
// answers it appends to `reply`, which counts only when the status word is 9000 or a warning.
#pragma once

#include "firmware-sim/os/apdu.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/system.h"
#include "firmware-sim/os/tlv.h"

namespace karta::os {

using Handler = Sw (*)(System& card, const Command& command, Writer& reply);

// file_commands.cpp: ISO/IEC 7816-4 section 11.2 to 11.3, 7816-9.
Sw select_file(System& card, const Command& command, Writer& reply);
Sw read_binary(System& card, const Command& command, Writer& reply);
Sw update_binary(System& card, const Command& command, Writer& reply);
Sw create_file(System& card, const Command& command, Writer& reply);
Sw delete_file(System& card, const Command& command, Writer& reply);
Sw activate_file(System& card, const Command& command, Writer& reply);
Sw deactivate_file(System& card, const Command& command, Writer& reply);
Sw terminate_df(System& card, const Command& command, Writer& reply);
Sw terminate_ef(System& card, const Command& command, Writer& reply);

// record_commands.cpp: 7816-4 section 11.4.
Sw read_record(System& card, const Command& command, Writer& reply);
Sw update_record(System& card, const Command& command, Writer& reply);
Sw append_record(System& card, const Command& command, Writer& reply);

// ledger_commands.cpp: taking from a ledger and putting into it, and its signed statement.
Sw open_ledger(System& card, const Command& command, Writer& reply);
Sw commit_ledger(System& card, const Command& command, Writer& reply);
Sw ratify_ledger(System& card, const Command& command, Writer& reply);
Sw internal_authenticate(System& card, const Command& command, Writer& reply);

// security_module.cpp: the terminal's side of the same, and what back offices and issuing centres ask for.
Sw prepare_terminal(System& card, const Command& command, Writer& reply);
Sw check_opening(System& card, const Command& command, Writer& reply);
Sw authorise_commit(System& card, const Command& command, Writer& reply);
Sw confirm_commit(System& card, const Command& command, Writer& reply);
Sw compute_settlement_code(System& card, const Command& command, Writer& reply);
Sw derive_for_issuing(System& card, const Command& command, Writer& reply);

// data_objects.cpp: 7816-4 section 11.5, MyEID's objects.
Sw get_data(System& card, const Command& command, Writer& reply);
Sw put_data(System& card, const Command& command, Writer& reply);

// secret_commands.cpp: 7816-4 section 11.6.
Sw verify(System& card, const Command& command, Writer& reply);
Sw change_reference_data(System& card, const Command& command, Writer& reply);
Sw reset_retry_counter(System& card, const Command& command, Writer& reply);
Sw logout(System& card, const Command& command, Writer& reply);
Sw get_challenge(System& card, const Command& command, Writer& reply);

// security_operations.cpp: 7816-4 section 11.6.5 and 11.6.11, 7816-8.
Sw manage_security_environment(System& card, const Command& command, Writer& reply);
Sw perform_security_operation(System& card, const Command& command, Writer& reply);
Sw general_authenticate(System& card, const Command& command, Writer& reply);
Sw generate_key_pair(System& card, const Command& command, Writer& reply);

// card_manager.cpp: GlobalPlatform 2.3 section 11, amendment D section 7.
Sw initialize_update(System& card, const Command& command, Writer& reply);
Sw external_authenticate_scp03(System& card, const Command& command, Writer& reply);
Sw put_key(System& card, const Command& command, Writer& reply);
Sw store_data(System& card, const Command& command, Writer& reply);
Sw delete_object(System& card, const Command& command, Writer& reply);
Sw install(System& card, const Command& command, Writer& reply);
Sw set_status(System& card, const Command& command, Writer& reply);
Sw get_status(System& card, const Command& command, Writer& reply);

// Shared decisions of the reference data commands and PUT DATA 01 01..0E.

// False for the identifiers no created file may have.
bool valid_file_id(u16 id);
// Value octets, then FF; `holder`: 6 to 8 digits, else 4 to 8 octets of any value.
bool valid_pin(ByteView padded, bool holder);
// Index of the record a reference (P2) names in the current application. 6A86 for a reference that has no meaning,
// 6A88 for one that is TR-03110's here.
Sw reference_index(System& card, u8 reference, u8& index);

// ACTIVATE and DEACTIVATE with this P1 mean the password in P2, not a file (TR-03110-3 B.11.9).
constexpr u8 kPasswordObject = 0x10;
Sw change_pin_state(System& card, const Command& command, bool active);

// pace.cpp: TR-03110-3 B.11. MSE SET AT C1A4, and GENERAL AUTHENTICATE while PACE runs.
Sw begin_pace(System& card, const Command& command, Writer& reply);
Sw continue_pace(System& card, const Command& command, Writer& reply);

// terminal_authentication.cpp: MSE SET DST 81B6, PSO VERIFY CERTIFICATE, MSE SET AT 81A4, EXTERNAL AUTHENTICATE, VERIFY
// of auxiliary data; PUT DATA 01 20 and 01 21.
Sw select_certificate_issuer(System& card, ByteView data);
Sw verify_certificate(System& card, const Command& command);
Sw announce_terminal(System& card, ByteView data);
Sw external_authenticate(System& card, const Command& command, Writer& reply);
Sw verify_auxiliary_data(System& card, const Command& command, Writer& reply);
Sw put_trust_anchor(System& card, ByteView data);
Sw put_card_date(System& card, ByteView data);

// chip_authentication.cpp: MSE SET AT 41A4, and GENERAL AUTHENTICATE of the two protocols.
Sw announce_chip_protocol(System& card, ByteView data);
Sw authenticate_chip(System& card, const Command& command, Writer& reply);
Sw identify_to_sector(System& card, const Command& command, Writer& reply);

}  // namespace karta::os
