#include "identity/console/console_pages.h"

#include <algorithm>

#include "base/base64url.h"
#include "crypto/digest.h"
#include "identity/pages/cookie.h"

namespace karta::identity {

using service::HttpMethod;
using service::HttpResponse;

namespace {

constexpr std::string_view kConsoleCookie = "__Host-karta-console";
constexpr std::size_t kCookieOctets = 32;

}  // namespace

std::optional<HttpResponse> ConsolePages::identify(Visit& visit) {
  const HttpRequest& request = visit.request;
  if (!request.client_certificate.empty()) {
    const std::string hash = to_hex(crypto::digest(crypto::Hash::sha256, request.client_certificate));
    const auto found = std::ranges::find(config_.operators, hash, &ConsoleOperator::certificate_hash);
    if (found != config_.operators.end()) return identify_certificate(visit, *found);
  }
  const auto session = sessions_.find(request);
  if (!session) return error_page(visit, session.error());
  // Enough is a card with its PIN whose state was looked up; anything less is asked to show that.
  if (!*session || (*session)->acr != "high") return to_log_in(request);
  const auto found = std::ranges::find_if(
      config_.operators, [&](const ConsoleOperator& one) { return one.citizen == (*session)->citizen; });
  if (found == config_.operators.end()) return forbidden(visit);
  visit.person = &*found;
  visit.csrf = (*session)->csrf;
  visit.log_out_key = (*session)->csrf;
  return std::nullopt;
}

std::optional<HttpResponse> ConsolePages::identify_certificate(Visit& visit, const ConsoleOperator& person) {
  const auto certificate = crypto::Certificate::from_der(visit.request.client_certificate);
  const Status good = certificate ? departments_.check_not_revoked(*certificate) : Status(fail(certificate.error()));
  if (!good) return forbidden(visit);
  visit.person = &person;
  // A certificate is shown with every request, another site's too: what binds forms to this browser is a cookie.
  std::string cookie(cookie_of(visit.request, kConsoleCookie));
  if (cookie.empty()) {
    cookie = to_base64url(around_.random.bytes(kCookieOctets));
    visit.fields = set_cookie(kConsoleCookie, cookie);
  }
  visit.csrf = csrf_of(cookie);
  return std::nullopt;
}

HttpResponse ConsolePages::to_log_in(const HttpRequest& request) const {
  std::string back(kHome);
  if (request.method == HttpMethod::get) {
    back = request.path;
    if (!request.query.empty()) back += "?" + std::string(request.query);
  }
  return see_other(options_.log_in_address + "/login?acr=high&back=" + encode_percent(back));
}

}  // namespace karta::identity
