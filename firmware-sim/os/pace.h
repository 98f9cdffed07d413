// PACE with elliptic curves, generic mapping and AES, version 2 (BSI TR-03110-3 section 3.2 and B.11; ICAO Doc 9303-11
// section 4.4): the card shows that it knows a password without telling it, and both sides leave with session keys.
#pragma once

#include "firmware-sim/os/access.h"
#include "firmware-sim/os/cv_certificate.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/key_agreement.h"

namespace karta::os {

// The protocol between its commands, and what terminal authentication needs of it afterwards.
struct Pace {
  enum class Step : u8 { none, nonce, map, agree, token };

  Step step = Step::none;  // the next one
  bool complete = false;   // the channel of the session is this run's
  Password password = Password::none;
  u8 number = 0;  // last arc of the protocol: 2, 3, 4
  Curve curve = Curve::p256;
  bool has_chat = false;
  Chat chat;
  u16 sector_rights = 0;               // announced beside CHAT
  u8 identifier[kMaxFieldBytes] = {};  // ID_PICC, x of the card's last key
  // By step: the nonce; the mapped generator; session keys and the two tokens.
  u8 work[kMaxPointBytes] = {};

  ~Pace() { clear(); }
  void clear();
  void stop();  // ends a run; what the last complete one left stays
  ByteView identity() const { return {identifier, field_bytes(curve)}; }
};

}  // namespace karta::os
