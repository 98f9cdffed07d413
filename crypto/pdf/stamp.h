// Stamp: what a visible signature shows: who signed, when, why, and a QR code if one is wanted.
//
// Drawn by pango, so that any script works, as vectors with the fonts they need; the page of cairo's that results is
// taken over into the document as a form XObject.
#pragma once

#include <string>
#include <vector>

#include "crypto/pdf/sign.h"

namespace karta::crypto::pdf {

struct Stamp {
  std::string title = {};               ///< "Документ подписан электронной подписью"
  std::vector<std::string> lines = {};  ///< UTF-8, one below the other, wrapped and made smaller to fit
  std::string qr = {};                  ///< what the QR code says; empty: none
};

/// The appearance that draws `stamp`. It fails with usage for a rectangle smaller than kLeastWidth by kLeastHeight
/// points, malformed for text that is not UTF-8, unsupported for a QR text that is too long.
Appearance draw_stamp(Stamp stamp);
inline constexpr double kLeastWidth = 60, kLeastHeight = 24;

}  // namespace karta::crypto::pdf
