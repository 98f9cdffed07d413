// What other commands ask of ledgers: READ BINARY, READ RECORD, UPDATE BINARY of one, and SELECT of the DF around it.
#pragma once

#include "firmware-sim/os/apdu.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/system.h"
#include "firmware-sim/os/tlv.h"

namespace karta::os {

// READ BINARY: product, counters, sequence, from `offset` on. `total`: octets there are in all.
Sw read_ledger(System& card, const File& ledger, std::size_t offset, std::size_t octets, Writer& reply,
               std::size_t& total);
// READ RECORD, mode 4 and 5: entry `number`, or from it to the oldest.
Sw read_ledger_entries(System& card, const File& ledger, u8 number, bool to_last, Writer& reply);
// UPDATE BINARY: octets of the product.
Sw update_ledger(System& card, File& ledger, std::size_t offset, ByteView data);
// Tag A5 of the FCI of a DF with a ledger; nothing where there is none, or none this side may debit.
Sw write_ledger_information(System& card, const File& df, Writer& reply);

}  // namespace karta::os
