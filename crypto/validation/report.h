// Report: what validation found, in the words of EN 319 102-1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/revocation.h"

namespace karta::crypto {

/// EN 319 102-1 §5.1.3 main status indications. Ordered from good to bad. Of a building block: PASSED, INDETERMINATE,
/// FAILED.
enum class Verdict : std::uint8_t { total_passed, indeterminate, total_failed };
/// "TOTAL-PASSED"
std::string_view name_of(Verdict verdict);

/// Sub-indications of EN 319 102-1 §5.1.3, in the order of the standard's table. sub_indications() has a row for each.
enum class SubIndication : std::uint8_t {
  none,
  // TOTAL-FAILED
  format_failure,
  hash_failure,
  sig_crypto_failure,
  revoked,
  expired,
  not_yet_valid,
  // INDETERMINATE
  sig_constraints_failure,
  chain_constraints_failure,
  certificate_chain_general_failure,
  crypto_constraints_failure,
  policy_processing_error,
  signature_policy_not_available,
  timestamp_order_failure,
  no_signing_certificate_found,
  no_certificate_chain_found,
  no_certificate_chain_found_no_poe,
  revoked_no_poe,
  revoked_ca_no_poe,
  out_of_bounds_not_revoked,
  out_of_bounds_no_poe,
  crypto_constraints_failure_no_poe,
  no_poe,
  try_later,
  signed_data_not_found,
};
/// "HASH_FAILURE"; empty for none.
std::string_view name_of(SubIndication sub);

struct SubIndicationRow {
  SubIndication id;
  std::string_view word;    ///< of the standard
  Verdict verdict;          ///< the main indication it goes with
  std::string_view arises;  ///< clause of the building block that says so, and when
};
/// Every row but `none`, in the order of the enum.
std::span<const SubIndicationRow> sub_indications();

/// The building blocks of EN 319 102-1, in the order they run.
enum class BuildingBlock : std::uint8_t {
  format_checking,             ///< §5.2.2
  signing_certificate,         ///< §5.2.3 identification of the signing certificate
  validation_context,          ///< §5.2.4
  cryptographic_verification,  ///< §5.2.7
  time_stamps,                 ///< §5.4, §5.6.2.3: time-stamps, and the proofs of existence they make
  x509_validation,             ///< §5.2.6, with §5.2.5 revocation freshness
  past_validation,             ///< §5.6.2.1 and §5.6.2.4; runs only where the present is not enough
  signature_acceptance,        ///< §5.2.8
};
inline constexpr std::size_t kBuildingBlocks = 8;
/// "x509-validation"
std::string_view name_of(BuildingBlock block);

/// What one building block came to.
struct BlockReport {
  bool ran = false;
  Verdict verdict = Verdict::total_passed;
  SubIndication sub_indication = SubIndication::none;
};

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
  std::string attribute = {};         ///< OID of the CMS attribute it is about, dotted; empty if about none
  std::string object = {};            ///< "12 0": object of a PDF it is about; empty if about none
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

enum class StampKind : std::uint8_t {
  content,    ///< over the content, signed: the signature was made after it
  signature,  ///< over the signature value: the signature was made before it
  archive,    ///< over everything
};
/// A time-stamp in a signature.
struct StampReport {
  StampKind kind = StampKind::signature;
  Time time{};
  bool holds = false;  ///< otherwise a finding says why not
  Bytes token;         ///< as it stands
};

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

  BlockReport blocks[kBuildingBlocks] = {};  ///< by BuildingBlock
  Bytes signature_value;                     ///< of the signer; empty if the file does not parse
  Bytes content_digest;                      ///< of the content found, under `digest`; empty if there is none
  std::vector<StampReport> stamps;           ///< time-stamps in the signature, in the order judged
  /// One for each of `chain`, where the whole path was built and revocation was looked at.
  std::vector<RevocationResult> revocation;

  bool passed() const { return verdict == Verdict::total_passed; }
  const Finding* first_fault() const;
  const BlockReport& block(BuildingBlock one) const { return blocks[static_cast<std::size_t>(one)]; }
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
