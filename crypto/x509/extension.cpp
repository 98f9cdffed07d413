#include "crypto/x509/extension.h"

#include "base/der.h"

namespace karta::crypto {

Bytes encode_extension(std::string_view oid, bool critical, ByteView value) {
  return critical ? der::sequence({der::oid(oid), der::boolean(true), der::octet_string(value)})
                  : der::sequence({der::oid(oid), der::octet_string(value)});
}

// AuthorityKeyIdentifier ::= SEQUENCE {
//     keyIdentifier [0] OCTET STRING OPTIONAL, authorityCertIssuer [1] GeneralNames OPTIONAL,
//     authorityCertSerialNumber [2] INTEGER OPTIONAL }
Result<AuthorityKeyIdentifier> parse_authority_key_id(ByteView value) {
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  AuthorityKeyIdentifier out;
  if (const auto id = TRY(reader.next_if(der::context_primitive(0)))) out.key_id = to_bytes(id->value);
  if (const auto issuer = TRY(reader.next_if(der::context(1)))) out.issuer = TRY(parse_general_names(issuer->value));
  if (const auto serial = TRY(reader.next_if(der::context_primitive(2)))) out.serial = to_bytes(serial->value);
  TRY(reader.finish());
  return out;
}

}  // namespace karta::crypto
