// Exchange: a request with what came of it, kept as files and checked without asking anybody: each signature, that
// receipts and answer belong to the request, and whether the answer came in time.
//
// Receipts vouch for when a document was there: where there is one, the document's own signature is judged at that
// moment, so that an exchange outlives the certificates of the departments. A receipt is judged at the moment of the
// check.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "identity/requests/documents.h"
#include "identity/requests/signed_document.h"

namespace karta::identity {

/// The signed files; empty: there is none.
struct ExchangeFiles {
  Bytes request, receipt, answer, answer_receipt;
};

struct ExchangeCheck {
  std::string name;  ///< stable: "request-signature", "answer-belongs", "deadline"
  bool holds = false;
  bool unknown = false;  ///< it could not be judged: no trusted path
  std::string words;     ///< who signed, or why it does not hold
};

struct ExchangeReport {
  std::vector<ExchangeCheck> checks;
  std::optional<DepartmentRequest> request;
  std::optional<DepartmentAnswer> answer;
  std::optional<DepartmentReceipt> receipt, answer_receipt;
  std::optional<bool> in_time;  ///< by the receipts; none: nothing tells

  bool passed() const;
  bool failed() const;  ///< something is wrong, not merely unknown
};

/// `receipt_signer`: whose receipts count; none: anybody's that `trust` leads to, if all are by one certificate.
ExchangeReport check_exchange(const ExchangeFiles& files, const crypto::TrustMaterial& trust,
                              const crypto::ValidationEvidence* evidence, Time at,
                              const std::optional<crypto::Certificate>& receipt_signer = {});

}  // namespace karta::identity
