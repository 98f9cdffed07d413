// Extension: what certificates and CRLs write and read alike (RFC 5280 §4.2, §5.2).
#pragma once

#include <string_view>

#include "crypto/x509/certificate.h"

namespace karta::crypto {

/// Extension ::= SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }, DER.
Bytes encode_extension(std::string_view oid, bool critical, ByteView value);

/// The value of an AuthorityKeyIdentifier extension.
Result<AuthorityKeyIdentifier> parse_authority_key_id(ByteView value);

}  // namespace karta::crypto
