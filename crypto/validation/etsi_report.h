// EtsiReport: what validation found, as the signature validation report of ETSI TS 119 102-2 V1.4.1 (XML).
#pragma once

#include <span>
#include <string>

#include "crypto/validation/policy.h"
#include "crypto/validation/report.h"

namespace karta::crypto {

/// A document and what came of it.
struct JudgedDocument {
  std::string name;                ///< as the reader knows it: DAIdentifier
  const Report* report = nullptr;  ///< nullptr: the document bears no signature
};

/// One ValidationReport with a SignatureValidationReport for each signature of each document, in order; a document
/// without signatures has one that says so. Certificates and time-stamps stand once, as validation objects. UTF-8; text
/// from files that XML cannot hold is replaced.
std::string etsi_report(std::span<const JudgedDocument> documents, Time validated_at, const ValidationPolicy& policy);

}  // namespace karta::crypto
