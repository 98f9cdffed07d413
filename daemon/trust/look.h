// TrustLook: what the looks at trust list, stop-lists, rules and filters share. Of one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "daemon/trust/anchors.h"
#include "daemon/trust/report.h"
#include "daemon/trust/seen_numbers.h"
#include "daemon/trust_data.h"
#include "identity/authority_client.h"

namespace karta::daemon::detail {

struct TrustLook {
  TrustLook(const TrustData::Sources& all_sources, const Clock& a_clock, identity::ClockGuard& a_guard,
            const std::function<void(const TrustNews&)>& on_news)
      : sources(all_sources),
        clock(a_clock),
        guard(a_guard),
        report(on_news),
        seen(state("seen.json"), all_sources.read_only) {}

  const TrustData::Sources& sources;
  const Clock& clock;
  identity::ClockGuard& guard;
  TrustReport report;
  SeenNumbers seen;
  OwnAnchors own;
  std::unique_ptr<identity::Authority> authority;  ///< null: it is not to be asked, or cannot be
  TrustSnapshot next;                              ///< what is in use; the items are written by describe() of each kind

  /// A file of the daemon's own.
  std::filesystem::path state(std::string_view name) const { return sources.folder / name; }
  /// Who may sign stop-lists, rules and filters.
  std::vector<TrustAnchor> list_signers() const {
    std::vector<TrustAnchor> out = own.list_signers;
    for (const TrustAnchor& one : next.card_issuers) add_anchor(out, one);
    return out;
  }
};

}  // namespace karta::daemon::detail
