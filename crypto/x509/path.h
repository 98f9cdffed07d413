// Path: from an end-entity certificate to a trust anchor, and why not.
//
// RFC 5280 §6.1 without policies and name constraints (a certificate that has critical ones is refused): signatures,
// dates, name chaining, basic constraints with path length, key usage, extended key usage, critical extensions.
// The search is bounded; the authority key identifier orders the candidates and never excludes one.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {

/// What the end-entity's key is used for.
enum class Purpose : std::uint8_t {
  any,
  sign_document,  ///< digitalSignature or nonRepudiation, if there is a key usage extension; not if all its extended
                  ///< key usages are for something else (log-in, servers, code, time stamps, OCSP)
  authenticate,   ///< digitalSignature; clientAuth if there are extended key usages
};

enum class PathFault : std::uint8_t {
  none,
  no_trust_data,  ///< there are no anchors at all
  no_path,        ///< the issuer of some certificate was not found: not trusted
  signature,      ///< an issuer's key does not verify the signature on the certificate below
  expired,
  not_yet_valid,
  not_a_ca,            ///< an issuer without CA, keyCertSign or enough path length
  key_usage,           ///< the end-entity is not meant for the purpose
  critical_extension,  ///< one that is not understood
  weak_algorithm,      ///< MD5, SHA-1, RSA below 2048 bits, or past a sunset year
  unsupported,         ///< a key or a signature algorithm without a row
  limit,               ///< the search was cut off
};
/// "no-trust-data": stable, for --json.
std::string_view name_of(PathFault fault);

struct PathResult {
  PathFault fault = PathFault::none;
  /// End-entity first, anchor last, where fault is none; otherwise as far as the best attempt came.
  std::vector<Certificate> chain;
  /// Which certificate failed and why, in words; empty where fault is none.
  std::string reason;
  /// Position in `chain` of the certificate at fault.
  std::size_t at = 0;

  bool ok() const { return fault == PathFault::none; }
};

inline constexpr std::size_t kMostPathLength = 10;       ///< certificates, the anchor included
inline constexpr std::size_t kMostPathSignatures = 200;  ///< signatures verified in one search

/// `anchors` are trusted by being given; their own signature is not checked, their dates are. A leaf that is itself an
/// anchor is a path of one.
PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, Time at, Purpose purpose);

}  // namespace karta::crypto
