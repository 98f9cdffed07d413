// ValidationPolicy: until when an algorithm is accepted, how much must be known about revocation, and what a signature
// must have (the constraints of EN 319 102-1 §5.2.4). docs/validation.md describes the file.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/algorithm.h"
#include "crypto/x509/path.h"

namespace karta::crypto {

/// A signed attribute a policy may ask for: by the name in policy files, or any dotted OID.
struct AttributeName {
  std::string_view name;
  std::string_view oid;
};
/// "signing-time" and its fellows.
std::span<const AttributeName> attribute_names();

/// The digest of a signature policy (RFC 5126 §5.8.1) the reader has read and found acceptable.
struct KnownSignaturePolicy {
  Hash hash = Hash::sha256;
  Bytes digest;
};

struct ValidationPolicy {
  std::string name;  ///< for the report; empty: the built-in policy

  // --- certificates ---
  RevocationMode revocation = RevocationMode::if_known;
  /// What is known about the signer's revocation must be no older than this (EN 319 102-1 §5.2.5); absent: until its
  /// own nextUpdate.
  std::optional<std::chrono::hours> most_revocation_age;
  /// False: a path that rests on a trust list past its next update is indeterminate; true: mentioned.
  bool accept_stale_trust = false;

  // --- algorithms ---
  unsigned least_rsa_bits = 2048;
  std::uint64_t least_rsa_exponent = 65'537;        ///< SOG-IS agreed mechanisms §4.1: above 2^16
  std::map<std::string, Time, std::less<>> sunset;  ///< first moment it is no longer accepted

  // --- signatures ---
  std::vector<std::string> required_attributes;  ///< dotted OIDs of signed attributes
  std::string least_level;                       ///< "B-T": that or a higher one; empty: any
  /// Between the time the signer claims and the time-stamp.
  std::optional<std::chrono::hours> most_timestamp_delay;
  /// True: a signature that names a signature policy not in signature_policies is indeterminate.
  bool only_known_signature_policies = false;
  std::map<std::string, KnownSignaturePolicy, std::less<>> signature_policies;  ///< by dotted OID

  /// True if `name` (a hash, key type or algorithm) is past its date at `at`; `built_in_year` is the table's, 0 for
  /// none.
  bool past(std::string_view name, std::uint16_t built_in_year, Time at) const;
  /// The first moment `name` is no longer accepted; absent: no date is set.
  std::optional<Time> end_of(std::string_view name, std::uint16_t built_in_year) const;

  /// Reads TOML of at most kMostPolicyOctets. Fails with configuration, the message begins "`source_name`:LINE: " and
  /// names the key.
  static Result<ValidationPolicy> from_toml(std::string_view text, std::string_view source_name = "policy");
};
inline constexpr std::size_t kMostPolicyOctets = 64 * 1024;

/// The baseline levels from low to high: 0 for "B-B" to 3 for "B-LTA"; absent for another word. Takes a family in front
/// ("CAdES-B-T").
std::optional<unsigned> level_rank(std::string_view level);

}  // namespace karta::crypto
