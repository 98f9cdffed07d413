// StopTable: a stop-list unfolded to a bit an index, for gates: one look into memory a card, deltas applied in place.
#pragma once

#include <memory>
#include <vector>

#include "identity/stop_list/stop_list.h"

namespace karta::identity {

class StopTable {
 public:
  /// A full list, decoded whole. Fails with malformed where any part is damaged, usage on a delta. The list is needed
  /// no more afterwards.
  static Result<StopTable> unfold(const StopList& list);
  /// Applies a delta whose base is the list in the table. Fails with untrusted (another base, another issuer, an
  /// earlier epoch), malformed; the table is as it was then.
  Status apply(const StopList& delta);

  /// Never fails and never allocates; may be called from several threads while nobody applies a delta.
  CardVerdict find(std::uint64_t index) const noexcept {
    if (index >= end_ || !known(index)) return CardVerdict::unknown;
    return (bits_[static_cast<std::size_t>(index >> 6)] >> (index & 63) & 1) != 0 ? CardVerdict::stopped
                                                                                  : CardVerdict::good;
  }

  /// Of the newest list in it; epoch and times are the last delta's.
  const StopListHead& head() const { return head_; }
  const StopListHash& hash() const { return hash_; }
  std::uint64_t end() const { return end_; }
  std::uint64_t count() const;
  const std::vector<IndexRange>& batches() const { return batches_; }
  /// All indexes stopped, ascending.
  std::vector<std::uint64_t> indexes() const;

 private:
  bool known(std::uint64_t index) const noexcept;

  StopListHead head_;
  StopListHash hash_{};
  std::uint64_t end_ = 0;
  std::vector<IndexRange> batches_;
  std::vector<std::uint64_t> bits_;
};

}  // namespace karta::identity
