// SignedContent: what a CMS signature is over, wherever it lies, hashed once under every hash that is asked for.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "crypto/cms/signed_data.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {

class SignedContent {
 public:
  /// The content is inside `data`, or beside it in `detached`, or known by its digests only (`digest_of`); either of
  /// the latter may be nullptr. All must outlive this.
  SignedContent(const SignedData& data, ContentSource* detached, const DigestOf* digest_of)
      : data_(data), detached_(detached), digest_of_(digest_of) {}

  bool beside() const { return detached_ != nullptr || digest_of_ != nullptr; }
  bool twice() const { return data_.has_content && beside(); }
  bool missing() const { return !data_.has_content && !beside(); }

  /// Reads and hashes; does nothing if the content is missing or there twice. Fails as the source does.
  Status hash(const std::vector<Hash>& wanted);
  /// Empty if it was not hashed so.
  const std::optional<Bytes>& digest(Hash hash) const { return digests_[static_cast<std::size_t>(hash)]; }
  /// True if the whole content is a set of signed attributes.
  bool is_signed_attributes() const;
  /// The digest of a detached plain text with CR LF line ends, as mail programs sign it, read a second time; empty if
  /// it is no such text.
  std::optional<Bytes> text_digest(Hash hash);
  /// The enveloped content in one piece; empty if it is beside, or streamed by.
  std::optional<Bytes> enveloped() const;

 private:
  template <class Consume>
  Status for_each_piece(Consume consume);

  // As much of the content as attributes can be long.
  static constexpr std::size_t kHeadOctets = CmsLimits{}.attributes_octets;

  const SignedData& data_;
  ContentSource* detached_;
  const DigestOf* digest_of_;
  std::array<std::optional<Bytes>, kHashes.size()> digests_;
  Bytes head_;  // for signers without attributes: the first kHeadOctets, and one more
};

}  // namespace karta::crypto
