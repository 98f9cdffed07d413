#include "crypto/validation/report.h"

#include <algorithm>
#include <array>

namespace karta::crypto {
namespace {

// Words of EN 319 102-1 §5.1.3, in the order of the enums.
constexpr auto kVerdicts = std::to_array<std::string_view>({"TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED"});
constexpr auto kIntegrities = std::to_array<std::string_view>({"intact", "broken", "unparsable", "unchecked"});
constexpr auto kSeverities = std::to_array<std::string_view>({"note", "warning", "fault"});
constexpr auto kChanges = std::to_array<std::string_view>({"none", "allowed", "not-allowed"});
constexpr auto kRoles = std::to_array<std::string_view>({"signature", "timestamp", "counter-signature"});
constexpr auto kBlocks = std::to_array<std::string_view>({
    "format-checking",
    "identification-of-the-signing-certificate",
    "validation-context-initialization",
    "cryptographic-verification",
    "time-stamp-validation",
    "x509-certificate-validation",
    "past-signature-validation",
    "signature-acceptance-validation",
});

constexpr Verdict kFailed = Verdict::total_failed, kUnsure = Verdict::indeterminate;
constexpr auto kRows = std::to_array<SubIndicationRow>({
    {SubIndication::format_failure, "FORMAT_FAILURE", kFailed,
     "§5.2.2: the file is not what RFC 5652, EN 319 122-1 or EN 319 142-1 ask for"},
    {SubIndication::hash_failure, "HASH_FAILURE", kFailed, "§5.2.7: the content has another digest than was signed"},
    {SubIndication::sig_crypto_failure, "SIG_CRYPTO_FAILURE", kFailed,
     "§5.2.7: the signature value is not that of the signer's key"},
    {SubIndication::revoked, "REVOKED", kFailed,
     "§5.3: revoked, and a content time-stamp proves that the signature was made afterwards"},
    {SubIndication::expired, "EXPIRED", kFailed,
     "§5.3: expired, and a content time-stamp proves that the signature was made afterwards"},
    {SubIndication::not_yet_valid, "NOT_YET_VALID", kFailed,
     "§5.5: the signature is proven to have existed before the certificate's notBefore"},
    {SubIndication::sig_constraints_failure, "SIG_CONSTRAINTS_FAILURE", kUnsure,
     "§5.2.8: the signature lacks what the policy asks of signatures"},
    {SubIndication::chain_constraints_failure, "CHAIN_CONSTRAINTS_FAILURE", kUnsure,
     "§5.2.6: the path breaks a rule: key usage, CA rights, names, policies"},
    {SubIndication::certificate_chain_general_failure, "CERTIFICATE_CHAIN_GENERAL_FAILURE", kUnsure,
     "§5.2.6: the path cannot be judged: an unknown algorithm, a limit, trust data past its date"},
    {SubIndication::crypto_constraints_failure, "CRYPTO_CONSTRAINTS_FAILURE", kUnsure,
     "§5.2.8: an algorithm past its date, and the signature is proven to have been made afterwards"},
    {SubIndication::policy_processing_error, "POLICY_PROCESSING_ERROR", kUnsure,
     "§5.2.4: the signature policy the signer names is not the one known under that name"},
    {SubIndication::signature_policy_not_available, "SIGNATURE_POLICY_NOT_AVAILABLE", kUnsure,
     "§5.2.4: the signer names a signature policy that is not known, and only known ones are accepted"},
    {SubIndication::timestamp_order_failure, "TIMESTAMP_ORDER_FAILURE", kUnsure,
     "§5.5: time-stamps contradict one another: before what they are over"},
    {SubIndication::no_signing_certificate_found, "NO_SIGNING_CERTIFICATE_FOUND", kUnsure,
     "§5.2.3: no certificate at hand is the one the signer names"},
    {SubIndication::no_certificate_chain_found, "NO_CERTIFICATE_CHAIN_FOUND", kUnsure,
     "§5.2.6: no path leads to anybody trusted, or nobody is trusted"},
    {SubIndication::no_certificate_chain_found_no_poe, "NO_CERTIFICATE_CHAIN_FOUND_NO_POE", kUnsure,
     "§5.2.6: the path leads to an anchor that was trusted until a day now past"},
    {SubIndication::revoked_no_poe, "REVOKED_NO_POE", kUnsure,
     "§5.2.6: revoked, and nothing proves that the signature is older"},
    {SubIndication::revoked_ca_no_poe, "REVOKED_CA_NO_POE", kUnsure,
     "§5.2.6: a CA of the path is revoked, and nothing proves that the signature is older"},
    {SubIndication::out_of_bounds_not_revoked, "OUT_OF_BOUNDS_NOT_REVOKED", kUnsure,
     "§5.2.6: expired, not revoked, and nothing proves that the signature is older"},
    {SubIndication::out_of_bounds_no_poe, "OUT_OF_BOUNDS_NO_POE", kUnsure,
     "§5.2.6: expired, and nothing proves that the signature is older"},
    {SubIndication::crypto_constraints_failure_no_poe, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", kUnsure,
     "§5.2.8: an algorithm past its date, and nothing proves that the signature is older"},
    {SubIndication::no_poe, "NO_POE", kUnsure,
     "§5.6.2.2: what vouches for the certificate in the past is not proven to be older than the CA's revocation"},
    {SubIndication::try_later, "TRY_LATER", kUnsure,
     "§5.2.5, §5.2.6: what is known about revocation is missing or too old; later there may be more"},
    {SubIndication::signed_data_not_found, "SIGNED_DATA_NOT_FOUND", kUnsure, "§5.2.7: the content is not at hand"},
});

static_assert(kBlocks.size() == kBuildingBlocks);
static_assert(kBuildingBlocks == static_cast<std::size_t>(BuildingBlock::signature_acceptance) + 1);
static_assert(kChanges.size() == static_cast<std::size_t>(ChangesAfter::not_allowed) + 1);
static_assert(kRoles.size() == static_cast<std::size_t>(SignatureRole::counter_signature) + 1);
static_assert(kVerdicts.size() == static_cast<std::size_t>(Verdict::total_failed) + 1);
static_assert(kIntegrities.size() == static_cast<std::size_t>(Integrity::unchecked) + 1);
static_assert(kSeverities.size() == static_cast<std::size_t>(Severity::fault) + 1);
static_assert(kRows.size() == static_cast<std::size_t>(SubIndication::signed_data_not_found));
static_assert([] {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].id) != i + 1) return false;
  }
  return true;
}());

}  // namespace

std::string_view name_of(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }
std::string_view name_of(SubIndication sub) {
  return sub == SubIndication::none ? std::string_view() : kRows[static_cast<std::size_t>(sub) - 1].word;
}
std::string_view name_of(Integrity integrity) { return kIntegrities[static_cast<std::size_t>(integrity)]; }
std::string_view name_of(Severity severity) { return kSeverities[static_cast<std::size_t>(severity)]; }
std::string_view name_of(ChangesAfter changes) { return kChanges[static_cast<std::size_t>(changes)]; }
std::string_view name_of(SignatureRole role) { return kRoles[static_cast<std::size_t>(role)]; }
std::string_view name_of(BuildingBlock block) { return kBlocks[static_cast<std::size_t>(block)]; }

std::span<const SubIndicationRow> sub_indications() { return kRows; }

Integrity Report::integrity() const {
  // From good to bad.
  static constexpr auto kOrder =
      std::to_array({Integrity::intact, Integrity::unchecked, Integrity::broken, Integrity::unparsable});
  std::size_t worst = signatures.empty() ? 1 : 0;
  for (const SignatureReport& one : signatures) {
    const auto at = std::find(kOrder.begin(), kOrder.end(), one.integrity);
    worst = std::max(worst, static_cast<std::size_t>(at - kOrder.begin()));
    if (one.changes_after == ChangesAfter::not_allowed) worst = std::max<std::size_t>(worst, 2);
  }
  return kOrder[worst];
}

const Finding* SignatureReport::first_fault() const {
  return !findings.empty() && findings.front().severity == Severity::fault ? &findings.front() : nullptr;
}

}  // namespace karta::crypto
