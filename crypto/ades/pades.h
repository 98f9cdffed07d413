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

/// Signs `file`: its octets stay as they are, and updates come behind them: the signature, above B-T the security
/// store, at B-LTA a document time-stamp. `services` may be empty at B-B. Fails as pdf::sign, as the signer, or as the
/// services do (usage: a service the level needs is not there); what was put behind by then stays.
Status sign_pades(PdfFile& file, Signer& signer, const PadesOptions& options, const SignatureServices& services = {});

/// Raises every signature in `file`, one's own or foreign. At B-T: a document time-stamp, if there is a signature that
/// none proves. From B-LT on: a security store with the validation data of every signature and time-stamp, proof of
/// existence for those that have none; at B-LTA a document time-stamp over it all, once more whenever called again
/// (renewal). Fails with not_found if nothing is signed, malformed if a signature is broken in its structure, and as
/// the services.
Status raise_pades(PdfFile& file, SignatureLevel level, const SignatureServices& services);

}  // namespace karta::crypto
