// VerifyOutput: what karta verify says of a document: text for people, karta.verify/1 for scripts.
#pragma once

#include <optional>
#include <string>

#include "cli/json_output.h"
#include "crypto/validation/report.h"

namespace karta::cli {

/// What one document came to; also the exit code.
enum class Outcome { passed = 0, failed = 1, indeterminate = 2, no_signature = 3, unreadable = 4 };
/// "TOTAL-PASSED"
std::string_view name_of(Outcome outcome);
/// Of several files the worst counts, in this order: unreadable, no signature, failed, indeterminate, passed.
Outcome worse(Outcome a, Outcome b);

struct Verified {
  Outcome outcome = Outcome::unreadable;
  std::string file;
  std::string signature_file;  ///< where the signature was found, if not in `file`
  std::string format = "unknown";
  std::string reason;  ///< where there is no report
  std::optional<crypto::Report> report;
};

/// An entry of documents[].
Json json_of(const Verified& verified);
void print_text(const Verified& verified);

}  // namespace karta::cli
