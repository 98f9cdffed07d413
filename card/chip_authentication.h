// Chip authentication version 2 (TR-03110-3 §3.4, B.2), the terminal's side: the card proves that it is no copy.
//
// The card shows a static key that its issuer signed (EF.CardSecurity) and that never leaves the chip; agreement with
// the terminal's ephemeral key of terminal authentication gives new session keys that only the true chip can have.
#pragma once

#include "card/secure_messaging.h"
#include "card/security_infos.h"
#include "crypto/ec_arithmetic.h"

namespace karta::card {

/// One key of the card with its protocol.
struct ChipAuthenticationChoice {
  const ProtocolSuite* suite = nullptr;
  ChipAuthenticationKey key;
};

/// The first ChipAuthenticationInfo whose key is in `security` on a curve karta uses. Fails with `unsupported`.
Result<ChipAuthenticationChoice> choose_chip_authentication(const SecurityInfos& security);
/// The domain parameters that EF.CardAccess announces for it: what terminal authentication makes its key on.
Result<std::uint64_t> chip_authentication_domain(const SecurityInfos& access);

/// Two commands under the old keys; then `channel` has the new ones. `ephemeral` is the pair of terminal
/// authentication. Fails with `card_insecure` where the card does not prove that it has the key.
Status authenticate_chip(SecureMessagingChannel& channel, const ChipAuthenticationChoice& choice,
                         const crypto::EcKeyPair& ephemeral);

}  // namespace karta::card
