// BER (X.690) as CMS files in the field use it: indefinite lengths, long length fields, OCTET STRINGs in pieces.
//
// A BerReader walks the values at one level, knows where each stands in the file, and can write any of them anew in
// DER. Values alias the input.
#pragma once

#include <optional>
#include <vector>

#include "base/tlv.h"

namespace karta::crypto {

struct BerValue {
  Tag tag = 0;
  std::size_t offset = 0;          ///< of the tag, in the file
  std::size_t content_offset = 0;  ///< of the first content octet, in the file
  ByteView content;                ///< without end-of-contents octets
  ByteView whole;                  ///< tag, length, content and end-of-contents octets
  bool liberal = false;            ///< indefinite, or a length field longer than needed

  bool constructed() const { return (whole[0] & 0x20) != 0; }
};

/// The tag and length fields of a value; how long `octets` says they are together.
struct BerHeader {
  Tag tag = 0;
  std::size_t octets = 0;
  std::uint64_t length = 0;  ///< of the content, if definite
  bool indefinite = false;
  bool liberal = false;  ///< as in BerValue
};
inline constexpr std::size_t kMostBerHeader = 3 + 9;
/// Reads the fields at the front of `input`, which lies at `offset` of the file; whether the content is there too is
/// not looked at.
Result<BerHeader> read_ber_header(ByteView input, std::uint64_t offset);

class BerReader {
 public:
  /// `base` is the offset of `input` in the file; `depth` how much deeper constructed values may nest.
  BerReader(ByteView input, std::size_t base, std::size_t depth) : rest_(input), offset_(base), depth_(depth) {}

  bool done() const { return rest_.empty(); }
  std::size_t offset() const { return offset_; }
  Result<BerValue> next();
  Result<BerValue> expect(Tag tag);
  /// The next value if it bears `tag`; otherwise nothing is consumed.
  Result<std::optional<BerValue>> next_if(Tag tag);
  /// A reader over the content of `value`, one level down. Fails (limit) at the bottom.
  Result<BerReader> into(const BerValue& value) const;
  Result<BerReader> enter(Tag tag);
  Status finish() const;

 private:
  ByteView rest_;
  std::size_t offset_;
  std::size_t depth_;
};

/// The pieces of an OCTET STRING: itself if primitive, its primitive parts in order if constructed (X.690 §8.7).
/// Appends to `pieces`; fails (limit) beyond `most`.
Status collect_octets(const BerValue& octet_string, std::size_t depth, std::size_t most, std::vector<ByteView>& pieces);

/// `value` in DER: shortest definite lengths, OCTET STRINGs in one piece, elements of SETs sorted. `tag` replaces its
/// own tag if given. Fails on other strings in pieces.
Result<Bytes> ber_to_der(const BerValue& value, std::size_t depth, std::optional<Tag> tag = {});

}  // namespace karta::crypto
