// Streaming: CMS signatures around a content of any size, read and written in constant memory.
//
// Everything around the content (certificates, signers, validation data) is small and kept; the content passes by and
// leaves its digests. Whoever raises or adds to an enveloping signature works on it as on a detached one
// (SignedDataStream::detached) and writes it around the content again (write_enveloping).
#pragma once

#include <functional>
#include <memory>

#include "crypto/cms/signed_data.h"
#include "crypto/content.h"

namespace karta::crypto {

/// SignedDataStream: a signature file that was read once from front to back.
class SignedDataStream {
 public:
  /// What may stand before and after the content; an honest file has some kilobytes, one at B-LTA some megabytes.
  static constexpr std::size_t kMostBefore = 64 * 1024;
  static constexpr std::size_t kMostAfter = 16 * 1024 * 1024;

  /// Reads `file` (one DER or BER ContentInfo, no PEM) to its end, hashing a content inside with the hashes that
  /// digestAlgorithms names. Where archive time-stamps want another one, `file` is read a second time if it can be
  /// rewound. Fails as SignedData::parse, as the source, and with limit.
  static Result<SignedDataStream> read(ContentSource& file, const CmsLimits& limits = {});

  /// Without the content; `passed` tells of it where there is one. Lives as long as this.
  const SignedData& data() const { return *data_; }
  /// The same signature with its content taken out: a detached one, of the values as they stand.
  Result<Bytes> detached() const;

 private:
  SignedDataStream() = default;
  std::unique_ptr<SignedData> data_;
  Bytes before_, after_;  // version and digestAlgorithms; certificates to signerInfos; aliased by data_
};

/// EnvelopedContent: the content inside a signature file, as a source of its own; pieces of BER are put together.
class EnvelopedContent final : public ContentSource {
 public:
  /// `file` stands at its front and must outlive this. Fails with not_found where nothing is inside.
  static Result<EnvelopedContent> open(ContentSource& file, const CmsLimits& limits = {});
  EnvelopedContent(EnvelopedContent&&) noexcept;
  ~EnvelopedContent() override;
  Result<std::size_t> read(MutableByteView buffer) override;
  bool rewind() override;

 private:
  struct State;
  explicit EnvelopedContent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Takes octets in order.
using OctetSink = std::function<Status(ByteView)>;

/// A content of which this much is known before it is written out.
struct KnownContent {
  std::uint64_t octets = 0;
  Hash hash = Hash::sha256;
  Bytes digest;
};

/// Writes the detached signature `signature` to `out` with `content` inside, definite lengths throughout. The content
/// is hashed again on its way: where it is not the `known` one (a file that is being written to), fails with
/// invalid_signature, and what `out` holds is to be thrown away. Fails with usage where `signature` has a content.
Status write_enveloping(ByteView signature, ContentSource& content, const KnownContent& known, const OctetSink& out);

}  // namespace karta::crypto
