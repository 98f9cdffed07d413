#include "base/der.h"

#include <algorithm>

namespace karta::der {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::malformed, std::string("DER: ") + what); }

Status check_oid(ByteView content) {
  if (content.empty()) return bad("empty OBJECT IDENTIFIER");
  if ((content.back() & 0x80) != 0) return bad("OBJECT IDENTIFIER ends inside an arc");
  bool start = true;
  for (std::uint8_t octet : content) {
    if (start && octet == 0x80) return bad("OBJECT IDENTIFIER arc is not in its shortest form");
    start = (octet & 0x80) == 0;
  }
  return {};
}

// 128 bits: UUID arcs under 2.25 (X.667) need them all.
__extension__ using Arc = unsigned __int128;
constexpr int kArcGroups = 18;  // of 7 bits, enough for 126; the 19th holds what is left

void append_arc(Bytes& out, Arc arc) {
  int groups = 1;
  while (groups <= kArcGroups && arc >> (7 * groups) != 0) ++groups;
  for (int i = groups - 1; i >= 0; --i) {
    out.push_back(static_cast<std::uint8_t>((arc >> (7 * i) & 0x7F) | (i != 0 ? 0x80 : 0)));
  }
}

int two_digits(ByteView text, std::size_t at) {
  if (text[at] < '0' || text[at] > '9' || text[at + 1] < '0' || text[at + 1] > '9') return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

}  // namespace

Result<Reader> Reader::enter(Tag tag) {
  const Tlv object = TRY(cursor_.expect(tag));
  return Reader(object.value, limits_);
}

Result<std::optional<Reader>> Reader::enter_if(Tag tag) {
  const auto object = TRY(cursor_.next_if(tag));
  if (!object) return std::optional<Reader>{};
  return std::optional<Reader>(Reader(object->value, limits_));
}

Result<bool> Reader::boolean() {
  const Tlv object = TRY(cursor_.expect(kBoolean));
  if (object.value.size() != 1) return bad("BOOLEAN of wrong length");
  if (limits_.shortest_length && object.value[0] != 0 && object.value[0] != 0xFF)
    return bad("BOOLEAN is neither 00 nor FF");
  return object.value[0] != 0;
}

Result<ByteView> Reader::integer() {
  const Tlv object = TRY(cursor_.expect(kInteger));
  const ByteView value = object.value;
  if (value.empty()) return bad("empty INTEGER");
  if (value.size() > 1 && ((value[0] == 0 && (value[1] & 0x80) == 0) || (value[0] == 0xFF && (value[1] & 0x80) != 0))) {
    return bad("INTEGER is not in its shortest form");
  }
  return value;
}

Result<ByteView> Reader::unsigned_integer() {
  const ByteView value = TRY(integer());
  if ((value[0] & 0x80) != 0) return bad("INTEGER is negative");
  return value.size() > 1 && value[0] == 0 ? value.subspan(1) : value;
}

Result<std::uint64_t> Reader::small_integer() {
  const ByteView magnitude = TRY(unsigned_integer());
  if (magnitude.size() > 8 || (magnitude.size() == 8 && (magnitude[0] & 0x80) != 0)) {
    return fail(ErrorKind::limit, "DER: INTEGER is too large here");
  }
  std::uint64_t value = 0;
  for (std::uint8_t octet : magnitude) value = value << 8 | octet;
  return value;
}

Result<ByteView> Reader::octet_string() { return TRY(cursor_.expect(kOctetString)).value; }

Result<Reader::Bits> Reader::bits() {
  const ByteView value = TRY(cursor_.expect(kBitString)).value;
  if (value.empty()) return bad("empty BIT STRING");
  const unsigned unused = value[0];
  if (unused > 7 || (unused != 0 && value.size() == 1)) return bad("BIT STRING with a wrong count of unused bits");
  if (unused != 0 && limits_.shortest_length && (value.back() & ((1u << unused) - 1)) != 0) {
    return bad("BIT STRING with unused bits that are not zero");
  }
  return Bits{value.subspan(1), unused};
}

Result<ByteView> Reader::bit_string() {
  const Bits value = TRY(bits());
  if (value.unused != 0) return bad("BIT STRING of whole octets expected");
  return value.octets;
}

Result<ByteView> Reader::oid() {
  const ByteView content = TRY(cursor_.expect(kOid)).value;
  TRY(check_oid(content));
  return content;
}

Status Reader::null() {
  if (!TRY(cursor_.expect(kNull)).value.empty()) return bad("NULL with content");
  return {};
}

Result<std::string_view> Reader::text() {
  const Tlv object = TRY(cursor_.next());
  switch (object.tag) {
    case kUtf8String:
    case kNumericString:
    case kPrintableString:
    case kIa5String:
      return as_text(object.value);
    default:
      return bad("character string expected");
  }
}

Result<Time> Reader::time() {
  const Tlv object = TRY(cursor_.next());
  const ByteView text = object.value;
  int year = 0;
  std::size_t at = 0;
  if (object.tag == kUtcTime && text.size() == 13) {
    const int two = two_digits(text, 0);
    if (two < 0) return bad("time has a character that is no digit");
    year = two + (two < 50 ? 2000 : 1900);
    at = 2;
  } else if (object.tag == kGeneralizedTime && text.size() == 15) {
    const int century = two_digits(text, 0), two = two_digits(text, 2);
    if (century < 0 || two < 0) return bad("time has a character that is no digit");
    year = century * 100 + two;
    at = 4;
  } else {
    return bad("UTCTime or GeneralizedTime with seconds expected");
  }
  if (text.back() != 'Z') return bad("time is not in UTC");
  int fields[5];
  for (int& field : fields) {
    field = two_digits(text, at);
    if (field < 0) return bad("time has a character that is no digit");
    at += 2;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(fields[0])),
                                         std::chrono::day(static_cast<unsigned>(fields[1]))};
  if (!date.ok() || fields[2] > 23 || fields[3] > 59 || fields[4] > 59) return bad("no such time");
  return std::chrono::sys_days(date) + std::chrono::hours(fields[2]) + std::chrono::minutes(fields[3]) +
         std::chrono::seconds(fields[4]);
}

Result<Bytes> oid_from_text(std::string_view dotted) {
  constexpr Arc kMost = ~Arc{0};
  std::vector<Arc> arcs(1, 0);
  bool digit_seen = false;
  for (const char c : dotted) {
    if (c == '.' && digit_seen) {
      arcs.push_back(0);
      digit_seen = false;
    } else if (c >= '0' && c <= '9') {
      if (arcs.back() > (kMost - 9) / 10) return bad("OID arc is too large");
      arcs.back() = arcs.back() * 10 + static_cast<unsigned>(c - '0');
      digit_seen = true;
    } else {
      return bad("not an OID in dotted form");
    }
  }
  if (!digit_seen || arcs.size() < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39)) {
    return bad("not an OID in dotted form");
  }
  if (arcs[1] > kMost - 80) return bad("OID arc is too large");
  Bytes out;
  append_arc(out, arcs[0] * 40 + arcs[1]);
  for (std::size_t i = 2; i < arcs.size(); ++i) append_arc(out, arcs[i]);
  return out;
}

std::string oid_to_text(ByteView content) {
  const auto text_of = [](Arc arc) {
    std::string reversed;
    do {
      reversed += static_cast<char>('0' + static_cast<int>(arc % 10));
      arc /= 10;
    } while (arc != 0);
    return std::string(reversed.rbegin(), reversed.rend());
  };
  std::string out;
  Arc arc = 0;
  bool overflow = false;
  for (const std::uint8_t octet : content) {
    overflow = overflow || (arc >> 121) != 0;
    arc = arc << 7 | (octet & 0x7F);
    if ((octet & 0x80) != 0) continue;
    if (out.empty()) {
      const auto first = static_cast<unsigned>(std::min<Arc>(arc / 40, 2));
      out = std::to_string(first) + '.' + (overflow ? "?" : text_of(arc - first * 40));
    } else {
      out += '.';
      out += overflow ? "?" : text_of(arc);
    }
    arc = 0;
    overflow = false;
  }
  return out;
}

Bytes sequence(std::initializer_list<ByteView> parts) { return make_tlv(kSequence, parts); }
Bytes sequence(ByteView content) { return make_tlv(kSequence, content); }

Bytes set_of(std::vector<Bytes> elements) {
  // X.690 §11.6: ascending, the shorter padded with zeros; no element is a prefix of another, so plain order serves.
  std::sort(elements.begin(), elements.end());
  Bytes content;
  for (const Bytes& element : elements) append(content, element);
  return make_tlv(kSet, content);
}

Bytes boolean(bool value) { return {0x01, 0x01, static_cast<std::uint8_t>(value ? 0xFF : 0x00)}; }

Bytes integer(std::uint64_t value) {
  std::uint8_t octets[8];
  for (int i = 0; i < 8; ++i) octets[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return unsigned_integer(octets);
}

Bytes unsigned_integer(ByteView magnitude) {
  while (magnitude.size() > 1 && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  Bytes content;
  content.reserve(magnitude.size() + 1);
  if (magnitude.empty() || (magnitude[0] & 0x80) != 0) content.push_back(0);
  append(content, magnitude);
  return make_tlv(kInteger, content);
}

Bytes octet_string(ByteView value) { return make_tlv(kOctetString, value); }

Bytes bit_string(ByteView value) {
  const std::uint8_t none = 0;
  return make_tlv(kBitString, {ByteView(&none, 1), value});
}

Bytes named_bits(std::uint32_t bits, unsigned count) {
  // Bit 0 of the ASN.1 type is the most significant bit of the first octet; here it is bit 0 of `bits`.
  while (count > 0 && (bits >> (count - 1) & 1) == 0) --count;
  Bytes content(1 + (count + 7) / 8, 0);
  content[0] = static_cast<std::uint8_t>((8 - count % 8) % 8);
  for (unsigned bit = 0; bit < count; ++bit) {
    if ((bits >> bit & 1) != 0)
      content[1 + bit / 8] = static_cast<std::uint8_t>(content[1 + bit / 8] | 0x80u >> bit % 8);
  }
  return make_tlv(kBitString, content);
}

Bytes oid(ByteView content) { return make_tlv(kOid, content); }

Bytes oid(std::string_view dotted) {
  const auto content = oid_from_text(dotted);
  KARTA_CHECK(content.has_value());
  return make_tlv(kOid, *content);
}

Bytes null() { return {0x05, 0x00}; }
Bytes utf8(std::string_view value) { return make_tlv(kUtf8String, as_bytes(value)); }
Bytes printable(std::string_view value) { return make_tlv(kPrintableString, as_bytes(value)); }
Bytes ia5(std::string_view value) { return make_tlv(kIa5String, as_bytes(value)); }

namespace {
std::string compact(Time value, bool full_year) {
  const std::string text = format_time(value);  // 2026-11-21T08:30:00Z
  std::string out;
  for (std::size_t i = full_year ? 0 : 2; i < text.size(); ++i) {
    if (text[i] >= '0' && text[i] <= '9') out += text[i];
  }
  return out + 'Z';
}
}  // namespace

Bytes time(Time value) {
  const bool utc = value >= std::chrono::sys_days(std::chrono::year(1950) / 1 / 1) &&
                   value < std::chrono::sys_days(std::chrono::year(2050) / 1 / 1);
  return utc ? make_tlv(kUtcTime, as_bytes(compact(value, false))) : generalized_time(value);
}

Bytes generalized_time(Time value) { return make_tlv(kGeneralizedTime, as_bytes(compact(value, true))); }

}  // namespace karta::der
