#include "crypto/validation/report.h"

#include <algorithm>
#include <array>

namespace karta::crypto {
namespace {

// Words of EN 319 102-1 §5.1.3, in the order of the enums.
constexpr auto kVerdicts = std::to_array<std::string_view>({"TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED"});
constexpr auto kSubIndications = std::to_array<std::string_view>({
    "",
    "FORMAT_FAILURE",
    "HASH_FAILURE",
    "SIG_CRYPTO_FAILURE",
    "SIG_CONSTRAINTS_FAILURE",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    "NO_SIGNING_CERTIFICATE_FOUND",
    "NO_CERTIFICATE_CHAIN_FOUND",
    "CHAIN_CONSTRAINTS_FAILURE",
    "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    "NOT_YET_VALID",
    "OUT_OF_BOUNDS_NO_POE",
    "SIGNED_DATA_NOT_FOUND",
    "REVOKED_NO_POE",
    "REVOKED_CA_NO_POE",
    "TRY_LATER",
    "TIMESTAMP_ORDER_FAILURE",
});
constexpr auto kIntegrities = std::to_array<std::string_view>({"intact", "broken", "unparsable", "unchecked"});
constexpr auto kSeverities = std::to_array<std::string_view>({"note", "warning", "fault"});

constexpr auto kChanges = std::to_array<std::string_view>({"none", "allowed", "not-allowed"});
constexpr auto kRoles = std::to_array<std::string_view>({"signature", "timestamp", "counter-signature"});

static_assert(kChanges.size() == static_cast<std::size_t>(ChangesAfter::not_allowed) + 1);
static_assert(kRoles.size() == static_cast<std::size_t>(SignatureRole::counter_signature) + 1);
static_assert(kVerdicts.size() == static_cast<std::size_t>(Verdict::total_failed) + 1);
static_assert(kSubIndications.size() == static_cast<std::size_t>(SubIndication::timestamp_order_failure) + 1);
static_assert(kIntegrities.size() == static_cast<std::size_t>(Integrity::unchecked) + 1);
static_assert(kSeverities.size() == static_cast<std::size_t>(Severity::fault) + 1);

}  // namespace

std::string_view name_of(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }
std::string_view name_of(SubIndication sub) { return kSubIndications[static_cast<std::size_t>(sub)]; }
std::string_view name_of(Integrity integrity) { return kIntegrities[static_cast<std::size_t>(integrity)]; }
std::string_view name_of(Severity severity) { return kSeverities[static_cast<std::size_t>(severity)]; }

std::string_view name_of(ChangesAfter changes) { return kChanges[static_cast<std::size_t>(changes)]; }
std::string_view name_of(SignatureRole role) { return kRoles[static_cast<std::size_t>(role)]; }

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
