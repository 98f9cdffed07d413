// Stop-list: which cards are dead, for those who check cards without a network (docs/stop-list.md).
//
// A list is one file: a head with epoch and validity, the table of the batches known, and the dead status indexes of
// each shard of 2^20, coded (gap_code.h), under one signature. A full list stands for itself; a delta lists the indexes
// whose state differs from its base's. StopList reads a file where it lies and looks an index up in the coded form;
// StopTable (stop_table.h) unfolds one for speed.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "identity/stop_list/list_file.h"

namespace karta::identity {

inline constexpr std::uint32_t kShardBits = 20;
inline constexpr std::uint64_t kMostListedIndexes = std::uint64_t{1}
                                                    << 31;  ///< two thousand million cards: 256 MiB unfolded
inline constexpr std::size_t kMostBatches = 1u << 20;
inline constexpr std::size_t kMostStopListOctets = 512u << 20;

/// Indexes [first, first + count).
struct IndexRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  friend bool operator==(const IndexRange&, const IndexRange&) = default;
};

enum class StopListKind : std::uint8_t { full = 0, delta = 1 };
std::string_view name_of(StopListKind kind);  ///< "full", "delta"

/// SHA-256 over a list's signed part: what names it as a base.
using StopListHash = std::array<std::uint8_t, 32>;

struct StopListHead {
  StopListKind kind = StopListKind::full;
  std::uint64_t epoch = 0;  ///< one more with every list an issuer makes
  Time this_update{};
  Time next_update{};            ///< a reader is to have a newer one by then
  std::string issuer;            ///< whose cards; UTF-8
  std::uint64_t base_epoch = 0;  ///< delta: of the list it applies to
  StopListHash base{};           ///< delta: hash of it
};

enum class CardVerdict : std::uint8_t {
  good,
  stopped,
  unknown,  ///< the list knows no batch with this index: no card of this issuer's, or one made after the list
};
std::string_view name_of(CardVerdict verdict);

/// The signed part of a list. `batches` ascending and apart (neighbours are joined), `indexes` ascending, each once,
/// inside the batches. Fails with usage otherwise, limit beyond the limits above.
Result<Bytes> encode_stop_list(const StopListHead& head, const std::vector<IndexRange>& batches,
                               std::span<const std::uint64_t> indexes);
/// The whole file: `body` as encode_stop_list() made it and the signature. The signer must have its certificate.
Result<Bytes> sign_stop_list(Bytes body, crypto::Signer& signer);

class StopList {
 public:
  /// Reads head, batches and directory of a file, whose octets must stay. Signature and codes are not checked here.
  static Result<StopList> parse(ByteView file);

  const StopListHead& head() const { return head_; }
  const std::vector<IndexRange>& batches() const { return batches_; }
  /// One behind the highest index known.
  std::uint64_t end() const { return end_; }
  std::uint64_t count() const { return count_; }  ///< of indexes listed
  bool knows(std::uint64_t index) const;
  /// What a delta names its base by.
  StopListHash hash() const;

  /// The signature must be by the key of one of `signers`, valid at `at`. Fails with untrusted (none of them made it),
  /// invalid_signature (one is named and it does not fit).
  Status verify(const std::vector<crypto::Certificate>& signers, Time at) const;
  /// The same, and which of them it is; aliases `signers`.
  Result<const crypto::Certificate*> signer(const std::vector<crypto::Certificate>& signers, Time at) const;

  /// Full lists: decodes one shard at the most. Fails with usage on a delta, malformed on a damaged shard.
  Result<CardVerdict> find(std::uint64_t index) const;
  /// All indexes listed, ascending. Fails with malformed; what was handed out before is worth nothing then.
  Status for_each(const std::function<void(std::uint64_t)>& each) const;

  struct Shard {
    std::uint64_t first = 0;  ///< index
    std::uint32_t size = 0;   ///< of indexes covered
    std::uint32_t count = 0;  ///< of indexes listed
    ByteView code;
  };
  const std::vector<Shard>& shards() const { return shards_; }

 private:
  StopListHead head_;
  std::uint64_t end_ = 0, count_ = 0;
  std::vector<IndexRange> batches_;
  std::vector<Shard> shards_;
  ByteView body_;
  list_file::Seal seal_;
};

/// How fresh a list must be, and how it may follow another.
struct StopListPolicy {
  std::chrono::seconds stale_for{0};  ///< how long after next_update it may still be used
};
enum class StopListState : std::uint8_t {
  fresh,
  stale,    ///< next_update has passed, and policy lets it be used
  expired,  ///< beyond that
  early,    ///< this_update lies ahead: the clock has gone back
};
std::string_view name_of(StopListState state);
StopListState state_of(const StopListHead& head, Time now, const StopListPolicy& policy = {});
/// A list may take the place of one in use: same issuer, higher epoch, not made before it. Fails with untrusted.
Status check_succession(const StopListHead& in_use, const StopListHead& next);

}  // namespace karta::identity
