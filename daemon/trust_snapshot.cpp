#include "daemon/trust_snapshot.h"

#include <algorithm>

#include "crypto/x509/path.h"

namespace karta::daemon {
namespace {

using crypto::Certificate;
using std::chrono::seconds;

constexpr seconds kAhead{5 * 60};  // clocks of two machines differ
constexpr std::string_view kEverywhere = "*";

}  // namespace

std::string_view name_of(TrustItemKind kind) {
  switch (kind) {
    case TrustItemKind::trust_list:
      return "trust-list";
    case TrustItemKind::stop_list:
      return "stop-list";
    case TrustItemKind::rules:
      return "rules";
    case TrustItemKind::foreign_filter:
      return "foreign-filter";
  }
  return "";
}

std::string_view name_of(TrustState state) {
  switch (state) {
    case TrustState::fresh:
      return "fresh";
    case TrustState::stale:
      return "stale";
    case TrustState::expired:
      return "expired";
    case TrustState::missing:
      return "missing";
    case TrustState::early:
      return "early";
  }
  return "";
}

TrustState TrustItem::state(Time now, seconds stale_for) const {
  if (!present) return TrustState::missing;
  if (now + kAhead < made) return TrustState::early;
  if (now <= until) return TrustState::fresh;
  return now - until <= stale_for ? TrustState::stale : TrustState::expired;
}

std::vector<Certificate> certificates_of(const std::vector<TrustAnchor>& anchors) {
  std::vector<Certificate> out;
  out.reserve(anchors.size());
  for (const TrustAnchor& one : anchors) out.push_back(one.certificate);
  return out;
}

std::vector<Certificate> TrustSnapshot::document_signer_certificates() const {
  return certificates_of(document_signers);
}
std::vector<Certificate> TrustSnapshot::card_issuer_certificates() const { return certificates_of(card_issuers); }

std::optional<std::string> TrustSnapshot::region_of(const Certificate& certificate) const {
  const TrustAnchor* found = nullptr;
  bool several = false;
  for (const auto* anchors : {&document_signers, &card_issuers}) {
    for (const TrustAnchor& anchor : *anchors) {
      if (equal(anchor.certificate.der(), certificate.der())) return anchor.region;
      if (!(anchor.certificate.subject() == certificate.issuer())) continue;
      const auto& key = certificate.authority_key_id();
      if (key && !key->key_id.empty() && !anchor.certificate.subject_key_id().empty() &&
          !equal(key->key_id, anchor.certificate.subject_key_id()))
        continue;
      several = several || (found != nullptr && found->region != anchor.region);
      if (found == nullptr) found = &anchor;
    }
  }
  if (!several) return found != nullptr ? std::optional(found->region) : std::nullopt;
  // Two authorities of one name: the signature tells.
  for (const auto* anchors : {&document_signers, &card_issuers}) {
    for (const TrustAnchor& anchor : *anchors) {
      const auto path =
          crypto::verify_path(certificate, {}, {anchor.certificate}, certificate.not_before(), crypto::Purpose::any);
      if (path.fault == crypto::PathFault::none) return anchor.region;
    }
  }
  return std::nullopt;
}

const StopListInUse* TrustSnapshot::stop_list(std::string_view region) const {
  const StopListInUse* everywhere = nullptr;
  for (const StopListInUse& one : stop_lists) {
    if (one.region == region) return &one;
    if (one.region == kEverywhere) everywhere = &one;
  }
  return everywhere;
}

identity::CardVerdict TrustSnapshot::find(std::string_view region, std::uint64_t index) const {
  const StopListInUse* const list = stop_list(region);
  return list != nullptr ? list->table->find(index) : identity::CardVerdict::unknown;
}

bool TrustSnapshot::foreign_stopped(const Certificate& certificate) const {
  const identity::ForeignKey key = identity::foreign_key(certificate);
  return std::any_of(foreign_filters.begin(), foreign_filters.end(),
                     [&](const ForeignFilterInUse& one) { return one.filter->may_list(key); });
}

const TrustItem* TrustSnapshot::item(TrustItemKind kind) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const TrustItem& one) { return one.kind == kind; });
  return found == items.end() ? nullptr : &*found;
}

const TrustItem* TrustSnapshot::item(const StopListInUse& list) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const TrustItem& one) {
    return one.kind == TrustItemKind::stop_list && one.region == list.region && one.name == list.issuer;
  });
  return found == items.end() ? nullptr : &*found;
}
}  // namespace karta::daemon
