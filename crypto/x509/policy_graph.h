// PolicyGraph: which certificate policies a path is valid for (RFC 5280 §6.1 with the graph of RFC 9618).
//
// RFC 5280's tree grows exponentially under hostile mappings; the graph has at most one node a policy and level, so its
// size is linear in the certificates.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/x509/certificate.h"

namespace karta::crypto {

struct PolicyInputs {
  /// user-initial-policy-set, dotted; empty: any policy.
  std::vector<std::string> initial_policies = {};
  bool require_explicit_policy = false;  ///< initial-explicit-policy
  bool inhibit_mapping = false;          ///< initial-policy-mapping-inhibit
  bool inhibit_any_policy = false;       ///< initial-any-policy-inhibit
};

struct PolicyOutcome {
  bool valid = true;
  std::size_t at = 0;                           ///< position in the path of the certificate at fault
  std::string reason;                           ///< in words; empty if valid
  std::vector<std::string> authority_policies;  ///< authority-constrained-policy-set, sorted
  std::vector<std::string> user_policies;       ///< user-constrained-policy-set, sorted; kAnyPolicyOid: any
};

/// The policies of `chain` (end-entity first, anchor last; the anchor constrains by its policy constraints and
/// inhibitAnyPolicy, and names no policies). Names, dates and signatures are not looked at.
PolicyOutcome check_policies(const std::vector<Certificate>& chain, const PolicyInputs& inputs);

}  // namespace karta::crypto
