// PdfFile: a PDF in memory with all that signing it needs: its document, and its cipher if it is encrypted.
#pragma once

#include <memory>

#include "base/secret.h"
#include "crypto/pdf/sign.h"

namespace karta::crypto {

class PdfFile {
 public:
  /// `octets` are kept. Encrypted files are opened with `password` (the empty one first). Fails as Document::open and
  /// open_cipher.
  static Result<PdfFile> open(Bytes octets, const SecretBytes& password = {});

  /// The same document with updates behind it: `octets` begin with those of `before`, whose cipher goes on.
  static Result<PdfFile> reopen(Bytes octets, const PdfFile& before);

  const pdf::Document& document() const { return *document_; }
  const pdf::ObjectCipher* cipher() const { return cipher_.get(); }
  const Bytes& octets() const { return *octets_; }

 private:
  std::unique_ptr<Bytes> octets_;
  std::unique_ptr<pdf::Document> document_;
  std::shared_ptr<const pdf::ObjectCipher> cipher_;
};

}  // namespace karta::crypto
