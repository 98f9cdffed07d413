// PAdES (EN 319 142-1): signing PDF documents at the baseline levels, and raising signed ones.
#pragma once

#include "crypto/ades/pdf_file.h"
#include "crypto/ades/sources.h"

namespace karta::crypto {

struct PadesOptions {
  SignatureLevel level = SignatureLevel::b_b;
  pdf::SignatureRequest request = {};  ///< time, reason, place, field, appearance; reserved_octets is set here
  std::optional<AlgorithmId> algorithm = {};
};

/// The signed file: the octets of `file` as they are, and updates behind them: the signature, above B-T the security
/// store, at B-LTA a document time-stamp. `services` may be empty at B-B. Fails as pdf::sign, as the signer, or as the
/// services do (usage: a service the level needs is not there).
Result<Bytes> sign_pades(const PdfFile& file, Signer& signer, const PadesOptions& options,
                         const SignatureServices& services = {});

/// `file` raised: a security store with the validation data of every signature and time-stamp in it, and, at B-LTA, a
/// document time-stamp over it all; once more at B-LTA renews that. A signature without time-stamp is given proof of
/// existence by the document time-stamp. Fails with not_found if nothing is signed.
Result<Bytes> raise_pades(const PdfFile& file, SignatureLevel level, const SignatureServices& services);

}  // namespace karta::crypto
