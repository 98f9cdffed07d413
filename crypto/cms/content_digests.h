// ContentDigests: the digests of one content under several hashes, made in one pass over it.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>

#include "crypto/digest.h"

namespace karta::crypto {

/// The digest of a content that lies elsewhere.
using DigestOf = std::function<Result<Bytes>(Hash)>;

class ContentDigests {
 public:
  /// Reads `content` to its end, in constant memory. Fails as the source does.
  static Result<ContentDigests> of(ContentSource& content, std::span<const Hash> hashes);

  /// nullptr: that hash was not asked for.
  const Bytes* find(Hash hash) const;
  std::uint64_t octets() const { return octets_; }
  /// Adds those of `other`, the same content read again.
  void merge(const ContentDigests& other);
  /// Fails with not_found where find() gives nothing. `this` must outlive it.
  DigestOf function() const;

 private:
  std::array<std::optional<Bytes>, kHashes.size()> digests_;
  std::uint64_t octets_ = 0;
};

}  // namespace karta::crypto
