#include "crypto/validation/signed_content.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/digest.h"

namespace karta::crypto {
namespace {

/// Turns lone line feeds into CR LF, as mail programs (and openssl without -binary) do before they sign.
class TextHasher {
 public:
  explicit TextHasher(Hash hash) : hasher_(hash) {}

  void update(ByteView octets) {
    static constexpr std::uint8_t kCrLf[] = {'\r', '\n'};
    std::size_t from = 0;
    for (std::size_t i = 0; i < octets.size(); ++i) {
      const std::uint8_t octet = octets[i];
      plain_ = plain_ && (octet >= 0x20 || octet == '\t' || octet == '\n' || octet == '\r' || octet == '\f');
      if (octet == '\n' && last_ != '\r') {
        hasher_.update(octets.subspan(from, i - from));
        hasher_.update(kCrLf);
        from = i + 1;
      }
      last_ = octet;
    }
    hasher_.update(octets.subspan(from));
  }
  /// No control characters but those that lay out lines.
  bool plain() const { return plain_; }
  Bytes finish() { return hasher_.finish(); }

 private:
  Hasher hasher_;
  std::uint8_t last_ = 0;
  bool plain_ = true;
};

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
// True for a DER SET of attributes with message-digest among them: what a signature with attributes is made over.
bool is_attribute_set(ByteView octets) {
  der::Reader outer(octets);
  auto list = outer.enter(der::kSet);
  if (!list || !outer.finish()) return false;
  bool has_digest = false;
  while (!list->done()) {
    auto attribute = list->enter(der::kSequence);
    if (!attribute) return false;
    const auto oid = attribute->oid();
    if (!oid || !attribute->expect(der::kSet) || !attribute->finish()) return false;
    has_digest = has_digest || der::oid_to_text(*oid) == cms::kMessageDigestOid;
  }
  return has_digest;
}

}  // namespace

template <class Consume>
Status SignedContent::for_each_piece(Consume consume) {
  if (data_.has_content) {
    for (const ByteView piece : data_.content) consume(piece);
    return {};
  }
  Bytes scratch;
  for (;;) {
    const ByteView piece = TRY(detached_->next(scratch));
    if (piece.empty()) return {};
    consume(piece);
  }
}

Status SignedContent::hash(const std::vector<Hash>& wanted) {
  if (twice() || missing()) return {};
  if (data_.passed) {
    for (const HashRow& row : kHashes) {
      if (const Bytes* const found = data_.passed->digests.find(row.id)) {
        digests_[static_cast<std::size_t>(row.id)] = *found;
      }
    }
    head_ = data_.passed->head;
    return {};
  }
  if (digest_of_ != nullptr) {
    for (const Hash one : wanted) digests_[static_cast<std::size_t>(one)] = TRY((*digest_of_)(one));
    return {};
  }
  std::vector<std::pair<Hash, Hasher>> hashers;
  for (const Hash one : wanted) hashers.emplace_back(one, Hasher(one));
  const bool keep_head = std::any_of(data_.signers.begin(), data_.signers.end(),
                                     [](const CmsSigner& signer) { return !signer.signed_attributes; });
  TRY(for_each_piece([&](ByteView piece) {
    for (auto& [one, hasher] : hashers) hasher.update(piece);
    if (keep_head) append(head_, piece.first(std::min(piece.size(), kHeadOctets + 1 - head_.size())));
  }));
  for (auto& [one, hasher] : hashers) digests_[static_cast<std::size_t>(one)] = hasher.finish();
  return {};
}

bool SignedContent::is_signed_attributes() const {
  return digest_of_ == nullptr && head_.size() <= kHeadOctets && is_attribute_set(head_);
}

std::optional<Bytes> SignedContent::text_digest(Hash hash) {
  if (data_.has_content || detached_ == nullptr || !detached_->rewind()) return std::nullopt;
  TextHasher hasher(hash);
  if (!for_each_piece([&](ByteView piece) { hasher.update(piece); }) || !hasher.plain()) return std::nullopt;
  return hasher.finish();
}

std::optional<Bytes> SignedContent::enveloped() const {
  if (!data_.has_content || data_.passed) return std::nullopt;
  Bytes out;
  for (const ByteView piece : data_.content) append(out, piece);
  return out;
}

}  // namespace karta::crypto
