// Cursor: reads octets forward only, and never past the end.
//
// Every parser of karta stands on one: take, check, finish with "nothing left over". A Cursor aliases its input.
#pragma once

#include "base/bytes.h"

namespace karta {

class Cursor {
 public:
  explicit Cursor(ByteView input) : rest_(input), size_(input.size()) {}

  bool empty() const { return rest_.empty(); }
  std::size_t remaining() const { return rest_.size(); }
  /// Octets consumed so far; what error messages call "offset".
  std::size_t offset() const { return size_ - rest_.size(); }
  /// All that is left, without consuming it.
  ByteView rest() const { return rest_; }

  /// The next octet without consuming it.
  Result<std::uint8_t> peek() const {
    if (rest_.empty()) return short_by(1);
    return rest_[0];
  }
  Result<std::uint8_t> u8() {
    if (rest_.empty()) return short_by(1);
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  Result<std::uint16_t> be16() {
    const ByteView two = TRY(take(2));
    return load_be16(two);
  }
  /// The next `count` octets, aliasing the input.
  Result<ByteView> take(std::size_t count) {
    if (count > rest_.size()) return short_by(count);
    const ByteView head = rest_.first(count);
    rest_ = rest_.subspan(count);
    return head;
  }
  /// Fails unless everything was consumed.
  Status finish() const;

 private:
  tl::unexpected<Error> short_by(std::size_t wanted) const;

  ByteView rest_;
  std::size_t size_;
};

}  // namespace karta
