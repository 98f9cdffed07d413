// The card manager as other commands meet it: it is selected like an application, has data objects, and no file may
// take its name. Its commands are in commands.h.
#pragma once

#include "firmware-sim/os/system.h"

namespace karta::os {

// True for the card manager's name, its beginning from seven octets on, or no name at all.
bool is_card_manager(ByteView name);
// Selects it; with `reply` the answer is its file control information.
void select_card_manager(System& card, Writer* reply);

// 6A8A when a DF or the card manager has this name.
Sw require_free_name(System& card, ByteView name);

// GET DATA 0066, 00E0, 00C1, 0042, 0045.
Sw write_recognition_data(System& card, Writer& reply);
Sw write_key_information(System& card, Writer& reply);
Sw write_sequence_counter(System& card, Writer& reply);
Sw write_issuer_number(System& card, Writer& reply);
Sw write_card_number(System& card, Writer& reply);
// GET DATA 01B0.
Sw write_card_state(System& card, Writer& reply);

}  // namespace karta::os
