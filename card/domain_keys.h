// DomainKeys: how a department and a card agree on the keys of the department's domain, with the issuer carrying the
// messages and learning nothing (GlobalPlatform Amendment A, scenario 3; docs/card-commands.md, Domains).
//
// The department knows the card's public agreement key from a certificate of the issuing centre. It makes an ephemeral
// pair and an offer; the issuer loads the offer in its own session; the receipt proves to the department that this
// card, and nobody in between, has the same keys.
#pragma once

#include "card/scp03.h"
#include "crypto/algorithm.h"

namespace karta::card {

/// The card's agreement key: EC key file of the MF, and the certificate the centre gives it.
inline constexpr std::uint16_t kAgreementKeyFile = 0x00C5, kEfAgreementCertificate = 0x00C6;

/// A department's half of an agreement under way; a secret until finish(), then of no use.
struct DomainOffer {
  Bytes aid;
  Bytes serial;                  ///< of the card, ten octets
  crypto::KeyType curve{};       ///< of the card's agreement key
  Bytes card_point;              ///< 04 || X || Y
  std::uint8_t key_version = 0;  ///< 01 to 7F
  std::size_t key_octets = 0;    ///< 16, 24 or 32
  SecretBytes scalar;            ///< ephemeral
  Bytes message;                 ///< the data field of STORE DATA: what the issuer carries

  /// Checks the point. Fails with `malformed`, or `usage` where version, length or name are none of a domain's.
  static Result<DomainOffer> make(ByteView aid, ByteView serial, crypto::KeyType curve, ByteView card_point,
                                  std::uint8_t key_version, std::size_t key_octets, RandomSource& random);

  /// The domain's key set. Fails with `card_insecure` where the receipt is not that card's over that message: somebody
  /// in between exchanged the offer.
  Result<Scp03KeySet> finish(ByteView receipt) const;
};

}  // namespace karta::card
