// The certificates that are trusted at a moment, with their regions: this terminal's own and those of the trust list.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/trust_snapshot.h"

namespace karta::daemon::detail {

/// What the configuration names, read once.
struct OwnAnchors {
  std::vector<crypto::Certificate> roots;  ///< who signs trust lists
  std::vector<TrustAnchor> document_signers, card_issuers, list_signers;

  /// configuration: a file that holds no certificate, or a trust list without a root.
  static Result<OwnAnchors> read(const TrustConfig& files);
};

/// Adds what is not there yet.
void add_anchor(std::vector<TrustAnchor>& anchors, TrustAnchor anchor);
/// Of the anchor that is `signer`; empty: none is.
std::string region_of_signer(const std::vector<TrustAnchor>& anchors, const crypto::Certificate& signer);

/// Who is trusted now: entries of the trust list begin and end.
struct AnchorsOfNow {
  std::vector<TrustAnchor> document_signers, card_issuers;
  std::vector<card::CvCertificate> cv_certificates;
};
AnchorsOfNow anchors_of_now(const OwnAnchors& own, const std::optional<crypto::TrustList>& list, Time now);
bool same(const std::vector<TrustAnchor>& a, const std::vector<TrustAnchor>& b);

}  // namespace karta::daemon::detail
