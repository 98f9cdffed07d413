#include "identity/openid/logout.h"

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "crypto/jose/json_object.h"
#include "crypto/jose/jws.h"
#include "service/log.h"

namespace karta::identity {
namespace {

constexpr std::size_t kAtOnce = 16;
/// Longer than a request may take: HttpClientOptions below.
constexpr std::chrono::seconds kLease{30};
constexpr std::chrono::seconds kFirstPause{10}, kLongestPause{3600}, kLongestRest{300};

/// Before the next try, after `failures` and one more.
std::chrono::seconds pause_after(std::int64_t failures, std::chrono::seconds longest) {
  return std::min<std::chrono::seconds>(kFirstPause * (std::int64_t{1} << std::min<std::int64_t>(failures, 9)),
                                        longest);
}

LogoutSender::Post http_post(const OpenidConfig& config) {
  service::HttpClientOptions options;
  options.connect_time = std::chrono::seconds(3);
  options.total_time = std::chrono::seconds(5);
  options.most_octets = 64 * 1024;
  options.redirects = 0;
  options.any_address = config.logout_any_address;
  if (config.logout_roots) options.certificates_file = config.logout_roots->string();
  const auto client = std::make_shared<service::HttpClient>(std::move(options));
  return [client](const std::string& url, const std::string& form) -> Result<int> {
    const auto reply = TRY(client->post(url, "application/x-www-form-urlencoded", as_bytes(form)));
    return reply.status;
  };
}

}  // namespace

LogoutSender::LogoutSender(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys,
                           service::Database& database, const Clock& clock, service::Metrics& metrics, Post post)
    : issuer_(config.issuer),
      database_(database),
      clock_(clock),
      signers_(std::move(keys)),
      ledger_(database, clock),
      post_(post ? std::move(post) : http_post(config)),
      delivered_(
          metrics.counter("karta_openid_logouts_total", "Log-outs portals were told of", {{"outcome", "delivered"}})),
      failed_(metrics.counter("karta_openid_logouts_total", "Log-outs portals were told of", {{"outcome", "failed"}})) {
}

// OpenID Connect Back-Channel Logout 1.0 §2.4: no nonce, so that it can never pass for an ID token.
Result<std::string> LogoutSender::logout_token(const Client& client, const openid_store::LogoutNotice& notice) {
  using crypto::json_quoted;
  const std::int64_t now = clock_.now().time_since_epoch().count();
  const std::string claims = "{\"iss\":" + json_quoted(issuer_) + ",\"aud\":" + json_quoted(client.id) +
                             ",\"iat\":" + std::to_string(now) + ",\"exp\":" + std::to_string(now + 120) +
                             ",\"jti\":" + json_quoted(notice.id) + ",\"sub\":" + json_quoted(notice.subject) +
                             ",\"sid\":" + json_quoted(notice.sid) +
                             ",\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}}";
  const auto algorithm = crypto::find_jose_algorithm(client.id_token_alg);
  return signers_.sign(algorithm.value_or(crypto::AlgorithmId::ecdsa_sha256), clock_.now(), "logout+jwt", claims);
}

Result<int> LogoutSender::tell(const Client& client, const openid_store::LogoutNotice& notice) {
  const std::string token = TRY(logout_token(client, notice));
  return post_(client.logout_uri, "logout_token=" + token);
}

Result<std::size_t> LogoutSender::send_due() {
  std::size_t delivered = 0;
  // One at a time: a lease counts from when it was taken, and a portal may take its time.
  for (std::size_t i = 0; i < kAtOnce; ++i) {
    const auto due = TRY(openid_store::take_notices(database_, clock_.now(), kLease, 1));
    if (due.empty()) break;
    const openid_store::LogoutNotice& notice = due.front();
    const auto client = TRY(ledger_.find(notice.client_id));
    if (!client || !client->active || client->logout_uri.empty() || notice.expires <= clock_.now()) {
      TRY(openid_store::delete_notice(database_, notice.id));
      continue;
    }
    const auto resting = resting_.find(client->id);
    if (resting != resting_.end() && resting->second.until > clock_.now()) {
      TRY(openid_store::postpone_notice(database_, notice, resting->second.until));
      TRY(openid_store::postpone_client(database_, client->id, clock_.now(), resting->second.until));
      continue;
    }
    const auto status = tell(*client, notice);
    // 400: the portal has looked at it and will not have it; asking again changes nothing.
    if (status && (*status == 200 || *status == 204 || *status == 400)) {
      if (*status == 400) service::log_warning("the portal \"" + client->id + "\" refuses a log-out token");
      (*status == 400 ? failed_ : delivered_).add();
      delivered += *status == 400 ? 0 : 1;
      resting_.erase(client->id);
      TRY(openid_store::delete_notice(database_, notice.id));
      continue;
    }
    if (!status) service::log_error("the portal \"" + client->id + "\" cannot be told of a log-out", status.error());
    failed_.add();
    TRY(openid_store::postpone_notice(database_, notice, clock_.now() + pause_after(notice.tries, kLongestPause)));
    Rest& rest = resting_[client->id];
    rest.until = clock_.now() + pause_after(rest.failures++, kLongestRest);
    TRY(openid_store::postpone_client(database_, client->id, clock_.now(), rest.until));
  }
  return delivered;
}

}  // namespace karta::identity
