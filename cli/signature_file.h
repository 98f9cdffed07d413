// SignatureFile: a CMS signature in a file that is to be raised or added to, whatever the size of its content.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "crypto/cms/content_digests.h"
#include "crypto/cms/sign.h"
#include "crypto/pem.h"

namespace karta::cli {

/// What a file is by its first octets.
Result<crypto::FileKind> kind_of_file(const std::filesystem::path& file);
inline bool is_cms(crypto::FileKind kind) {
  return kind == crypto::FileKind::cms_der || kind == crypto::FileKind::cms_pem;
}

/// The content a detached signature file belongs to: `given`, or what lies beside it under the same name.
std::optional<std::filesystem::path> content_beside(const std::filesystem::path& signature, const std::string& given);

class SignatureFile {
 public:
  /// `beside` is the content of a detached signature, where it is at hand. Fails as SignedDataStream::read.
  static Result<SignatureFile> open(const std::filesystem::path& file,
                                    const std::optional<std::filesystem::path>& beside);

  /// As a detached one, without a content that is inside.
  const Bytes& signature() const { return signature_; }
  void replace_signature(Bytes signature) { signature_ = std::move(signature); }
  bool enveloping() const { return enveloping_; }
  bool has_content() const { return enveloping_ || beside_; }

  /// Reads the content once, hashing it with what the signers used and `more`; and checks that every signature in the
  /// file is right over it as far as can be told without trust. Fails with usage where there is no content, and with
  /// invalid_signature.
  Status check(std::span<const crypto::Hash> more);
  bool hashed() const { return digests_.has_value(); }
  /// After check().
  const crypto::ContentDigests& digests() const { return *digests_; }

  /// Writes the signature, around its content if that was inside, in PEM if it was; in place of what is there if
  /// `over`. Nothing is left behind where it fails.
  Status write(const std::filesystem::path& path, bool over);

 private:
  template <class Deed>
  auto with_content(Deed deed) -> decltype(deed(std::declval<crypto::ContentSource&>()));

  std::filesystem::path file_;
  std::optional<std::filesystem::path> beside_;
  Bytes signature_;
  bool enveloping_ = false, pem_ = false;
  std::optional<crypto::ContentDigests> digests_;
};

/// Signs `content`, which can be rewound if `enveloping`, into a new file. `raise` turns the signature of level B-B
/// into the one to be written.
using RaiseSignature = std::function<Result<Bytes>(const Bytes& signature, const crypto::ContentDigests& digests)>;
Status sign_into(const std::filesystem::path& path, crypto::CmsSigning& signing, crypto::ContentSource& content,
                 bool enveloping, std::span<const crypto::Hash> more, const RaiseSignature& raise);

/// `content` if it can be read twice; else a copy of it in a file without a name in `folder`.
Result<crypto::FileContent> readable_twice(crypto::FileContent content, const std::filesystem::path& folder);

}  // namespace karta::cli
