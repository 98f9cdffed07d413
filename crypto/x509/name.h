// Name: an X.501 distinguished name, as certificates name subjects and issuers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/tlv.h"

namespace karta::crypto {

/// A row of the attributes karta writes; others are read and shown by OID.
struct NameAttributeRow {
  std::string_view name;  ///< "CN", "SNILS": in profiles and in text
  std::string_view oid;   ///< dotted
  Tag string_type;        ///< der::kUtf8String, der::kPrintableString, der::kNumericString or der::kIa5String
  std::uint16_t least;    ///< characters
  std::uint16_t most;     ///< characters (RFC 5280 appendix A upper bounds; national rules)
};

/// The row called `name` ("CN"), or of that dotted OID; nullptr if karta knows none.
const NameAttributeRow* find_name_attribute(std::string_view name_or_oid);
/// All rows, in the order in which a profile's fixed attributes are written.
std::span<const NameAttributeRow> name_attributes();

struct NameAttribute {
  std::string oid;    ///< dotted
  std::string value;  ///< UTF-8; of a type that is no character string: '#' and hexadecimal (RFC 4514 §2.4)
  bool is_text = true;
};

class Name {
 public:
  using Rdn = std::vector<NameAttribute>;

  Name();  ///< the empty name
  /// Strict DER, nothing after it. Fails (limit) beyond kMostRdns.
  static Result<Name> from_der(ByteView der);
  static constexpr std::size_t kMostRdns = 64;

  /// The Name as it stood in its certificate.
  const Bytes& der() const { return der_; }
  /// What names are compared by (RFC 5280 §7.1): characters in lower case (Latin, Greek, Cyrillic), blanks at the ends
  /// dropped and inner runs of them made one, whatever string type they stand in; other values octet by octet. One RDN
  /// after another, each with its length, so that a name that begins with all the RDNs of another has that one's
  /// canonical octets in front.
  const Bytes& canonical() const { return canonical_; }
  const std::vector<Rdn>& rdns() const { return rdns_; }
  bool empty() const { return rdns_.empty(); }
  /// The first value of the attribute ("CN" or dotted OID).
  std::optional<std::string> find(std::string_view name_or_oid) const;
  /// RFC 4514: "CN=Test Root,O=Test,C=RU", last RDN first; control characters and broken UTF-8 escaped, so that it is
  /// safe on a terminal.
  std::string to_text() const;
  /// CN, else O, else to_text(): one line for people.
  std::string display() const;

  /// By canonical().
  friend bool operator==(const Name& a, const Name& b) { return a.canonical_ == b.canonical_; }

 private:
  Bytes der_;
  Bytes canonical_;
  std::vector<Rdn> rdns_;
};

/// A name from what to_text() writes (RFC 4514, last RDN first): "CN=Test Root,O=Test,C=RU", with "\\," and "\\2C" for
/// a comma. One attribute an RDN. Fails (usage) as NameBuilder does, or on text that is no name.
Result<Name> name_from_text(std::string_view text);

/// Builds a name, one attribute an RDN, in the order of the calls:
///   NameBuilder().add("C", "RU").add("O", "Test").add("CN", "Test Root").build()
class NameBuilder {
 public:
  /// `name_or_oid` must have a row. Errors (unknown attribute, a character or a length its type does not allow) are
  /// kept and returned by build().
  NameBuilder& add(std::string_view name_or_oid, std::string_view value);
  Result<Name> build() const;

 private:
  Bytes content_;
  std::optional<Error> error_;
};

}  // namespace karta::crypto
