// Restricted identification (TR-03110-3 §3.6, B.4): one citizen, one pseudonym a sector, and no way to join them.
#pragma once

#include "card/channel.h"
#include "card/security_infos.h"

namespace karta::card {

/// The public key of a sector (health, transport): kept by an authority that alone could join pseudonyms.
struct SectorKey {
  const RestrictedIdSuite* suite = nullptr;
  Bytes point;  ///< on the curve of the card's key

  /// The content of 7F49: 06 protocol, 86 point.
  Bytes encode() const;
  /// What the terminal's certificate holds of it: the hash of the whole object 7F49 (kCvSectorOid, 80 or 81).
  Bytes hash(crypto::Hash certificate_hash) const;
};

/// Two commands, after chip authentication. The pseudonym is as long as the suite's hash. Fails with `not_permitted`
/// where the terminal may not, `card_refused` where its certificate does not name the sector.
Result<Bytes> restricted_identifier(Channel& channel, const RestrictedIdInfo& key, const SectorKey& sector);

}  // namespace karta::card
