// ValidationPolicy: until when an algorithm is accepted, and how much must be known about revocation.
//
//   schema = "karta.validation-policy/1"     # required
//   revocation = "if-known"                  # "none", "if-known" (default), "required"
//   least_rsa_bits = 2048
//   [sunset]                                 # the last day a signature with it is accepted; over the built-in dates
//   sha1 = "2012-12-31"
//   rsa-2048 = "2030-12-31"
//   ecdsa-sha256 = "2035-12-31"
//   [sunset] takes names of hashes, key types and signature algorithms.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "crypto/algorithm.h"
#include "crypto/x509/path.h"

namespace karta::crypto {

struct ValidationPolicy {
  RevocationMode revocation = RevocationMode::if_known;
  unsigned least_rsa_bits = 2048;
  std::map<std::string, Time, std::less<>> sunset;  ///< first moment it is no longer accepted

  /// True if `name` (a hash, key type or algorithm) is past its date at `at`; `built_in_year` is the table's, 0 for
  /// none.
  bool past(std::string_view name, std::uint16_t built_in_year, Time at) const;

  /// Reads TOML of at most kMostPolicyOctets. Fails with configuration, the message begins "`source_name`:LINE: ".
  static Result<ValidationPolicy> from_toml(std::string_view text, std::string_view source_name = "policy");
};
inline constexpr std::size_t kMostPolicyOctets = 64 * 1024;

}  // namespace karta::crypto
