// Signature acceptance validation (EN 319 102-1 §5.2.8): algorithms by their dates, and what the policy asks for.
#include <algorithm>

#include "crypto/cms/attributes.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

class SignatureAcceptance {
 public:
  explicit SignatureAcceptance(SignatureUnderValidation& signature)
      : it_(signature), policy_(signature.context.policy()) {}

  void run() {
    check_strength();
    check_constraints();
  }

 private:
  // --- cryptographic constraints ---

  /// `name` is a row of the algorithm table, `built_in_year` that row's last year.
  void check_date(std::string_view name, std::uint16_t built_in_year, const std::string& words, std::size_t offset) {
    const auto end = policy_.end_of(name, built_in_year);
    if (!end || it_.best_time() < *end) return;
    // A content time-stamp after that day proves that the signature was made with what was broken by then.
    const bool made_afterwards = it_.made_after && *it_.made_after >= *end;
    it_.fault(
        made_afterwards ? SubIndication::crypto_constraints_failure : SubIndication::crypto_constraints_failure_no_poe,
        "weak-algorithm", words + " is no longer accepted", offset);
  }
  void too_weak(const std::string& words) {
    it_.fault(SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm", words + " is not accepted",
              it_.signer.offset);
  }

  void check_strength() {
    if (it_.hash) {
      const HashRow& row = row_of(*it_.hash);
      check_date(row.name, row.sunset_year, std::string(row.name), it_.signer.digest_algorithm.offset);
    }
    if (it_.algorithm) {
      check_date(row_of(it_.algorithm->id).name, 0, it_.report.algorithm, it_.signer.signature_algorithm.offset);
    }
    if (!it_.key) return;
    if (it_.key->family() == KeyFamily::rsa) {
      if (it_.key->bits() < policy_.least_rsa_bits) {
        too_weak("an RSA key of " + std::to_string(it_.key->bits()) + " bits");
      }
      std::uint64_t exponent = 0;
      for (const std::uint8_t octet : it_.key->exponent()) exponent = exponent << 8 | octet;
      if (exponent < policy_.least_rsa_exponent) {
        too_weak("an RSA key with exponent " + std::to_string(exponent));
      }
    }
    if (it_.key->type()) {
      const KeyTypeRow& row = row_of(*it_.key->type());
      check_date(row.name, row.sunset_year, "a key of type " + it_.key->type_name(), it_.signer.offset);
    }
  }

  // --- constraints on the signature's elements ---

  void lacks(const std::string& words, std::string attribute = {}) {
    it_.fault(SubIndication::sig_constraints_failure, "signature-constraint", words, it_.signer.offset,
              std::move(attribute));
  }

  bool has_signed(std::string_view oid) const {
    const auto& attributes = it_.signer.signed_attributes;
    // The older attribute says the same with SHA-1, which is judged by its date.
    return attributes && (!attributes->find(oid).empty() || (oid == cms::kSigningCertificateV2Oid &&
                                                             !attributes->find(cms::kSigningCertificateOid).empty()));
  }

  void check_constraints() {
    if (it_.counter) return;  // the policy speaks of signatures over documents
    for (const std::string& oid : policy_.required_attributes) {
      if (!has_signed(oid)) lacks("the policy asks for signed attribute " + oid + ", which is missing", oid);
    }
    if (!policy_.least_level.empty()) {
      const std::string level = level_of(it_);
      const auto rank = level_rank(level);
      if (!rank || *rank < level_rank(policy_.least_level)) {
        lacks("the policy asks for level " + policy_.least_level + ", and this is " + level);
      }
    }
    if (policy_.most_timestamp_delay && it_.report.claimed_signing_time && it_.report.best_signature_time) {
      const auto delay = *it_.report.best_signature_time - *it_.report.claimed_signing_time;
      if (delay > *policy_.most_timestamp_delay) {
        lacks("the time-stamp came " + std::to_string(std::chrono::duration_cast<std::chrono::hours>(delay).count()) +
              " hours after the time the signer claims; the policy allows " +
              std::to_string(policy_.most_timestamp_delay->count()));
      }
    }
  }

  SignatureUnderValidation& it_;
  const ValidationPolicy& policy_;
};

}  // namespace

void accept_signature(SignatureUnderValidation& signature) {
  signature.enter(BuildingBlock::signature_acceptance);
  SignatureAcceptance(signature).run();
}

}  // namespace karta::crypto
