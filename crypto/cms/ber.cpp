#include "crypto/cms/ber.h"

#include <algorithm>

#include "base/der.h"

namespace karta::crypto {
namespace {

constexpr Tag kConstructedOctetString = 0x24;

tl::unexpected<Error> bad(std::uint64_t offset, const std::string& what, ErrorKind kind = ErrorKind::malformed) {
  return fail(kind, what + " at offset " + std::to_string(offset));
}

Result<BerHeader> read_header(ByteView input, std::size_t offset) {
  const BerHeader out = TRY(read_ber_header(input, offset));
  const std::size_t left = input.size() - out.octets;
  if (!out.indefinite && out.length > left) {
    return bad(offset,
               "a value of " + std::to_string(out.length) + " octets where " + std::to_string(left) + " are left");
  }
  return out;
}

bool ends_here(ByteView input) { return input.size() >= 2 && input[0] == 0 && input[1] == 0; }

/// Octets of the content of an indefinite value, up to its end-of-contents octets.
Result<std::size_t> indefinite_content(ByteView input, std::size_t offset, std::size_t depth) {
  if (depth == 0) return bad(offset, "values nested too deep", ErrorKind::limit);
  std::size_t at = 0;
  for (;;) {
    const ByteView rest = input.subspan(at);
    if (ends_here(rest)) return at;
    if (rest.empty()) return bad(offset + at, "an indefinite value does not end");
    const BerHeader header = TRY(read_header(rest, offset + at));
    at += header.octets;
    if (header.indefinite) {
      at += TRY(indefinite_content(input.subspan(at), offset + at, depth - 1)) + 2;
    } else {
      at += header.length;
    }
  }
}

}  // namespace

Result<BerHeader> read_ber_header(ByteView input, std::uint64_t offset) {
  BerHeader out;
  Cursor cursor(input);
  const auto u8 = [&]() -> Result<std::uint8_t> {
    if (cursor.empty()) return bad(offset + cursor.offset(), "the file ends in the middle of a value");
    return cursor.u8();
  };
  out.tag = TRY(u8());
  if ((out.tag & 0x1F) == 0x1F) {
    for (int i = 0;; ++i) {
      const std::uint8_t next = TRY(u8());
      if (i == 2 || (i == 0 && next == 0x80)) return bad(offset, "a tag that is no tag of CMS");
      out.tag = out.tag << 8 | next;
      if ((next & 0x80) == 0) break;
    }
  }
  const std::uint8_t first = TRY(u8());
  if (first < 0x80) {
    out.length = first;
  } else if (first == 0x80) {
    out.indefinite = true;
    out.liberal = true;
    if ((input[0] & 0x20) == 0) return bad(offset, "an indefinite length on a primitive value");
  } else {
    const unsigned count = first & 0x7F;
    if (count > 8) return bad(offset, "a length field of " + std::to_string(count) + " octets", ErrorKind::limit);
    std::uint8_t top = 0;
    for (unsigned i = 0; i < count; ++i) {
      const std::uint8_t octet = TRY(u8());
      if (i == 0) top = octet;
      out.length = out.length << 8 | octet;
    }
    out.liberal = top == 0 || out.length < 0x80;
  }
  out.octets = cursor.offset();
  return out;
}

Result<BerValue> BerReader::next() {
  if (rest_.empty()) return bad(offset_, "a value is missing");
  const BerHeader header = TRY(read_header(rest_, offset_));
  if (header.tag == 0) return bad(offset_, "end-of-contents octets out of place");
  const ByteView after = rest_.subspan(header.octets);
  BerValue out{.tag = header.tag,
               .offset = offset_,
               .content_offset = offset_ + header.octets,
               .content = {},
               .whole = {},
               .liberal = header.liberal};
  std::size_t total = header.octets;
  if (header.indefinite) {
    const std::size_t content = TRY(indefinite_content(after, out.content_offset, depth_));
    out.content = after.first(content);
    total += content + 2;
  } else {
    out.content = after.first(header.length);
    total += header.length;
  }
  out.whole = rest_.first(total);
  rest_ = rest_.subspan(total);
  offset_ += total;
  return out;
}

Result<BerValue> BerReader::expect(Tag tag) {
  const std::size_t at = offset_;
  const BerValue value = TRY(next());
  if (value.tag != tag) {
    const auto hex = [](Tag t) {
      const std::uint8_t octet = static_cast<std::uint8_t>(t);
      return to_hex_upper(ByteView(&octet, 1));
    };
    return bad(at, "tag " + hex(tag) + " expected, found " + hex(value.tag));
  }
  return value;
}

Result<std::optional<BerValue>> BerReader::next_if(Tag tag) {
  // Tags asked for here are one octet long.
  if (rest_.empty() || rest_[0] != tag) return std::optional<BerValue>{};
  return std::optional<BerValue>(TRY(next()));
}

Result<BerReader> BerReader::into(const BerValue& value) const {
  if (depth_ == 0) return bad(value.offset, "values nested too deep", ErrorKind::limit);
  return BerReader(value.content, value.content_offset, depth_ - 1);
}

Result<BerReader> BerReader::enter(Tag tag) {
  const BerValue value = TRY(expect(tag));
  return into(value);
}

Status BerReader::finish() const {
  if (rest_.empty()) return {};
  return bad(offset_, std::to_string(rest_.size()) + " octets too many");
}

Status collect_octets(const BerValue& octet_string, std::size_t depth, std::size_t most,
                      std::vector<ByteView>& pieces) {
  if (octet_string.tag == der::kOctetString) {
    if (pieces.size() == most) return bad(octet_string.offset, "an OCTET STRING in too many pieces", ErrorKind::limit);
    if (!octet_string.content.empty()) pieces.push_back(octet_string.content);
    return {};
  }
  if (octet_string.tag != kConstructedOctetString) return bad(octet_string.offset, "OCTET STRING expected");
  if (depth == 0) return bad(octet_string.offset, "values nested too deep", ErrorKind::limit);
  BerReader reader(octet_string.content, octet_string.content_offset, depth - 1);
  while (!reader.done()) {
    const BerValue piece = TRY(reader.next());
    TRY(collect_octets(piece, depth - 1, most, pieces));
  }
  return {};
}

Result<Bytes> ber_to_der(const BerValue& value, std::size_t depth, std::optional<Tag> tag) {
  if (depth == 0) return bad(value.offset, "values nested too deep", ErrorKind::limit);
  const Tag out_tag = tag.value_or(value.tag);
  if (!value.constructed()) return make_tlv(out_tag, value.content);

  const bool universal = (value.whole[0] & 0xC0) == 0;
  if (universal && value.tag == kConstructedOctetString) {
    std::vector<ByteView> pieces;
    TRY(collect_octets(value, depth, value.content.size() + 1, pieces));
    Bytes content;
    for (const ByteView piece : pieces) append(content, piece);
    return make_tlv(der::kOctetString, content);
  }
  // EXTERNAL and EMBEDDED PDV are constructed too, but no file needs them here.
  if (universal && value.tag != der::kSequence && value.tag != der::kSet) {
    return bad(value.offset, "a string in pieces where DER is expected");
  }
  std::vector<Bytes> elements;
  BerReader reader(value.content, value.content_offset, depth - 1);
  while (!reader.done()) {
    const BerValue element = TRY(reader.next());
    elements.push_back(TRY(ber_to_der(element, depth - 1)));
  }
  if (out_tag == der::kSet) return der::set_of(std::move(elements));
  Bytes content;
  for (const Bytes& element : elements) append(content, element);
  return make_tlv(out_tag, content);
}

}  // namespace karta::crypto
