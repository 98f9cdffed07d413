#include "firmware-sim/os/tlv.h"

namespace karta::os {

bool TlvCursor::fault() {
  ok_ = false;
  rest_ = {};
  return false;
}

bool TlvCursor::next(Tlv& out) {
  while (!rest_.empty() && rest_[0] == 0) rest_ = rest_.subspan(1);
  if (rest_.empty()) return false;
  std::size_t at = 0;
  u16 tag = rest_[at++];
  if ((tag & 0x1F) == 0x1F) {
    if (at >= rest_.size() || (rest_[at] & 0x80) != 0) return fault();  // three-octet tags carry nothing we know
    tag = static_cast<u16>(tag << 8 | rest_[at++]);
  }
  if (at >= rest_.size()) return fault();
  std::size_t length = rest_[at++];
  if (length >= 0x80) {
    const std::size_t octets = length & 0x7F;
    if (octets == 0 || octets > 2 || rest_.size() - at < octets) return fault();
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8 | rest_[at++];
  }
  if (rest_.size() - at < length) return fault();
  out = {.tag = tag, .value = rest_.subspan(at, length)};
  rest_ = rest_.subspan(at + length);
  return true;
}

ByteSpan Writer::claim(std::size_t length) {
  if (!ok_ || room() < length) {
    ok_ = false;
    return {};
  }
  const ByteSpan space = buffer_.subspan(size_, length);
  size_ += length;
  return space;
}

void Writer::byte(u8 value) {
  if (const ByteSpan space = claim(1); !space.empty()) space[0] = value;
}

void Writer::u16_be(u16 value) {
  if (const ByteSpan space = claim(2); !space.empty()) write_u16(space.data(), value);
}

void Writer::bytes(ByteView value) {
  if (const ByteSpan space = claim(value.size()); !space.empty()) copy(space, value);
}

void Writer::header(u16 tag, std::size_t length) {
  if (tag > 0xFF) byte(static_cast<u8>(tag >> 8));
  byte(static_cast<u8>(tag));
  if (length >= 0x100) {
    byte(0x82);
    byte(static_cast<u8>(length >> 8));
  } else if (length >= 0x80) {
    byte(0x81);
  }
  byte(static_cast<u8>(length));
}

void Writer::object(u16 tag, ByteView value) {
  header(tag, value.size());
  bytes(value);
}

void Writer::shorten(std::size_t octets) {
  if (octets >= size_) return;
  wipe(buffer_.subspan(octets, size_ - octets));
  size_ = octets;
}

void Writer::clear() {
  wipe(buffer_.first(size_));
  size_ = 0;
  ok_ = true;
}

}  // namespace karta::os
