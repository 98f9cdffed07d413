// A command APDU taken apart (ISO/IEC 7816-3 section 12.1, 7816-4 section 5.2): the four header octets, the data
// field and the number of octets expected, for the seven cases 1, 2S, 3S, 4S, 2E, 3E, 4E.
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

constexpr u8 kChainingBit = 0x10;  // of the class octet: this is not the last part

struct Command {
  u8 cla = 0;
  u8 ins = 0;
  u8 p1 = 0;
  u8 p2 = 0;
  ByteView head;           // header and Lc as they came
  ByteView data;           // aliases the input; empty when Lc is absent
  std::size_t ne = 0;      // 0: no Le field; else 1 to 65,536
  bool le_is_max = false;  // Le was 00 (0000): "as much as there is", so that a short answer is no surprise
  bool secured = false;    // it came through the secure channel, and was taken out of it

  bool more() const { return (cla & kChainingBit) != 0; }
  u16 p1_p2() const { return static_cast<u16>(p1 << 8 | p2); }
};

// False when the lengths do not add up; the header fields are set whenever there are four octets.
bool parse_command(ByteView apdu, Command& out);

}  // namespace karta::os
