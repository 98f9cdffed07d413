#include "base/tlv.h"

namespace karta {
namespace {

std::string tag_text(Tag tag) {
  Bytes octets;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto octet = static_cast<std::uint8_t>(tag >> shift);
    if (!octets.empty() || octet != 0 || shift == 0) octets.push_back(octet);
  }
  return to_hex_upper(octets);
}

Result<Tag> read_tag(Cursor& cursor, std::size_t most) {
  const std::size_t at = cursor.offset();
  Tag tag = TRY(cursor.u8());
  if ((tag & 0x1F) != 0x1F) return tag;
  for (std::size_t octets = 1;; ++octets) {
    if (octets == most) return fail(ErrorKind::limit, "tag at offset " + std::to_string(at) + " is too long");
    const std::uint8_t next = TRY(cursor.u8());
    if (octets == 1 && next == 0x80) {
      return fail(ErrorKind::malformed, "tag at offset " + std::to_string(at) + " is not in its shortest form");
    }
    tag = tag << 8 | next;
    if ((next & 0x80) == 0) return tag;
  }
}

Result<std::size_t> read_length(Cursor& cursor, const TlvLimits& limits) {
  const std::size_t at = cursor.offset();
  const std::uint8_t first = TRY(cursor.u8());
  if (first < 0x80) return first;
  const std::size_t octets = first & 0x7F;
  if (octets == 0) {
    return fail(ErrorKind::malformed, "indefinite length at offset " + std::to_string(at) + " is not allowed here");
  }
  if (octets > 4) return fail(ErrorKind::limit, "length at offset " + std::to_string(at) + " is too long");
  std::size_t length = 0;
  for (std::size_t i = 0; i < octets; ++i) {
    const std::uint8_t octet = TRY(cursor.u8());
    if (i == 0 && octet == 0 && limits.shortest_length) {
      return fail(ErrorKind::malformed, "length at offset " + std::to_string(at) + " is not in its shortest form");
    }
    length = length << 8 | octet;
  }
  if (length < 0x80 && limits.shortest_length) {
    return fail(ErrorKind::malformed, "length at offset " + std::to_string(at) + " is not in its shortest form");
  }
  return length;
}

}  // namespace

bool Tlv::constructed() const { return !whole.empty() && (whole[0] & 0x20) != 0; }

bool TlvCursor::done() {
  if (limits_.skip_padding) {
    while (!cursor_.empty()) {
      const auto next = cursor_.peek();
      if (*next != 0x00 && *next != 0xFF) break;
      (void)cursor_.u8();  // cannot fail: not empty
    }
  }
  return cursor_.empty();
}

Result<Tlv> TlvCursor::next() {
  if (done()) return fail(ErrorKind::malformed, "a data object is missing at offset " + std::to_string(offset()));
  const ByteView from = cursor_.rest();
  const std::size_t start = cursor_.offset();
  Tlv object;
  object.tag = TRY(read_tag(cursor_, limits_.tag_octets));
  const std::size_t length = TRY(read_length(cursor_, limits_));
  if (length > limits_.value_octets) {
    return fail(ErrorKind::limit, "data object " + tag_text(object.tag) + " at offset " + std::to_string(start) +
                                      " claims " + std::to_string(length) + " octets");
  }
  object.value = TRY(cursor_.take(length));
  object.whole = from.first(cursor_.offset() - start);
  return object;
}

Result<Tlv> TlvCursor::expect(Tag tag) {
  const std::size_t at = offset();
  const Tlv object = TRY(next());
  if (object.tag != tag) {
    return fail(ErrorKind::malformed, "data object " + tag_text(tag) + " expected at offset " + std::to_string(at) +
                                          ", found " + tag_text(object.tag));
  }
  return object;
}

Result<std::optional<Tlv>> TlvCursor::next_if(Tag tag) {
  if (done()) return std::optional<Tlv>{};
  const Cursor before = cursor_;
  const Tlv object = TRY(next());
  if (object.tag == tag) return std::optional<Tlv>(object);
  cursor_ = before;
  return std::optional<Tlv>{};
}

Status TlvCursor::finish() {
  if (done()) return {};
  return cursor_.finish();
}

Result<std::optional<Tlv>> find_tlv(ByteView input, Tag tag, TlvLimits limits) {
  TlvCursor cursor(input, limits);
  while (!cursor.done()) {
    const Tlv object = TRY(cursor.next());
    if (object.tag == tag) return std::optional<Tlv>(object);
  }
  return std::optional<Tlv>{};
}

namespace {

void append_header(Bytes& out, Tag tag, std::size_t length) {
  for (int shift = 24; shift > 0; shift -= 8) {
    if (tag >> shift != 0) out.push_back(static_cast<std::uint8_t>(tag >> shift));
  }
  out.push_back(static_cast<std::uint8_t>(tag));
  if (length < 0x80) {
    out.push_back(static_cast<std::uint8_t>(length));
  } else {
    int octets = 1;
    while (octets < 8 && length >> (8 * octets) != 0) ++octets;
    out.push_back(static_cast<std::uint8_t>(0x80 | octets));
    for (int i = octets - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(length >> (8 * i)));
  }
}

}  // namespace

void append_tlv(Bytes& out, Tag tag, ByteView value) {
  append_header(out, tag, value.size());
  append(out, value);
}

Bytes make_tlv(Tag tag, ByteView value) {
  Bytes out;
  out.reserve(value.size() + 8);
  append_tlv(out, tag, value);
  return out;
}

Bytes make_tlv(Tag tag, std::initializer_list<ByteView> parts) {
  std::size_t length = 0;
  for (const ByteView part : parts) length += part.size();
  Bytes out;
  out.reserve(length + 8);
  append_header(out, tag, length);
  for (const ByteView part : parts) append(out, part);
  return out;
}

}  // namespace karta
