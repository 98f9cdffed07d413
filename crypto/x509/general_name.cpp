#include "crypto/x509/general_name.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "crypto/x509/name.h"

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

Result<std::string> uri_text(ByteView value) {
  for (const std::uint8_t octet : value) {
    if (octet <= 0x20 || octet >= 0x7F) return fail(ErrorKind::malformed, "URI with a character that is none of a URI");
  }
  return std::string(as_text(value));
}

namespace {

std::string printable(ByteView value) {
  std::string out;
  for (const std::uint8_t octet : value) out += octet < 0x20 || octet >= 0x7F ? '?' : static_cast<char>(octet);
  return out;
}

std::string address_text(ByteView octets) {
  std::string out;
  if (octets.size() == 4) {
    for (std::size_t i = 0; i < 4; ++i) out += (i == 0 ? "" : ".") + std::to_string(octets[i]);
    return out;
  }
  for (std::size_t i = 0; i < octets.size(); i += 2) {
    constexpr char kHex[] = "0123456789abcdef";
    if (i != 0) out += ':';
    for (std::size_t j = i; j < std::min(i + 2, octets.size()); ++j) {
      out += {kHex[octets[j] >> 4], kHex[octets[j] & 15]};
    }
  }
  return out;
}

}  // namespace

std::string to_text(const GeneralName& name) {
  constexpr std::array<std::string_view, 9> kKinds = {"other", "email", "dns", "x400", "dirname",
                                                      "edi",   "uri",   "ip",  "oid"};
  const std::string kind = std::string(kKinds[static_cast<std::size_t>(name.kind)]) + ":";
  const ByteView value = name.value;
  switch (name.kind) {
    case GeneralName::Kind::email:
    case GeneralName::Kind::dns:
    case GeneralName::Kind::uri:
      return kind + printable(value);
    case GeneralName::Kind::directory_name:
      if (const auto parsed = Name::from_der(value)) return kind + parsed->to_text();
      break;
    case GeneralName::Kind::ip_address:
      if (value.size() == 4 || value.size() == 16) return kind + address_text(value);
      if (value.size() == 8 || value.size() == 32) {
        return kind + address_text(value.first(value.size() / 2)) + "/" + address_text(value.subspan(value.size() / 2));
      }
      break;
    case GeneralName::Kind::registered_id:
      return kind + der::oid_to_text(value);
    default:
      break;
  }
  return kind + to_hex(value);
}

Bytes encode(const GeneralName& name) {
  const auto number = static_cast<unsigned>(name.kind);
  const bool constructed = number == 0 || (number >= 3 && number <= 5);
  return make_tlv(constructed ? der::context(number) : der::context_primitive(number), name.value);
}

}  // namespace karta::crypto
