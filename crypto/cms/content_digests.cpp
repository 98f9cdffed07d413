#include "crypto/cms/content_digests.h"

#include <algorithm>
#include <vector>

namespace karta::crypto {

Result<ContentDigests> ContentDigests::of(ContentSource& content, std::span<const Hash> hashes) {
  std::vector<std::pair<Hash, Hasher>> hashers;
  for (const Hash hash : hashes) {
    const bool again = std::any_of(hashers.begin(), hashers.end(), [&](const auto& one) { return one.first == hash; });
    if (!again) hashers.emplace_back(hash, Hasher(hash));
  }
  ContentDigests out;
  Bytes scratch;
  for (;;) {
    const ByteView piece = TRY(content.next(scratch));
    if (piece.empty()) break;
    out.octets_ += piece.size();
    for (auto& [hash, hasher] : hashers) hasher.update(piece);
  }
  for (auto& [hash, hasher] : hashers) out.digests_[static_cast<std::size_t>(hash)] = hasher.finish();
  return out;
}

const Bytes* ContentDigests::find(Hash hash) const {
  const auto& found = digests_[static_cast<std::size_t>(hash)];
  return found ? &*found : nullptr;
}

void ContentDigests::merge(const ContentDigests& other) {
  octets_ = other.octets_;
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    if (other.digests_[i]) digests_[i] = other.digests_[i];
  }
}

DigestOf ContentDigests::function() const {
  return [this](Hash hash) -> Result<Bytes> {
    const Bytes* const found = find(hash);
    if (found != nullptr) return *found;
    return fail(ErrorKind::not_found, "the content was not hashed with " + std::string(row_of(hash).name));
  };
}

}  // namespace karta::crypto
