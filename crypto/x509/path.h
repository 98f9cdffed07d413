// Path: from an end-entity certificate to a trust anchor, and why not.
//
// RFC 5280 §6 in full: signatures, dates, name chaining, basic constraints with path length, key usage, policies
// (RFC 9618), name constraints, critical extensions, revocation by CRLs and OCSP answers at hand, all at any moment.
// Paths are built over any number of intermediates and cross certificates, within bounds; the first that holds counts,
// else the reason of the attempt that came furthest. Nothing is fetched.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/policy_graph.h"
#include "crypto/x509/revocation.h"

namespace karta::crypto {

/// What the end-entity's key is used for.
enum class Purpose : std::uint8_t {
  any,
  sign_document,  ///< digitalSignature or nonRepudiation, if there is a key usage extension; not if all its extended
                  ///< key usages are for something else (log-in, servers, code, time stamps, OCSP)
  authenticate,   ///< digitalSignature; clientAuth if there are extended key usages
  time_stamp,     ///< extended key usage critical, timeStamping and nothing else (RFC 3161 §2.3)
  sign_ocsp,      ///< OCSPSigning
  sign_crl,       ///< cRLSign
  serve_tls,      ///< serverAuth if there are extended key usages
};
/// The purpose called "document", "authenticate", "time-stamp", "ocsp", "crl", "tls-server" or "any".
std::optional<Purpose> find_purpose(std::string_view name);

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
  name_constraints,    ///< a CA may not certify a name below it
  policy,              ///< no acceptable policy is left where one is required
  revoked,
  revocation_unknown,  ///< revocation is required to be known and is not: no data, or stale data
};
/// "no-trust-data": stable, for --json.
std::string_view name_of(PathFault fault);

enum class RevocationMode : std::uint8_t {
  none,      ///< not looked at
  if_known,  ///< what is known to be revoked is refused
  required,  ///< every certificate but the anchor must be known to be good
};

struct PathOptions {
  Time at{};
  Purpose purpose = Purpose::any;
  PolicyInputs policies = {};
  RevocationMode revocation = RevocationMode::none;
  const RevocationData* revocation_data = nullptr;  ///< must outlive the call; nullptr: none at hand
};

struct PathResult {
  PathFault fault = PathFault::none;
  /// End-entity first, anchor last, where fault is none; otherwise as far as the best attempt came.
  std::vector<Certificate> chain;
  /// Which certificate failed and why, in words; empty where fault is none.
  std::string reason;
  /// Position in `chain` of the certificate at fault.
  std::size_t at = 0;
  /// Of a whole chain, whatever came of it: the policies it is valid for.
  PolicyOutcome policies = {};
  /// One for each of `chain`, where revocation was looked at and the attempt came so far.
  std::vector<RevocationResult> revocation = {};
  /// Why other ways to an anchor did not hold, in the order tried; at most kMostAttempts.
  std::vector<std::string> other_attempts = {};

  bool ok() const { return fault == PathFault::none; }
};

/// Certificates in a path, the anchor included. Real chains have two to five; bridges some more.
inline constexpr std::size_t kMostPathLength = 20;
/// Steps of one search, and signatures verified in it: past these a knot of cross certificates is no longer honest.
inline constexpr std::size_t kMostPathSteps = 2'000;
inline constexpr std::size_t kMostPathSignatures = 200;
inline constexpr std::size_t kMostAttempts = 20;
/// How deep the paths of CRL and OCSP signers may call for further ones.
inline constexpr std::size_t kMostSignerDepth = 4;

/// PathVerifier verifies many certificates under one set of anchors and intermediates.
///
/// It finds issuers by an index, and remembers which signatures on certificates it verified and which certificates it
/// parsed: the paths of one issuer cost one signature each, those of one signer none but the first time. Usable from
/// several threads.
class PathVerifier {
 public:
  PathVerifier(std::vector<Certificate> anchors, std::vector<Certificate> intermediates);
  ~PathVerifier();
  PathVerifier(PathVerifier&&) noexcept;
  PathVerifier& operator=(PathVerifier&&) noexcept;

  const std::vector<Certificate>& anchors() const;
  /// Certificate::from_der, the result remembered: signers and issuers come again and again.
  Result<Certificate> parse(ByteView der) const;
  /// `anchors` are trusted by being given; their own signature is not checked, their dates are. A leaf that is itself
  /// an anchor is a path of one. `more` are further intermediates: those that came in a signature, say.
  PathResult verify(const Certificate& leaf, const std::vector<Certificate>& more, const PathOptions& options) const;
  PathResult verify(const Certificate& leaf, const PathOptions& options) const { return verify(leaf, {}, options); }

  class State;

 private:
  std::unique_ptr<State> state_;
};

/// One verification, with nothing kept.
PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, const PathOptions& options);
PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, Time at, Purpose purpose);

}  // namespace karta::crypto
