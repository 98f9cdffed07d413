#include "crypto/validation/report.h"

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
});
constexpr auto kIntegrities = std::to_array<std::string_view>({"intact", "broken", "unparsable", "unchecked"});
constexpr auto kSeverities = std::to_array<std::string_view>({"note", "warning", "fault"});

static_assert(kVerdicts.size() == static_cast<std::size_t>(Verdict::total_failed) + 1);
static_assert(kSubIndications.size() == static_cast<std::size_t>(SubIndication::signed_data_not_found) + 1);
static_assert(kIntegrities.size() == static_cast<std::size_t>(Integrity::unchecked) + 1);
static_assert(kSeverities.size() == static_cast<std::size_t>(Severity::fault) + 1);

}  // namespace

std::string_view name_of(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }
std::string_view name_of(SubIndication sub) { return kSubIndications[static_cast<std::size_t>(sub)]; }
std::string_view name_of(Integrity integrity) { return kIntegrities[static_cast<std::size_t>(integrity)]; }
std::string_view name_of(Severity severity) { return kSeverities[static_cast<std::size_t>(severity)]; }

const Finding* SignatureReport::first_fault() const {
  return !findings.empty() && findings.front().severity == Severity::fault ? &findings.front() : nullptr;
}

}  // namespace karta::crypto
