#include "crypto/x509/general_name.h"

#include <arpa/inet.h>

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

namespace {

Result<GeneralName> address_from_text(std::string_view text, bool subtree) {
  const auto bad = [&] {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no " + (subtree ? "range of addresses" : "address"),
                subtree ? "for example 192.0.2.0/24 or 2001:db8::/32" : "for example 192.0.2.1 or 2001:db8::1");
  };
  const std::size_t slash = text.find('/');
  if ((slash != std::string_view::npos) != subtree) return bad();
  const std::string host(text.substr(0, slash));
  Bytes octets(16);
  if (inet_pton(AF_INET, host.c_str(), octets.data()) == 1) {
    octets.resize(4);
  } else if (inet_pton(AF_INET6, host.c_str(), octets.data()) != 1) {
    return bad();
  }
  if (!subtree) return GeneralName::ip_address(octets);
  const std::string_view digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return bad();
  }
  const std::size_t bits = static_cast<std::size_t>(std::stoul(std::string(digits)));
  if (bits > octets.size() * 8) return bad();
  const std::size_t size = octets.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t kept = bits > 8 * i ? std::min<std::size_t>(bits - 8 * i, 8) : 0;
    const auto mask = static_cast<std::uint8_t>(0xFF00u >> kept);
    octets[i] &= mask;
    octets.push_back(mask);
  }
  return GeneralName::ip_address(octets);
}

}  // namespace

Result<GeneralName> general_name_from_text(std::string_view text, bool subtree) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  const bool ascii = std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (colon != std::string_view::npos && (!value.empty() || subtree)) {
    if (kind == "ip") return address_from_text(value, subtree);
    if (kind == "dirname") {
      const Name name = TRY(name_from_text(value));
      return GeneralName::directory_name(name.der());
    }
    if (ascii && kind == "dns") return GeneralName::dns(value);
    if (ascii && kind == "email" && (subtree || value.find('@') != std::string_view::npos)) {
      return GeneralName::email(value);
    }
    if (ascii && kind == "uri" && (subtree || value.find(':') != std::string_view::npos))
      return GeneralName::uri(value);
  }
  return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no name of a known kind",
              "dns:HOST, email:MAILBOX, uri:URI, ip:ADDRESS or dirname:NAME");
}

Bytes encode(const GeneralName& name) {
  const auto number = static_cast<unsigned>(name.kind);
  const bool constructed = number == 0 || (number >= 3 && number <= 5);
  return make_tlv(constructed ? der::context(number) : der::context_primitive(number), name.value);
}

}  // namespace karta::crypto
