// GapCode: a set of numbers below n, coded in close to log2 C(n, k) bits.
//
// What stands between two members of a set that chance has scattered is geometrically distributed, and the parameter is
// known from n and k alone. Each gap is cut into a high part, coded by rANS (J. Duda, arXiv:1311.2540) with the
// probabilities of that distribution, and `shift` low bits, which are as good as uniform and stand as they are. All
// tables are computed with integers only, so that every reader computes the same; docs/stop-list.md has the recipe.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace karta::identity {

/// A shard covers at most this many numbers.
inline constexpr std::uint32_t kMostInShard = 1u << 20;

/// Frequencies for gaps of a set of `members` out of `size`, 0 < members < size.
class GapModel {
 public:
  static constexpr unsigned kSymbols = 65;  ///< high parts 0 to 63, and "64 more"
  static constexpr unsigned kScaleBits = 16;

  GapModel(std::uint32_t size, std::uint32_t members);

  unsigned shift() const { return shift_; }
  /// Symbol s has [start(s), start(s + 1)) of 65,536.
  std::uint32_t start(unsigned symbol) const { return start_[symbol]; }
  std::uint32_t frequency(unsigned symbol) const { return start_[symbol + 1] - start_[symbol]; }
  unsigned symbol_at(std::uint32_t slot) const {
    unsigned symbol = coarse_[slot >> kCoarseShift];
    while (start_[symbol + 1] <= slot) ++symbol;
    return symbol;
  }

 private:
  static constexpr unsigned kCoarseShift = 6;

  unsigned shift_ = 0;
  std::array<std::uint32_t, kSymbols + 1> start_{};
  std::array<std::uint8_t, (1u << (kScaleBits - kCoarseShift))> coarse_{};
};

/// Appends the code of `members` (ascending, each once, all below `size`) to `out`. Nothing for none and for all.
void encode_gaps(std::span<const std::uint32_t> members, std::uint32_t size, Bytes& out);

/// Calls each(member) for `count` members in ascending order; a call that returns false ends the work. Fails with
/// malformed where `code` is not, to the last octet, what encode_gaps() writes for some set. Members already handed out
/// then are worth nothing.
template <class Each>
Status decode_gaps(ByteView code, std::uint32_t size, std::uint32_t count, Each&& each);

namespace gap_detail {
inline constexpr std::uint32_t kLowest = 1u << 16;  // of the coder's state
tl::unexpected<Error> broken();
}  // namespace gap_detail

template <class Each>
Status decode_gaps(ByteView code, std::uint32_t size, std::uint32_t count, Each&& each) {
  if (count > size || size > kMostInShard) return gap_detail::broken();
  if (count == 0 || count == size) {
    if (!code.empty()) return gap_detail::broken();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!each(i)) return {};
    }
    return {};
  }
  const GapModel model(size, count);
  const unsigned shift = model.shift();
  const std::size_t low_octets = (std::size_t{count} * shift + 7) / 8;
  if (code.size() < low_octets + 4 || (code.size() - low_octets) % 2 != 0) return gap_detail::broken();
  const std::uint8_t* low = code.data();
  const std::uint8_t* const low_end = low + low_octets;
  const std::uint8_t* word = low_end;
  const std::uint8_t* const end = code.data() + code.size();
  std::uint32_t state = 0;
  for (unsigned i = 0; i < 4; ++i) state |= std::uint32_t{*word++} << (8 * i);

  std::uint64_t window = 0;  // low bits not used yet
  unsigned held = 0;
  const std::uint32_t mask = (1u << shift) - 1;
  std::uint32_t next = 0;  // the smallest number the next member can be
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t high = 0;
    while (true) {
      const std::uint32_t slot = state & 0xFFFF;
      const unsigned symbol = model.symbol_at(slot);
      state = model.frequency(symbol) * (state >> 16) + slot - model.start(symbol);
      if (state < gap_detail::kLowest) {
        if (word == end) return gap_detail::broken();
        state = state << 16 | std::uint32_t{word[0]} | std::uint32_t{word[1]} << 8;
        word += 2;
      }
      if (symbol < GapModel::kSymbols - 1) {
        high += symbol;
        break;
      }
      high += GapModel::kSymbols - 1;
      if (high > size >> shift) return gap_detail::broken();
    }
    while (held < shift) {
      window |= std::uint64_t{low == low_end ? std::uint8_t{0} : *low++} << held;
      held += 8;
    }
    const std::uint32_t gap = high << shift | (static_cast<std::uint32_t>(window) & mask);
    window >>= shift;
    held -= shift;
    if (gap >= size - next) return gap_detail::broken();
    const std::uint32_t member = next + gap;
    if (!each(member)) return {};
    next = member + 1;
    if (next == size && i + 1 != count) return gap_detail::broken();
  }
  if (state != gap_detail::kLowest || word != end || window != 0) return gap_detail::broken();
  return {};
}

}  // namespace karta::identity
