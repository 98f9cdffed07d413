// SCP03 (GlobalPlatform 2.3 amendment D): key derivation, and protection of commands and answers on the card's side.
// The session's state is the channel's (secure_messaging.h); which keys it is made from is the card manager's affair.
//
// S8 has challenges, cryptograms and MACs of 8 octets, S16 of 16; AES keys of 16, 24 or 32 octets.
#pragma once

#include "firmware-sim/os/secure_messaging.h"

namespace karta::os {

// Bits of the security level (amendment D table 7-2).
constexpr u8 kCommandMac = 0x01;
constexpr u8 kCommandDecryption = 0x02;
constexpr u8 kResponseMac = 0x10;
constexpr u8 kResponseEncryption = 0x20;

// Derivation constants (amendment D table 4-1).
enum class Derivation : u8 {
  card_cryptogram = 0x00,
  host_cryptogram = 0x01,
  card_challenge = 0x02,
  enc = 0x04,
  mac = 0x06,
  rmac = 0x07,
};

// NIST SP 800-108 in counter mode with CMAC (amendment D section 4.1.5): out.size() octets, up to 32, for the context
// `first` || `second`. False when the coprocessor fails.
bool derive(Hal& hal, ByteView key, Derivation constant, ByteView first, ByteView second, ByteSpan out);

// INITIALIZE UPDATE: session keys and the host cryptogram to come, from the static keys and both challenges, equally
// long, 8 or 16 octets. The card's own cryptogram, as long, goes to `card_cryptogram`.
Sw prepare_scp03(Hal& hal, ByteView key_enc, ByteView key_mac, ByteView host_challenge, ByteView card_challenge,
                 ChannelSession& session, ByteSpan card_cryptogram);

// EXTERNAL AUTHENTICATE: P1 the level, data field cryptogram and MAC. 9000 and the session is
// authenticated; 6300 wrong cryptogram, 6982 wrong MAC, 6A86 a level that is none.
Sw authenticate_scp03(Hal& hal, ChannelSession& session, const Command& command);

// Checks and opens a command of the session. On success the class is the plain
// one and the data plain: in `memory`, which may be the memory the command lies in, or where it was. 6982 wrong MAC,
// 6988 wrong padding or counter at its end; the caller ends the session then.
Sw open_scp03(Hal& hal, ChannelSession& session, Command& command, ByteSpan memory);

// Protects an answer as the level says; one with an error status stays as it is.
Sw seal_scp03(Hal& hal, ChannelSession& session, Writer& reply, Sw sw);

}  // namespace karta::os
