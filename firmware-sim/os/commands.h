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

// Shared decisions of the reference data commands and PUT DATA 01 01..0E.

// Value octets, then FF; `holder`: 6 to 8 digits, else 4 to 8 octets of any value.
bool valid_pin(ByteView padded, bool holder);
// Index of the record a reference (P2) names in the current application. 6A86 for a reference that has no meaning.
Sw reference_index(const System& card, u8 reference, u8& index);

}  // namespace karta::os
