// LogoutSender: tells portals that a session has ended (OpenID Connect Back-Channel Logout 1.0 §2.5), from the notices
// in the database: with a lease, so that several processes do not send one twice, and again later where a portal does
// not answer.
#pragma once

#include <functional>
#include <map>

#include "identity/openid/clients.h"
#include "identity/openid/keys.h"
#include "identity/openid/store.h"
#include "service/http_client.h"
#include "service/metrics.h"

namespace karta::identity {

class LogoutSender {
 public:
  /// Posts a form and returns the status; for tests another one than HTTP.
  using Post = std::function<Result<int>(const std::string& url, const std::string& form)>;

  /// `database`, `clock` and `metrics` must outlive it.
  LogoutSender(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys, service::Database& database,
               const Clock& clock, service::Metrics& metrics, Post post = {});

  /// Sends the notices that are due, a few at a time. Returns how many were delivered. A portal that does not answer is
  /// let rest: its other notices wait without being tried, those of other portals do not.
  Result<std::size_t> send_due();

 private:
  struct Rest {
    Time until{};
    std::int64_t failures = 0;  ///< in a row
  };

  Result<std::string> logout_token(const Client& client, const openid_store::LogoutNotice& notice);
  /// The status of the portal's answer.
  Result<int> tell(const Client& client, const openid_store::LogoutNotice& notice);

  std::string issuer_;
  service::Database& database_;
  const Clock& clock_;
  OpenidSigners signers_;
  ClientLedger ledger_;
  Post post_;
  service::Counter delivered_, failed_;
  std::map<std::string, Rest, std::less<>> resting_;  ///< by client_id
};

}  // namespace karta::identity
