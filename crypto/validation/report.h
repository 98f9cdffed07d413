// Report: what validation found, in the words of EN 319 102-1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {

/// EN 319 102-1 §5.1.3 main status indications. Ordered from good to bad.
enum class Verdict : std::uint8_t { total_passed, indeterminate, total_failed };
/// "TOTAL-PASSED"
std::string_view name_of(Verdict verdict);

/// EN 319 102-1 table 5 sub-indications that arise at this level.
enum class SubIndication : std::uint8_t {
  none,
  format_failure,
  hash_failure,
  sig_crypto_failure,
  sig_constraints_failure,
  crypto_constraints_failure_no_poe,
  no_signing_certificate_found,
  no_certificate_chain_found,
  chain_constraints_failure,
  certificate_chain_general_failure,
  not_yet_valid,
  out_of_bounds_no_poe,
  signed_data_not_found,
  revoked_no_poe,
  revoked_ca_no_poe,
  try_later,
  timestamp_order_failure,
};
/// "HASH_FAILURE"; empty for none.
std::string_view name_of(SubIndication sub);

enum class Integrity : std::uint8_t {
  intact,      ///< the content's hash and the signature value are right under the key of the certificate found
  broken,      ///< one of them is not
  unparsable,  ///< the file does not hold together
  unchecked,   ///< no content, no certificate, or an algorithm karta has not
};
std::string_view name_of(Integrity integrity);

enum class Severity : std::uint8_t {
  note,     ///< worth knowing
  warning,  ///< the verdict stands, but look
  fault,    ///< the reason of the verdict
};
std::string_view name_of(Severity severity);

struct Finding {
  Severity severity = Severity::note;
  std::string code;                   ///< stable, for --json: "message-digest-mismatch", "no-trust-data", "not-trusted"
  std::string message;                ///< in words, naming the attribute or field
  std::optional<std::size_t> offset;  ///< octet of the signature file (after PEM is unwrapped)
};

/// What happened to the document behind a signature (PDF).
enum class ChangesAfter : std::uint8_t {
  none,
  allowed,      ///< signing again, validation data, forms and annotations where the author allows them
  not_allowed,  ///< something else: the reader may see another document than the one signed
};
std::string_view name_of(ChangesAfter changes);

struct ChangedObject {
  std::string object;  ///< "12 0"
  std::string kind;    ///< stable: "signature", "form", "other"
  std::string what;    ///< in words
  std::size_t revision = 0;
  bool allowed = false;
};

enum class SignatureRole : std::uint8_t {
  signature,
  timestamp,          ///< a document time-stamp
  counter_signature,  ///< over another signature
};
std::string_view name_of(SignatureRole role);

struct SignatureReport {
  Verdict verdict = Verdict::indeterminate;
  SubIndication sub_indication = SubIndication::none;
  Integrity integrity = Integrity::unchecked;
  std::string level;           ///< "CAdES-B-B", or "CMS" if the attributes of that level are missing
  std::string signer;          ///< subject, RFC 4514; empty if no certificate was found
  std::string signer_display;  ///< CN
  std::string algorithm;       ///< row name, or the OID
  std::string digest;          ///< row name, or the OID
  std::string key;             ///< "p256"
  std::optional<Time> claimed_signing_time;
  std::optional<Time> best_signature_time;  ///< proven by a time-stamp that holds; empty: nothing proves it
  SignatureRole role = SignatureRole::signature;
  std::string field;                          ///< of a PDF
  std::optional<ChangesAfter> changes_after;  ///< of a PDF
  std::vector<ChangedObject> changes;         ///< the disallowed ones first; at most kMostListedChanges
  std::vector<Certificate> chain;             ///< as far as it was built
  std::vector<Finding> findings;              ///< faults first

  bool passed() const { return verdict == Verdict::total_passed; }
  const Finding* first_fault() const;
};

struct Report {
  Verdict verdict = Verdict::total_failed;  ///< the worst of its signatures
  std::string format = "CMS";               ///< "CMS" or "PDF"
  bool enveloping = false;
  std::optional<Bytes> content;             ///< the enveloped content, if it was asked for
  std::vector<SignatureReport> signatures;  ///< at least one: a file that does not parse yields one that says so

  bool passed() const { return verdict == Verdict::total_passed; }
  /// Intact only if every signature is, and nothing was changed or smuggled in beside what is signed.
  Integrity integrity() const;
};

inline constexpr std::size_t kMostListedChanges = 100;

}  // namespace karta::crypto
