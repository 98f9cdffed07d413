#include "identity/login/login_routes.h"

#include <algorithm>

#include "crypto/jose/jws.h"
#include "crypto/x509/path.h"
#include "identity/login/login_pages.h"
#include "identity/login/words.h"
#include "identity/pages/cookie.h"

namespace karta::identity {

using service::HttpMethod;
using service::HttpResponse;

namespace {

HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse out = HttpResponse::text(405, "not in this way");
  out.fields = "Allow: " + std::string(allowed) + "\r\n";
  return out;
}

/// Agents on citizens' computers know roots alone. A certificate of the cards' own authorities that comes without them
/// would be refused by each; of other authorities nothing is known here.
Status check_chain(const std::vector<crypto::Certificate>& shown, const CardAuthorities& authorities) {
  const crypto::Certificate& leaf = shown.front();
  // Whether it is good now is not the question: at its end, those above it still hold.
  const crypto::PathOptions options{.at = leaf.not_after()};
  if (!authorities.verifier().verify(leaf, options).ok()) return {};
  const std::vector<crypto::Certificate> above(shown.begin() + 1, shown.end());
  if (crypto::verify_path(leaf, above, authorities.verifier().anchors(), options).ok()) return {};
  return fail(ErrorKind::configuration, "the certificate of [login.agent] comes without those above it",
              "append them to its file: agents on citizens' computers know roots alone");
}

}  // namespace

LoginPages::LoginPages(const LoginConfig& config, std::shared_ptr<const LoginKeys> keys, const RoomSurroundings& around,
                       Provider& provider, const LoginOptions& options)
    : config_(config),
      keys_(std::move(keys)),
      around_(around),
      provider_(provider),
      options_(options),
      sessions_(around, config.sessions, ending_of(provider)),
      codes_(around, keys_->secret, keys_->messenger.get(), {.code_life = config.code_life}),
      tickets_(keys_->secret),
      by_card_(counter("card", "done")),
      by_certificate_(counter("certificate", "done")),
      by_code_(counter("code", "done")),
      card_refused_(counter("card", "refused")),
      certificate_refused_(counter("certificate", "refused")),
      code_refused_(counter("code", "refused")) {}

Status LoginPages::open() {
  if (!keys_->agent) return {};
  agent_signer_ = TRY(keys_->agent->signer());
  const auto algorithm = crypto::jose_algorithm_of(agent_signer_->public_key());
  if (!algorithm) {
    return fail(ErrorKind::configuration, "[login.agent] \"key\" is of a kind JOSE has no signature for",
                "take P-256, P-384, RSA or Ed25519");
  }
  agent_algorithm_ = *algorithm;
  return {};
}

HttpResponse LoginPages::answer(const HttpRequest& request) {
  if (auto asset = asset_response(request)) return *asset;
  for (const Route& route : kRoutes) {
    if (request.path != route.path || route.behind_tls != options_.asks_certificates) continue;
    const bool reads = request.method == HttpMethod::get || (request.method == HttpMethod::head && !route.uses_up);
    if (route.get && reads) return (this->*route.get)(visit(request));
    if (route.post && request.method == HttpMethod::post) return posted(request, route);
    if (!route.get) return not_allowed("POST");
    return not_allowed(route.uses_up ? "GET" : route.post ? "GET, HEAD, POST" : "GET, HEAD");
  }
  return HttpResponse::text(404, "there is nothing here");
}

std::vector<std::string> LoginPages::problems() {
  std::vector<std::string> out;
  if (keys_->messenger) {
    if (std::string problem = keys_->messenger->problem(); !problem.empty()) out.push_back("log-in: " + problem);
  }
  return out;
}

service::Counter LoginPages::counter(std::string_view way, std::string_view outcome) {
  return around_.metrics.counter("karta_logins_total", "Log-ins, by way in",
                                 {{"way", std::string(way)}, {"outcome", std::string(outcome)}});
}

LoginPages::Visit LoginPages::visit(const HttpRequest& request, std::string_view locale) {
  Visit out{request, language_of(request, locale), std::string(Tickets::cookie_of(request)), {}};
  if (out.cookie.empty()) {
    out.cookie = Tickets::new_cookie(around_.random);
    out.set_fields = set_cookie(kLoginCookie, out.cookie);
  }
  return out;
}

HttpResponse LoginPages::posted(const HttpRequest& request, const Route& route) {
  Visit here = visit(request);
  const auto form = FormData::of_body(request);
  const bool own = form && comes_from_own_page(request, config_.address);
  bool bound = own && here.set_fields.empty() && has_csrf(*form, csrf_of(here.cookie));
  if (own && !bound) {
    const auto session = sessions_.find(request);
    if (!session) return unavailable(here, session.error());
    bound = *session && has_csrf(*form, (*session)->csrf);
  }
  if (!bound) {
    Html html;
    notice(html, NoticeKind::bad, {}, words::kBrokenText.in(here.language));
    link_button(html, ButtonKind::main, words::kBeginAgain.in(here.language), "/login");
    return page_response(403, frame(here, words::kBroken.in(here.language)), html);
  }
  return (this->*route.post)(std::move(here), *form);
}

const std::array<LoginPages::Route, 12> LoginPages::kRoutes = {{
    {.path = "/login", .get = &LoginPages::show_ways},
    {.path = "/login/hello", .get = &LoginPages::ask_agent, .uses_up = true},
    {.path = "/login/here", .get = &LoginPages::agent_is_here},
    {.path = "/login/card", .get = &LoginPages::ask_card, .uses_up = true},
    {.path = "/login/answer", .get = &LoginPages::take_answer, .uses_up = true},
    {.path = "/login/certificate", .get = &LoginPages::show_certificate, .behind_tls = true, .uses_up = true},
    {.path = "/login/certified", .get = &LoginPages::take_certificate, .uses_up = true},
    {.path = "/login/name", .post = &LoginPages::take_name},
    {.path = "/login/code", .get = &LoginPages::ask_code, .post = &LoginPages::take_code},
    {.path = "/login/cancel", .post = &LoginPages::cancel},
    {.path = "/consent", .get = &LoginPages::ask_consent, .post = &LoginPages::take_consent},
    {.path = "/logout", .get = &LoginPages::ask_log_out, .post = &LoginPages::take_log_out},
}};

Result<std::shared_ptr<const LoginKeys>> open_login_keys(const LoginConfig& config) {
  static const SystemClock clock;
  const SecretBytes secret = TRY(read_secret_file(config.secret_file));
  auto made = TRY(LoginSecret::create(secret));
  auto authorities = TRY(CardAuthorities::open(config.card_roots, config.card_authorities));
  auto out = std::make_shared<LoginKeys>(LoginKeys{std::move(made), std::move(authorities), {}, {}});
  if (config.agent) {
    out->agent = TRY(ServiceKey::open(config.agent->key));
    if (out->agent->certificates().empty()) {
      return fail(ErrorKind::configuration, "[login.agent] \"certificate\" is missing");
    }
    // Agents look for this name, and refuse a request without it: better said here.
    std::string host = config.address.substr(config.address.find("://") + 3);
    host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
    const auto& names = out->agent->certificates().front().subject_alternative_names();
    const bool named = std::ranges::any_of(names, [&](const crypto::GeneralName& one) {
      return one.kind == crypto::GeneralName::Kind::dns && as_text(one.value) == host;
    });
    if (!named) {
      return fail(ErrorKind::configuration, "the certificate of [login.agent] does not name \"" + host + "\"",
                  "it needs the host of \"address\" as a dNSName");
    }
    TRY(check_chain(out->agent->certificates(), *out->authorities));
  }
  if (config.message) out->messenger = TRY(open_messenger(*config.message, clock));
  return std::shared_ptr<const LoginKeys>(std::move(out));
}

Result<std::unique_ptr<LoginRoutes>> LoginRoutes::open(const LoginConfig& config, std::shared_ptr<const LoginKeys> keys,
                                                       const RoomSurroundings& around, Provider& provider,
                                                       const LoginOptions& options) {
  auto out = std::make_unique<LoginPages>(config, std::move(keys), around, provider, options);
  TRY(out->open());
  return std::unique_ptr<LoginRoutes>(std::move(out));
}

}  // namespace karta::identity
