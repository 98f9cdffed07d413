// Access rules and the security state they are judged against.
//
// A file carries three octets of rule nibbles, MyEID's tag 86: 0 always, F never, 1 to 14 the reference data that must
// have been verified. The judgement is one function over one state object, so that roles and secure channels find their
// place beside the verified reference data.
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

// What a command wants to do to a file. The row says which nibble of tag 86 answers, counted from the left.
enum class Right : u8 {
  read = 0,        // transparent EF
  update = 1,      // transparent EF, key EF (import)
  remove = 2,      // any file; life-cycle changes too
  use = 0,         // key EF: sign, decipher, agree
  generate = 3,    // key EF
  create_df = 0,   // MF, DF
  create_ef = 1,   // MF, DF
  initialise = 2,  // MF: wipe
};

struct AccessRules {
  u8 octets[3] = {0, 0, 0};

  u8 nibble(Right right) const {
    const u8 index = static_cast<u8>(right);
    return index % 2 == 0 ? octets[index / 2] >> 4 : octets[index / 2] & 0x0F;
  }
};

constexpr u8 kConditionAlways = 0x0;
constexpr u8 kConditionNever = 0xF;

// What the other side has shown since the reset.
class SecurityState {
 public:
  void clear() { verified_ = 0; }
  void grant(u8 reference) { verified_ = static_cast<u16>(verified_ | 1U << reference); }
  void revoke(u8 reference) { verified_ = static_cast<u16>(verified_ & ~(1U << reference)); }
  bool verified(u8 reference) const { return (verified_ >> reference & 1U) != 0; }

  bool satisfies(u8 condition) const {
    return condition == kConditionAlways || (condition != kConditionNever && verified(condition));
  }

 private:
  u16 verified_ = 0;  // bit n: reference data n of the e-signature application
};

}  // namespace karta::os
