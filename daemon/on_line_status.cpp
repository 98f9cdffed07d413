#include "daemon/on_line_status.h"

#include "daemon/trust_data.h"
#include "identity/authority_client.h"
#include "service/log.h"

namespace karta::daemon {

std::optional<identity::CardState> OnLineStatus::ask(std::uint64_t status_index) {
  using SteadyClock = std::chrono::steady_clock;
  if (!connect_) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (SteadyClock::now() < not_before_) return std::nullopt;
  }
  const auto card = [&]() -> Result<identity::CardOnLine> {
    const auto authority = TRY(connect_());
    return authority->card_status(status_index);
  }();
  if (card) return card->state;
  service::log_info("the authority was not asked for a card's state: " + card.error().message);
  const std::lock_guard lock(mutex_);
  not_before_ = SteadyClock::now() + rest_;
  return std::nullopt;
}

std::optional<std::string> region_of_authority(std::span<const crypto::Certificate> tls_chain,
                                               const TrustSnapshot& trust) {
  for (const crypto::Certificate& one : tls_chain) {
    if (auto region = trust.region_of(one)) return region;
  }
  std::optional<std::string> only;
  for (const auto* anchors : {&trust.document_signers, &trust.card_issuers}) {
    for (const TrustAnchor& anchor : *anchors) {
      if (only && *only != anchor.region) return std::nullopt;
      only = anchor.region;
    }
  }
  return only;
}

}  // namespace karta::daemon
