#include "daemon/trust/trust_list.h"

namespace karta::daemon::detail {

TrustListFile::TrustListFile(TrustLook& look)
    : look_(look), file_(TrustItemKind::trust_list, "trust-list.p7s", crypto::TrustList::kMostOctets) {}

void TrustListFile::look(bool fetch) {
  if (look_.own.roots.empty()) return;
  const auto ask = [&](const std::string& etag) { return look_.authority->trust_list(etag); };
  const auto octets = file_.find(look_, look_.sources.files.trust_list,
                                 fetch && look_.authority ? NewestFile::Fetch(ask) : NewestFile::Fetch(),
                                 look_.next.trust_list.has_value());
  if (!octets) return;
  std::optional<crypto::TrustList> list;
  const auto open = [&]() -> Result<std::uint64_t> {
    list = TRY(crypto::open_trust_list(*octets, look_.own.roots, look_.clock.now()));
    return list->sequence;
  };
  if (!file_.take(look_, *octets, open)) return;
  look_.guard.vouch(list->issued_at);
  look_.next.trust_list = std::move(list);
  look_.report.taken(file_.item(), look_.next.trust_list->sequence);
}

bool TrustListFile::derive_anchors() {
  TrustSnapshot& next = look_.next;
  AnchorsOfNow now = anchors_of_now(look_.own, next.trust_list, look_.clock.now());
  const bool same_issuers = same(now.card_issuers, next.card_issuers);
  if (same(now.document_signers, next.document_signers) && same_issuers &&
      now.cv_certificates == next.cv_certificates) {
    return false;
  }
  next.document_signers = std::move(now.document_signers);
  next.card_issuers = std::move(now.card_issuers);
  next.cv_certificates = std::move(now.cv_certificates);
  look_.report.note_change();
  return !same_issuers;
}

void TrustListFile::describe(std::vector<TrustItem>& items) const {
  if (look_.own.roots.empty()) return;
  TrustItem item = look_.report.absent(file_.item());
  if (const auto& list = look_.next.trust_list) {
    item.present = true;
    item.epoch = list->sequence;
    item.made = list->issued_at;
    item.until = list->next_update;
  }
  items.push_back(std::move(item));
}

}  // namespace karta::daemon::detail
