#include "crypto/ades/pades.h"

#include "crypto/cms/sign.h"

namespace karta::crypto {
namespace {

Bytes joined(const Bytes& file, const Bytes& update) { return concat({file, update}); }

}  // namespace

Result<Bytes> sign_pades(const PdfFile& file, Signer& signer, const PadesOptions& options,
                         const SignatureServices& services) {
  pdf::SignatureRequest request = options.request;
  request.reserved_octets = pdf::octets_to_reserve(signer.certificate_chain(), services.timestamps != nullptr);
  CmsSignOptions cms;
  cms.algorithm = options.algorithm;
  const auto make = [&](ContentSource& content) -> Result<Bytes> { return sign_cms(signer, content, cms); };
  const Bytes update = TRY(pdf::sign(file.document(), request, make, file.cipher()));
  return joined(file.octets(), update);
}

}  // namespace karta::crypto
