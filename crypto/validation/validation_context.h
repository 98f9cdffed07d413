// ValidationContext (EN 319 102-1 §5.2.4): what every signer of one file is judged by: the moment, the policy, whom to
// trust, and the certificates and revocation data at hand, with the proofs of when those existed.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "crypto/cms/signed_data.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {

/// A certificate that came in the file.
struct BagEntry {
  std::size_t offset = 0;
  std::optional<Certificate> certificate;
  std::string fault;  ///< why there is none
};

class ValidationContext {
 public:
  /// All must outlive this. `data` may be nullptr: no CMS file around (a document time-stamp).
  ValidationContext(const SignedData* data, const TrustMaterial& trust, const ValidateOptions& options);

  Time now() const { return options_.at; }
  const ValidateOptions& options() const { return options_; }
  const ValidationPolicy& policy() const { return policy_; }
  const TrustMaterial& trust() const { return trust_; }

  /// Certificates in the file, in its order, those that do not parse among them.
  const std::vector<BagEntry>& bag() const { return bag_; }
  /// All certificates at hand but the anchors.
  const std::vector<Certificate>& certificates() const { return evidence_.certificates; }
  /// What is wrong with revocation data of the file.
  const std::vector<Finding>& remarks() const { return remarks_; }
  /// True if revocation data stand in the file or the document around it.
  bool has_own_revocation() const { return has_own_revocation_; }

  /// The path of `leaf` at `at`, with all revocation data at hand.
  PathResult path(const Certificate& leaf, Purpose purpose, Time at, RevocationMode mode) const;
  /// The same, with only those revocation data that are proven to have existed at `proven_by`.
  PathResult path_with_older_data(const Certificate& leaf, Purpose purpose, Time at, RevocationMode mode,
                                  Time proven_by) const;
  /// The path of a time-stamp authority; its own anchors count too.
  PathResult timestamp_path(const Certificate& leaf, const std::vector<Certificate>& more, Time at,
                            RevocationMode mode) const;

  /// The last moment the anchor of `chain` was trusted; absent: no end is known.
  std::optional<Time> anchor_end(const std::vector<Certificate>& chain) const;
  /// True if the trust data were to be replaced by newer ones before now().
  bool stale_trust() const { return trust_.due && *trust_.due < options_.at; }

  /// A proof that the revocation entry number `position` of the file existed at `when`.
  void prove_existence(std::size_t position, Time when);

 private:
  void read_file(const SignedData& data);
  void add(const ValidationEvidence& more, Time existed);
  const PathVerifier& paths_for_timestamps() const;

  const TrustMaterial& trust_;
  const ValidateOptions& options_;
  const ValidationPolicy& policy_;
  std::optional<PathVerifier> own_paths_;
  mutable std::optional<PathVerifier> timestamp_paths_;
  const PathVerifier* paths_ = nullptr;
  std::vector<BagEntry> bag_;
  ValidationEvidence evidence_;
  RevocationData revocation_;
  std::vector<Finding> remarks_;
  bool has_own_revocation_ = false;
  std::map<Bytes, Time> existed_;             // revocation data by SHA-256: the earliest proof
  std::map<std::size_t, Bytes> of_the_file_;  // position in SignedData::revocation: its SHA-256
};

}  // namespace karta::crypto
