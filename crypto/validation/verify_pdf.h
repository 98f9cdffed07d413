// Validation of the signatures of a PDF document (EN 319 142-1, EN 319 102-1): byte ranges, each signature, what was
// changed after it, the document security store, document time-stamps.
//
// One parse of the file and one pass of hashing over it, however many signatures it bears. Never fails for what is in
// the file: there is a report.
#pragma once

#include "crypto/ades/pdf_file.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {

/// True if the document bears a signature or a document time-stamp.
Result<bool> has_signatures(const PdfFile& file);

/// A report with one entry a signature, in the order they were made; empty `signatures` if there are none.
Report verify_pdf(const PdfFile& file, const TrustMaterial& trust, const ValidateOptions& options);

/// The report of a PDF that cannot be opened.
Report unreadable_pdf(const Error& error);

}  // namespace karta::crypto
