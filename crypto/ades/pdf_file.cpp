#include "crypto/ades/pdf_file.h"

#include "crypto/pdf/encryption.h"

namespace karta::crypto {

Result<PdfFile> PdfFile::open(Bytes octets, const SecretBytes& password) {
  PdfFile out;
  out.octets_ = std::make_unique<Bytes>(std::move(octets));
  out.document_ = std::make_unique<pdf::Document>(TRY(pdf::Document::open(*out.octets_)));
  if (out.document_->encrypted()) {
    out.cipher_ = TRY(pdf::open_cipher(*out.octets_, password));
    out.document_->set_cipher(out.cipher_);
  }
  return out;
}

Result<PdfFile> PdfFile::reopen(Bytes octets, const PdfFile& before) {
  PdfFile out;
  out.octets_ = std::make_unique<Bytes>(std::move(octets));
  out.document_ = std::make_unique<pdf::Document>(TRY(pdf::Document::open(*out.octets_)));
  out.cipher_ = before.cipher_;
  out.document_->set_cipher(out.cipher_);
  return out;
}

}  // namespace karta::crypto
