// Terminal authentication version 2 (BSI TR-03110-3 section 3.3 and B.3): a chain of certificates from an anchor down
// to the terminal, then proof that the terminal holds its key. Keys imported on the way live in RAM and die with the
// session.
#pragma once

#include "firmware-sim/os/trust_anchors.h"

namespace karta::os {

constexpr std::size_t kTerminalChallengeBytes = 8;
constexpr std::size_t kMaxAuxiliaryBytes = 128;

struct TerminalAuthentication {
  enum class Issuer : u8 { none, anchor, imported };

  // MSE SET DST: who signed the certificate to come.
  Issuer issuer = Issuer::none;
  u8 issuer_bytes = 0;
  u8 issuer_reference[kMaxHolderBytes] = {};

  // The certificate imported last; type none: there is none. Its rights are those of the chain so far.
  CertifiedKey imported;
  u8 sector_bytes[2] = {0, 0};  // hashes of the terminal's sector keys
  u8 sectors[2][kMaxDigestBytes] = {};

  // MSE SET AT: what the terminal will sign. 0 octets of ephemeral key: not set.
  u8 ephemeral_bytes = 0;
  u8 ephemeral[kMaxFieldBytes] = {};  // x of the key for chip authentication
  u8 auxiliary_bytes = 0;
  u8 auxiliary[kMaxAuxiliaryBytes] = {};  // contents of 67

  bool challenged = false;
  u8 challenge[kTerminalChallengeBytes] = {};

  void clear() { *this = {}; }
  // A challenge dies with any command that is not of this protocol, and with the one that answers it (behaviour 19).
  void drop_challenge() { challenged = false; }
};

}  // namespace karta::os
