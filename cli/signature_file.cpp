#include "cli/signature_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/stream.h"
#include "crypto/validation/validate.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

/// PEM is unwrapped in memory: nobody puts large contents into it.
constexpr std::size_t kMostPem = std::size_t{64} << 20;
constexpr mode_t kMode = 0644;

Status write_whole(const fs::path& path, bool over, const std::function<Status(NewFile&)>& write) {
  NewFile file = TRY(NewFile::create(path, kMode));
  TRY(write(file));
  return over ? file.commit_over() : file.commit();
}

/// The hash in which a content is compared when it is written out: one that is known anyway.
Result<crypto::KnownContent> known(const crypto::ContentDigests& digests) {
  for (const crypto::HashRow& row : crypto::kHashes) {
    const Bytes* const found = digests.find(row.id);
    if (found != nullptr && row.sunset_year == 0) return crypto::KnownContent{digests.octets(), row.id, *found};
  }
  return fail(ErrorKind::internal, "the content was not hashed");
}

}  // namespace

Result<crypto::FileKind> kind_of_file(const fs::path& file) {
  auto content = TRY(crypto::FileContent::open(file));
  Bytes head(512);
  std::size_t size = 0;
  while (size < head.size()) {
    const std::size_t got = TRY(content.read(MutableByteView(head).subspan(size)));
    if (got == 0) break;
    size += got;
  }
  return crypto::sniff(ByteView(head).first(size));
}

std::optional<fs::path> content_beside(const fs::path& signature, const std::string& given) {
  if (!given.empty()) return given;
  for (const std::string_view suffix : {".p7s", ".sig", ".p7m", ".cms"}) {
    if (signature.extension() != suffix) continue;
    fs::path content = signature;
    content.replace_extension();
    std::error_code ignored;
    if (fs::is_regular_file(content, ignored)) return content;
  }
  return std::nullopt;
}

Result<SignatureFile> SignatureFile::open(const fs::path& file, const std::optional<fs::path>& beside) {
  SignatureFile out;
  out.file_ = file;
  const crypto::FileKind kind = TRY(kind_of_file(file));
  out.pem_ = kind == crypto::FileKind::cms_pem;
  if (out.pem_) {
    const Bytes text = TRY(read_file(file, kMostPem));
    const Bytes octets = TRY(crypto::cms_of_file(text));
    const auto data = TRY(crypto::SignedData::parse(octets));
    if (data.has_content) {
      return fail(ErrorKind::unsupported, "an enveloping signature in PEM is not changed",
                  "turn it into DER first: openssl cms -cmsout -inform PEM -outform DER");
    }
    out.signature_ = octets;
  } else {
    auto content = TRY(crypto::FileContent::open(file));
    const auto stream = TRY(crypto::SignedDataStream::read(content));
    out.signature_ = TRY(stream.detached());
    out.enveloping_ = stream.data().has_content;
  }
  if (!out.enveloping_) out.beside_ = beside;
  return out;
}

template <class Deed>
auto SignatureFile::with_content(Deed deed) -> decltype(deed(std::declval<crypto::ContentSource&>())) {
  if (!enveloping_ && !beside_) {
    return fail(ErrorKind::usage, "the content of the detached signature is not at hand", "name it: --content FILE");
  }
  auto file = TRY(crypto::FileContent::open(enveloping_ ? file_ : *beside_));
  if (!enveloping_) return deed(file);
  auto inside = TRY(crypto::EnvelopedContent::open(file));
  return deed(inside);
}

Status SignatureFile::check(std::span<const crypto::Hash> more) {
  const auto data = TRY(crypto::SignedData::parse(signature_));
  std::vector<crypto::Hash> hashes(more.begin(), more.end());
  for (const crypto::CmsSigner& signer : data.signers) {
    const auto hash = crypto::hash_of(signer.digest_algorithm.oid, signer.digest_algorithm.parameters);
    if (hash) hashes.push_back(*hash);
  }
  digests_ =
      TRY(with_content([&](crypto::ContentSource& content) { return crypto::ContentDigests::of(content, hashes); }));
  crypto::ValidateOptions options;
  options.at = SystemClock().now();
  const crypto::DigestOf digest = digests_->function();
  const crypto::Report report = crypto::verify_cms_digest(signature_, digest, {}, options);
  for (const crypto::SignatureReport& one : report.signatures) {
    if (one.integrity != crypto::Integrity::broken && one.integrity != crypto::Integrity::unparsable) continue;
    const crypto::Finding* const fault = one.first_fault();
    return fail(ErrorKind::invalid_signature,
                "a signature in it is broken" + (fault == nullptr ? std::string() : ": " + fault->message),
                "`karta verify` says more; nothing was changed");
  }
  return {};
}

Status SignatureFile::write(const fs::path& path, bool over) {
  if (!enveloping_) {
    return write_whole(path, over, [&](NewFile& file) -> Status {
      if (!pem_) return file.write(signature_);
      return file.write(as_bytes(crypto::to_pem("CMS", signature_)));
    });
  }
  const crypto::KnownContent content_known = TRY(known(*digests_));
  return with_content([&](crypto::ContentSource& content) {
    return write_whole(path, over, [&](NewFile& file) {
      return crypto::write_enveloping(signature_, content, content_known,
                                      [&](ByteView octets) { return file.write(octets); });
    });
  });
}

Status sign_into(const fs::path& path, crypto::CmsSigning& signing, crypto::ContentSource& content, bool enveloping,
                 std::span<const crypto::Hash> more, const RaiseSignature& raise) {
  std::vector<crypto::Hash> hashes(more.begin(), more.end());
  hashes.push_back(signing.hash());
  const auto digests = TRY(crypto::ContentDigests::of(content, hashes));
  const Bytes basic = TRY(signing.sign(*digests.find(signing.hash()), SystemClock().now()));
  const Bytes signature = TRY(raise(basic, digests));
  if (!enveloping) return write_new_file(path, signature, kMode);
  if (!content.rewind()) return fail(ErrorKind::internal, "the content cannot be read twice");
  const crypto::KnownContent content_known = TRY(known(digests));
  return write_whole(path, false, [&](NewFile& file) {
    return crypto::write_enveloping(signature, content, content_known,
                                    [&](ByteView octets) { return file.write(octets); });
  });
}

Result<crypto::FileContent> readable_twice(crypto::FileContent content, const fs::path& folder) {
  if (content.rewind()) return content;
  std::string name = (folder / ".karta-sign-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor >= 0) ::unlink(name.c_str());
  if (descriptor < 0) {
    return fail(ErrorKind::io,
                "cannot keep what comes through the pipe in \"" + folder.string() + "\": " + std::strerror(errno));
  }
  // Opened once more by its descriptor, it outlives this one.
  auto copy = crypto::FileContent::open("/proc/self/fd/" + std::to_string(descriptor));
  Bytes scratch;
  Status written;
  while (copy && written) {
    const auto piece = content.next(scratch);
    if (!piece) written = fail(piece.error());
    if (!piece || piece->empty()) break;
    ByteView rest = *piece;
    while (!rest.empty() && written) {
      const ssize_t put = ::write(descriptor, rest.data(), rest.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) {
        written = fail(ErrorKind::io, "cannot write to \"" + folder.string() + "\": " + std::strerror(errno));
      } else {
        rest = rest.subspan(static_cast<std::size_t>(put));
      }
    }
  }
  ::close(descriptor);
  TRY(written);
  return copy;
}

}  // namespace karta::cli
