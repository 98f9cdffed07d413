// Journal: how far the making of a card has come, so that an interrupted card goes on from there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "card/esign.h"

namespace karta::card {

/// Where a card stands; keep its text form until the card is done. Contains no secret.
struct Journal {
  Bytes serial;
  std::string profile;
  unsigned phase = 1;                     ///< 1 prepare, 2 complete, 3 done
  unsigned next_step = 0;                 ///< within the phase
  std::map<KeyRole, Bytes> public_keys;   ///< DER SubjectPublicKeyInfo
  std::map<std::uint16_t, Bytes> points;  ///< of the card's own keys by file: chip authentication 0041, agreement 00C5,
                                          ///< transit 00E4

  std::string to_text() const;
  static Result<Journal> from_text(std::string_view text);
};

}  // namespace karta::card
