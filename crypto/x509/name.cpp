#include "crypto/x509/name.h"

#include <algorithm>
#include <array>

#include "base/der.h"

namespace karta::crypto {
namespace {

constexpr Tag kTeletexString = 0x14, kVisibleString = 0x1A, kUniversalString = 0x1C, kBmpString = 0x1E;

// In the order in which fixed attributes are written. Upper bounds: RFC 5280 appendix A.1; national numbers have one
// length (order of the Federal Security Service 795, 2011, on qualified certificates).
constexpr auto kRows = std::to_array<NameAttributeRow>({
    {"C", "2.5.4.6", der::kPrintableString, 2, 2},
    {"DC", "0.9.2342.19200300.100.1.25", der::kIa5String, 1, 63},
    {"ST", "2.5.4.8", der::kUtf8String, 1, 128},
    {"L", "2.5.4.7", der::kUtf8String, 1, 128},
    {"street", "2.5.4.9", der::kUtf8String, 1, 128},
    {"O", "2.5.4.10", der::kUtf8String, 1, 64},
    {"organizationIdentifier", "2.5.4.97", der::kUtf8String, 1, 128},
    {"OU", "2.5.4.11", der::kUtf8String, 1, 64},
    {"title", "2.5.4.12", der::kUtf8String, 1, 64},
    {"CN", "2.5.4.3", der::kUtf8String, 1, 64},
    {"SN", "2.5.4.4", der::kUtf8String, 1, 128},
    {"GN", "2.5.4.42", der::kUtf8String, 1, 128},
    {"initials", "2.5.4.43", der::kUtf8String, 1, 64},
    {"pseudonym", "2.5.4.65", der::kUtf8String, 1, 128},
    {"serialNumber", "2.5.4.5", der::kPrintableString, 1, 64},
    {"UID", "0.9.2342.19200300.100.1.1", der::kUtf8String, 1, 256},
    {"E", "1.2.840.113549.1.9.1", der::kIa5String, 3, 255},
    {"SNILS", "1.2.643.100.3", der::kNumericString, 11, 11},
    {"INN", "1.2.643.3.131.1.1", der::kNumericString, 12, 12},
    {"INNLE", "1.2.643.100.4", der::kNumericString, 10, 10},
    {"OGRN", "1.2.643.100.1", der::kNumericString, 13, 13},
    {"OGRNIP", "1.2.643.100.5", der::kNumericString, 15, 15},
});

void append_utf8(std::string& out, std::uint32_t code) {
  const auto octet = [&](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    octet(code);
  } else if (code < 0x800) {
    octet(0xC0 | code >> 6);
    octet(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    octet(0xE0 | code >> 12);
    octet(0x80 | (code >> 6 & 0x3F));
    octet(0x80 | (code & 0x3F));
  } else {
    octet(0xF0 | code >> 18);
    octet(0x80 | (code >> 12 & 0x3F));
    octet(0x80 | (code >> 6 & 0x3F));
    octet(0x80 | (code & 0x3F));
  }
}

/// Octets and code point of the UTF-8 sequence at the front of `text`; 0 octets if it is none.
struct Utf8 {
  std::size_t octets = 0;
  std::uint32_t code = 0;
};
Utf8 decode_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  if (text.empty()) return {};
  const std::uint8_t first = at(0);
  if (first < 0x80) return {1, first};
  const std::size_t octets = first >= 0xF0 && first < 0xF5   ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (octets == 0 || text.size() < octets) return {};
  std::uint32_t code = first & (0xFF >> (octets + 1));
  for (std::size_t i = 1; i < octets; ++i) {
    if ((at(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (at(i) & 0x3F);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[octets] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {octets, code};
}

/// Control characters, and those that turn the direction of text around them.
bool hidden(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2060 && code <= 0x2069) || code == 0xFEFF;
}

void append_escaped(std::string& out, std::string_view value) {
  constexpr char kHex[] = "0123456789ABCDEF";
  const std::size_t size = value.size();
  for (std::size_t at = 0; at < size;) {
    const Utf8 next = decode_utf8(value.substr(at));
    const std::size_t octets = std::max<std::size_t>(next.octets, 1);
    if (next.octets == 0 || hidden(next.code)) {
      for (std::size_t i = at; i < at + octets; ++i) {
        const auto octet = static_cast<std::uint8_t>(value[i]);
        out += {'\\', kHex[octet >> 4], kHex[octet & 15]};
      }
    } else {
      // RFC 4514 §2.4
      const char c = value[at];
      const bool edge = (c == ' ' && (at == 0 || at + 1 == size)) || (c == '#' && at == 0);
      if (edge || (octets == 1 && std::string_view("\"+,;<>\\=").find(c) != std::string_view::npos)) out += '\\';
      out.append(value, at, octets);
    }
    at += octets;
  }
}

NameAttribute decode_value(std::string oid, const Tlv& object) {
  NameAttribute out{.oid = std::move(oid), .value = {}, .is_text = true};
  const ByteView v = object.value;
  const auto wide = [&](std::size_t width) {
    for (std::size_t i = 0; i + width <= v.size(); i += width) {
      std::uint32_t code = 0;
      for (std::size_t j = 0; j < width; ++j) code = code << 8 | v[i + j];
      append_utf8(out.value, code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0xFFFD : code);
    }
  };
  switch (object.tag) {
    case der::kUtf8String:
    case der::kPrintableString:
    case der::kNumericString:
    case der::kIa5String:
    case kVisibleString:
      out.value = std::string(as_text(v));
      break;
    case kTeletexString:  // T.61 was never meant in earnest: what is found in the field is Latin-1
      wide(1);
      break;
    case kBmpString:
      wide(2);
      break;
    case kUniversalString:
      wide(4);
      break;
    default:
      out.value = "#" + to_hex(object.whole);
      out.is_text = false;
  }
  return out;
}

/// Simple case folding of the alphabets names are written in here.
std::uint32_t lower_case(std::uint32_t code) {
  if ((code >= 'A' && code <= 'Z') || (code >= 0xC0 && code <= 0xDE && code != 0xD7)) return code + 0x20;
  // Latin Extended-A, Cyrillic beyond Russian: capitals are even, but for two stretches of the former.
  const bool odd_capitals = (code >= 0x139 && code <= 0x148) || (code >= 0x179 && code <= 0x17E);
  if (odd_capitals) return (code & 1) != 0 ? code + 1 : code;
  if (code == 0x130 || code == 0x178) return code == 0x178 ? 0xFF : 'i';
  if ((code >= 0x100 && code <= 0x177) || (code >= 0x460 && code <= 0x481) || (code >= 0x48A && code <= 0x4BF) ||
      (code >= 0x4D0 && code <= 0x52F)) {
    return code | 1;
  }
  if ((code >= 0x391 && code <= 0x3A9) || (code >= 0x410 && code <= 0x42F)) return code + 0x20;
  return code >= 0x400 && code <= 0x40F ? code + 0x50 : code;
}

/// The value as it is compared: RFC 5280 §7.1.
void append_canonical(Bytes& out, std::string_view value) {
  std::string folded;
  bool blank = false;
  for (std::size_t at = 0; at < value.size();) {
    const Utf8 next = decode_utf8(value.substr(at));
    if (next.octets == 0) {  // no UTF-8: compared as it stands
      append(out, as_bytes(value));
      return;
    }
    at += next.octets;
    if (next.code == ' ' || (next.code >= '\t' && next.code <= '\r') || next.code == 0xA0) {
      blank = !folded.empty();
      continue;
    }
    if (blank) folded += ' ';
    blank = false;
    append_utf8(folded, lower_case(next.code));
  }
  append(out, as_bytes(folded));
}

Bytes canonical_rdn(const Name::Rdn& rdn) {
  std::vector<Bytes> attributes;
  for (const NameAttribute& attribute : rdn) {
    Bytes value;
    append_canonical(value, attribute.value);
    const Tag tag = attribute.is_text ? der::kUtf8String : der::kOctetString;
    attributes.push_back(der::sequence({der::utf8(attribute.oid), make_tlv(tag, value)}));
  }
  return der::set_of(std::move(attributes));
}

bool printable_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
}

/// The characters of `value` if its string type allows them all.
std::optional<std::size_t> count_characters(const NameAttributeRow& row, std::string_view value) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < value.size(); ++characters) {
    const Utf8 next = decode_utf8(value.substr(at));
    const char c = value[at];
    bool allowed = next.octets != 0 && !hidden(next.code);
    if (row.string_type == der::kPrintableString) allowed = allowed && printable_character(c);
    if (row.string_type == der::kNumericString) allowed = allowed && c >= '0' && c <= '9';
    if (row.string_type == der::kIa5String) allowed = allowed && next.octets == 1;
    if (!allowed) return std::nullopt;
    at += next.octets;
  }
  return characters;
}

}  // namespace

const NameAttributeRow* find_name_attribute(std::string_view name_or_oid) {
  for (const NameAttributeRow& row : kRows) {
    if (row.name == name_or_oid || row.oid == name_or_oid) return &row;
  }
  return nullptr;
}

std::span<const NameAttributeRow> name_attributes() { return kRows; }

Name::Name() : der_(der::sequence(ByteView{})) {}

// Name ::= CHOICE { rdnSequence SEQUENCE OF RelativeDistinguishedName }
// RelativeDistinguishedName ::= SET SIZE (1..MAX) OF AttributeTypeAndValue
// AttributeTypeAndValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY DEFINED BY type }
Result<Name> Name::from_der(ByteView der) {
  Name out;
  out.der_ = to_bytes(der);
  der::Reader outer(der);
  der::Reader rdns = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  std::size_t attributes = 0;
  while (!rdns.done()) {
    der::Reader set = TRY(rdns.enter(der::kSet));
    if (set.done()) return fail(ErrorKind::malformed, "name with an empty RDN");
    Rdn rdn;
    while (!set.done()) {
      if (++attributes > kMostRdns) return fail(ErrorKind::limit, "name with too many attributes");
      der::Reader pair = TRY(set.enter(der::kSequence));
      std::string oid = der::oid_to_text(TRY(pair.oid()));
      const Tlv value = TRY(pair.any());
      TRY(pair.finish());
      rdn.push_back(decode_value(std::move(oid), value));
    }
    append(out.canonical_, canonical_rdn(rdn));
    out.rdns_.push_back(std::move(rdn));
  }
  return out;
}

std::optional<std::string> Name::find(std::string_view name_or_oid) const {
  const NameAttributeRow* const row = find_name_attribute(name_or_oid);
  const std::string_view oid = row != nullptr ? row->oid : name_or_oid;
  for (const Rdn& rdn : rdns_) {
    for (const NameAttribute& attribute : rdn) {
      if (attribute.oid == oid) return attribute.value;
    }
  }
  return std::nullopt;
}

std::string Name::to_text() const {
  std::string out;
  for (auto rdn = rdns_.rbegin(); rdn != rdns_.rend(); ++rdn) {
    if (!out.empty()) out += ',';
    bool first = true;
    for (const NameAttribute& attribute : *rdn) {
      if (!first) out += '+';
      first = false;
      const NameAttributeRow* const row = find_name_attribute(attribute.oid);
      out.append(row != nullptr ? row->name : std::string_view(attribute.oid)).append("=");
      if (attribute.is_text) {
        append_escaped(out, attribute.value);
      } else {
        out += attribute.value;
      }
    }
  }
  return out;
}

std::string Name::display() const {
  for (const std::string_view attribute : {"CN", "O"}) {
    if (const auto value = find(attribute)) {
      std::string out;
      append_escaped(out, *value);
      return out;
    }
  }
  return to_text();
}

NameBuilder& NameBuilder::add(std::string_view name_or_oid, std::string_view value) {
  if (error_) return *this;
  const std::string quoted = "\"" + std::string(name_or_oid) + "\"";
  const NameAttributeRow* const row = find_name_attribute(name_or_oid);
  if (row == nullptr) {
    error_ = Error{ErrorKind::usage, "no such name attribute: " + quoted, ""};
    return *this;
  }
  const auto characters = count_characters(*row, value);
  if (!characters) {
    error_ = Error{ErrorKind::usage, "name attribute " + quoted + " has a character its type does not allow", ""};
  } else if (*characters < row->least || *characters > row->most) {
    error_ = Error{ErrorKind::usage,
                   "name attribute " + quoted + " has " + std::to_string(*characters) + " characters; " +
                       std::to_string(row->least) + " to " + std::to_string(row->most) + " are allowed",
                   ""};
  } else {
    const Bytes pair = der::sequence({der::oid(row->oid), make_tlv(row->string_type, as_bytes(value))});
    append(content_, make_tlv(der::kSet, pair));
  }
  return *this;
}

Result<Name> NameBuilder::build() const {
  if (error_) return fail(*error_);
  return Name::from_der(der::sequence(content_));
}

Result<Name> name_from_text(std::string_view text) {
  const auto bad = [&](const std::string& what) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no name: " + what,
                "for example \"CN=Test Root,O=Test,C=RU\"");
  };
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  std::vector<std::pair<std::string, std::string>> attributes(1);
  bool in_value = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto& [attribute, value] = attributes.back();
    const char c = text[i];
    if (c == '\\') {
      if (i + 1 == text.size()) return bad("it ends in a backslash");
      const int high = digit(text[i + 1]), low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
      (in_value ? value : attribute) += high >= 0 && low >= 0 ? static_cast<char>(high * 16 + low) : text[i + 1];
      i += high >= 0 && low >= 0 ? 2 : 1;
    } else if (!in_value && c == '=') {
      in_value = true;
    } else if (in_value && c == ',') {
      attributes.emplace_back();
      in_value = false;
    } else if (in_value && c == '+') {
      return bad("names of several attributes in one part are not written here");
    } else if (in_value || c != ' ') {
      (in_value ? value : attribute) += c;
    }
  }
  if (!in_value) return bad("an attribute and \"=\" are missing");
  NameBuilder builder;
  for (auto one = attributes.rbegin(); one != attributes.rend(); ++one) builder.add(one->first, one->second);
  return builder.build();
}

}  // namespace karta::crypto
