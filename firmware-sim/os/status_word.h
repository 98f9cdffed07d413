// Status words SW1-SW2 (ISO/IEC 7816-4 tables 5 and 6) as the card operating system uses them.
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

enum class Sw : u16 {
  ok = 0x9000,
  bytes_remaining = 0x6100,  // + number of octets GET RESPONSE can fetch, 00 for 256 and more
  end_of_file = 0x6282,
  file_deactivated = 0x6283,
  file_terminated = 0x6285,
  tries_left = 0x63C0,  // + tries
  authentication_failed = 0x6300,
  more_data = 0x6310,  // GlobalPlatform: GET STATUS has more to tell
  memory_failure = 0x6581,
  wrong_length = 0x6700,
  channel_not_supported = 0x6881,
  secure_messaging_not_supported = 0x6882,
  chaining_not_supported = 0x6884,
  incompatible_file = 0x6981,
  security_status_not_satisfied = 0x6982,
  method_blocked = 0x6983,
  reference_data_not_usable = 0x6984,
  conditions_not_satisfied = 0x6985,
  no_current_file = 0x6986,
  secure_messaging_expected = 0x6987,   // expected objects missing
  secure_messaging_incorrect = 0x6988,  // objects incorrect
  incorrect_data = 0x6A80,
  file_not_found = 0x6A82,
  record_not_found = 0x6A83,
  not_enough_memory = 0x6A84,
  incorrect_p1_p2 = 0x6A86,
  referenced_data_not_found = 0x6A88,
  file_exists = 0x6A89,
  name_exists = 0x6A8A,
  wrong_offset = 0x6B00,
  instruction_not_supported = 0x6D00,
  class_not_supported = 0x6E00,
  no_diagnosis = 0x6F00,
};

constexpr Sw tries_left(u8 tries) {
  return static_cast<Sw>(static_cast<u16>(Sw::tries_left) | (tries > 15 ? 15 : tries));
}

// Leaves the function with the status word of `expression` unless it is 9000.
#define KARTA_OS_TRY(expression)                                                                                  \
  do {                                                                                                            \
    if (const ::karta::os::Sw karta_os_sw = (expression); karta_os_sw != ::karta::os::Sw::ok) return karta_os_sw; \
  } while (false)

}  // namespace karta::os
