// Letter: the PIN letter that goes to the holder, as text: transport PINs, PUK and what to do with them.
#pragma once

#include <string>

#include "base/secret.h"
#include "card/personalise.h"

namespace karta::issuing {

struct LetterHead {
  std::string issuer;       ///< the centre's name
  std::string holder;       ///< as printed on the card
  std::string card_serial;  ///< hexadecimal
  std::string valid_until;  ///< "2031-11-20"
};

/// UTF-8 text in Russian and English. Secret: it opens the card.
SecretBytes compose_letter(const LetterHead& head, const card::CardSecrets& secrets);

/// The letter of one new transport PIN, for a holder who lost PIN and PUK. Secret too.
SecretBytes compose_pin_letter(const LetterHead& head, card::PinKind kind, const SecretBytes& transport_pin);

}  // namespace karta::issuing
