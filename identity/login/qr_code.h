// QrCode (ISO/IEC 18004): a text as a picture that phones read: on a terminal, or as SVG for paper and pages.
#pragma once

#include "base/secret.h"

namespace karta::identity {

/// Two rows of modules a line, black on white whatever the terminal's colours, with the quiet zone around. Fails with
/// limit: too long.
Result<SecretBytes> qr_for_terminal(const SecretBytes& text);
/// A whole SVG document, one unit a module.
Result<SecretBytes> qr_as_svg(const SecretBytes& text);

}  // namespace karta::identity
