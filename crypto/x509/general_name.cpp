#include "crypto/x509/general_name.h"

#include "base/der.h"

namespace karta::crypto {

// GeneralName ::= CHOICE {
//     otherName [0], rfc822Name [1] IA5String, dNSName [2] IA5String, x400Address [3], directoryName [4] Name,
//     ediPartyName [5], uniformResourceIdentifier [6] IA5String, iPAddress [7] OCTET STRING,
//     registeredID [8] OBJECT IDENTIFIER }
Result<std::vector<GeneralName>> parse_general_names(ByteView content) {
  std::vector<GeneralName> out;
  der::Reader reader(content);
  while (!reader.done()) {
    if (out.size() == kMostGeneralNames) return fail(ErrorKind::limit, "too many general names");
    const Tlv object = TRY(reader.any());
    const unsigned number = object.tag & 0x1F;
    const bool constructed = number == 0 || (number >= 3 && number <= 5);
    if (object.tag > 0xFF || (object.tag & 0xC0) != 0x80 || number > 8 || object.constructed() != constructed) {
      return fail(ErrorKind::malformed, "general name of no known kind");
    }
    const auto kind = static_cast<GeneralName::Kind>(number);
    const bool ia5 =
        kind == GeneralName::Kind::email || kind == GeneralName::Kind::dns || kind == GeneralName::Kind::uri;
    if (ia5) {
      for (const std::uint8_t octet : object.value) {
        if (octet >= 0x80) return fail(ErrorKind::malformed, "general name with a character that is not ASCII");
      }
    }
    if (kind == GeneralName::Kind::directory_name) {
      der::Reader inner(object.value);  // [4] is explicit, for Name is a CHOICE
      (void)TRY(inner.expect(der::kSequence));
      TRY(inner.finish());
    }
    out.push_back({kind, to_bytes(object.value)});
  }
  if (out.empty()) return fail(ErrorKind::malformed, "no general name at all");
  return out;
}

Bytes encode(const GeneralName& name) {
  const auto number = static_cast<unsigned>(name.kind);
  const bool constructed = number == 0 || (number >= 3 && number <= 5);
  return make_tlv(constructed ? der::context(number) : der::context_primitive(number), name.value);
}

}  // namespace karta::crypto
