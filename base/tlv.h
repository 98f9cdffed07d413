// BER-TLV as cards speak it (ISO 7816-4 §5.2.2, X.690 definite lengths): the reader and the writer.
//
// A Tag is the tag field read as one big-endian number: 6F, 5F49, 7F4E. Strictness is named: TlvLimits::ber() takes
// what cards in the field send (lengths longer than needed), TlvLimits::der() only the shortest form.
#pragma once

#include <optional>

#include "base/cursor.h"

namespace karta {

using Tag = std::uint32_t;

struct TlvLimits {
  std::size_t tag_octets;    ///< a tag field at most this long
  std::size_t value_octets;  ///< a value at most this long
  bool shortest_length;      ///< refuse length fields longer than needed (DER)
  bool skip_padding;         ///< skip 00 and FF octets between data objects (ISO 7816-4 §5.2.2.1)

  /// What a card may send: padded, long-winded, but bounded by an extended APDU.
  static constexpr TlvLimits ber() { return {3, 65536, false, true}; }
  /// The distinguished form, no padding.
  static constexpr TlvLimits der() { return {3, 64u << 20, true, false}; }
};

/// One data object; `value` and `whole` alias the input.
struct Tlv {
  Tag tag = 0;
  ByteView value;  ///< content octets: no tag, no length
  ByteView whole;  ///< tag, length and content as they stood in the input

  /// Bit 6 of the first tag octet: the value is a sequence of data objects.
  bool constructed() const;
};

class TlvCursor {
 public:
  explicit TlvCursor(ByteView input, TlvLimits limits = TlvLimits::ber()) : cursor_(input), limits_(limits) {}

  /// True once nothing but padding is left. Skips that padding.
  bool done();
  /// The next data object.
  Result<Tlv> next();
  /// The next data object, which must bear `tag`.
  Result<Tlv> expect(Tag tag);
  /// The next data object if it bears `tag`; otherwise nothing is consumed.
  Result<std::optional<Tlv>> next_if(Tag tag);
  Status finish();
  std::size_t offset() const { return cursor_.offset(); }

 private:
  Cursor cursor_;
  TlvLimits limits_;
};

/// The first object with `tag` directly inside `input`, skipping others. Not found: an empty optional.
Result<std::optional<Tlv>> find_tlv(ByteView input, Tag tag, TlvLimits limits = TlvLimits::ber());

/// Appends a data object with the shortest length field.
void append_tlv(Bytes& out, Tag tag, ByteView value);
Bytes make_tlv(Tag tag, ByteView value);
/// The parts' concatenation as the value.
Bytes make_tlv(Tag tag, std::initializer_list<ByteView> parts);

}  // namespace karta
