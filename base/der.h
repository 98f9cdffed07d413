// DER (X.690): typed reading and writing of the ASN.1 values that keys, certificates, CMS and PKCS #15 are made of.
//
// Reading is strict unless the limits say otherwise; values alias the input. Writing goes inside out: make the parts,
// then der::sequence({parts...}).
#pragma once

#include <string>

#include "base/clock.h"
#include "base/tlv.h"

namespace karta::der {

// Universal tags as they stand on the wire (constructed bit included where DER demands it).
inline constexpr Tag kBoolean = 0x01, kInteger = 0x02, kBitString = 0x03, kOctetString = 0x04, kNull = 0x05,
                     kOid = 0x06, kEnumerated = 0x0A, kUtf8String = 0x0C, kNumericString = 0x12,
                     kPrintableString = 0x13, kIa5String = 0x16, kUtcTime = 0x17, kGeneralizedTime = 0x18,
                     kSequence = 0x30, kSet = 0x31;
/// [n] constructed, and [n] primitive (context class), n under 31.
constexpr Tag context(unsigned n) { return 0xA0 | n; }
constexpr Tag context_primitive(unsigned n) { return 0x80 | n; }

/// A cursor over DER.
class Reader {
 public:
  explicit Reader(ByteView input, TlvLimits limits = TlvLimits::der()) : cursor_(input, limits), limits_(limits) {}

  bool done() { return cursor_.done(); }
  std::size_t offset() const { return cursor_.offset(); }
  /// Any value.
  Result<Tlv> any() { return cursor_.next(); }
  Result<Tlv> expect(Tag tag) { return cursor_.expect(tag); }
  Result<std::optional<Tlv>> next_if(Tag tag) { return cursor_.next_if(tag); }
  /// Reader over the content of the next value, which must bear `tag`.
  Result<Reader> enter(Tag tag);
  Result<std::optional<Reader>> enter_if(Tag tag);

  Result<bool> boolean();
  /// Content octets of an INTEGER in two's complement, shortest form checked.
  Result<ByteView> integer();
  /// A non-negative INTEGER below 2^63.
  Result<std::uint64_t> small_integer();
  /// Magnitude of a non-negative INTEGER, no leading zero (zero itself: one 00).
  Result<ByteView> unsigned_integer();
  Result<ByteView> octet_string();
  /// A BIT STRING of whole octets (unused bits 0).
  Result<ByteView> bit_string();
  /// A BIT STRING: its octets and the number of unused bits in the last.
  struct Bits {
    ByteView octets;
    unsigned unused = 0;
    bool test(std::size_t bit) const {
      return bit / 8 < octets.size() && bit < octets.size() * 8 - unused && (octets[bit / 8] >> (7 - bit % 8) & 1) != 0;
    }
  };
  Result<Bits> bits();
  /// Content octets of an OBJECT IDENTIFIER, well-formedness checked.
  Result<ByteView> oid();
  Status null();
  /// UTF8String, PrintableString, IA5String or NumericString as characters (character sets are not checked).
  Result<std::string_view> text();
  /// UTCTime or GeneralizedTime, Z only, seconds present (RFC 5280 §4.1.2.5).
  Result<Time> time();
  Status finish() { return cursor_.finish(); }

 private:
  TlvCursor cursor_;
  TlvLimits limits_;
};

/// Content octets of the dotted text, "1.2.840.113549.1.1.11", arcs under 2^128. Fails on text that is no OID.
Result<Bytes> oid_from_text(std::string_view dotted);
/// The dotted text of well-formed content octets; arcs over 128 bits are shown as "?".
std::string oid_to_text(ByteView content);

Bytes sequence(std::initializer_list<ByteView> parts);
Bytes sequence(ByteView content);
/// SET OF: sorts the elements as DER asks.
Bytes set_of(std::vector<Bytes> elements);
Bytes boolean(bool value);
Bytes integer(std::uint64_t value);
/// INTEGER of a big-endian magnitude; leading zeros are trimmed.
Bytes unsigned_integer(ByteView magnitude);
Bytes octet_string(ByteView value);
/// BIT STRING of whole octets.
Bytes bit_string(ByteView value);
/// BIT STRING of named bits: trailing zero bits are left out, as DER asks.
Bytes named_bits(std::uint32_t bits, unsigned count);
/// `content` is what oid_from_text gives.
Bytes oid(ByteView content);
/// For OIDs written in the source; ends the program on a misspelt one.
Bytes oid(std::string_view dotted);
Bytes null();
Bytes utf8(std::string_view value);
Bytes printable(std::string_view value);
Bytes ia5(std::string_view value);
/// UTCTime through 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
Bytes time(Time value);
Bytes generalized_time(Time value);

}  // namespace karta::der
