// SoftCards: cards of a centre whose authentication key is in this process: the registry and the certificates are real,
// only the chip is missing. For tests and measurements of what happens beyond the reader.
#pragma once

#include <string>
#include <vector>

#include "crypto/key.h"
#include "crypto/x509/certificate.h"
#include "issuing/centre.h"

namespace karta::tests {

struct SoftCard {
  identity::Card card;
  identity::Citizen holder;
  crypto::PrivateKey key;           ///< AUT, P-256
  crypto::Certificate certificate;  ///< its certificate, in the registry
};

/// The `number`-th made-up citizen (1 ...), added to the centre's registry with an active card. `ca`: the unlocked
/// issuing CA.
Result<SoftCard> make_soft_card(issuing::Centre& centre, crypto::Signer& ca, std::uint32_t number, const Clock& clock,
                                RandomSource& random);

}  // namespace karta::tests
