// OnLineStatus: the authority's word about a card, as of now. Nobody waits for it long: it is asked with little
// patience, and for a while not at all once it did not answer. And it is asked about cards of its own region alone:
// what it knows them by, the status index, other regions give to cards of theirs.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "crypto/x509/certificate.h"
#include "identity/card_life.h"

namespace karta::identity {
class Authority;  // identity/authority_client.h
}

namespace karta::daemon {

struct TrustSnapshot;

class OnLineStatus {
 public:
  using Connect = std::function<Result<std::unique_ptr<identity::Authority>>()>;
  static constexpr std::chrono::seconds kConnectTime{1}, kTotalTime{2};  ///< for who makes the clients
  static constexpr std::chrono::seconds kRest{30};                       ///< after a failure

  /// `connect` makes a client, for one thread at a time; empty where there is no authority.
  explicit OnLineStatus(Connect connect, std::chrono::milliseconds rest = kRest)
      : connect_(std::move(connect)), rest_(rest) {}

  /// Nothing where it could not be asked, is left alone for a while, or knows no such card. From any thread.
  std::optional<identity::CardState> ask(std::uint64_t status_index);

 private:
  Connect connect_;
  std::chrono::milliseconds rest_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point not_before_{};
};

/// The region whose authority this terminal belongs to: of whoever certified it for TLS (`tls_chain`, the terminal's
/// own first). Where that tells nothing, the only region there is; nothing where there are several.
std::optional<std::string> region_of_authority(std::span<const crypto::Certificate> tls_chain,
                                               const TrustSnapshot& trust);

}  // namespace karta::daemon
