#include "identity/stop_list/gap_code.h"

#include <algorithm>

namespace karta::identity {

GapModel::GapModel(std::uint32_t size, std::uint32_t members) {
  // As many low bits as leave a high part of at least 8 values on the average gap.
  while ((std::uint64_t{members} << (shift_ + 4)) <= size) ++shift_;

  // The chance that 2^shift numbers in a row are no members, times 2^32.
  std::uint64_t pass = (std::uint64_t{size - members} << 32) / size;
  for (unsigned i = 0; i < shift_; ++i) pass = (pass * pass) >> 32;

  // What is spread by chance; every symbol has one besides, so that all can be written.
  constexpr std::uint64_t kSpread = (1u << kScaleBits) - kSymbols;
  std::uint64_t beyond = std::uint64_t{1} << 32;  // chance that the high part is `symbol` or more, times 2^32
  for (unsigned symbol = 0; symbol < kSymbols; ++symbol) {
    start_[symbol] = static_cast<std::uint32_t>(symbol + ((((std::uint64_t{1} << 32) - beyond) * kSpread) >> 32));
    beyond = (beyond * pass) >> 32;
  }
  start_[kSymbols] = 1u << kScaleBits;

  unsigned symbol = 0;
  for (std::uint32_t slot = 0; slot < coarse_.size(); ++slot) {
    while (start_[symbol + 1] <= slot << kCoarseShift) ++symbol;
    coarse_[slot] = static_cast<std::uint8_t>(symbol);
  }
}

void encode_gaps(std::span<const std::uint32_t> members, std::uint32_t size, Bytes& out) {
  const auto count = static_cast<std::uint32_t>(members.size());
  if (count == 0 || count == size) return;
  const GapModel model(size, count);
  const unsigned shift = model.shift();
  const std::uint32_t mask = (1u << shift) - 1;

  const std::size_t low_begin = out.size();
  out.resize(low_begin + (std::size_t{count} * shift + 7) / 8);
  std::uint64_t window = 0;
  unsigned held = 0;
  std::uint8_t* low = out.data() + low_begin;
  std::uint32_t next = 0;
  for (const std::uint32_t member : members) {
    window |= std::uint64_t{(member - next) & mask} << held;
    held += shift;
    while (held >= 8) {
      *low++ = static_cast<std::uint8_t>(window);
      window >>= 8;
      held -= 8;
    }
    next = member + 1;
  }
  if (held > 0) *low = static_cast<std::uint8_t>(window);

  // rANS writes what is read first last.
  std::vector<std::uint16_t> words;
  words.reserve(count / 2 + 8);
  std::uint32_t state = gap_detail::kLowest;
  const auto put = [&](unsigned symbol) {
    const std::uint32_t frequency = model.frequency(symbol);
    if (state >= frequency << 16) {
      words.push_back(static_cast<std::uint16_t>(state));
      state >>= 16;
    }
    const std::uint32_t quotient = state / frequency;
    state = (quotient << 16) + (state - quotient * frequency) + model.start(symbol);
  };
  for (std::size_t i = count; i-- > 0;) {
    const std::uint32_t before = i == 0 ? 0 : members[i - 1] + 1;
    const std::uint32_t high = (members[i] - before) >> shift;
    put(high % (GapModel::kSymbols - 1));
    for (std::uint32_t more = high / (GapModel::kSymbols - 1); more > 0; --more) put(GapModel::kSymbols - 1);
  }
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(state >> (8 * i)));
  const std::size_t at = out.size();
  out.resize(at + 2 * words.size());
  std::uint8_t* to = out.data() + at;
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    *to++ = static_cast<std::uint8_t>(*word);
    *to++ = static_cast<std::uint8_t>(*word >> 8);
  }
}

tl::unexpected<Error> gap_detail::broken() {
  return fail(ErrorKind::malformed, "the stop-list's coded part is damaged");
}

}  // namespace karta::identity
