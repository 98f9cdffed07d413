// BER-TLV as commands carry it: a cursor that only moves forward over a command's data, and a writer for answers.
// Tags of one or two octets, definite lengths up to 65,535 (ISO/IEC 7816-4 section 5.2.2).
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

struct Tlv {
  u16 tag = 0;     // 0x0082, 0x7F49
  ByteView value;  // aliases the input
};

class TlvCursor {
 public:
  explicit TlvCursor(ByteView input) : rest_(input) {}

  // Reads the next object, skipping 00 octets between objects as clause 5.2.2 allows. False at the end and at the
  // first fault; ok() tells which.
  bool next(Tlv& out);

  // False once the input was found malformed.
  bool ok() const { return ok_; }

 private:
  bool fault();
  ByteView rest_;
  bool ok_ = true;
};

// Appends to a buffer of fixed capacity; once something did not fit, ok() stays false and nothing more is written.
class Writer {
 public:
  explicit Writer(ByteSpan buffer) : buffer_(buffer), limit_(buffer.size()) {}

  void byte(u8 value);
  void u16_be(u16 value);
  void bytes(ByteView value);
  // Tag and length octets in front of `length` octets of value to come.
  void header(u16 tag, std::size_t length);
  void object(u16 tag, ByteView value);
  // Claims `length` octets to be filled in by the caller; empty when they do not fit.
  ByteSpan claim(std::size_t length);

  // From now on at most `octets` in all, or as much as the buffer holds.
  void limit(std::size_t octets) { limit_ = octets < buffer_.size() ? octets : buffer_.size(); }
  std::size_t room() const { return limit_ > size_ ? limit_ - size_ : 0; }

  std::size_t size() const { return size_; }
  bool ok() const { return ok_; }
  ByteSpan written() const { return buffer_.first(size_); }
  void clear();  // wipes what was written
  // Wipes all but the first `octets` of what was written.
  void shorten(std::size_t octets);

  static constexpr std::size_t header_bytes(u16 tag, std::size_t length) {
    return (tag > 0xFF ? 2 : 1) + (length < 0x80 ? 1 : length < 0x100 ? 2 : 3);
  }

 private:
  ByteSpan buffer_;
  std::size_t limit_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace karta::os
