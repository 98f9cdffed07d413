// PAdES (EN 319 142-1): signing PDF documents at the baseline levels.
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
/// services do.
Result<Bytes> sign_pades(const PdfFile& file, Signer& signer, const PadesOptions& options,
                         const SignatureServices& services = {});

}  // namespace karta::crypto
