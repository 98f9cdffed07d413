// How long a module under stress waits for pcscd, so that its own waits can be told from pcscd's and the machine's.
//
// The stress program stands before the PC/SC library: the module's calls of SCardTransmit and its like come here first,
// are timed and counted, and go on to the real ones. (A module that fetches them by dlsym itself passes by.)
#pragma once

#include <cstdint>

namespace karta::pkcs11_stress {

/// Microseconds until `now` (of the steady clock) in which at least one thread was waiting for an answer of pcscd.
std::int64_t pcscd_time(std::int64_t now);
/// How many calls of PC/SC functions there were.
std::uint64_t pcsc_calls();

/// Microseconds of the steady clock.
std::int64_t steady_now();

}  // namespace karta::pkcs11_stress
