// GeneralName (RFC 5280 §4.2.1.6): one of the ways a certificate names somebody or some place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::crypto {

struct GeneralName {
  /// The context tag's number.
  enum class Kind : std::uint8_t {
    other_name = 0,
    email = 1,
    dns = 2,
    x400_address = 3,
    directory_name = 4,
    edi_party_name = 5,
    uri = 6,
    ip_address = 7,
    registered_id = 8,
  };
  Kind kind = Kind::uri;
  /// Content octets of the implicit tag; for directory_name the whole Name, DER.
  Bytes value;

  static GeneralName email(std::string_view address) { return {Kind::email, to_bytes(as_bytes(address))}; }
  static GeneralName dns(std::string_view name) { return {Kind::dns, to_bytes(as_bytes(name))}; }
  static GeneralName uri(std::string_view uri) { return {Kind::uri, to_bytes(as_bytes(uri))}; }
  /// 4 octets, or 16; with as many again as mask where it stands in a name constraint.
  static GeneralName ip_address(ByteView octets) { return {Kind::ip_address, to_bytes(octets)}; }
  static GeneralName directory_name(ByteView name_der) { return {Kind::directory_name, to_bytes(name_der)}; }

  friend bool operator==(const GeneralName&, const GeneralName&) = default;
};

/// GeneralNames from the content of its SEQUENCE (or of an implicit tag in its place). At least one; at most
/// kMostGeneralNames.
Result<std::vector<GeneralName>> parse_general_names(ByteView content);
inline constexpr std::size_t kMostGeneralNames = 256;

/// The characters of a URI. Fails (malformed) on one that is none of a URI's: a blank, a control character.
Result<std::string> uri_text(ByteView value);

/// "dns:host.example", "email:...", "ip:192.0.2.0/24", "dirname:CN=...": for people; what has no text is hexadecimal.
std::string to_text(const GeneralName& name);

/// A name from "dns:host.example", "email:a@host.example", "uri:https://...", "ip:192.0.2.1", "dirname:CN=...,C=RU".
/// `subtree`: of a name constraint, where an address has its mask ("ip:192.0.2.0/24") and hosts may begin with a dot.
/// Fails with usage.
Result<GeneralName> general_name_from_text(std::string_view text, bool subtree = false);

/// One GeneralName, DER with its context tag.
Bytes encode(const GeneralName& name);

}  // namespace karta::crypto
