// TrustSnapshot: whom to trust, which cards are dead and a gate's rules, as they are at one moment, and how old each
// is.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "card/cv_certificate.h"
#include "crypto/trust_list.h"
#include "identity/stop_list/foreign_filter.h"
#include "identity/stop_list/stop_table.h"

namespace karta::daemon {

enum class TrustItemKind : std::uint8_t { trust_list, stop_list, rules, foreign_filter };
/// "trust-list", "stop-list", "rules", "foreign-filter"
std::string_view name_of(TrustItemKind kind);

enum class TrustState : std::uint8_t {
  fresh,
  stale,    ///< its successor is overdue, and policy lets it be used
  expired,  ///< beyond that
  missing,
  early,  ///< made after what the clock says: the clock has gone back
};
/// "fresh" ...
std::string_view name_of(TrustState state);
/// True for fresh and stale.
inline bool usable(TrustState state) { return state == TrustState::fresh || state == TrustState::stale; }

/// Something in use, or wanted and not there.
struct TrustItem {
  TrustItemKind kind = TrustItemKind::trust_list;
  std::string name;    ///< stop-list, filter: its issuer; otherwise empty
  std::string region;  ///< stop-list, filter: of its signer; empty: this terminal's own
  bool present = false;
  std::uint64_t epoch = 0;  ///< or sequence number
  Time made{};
  Time until{};         ///< when the next was to be there
  std::string problem;  ///< why the last one found was not taken; empty: nothing is wrong

  /// `stale_for`: how long after `until` policy lets it be used.
  TrustState state(Time now, std::chrono::seconds stale_for = std::chrono::seconds(0)) const;
};

/// A certificate with the region its trust-list entry names; empty: this terminal's own, or everywhere.
struct TrustAnchor {
  crypto::Certificate certificate;
  std::string region;
};

std::vector<crypto::Certificate> certificates_of(const std::vector<TrustAnchor>& anchors);

/// A stop-list in use.
struct StopListInUse {
  std::string region;
  std::string issuer;
  std::shared_ptr<const identity::StopTable> table;
};
struct ForeignFilterInUse {
  std::string region;
  std::string issuer;
  std::shared_ptr<const identity::ForeignFilter> filter;
};

/// Everything at one moment. Immutable; usable from several threads.
struct TrustSnapshot {
  std::uint64_t number = 0;  ///< one more with every change
  std::vector<TrustItem> items;
  std::optional<crypto::TrustList> trust_list;
  std::vector<TrustAnchor> document_signers;         ///< of genuine cards: EF.CardSecurity
  std::vector<TrustAnchor> card_issuers;             ///< CAs: of card-signed taps and receipts, of stop-lists and rules
  std::vector<card::CvCertificate> cv_certificates;  ///< other regions' links and this region's verifier by them
  std::vector<StopListInUse> stop_lists;
  std::vector<ForeignFilterInUse> foreign_filters;
  Bytes rules;  ///< the file as it came; empty: none

  std::vector<crypto::Certificate> document_signer_certificates() const;
  std::vector<crypto::Certificate> card_issuer_certificates() const;
  /// The region of the anchor that certified `certificate` (or is it); nothing where none did.
  std::optional<std::string> region_of(const crypto::Certificate& certificate) const;

  /// The list for cards of `region`, or for everywhere where that region has none; null: there is none.
  const StopListInUse* stop_list(std::string_view region) const;
  /// unknown where there is no list. Never allocates.
  identity::CardVerdict find(std::string_view region, std::uint64_t index) const;
  /// True if any filter in use lists the certificate, which may be wrong once in 65,536; false is never wrong about a
  /// certificate that is listed.
  bool foreign_stopped(const crypto::Certificate& certificate) const;
  /// The first of its kind; null: there is none, nor is one wanted.
  const TrustItem* item(TrustItemKind kind) const;
  /// What is said of that very list.
  const TrustItem* item(const StopListInUse& list) const;
};

}  // namespace karta::daemon
