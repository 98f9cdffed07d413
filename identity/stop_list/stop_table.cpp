#include "identity/stop_list/stop_table.h"

#include <algorithm>
#include <bit>

#include "identity/stop_list/gap_code.h"

namespace karta::identity {
namespace {

std::size_t words_for(std::uint64_t end) { return static_cast<std::size_t>((end + 63) / 64); }

// Turns every listed bit round. True sets and resets alike, since a full list starts from zeros.
Status flip(const StopList& list, std::vector<std::uint64_t>& bits) {
  for (const StopList::Shard& shard : list.shards()) {
    std::uint64_t* const words = bits.data() + shard.first / 64;
    TRY(decode_gaps(shard.code, shard.size, shard.count, [words](std::uint32_t member) {
      words[member / 64] ^= std::uint64_t{1} << (member % 64);
      return true;
    }));
  }
  return {};
}

// No bit outside the batches.
bool inside(const std::vector<IndexRange>& batches, const std::vector<std::uint64_t>& bits) {
  const auto none = [&](std::uint64_t from, std::uint64_t to) {
    while (from < to && from % 64 != 0) {
      if ((bits[static_cast<std::size_t>(from / 64)] >> (from % 64) & 1) != 0) return false;
      ++from;
    }
    for (; from + 64 <= to; from += 64) {
      if (bits[static_cast<std::size_t>(from / 64)] != 0) return false;
    }
    for (; from < to; ++from) {
      if ((bits[static_cast<std::size_t>(from / 64)] >> (from % 64) & 1) != 0) return false;
    }
    return true;
  };
  std::uint64_t behind = 0;
  for (const IndexRange& batch : batches) {
    if (!none(behind, batch.first)) return false;
    behind = batch.first + batch.count;
  }
  return true;
}

}  // namespace

Result<StopTable> StopTable::unfold(const StopList& list) {
  if (list.head().kind != StopListKind::full)
    return fail(ErrorKind::usage, "a delta cannot be unfolded without its base");
  StopTable table;
  table.bits_.resize(words_for(list.end()));
  TRY(flip(list, table.bits_));
  if (!inside(list.batches(), table.bits_))
    return fail(ErrorKind::malformed, "the stop-list names an index of no batch");
  table.head_ = list.head();
  table.hash_ = list.hash();
  table.end_ = list.end();
  table.batches_ = list.batches();
  return table;
}

Status StopTable::apply(const StopList& delta) {
  if (delta.head().kind != StopListKind::delta)
    return fail(ErrorKind::usage, "only a delta can be applied to a stop-list");
  TRY(check_succession(head_, delta.head()));
  if (delta.head().base_epoch != head_.epoch || delta.head().base != hash_) {
    return fail(ErrorKind::untrusted,
                "the delta is for epoch " + std::to_string(delta.head().base_epoch) + ", the list in use has epoch " +
                    std::to_string(head_.epoch),
                "fetch the deltas in between, or the full list");
  }
  if (delta.end() < end_) return fail(ErrorKind::malformed, "the delta knows fewer cards than its base");
  std::vector<std::uint64_t> bits = bits_;
  bits.resize(words_for(delta.end()));
  TRY(flip(delta, bits));
  if (!inside(delta.batches(), bits)) return fail(ErrorKind::malformed, "the delta names an index of no batch");
  bits_ = std::move(bits);
  end_ = delta.end();
  batches_ = delta.batches();
  head_ = delta.head();
  hash_ = delta.hash();
  return {};
}

bool StopTable::known(std::uint64_t index) const noexcept {
  if (batches_.size() == 1) return index >= batches_.front().first;  // the usual case: blocks follow one another
  const auto behind =
      std::upper_bound(batches_.begin(), batches_.end(), index,
                       [](std::uint64_t value, const IndexRange& range) { return value < range.first; });
  return behind != batches_.begin() && index - std::prev(behind)->first < std::prev(behind)->count;
}

std::uint64_t StopTable::count() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t word : bits_) sum += static_cast<std::uint64_t>(std::popcount(word));
  return sum;
}

std::vector<std::uint64_t> StopTable::indexes() const {
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < bits_.size(); ++i) {
    for (std::uint64_t word = bits_[i]; word != 0; word &= word - 1) {
      out.push_back(i * 64 + static_cast<unsigned>(std::countr_zero(word)));
    }
  }
  return out;
}

}  // namespace karta::identity
