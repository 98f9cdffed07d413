// PdfFile: a PDF in memory with all that signing it needs: its document, its cipher if it is encrypted, and what was
// put behind it.
//
// The file is read once. Updates are put behind it in place: only they are read, hashed and written, so that what a
// signature costs does not depend on how many stand there already. One thread at a time.
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/pdf/sign.h"

namespace karta::crypto {

class PdfFile {
 public:
  static constexpr std::size_t kMostOctets = std::size_t{1} << 30;  ///< held in memory

  /// `octets` are kept. Encrypted files are opened with `password` (the empty one first). Fails as Document::open and
  /// open_cipher.
  static Result<PdfFile> open(Bytes octets, const SecretBytes& password = {});
  /// The same from a file of at most kMostOctets, which stays open for save_as. Fails as read_file too.
  static Result<PdfFile> open_file(const std::filesystem::path& path, const SecretBytes& password = {});
  PdfFile(PdfFile&&) noexcept;
  PdfFile& operator=(PdfFile&&) noexcept;
  ~PdfFile();

  const pdf::Document& document() const { return *document_; }
  const pdf::ObjectCipher* cipher() const { return cipher_.get(); }
  pdf::FormState& form() { return form_; }
  /// Good until the next append.
  ByteView octets() const { return *octets_.back(); }
  /// What was put behind the file since it was opened.
  ByteView appended() const { return octets().subspan(opened_octets_); }

  /// Puts an incremental update behind the octets. Fails as Document::extend; then nothing is changed.
  Status append(ByteView update);
  /// A hasher that has seen octets(): what stood there before is not hashed again.
  Hasher hash_front(Hash hash) const;
  /// How many octets hash_front has hashed so far, under all hashes.
  std::size_t hashed_octets() const { return hashed_octets_; }

  /// A new file with octets(). A file opened by open_file is copied by the kernel, which may share its blocks, and only
  /// what was appended is written. Never overwrites; the file appears whole. Fails as write_new_file; with io too
  /// if the original was changed in the meantime.
  Status save_as(const std::filesystem::path& path) const;

 private:
  struct Front {
    Hasher hasher;
    std::size_t octets = 0;
  };
  struct Original;
  PdfFile();

  // The last is the file; those before it are kept because objects alias them.
  std::vector<std::unique_ptr<Bytes>> octets_;
  std::size_t opened_octets_ = 0;
  std::unique_ptr<pdf::Document> document_;
  std::shared_ptr<const pdf::ObjectCipher> cipher_;
  pdf::FormState form_;
  std::unique_ptr<Original> original_;
  mutable std::map<Hash, Front> fronts_;
  mutable std::size_t hashed_octets_ = 0;
};

}  // namespace karta::crypto
