// base64url (RFC 4648 §5) as JOSE uses it (RFC 7515 §2): no padding, no blanks, one text for each string of octets.
#pragma once

#include "base/bytes.h"

namespace karta {

/// The text of `octets`, without padding.
std::string to_base64url(ByteView octets);

/// Reads what to_base64url writes and nothing else: no padding, no line breaks, no characters of the other alphabet,
/// unused bits zero. Fails with malformed.
Result<Bytes> from_base64url(std::string_view text);

}  // namespace karta
