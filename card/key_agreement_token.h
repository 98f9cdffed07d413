// The token both ends of a key agreement show each other (TR-03110-3 A.2.4): who has the keys can make it.
#pragma once

#include <string_view>

#include "base/secret.h"
#include "base/tlv.h"

namespace karta::card {

/// First eight octets of AES-CMAC under `checksum_key` over 7F49 { 06 protocol, 86 point }. `oid` is dotted.
Bytes key_agreement_token(const SecretBytes& checksum_key, std::string_view oid, ByteView point);

}  // namespace karta::card
