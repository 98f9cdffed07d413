// The endpoints at the beginning and the end of a log-in: metadata, keys, pushed requests, what the browser brings,
// log-out.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "identity/openid/endpoints.h"
#include "identity/openid/scopes.h"
#include "identity/pages/form.h"

namespace karta::identity {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kRequestUri = "urn:ietf:params:oauth:request_uri:";
/// Of an address a browser is led to: with its cookies it must stay below what a request's header may hold.
constexpr std::size_t kMostAddress = 8192;

template <class Rows>
Json names_of(const Rows& rows) {
  Json out = Json::array();
  for (const auto& row : rows) out.push_back(std::string(row.name));
  return out;
}

std::string metadata_json(const OpenidConfig& config, const std::vector<std::string>& algorithms) {
  const Json proofs = {"ES256", "ES384", "PS256", "EdDSA"};
  const Json methods = config.mtls_address.empty()
                           ? Json{"private_key_jwt"}
                           : Json{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"};
  Json claims = {"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"};
  for (const ClaimRow& row : claim_rows()) {
    if (row.name != "offline_access") claims.push_back(std::string(row.name));
  }
  // OpenID Connect Discovery 1.0 §3, RFC 8414 §2, and what the extensions add.
  Json out{{"issuer", config.issuer},
           {"authorization_endpoint", config.endpoint("authorize")},
           {"token_endpoint", config.endpoint("token")},
           {"userinfo_endpoint", config.endpoint("userinfo")},
           {"jwks_uri", config.endpoint("jwks")},
           {"pushed_authorization_request_endpoint", config.endpoint("par")},
           {"revocation_endpoint", config.endpoint("revoke")},
           {"introspection_endpoint", config.endpoint("introspect")},
           {"end_session_endpoint", config.endpoint("end-session")},
           {"scopes_supported", names_of(scope_rows())},
           {"claims_supported", std::move(claims)},
           {"claims_parameter_supported", true},
           {"response_types_supported", {"code"}},
           {"response_modes_supported", {"query"}},
           {"grant_types_supported", {"authorization_code", "refresh_token"}},
           {"acr_values_supported", {"low", "substantial", "high"}},
           {"subject_types_supported", {"pairwise"}},
           {"code_challenge_methods_supported", {"S256"}},
           {"prompt_values_supported", {"none", "login", "consent", "select_account"}},
           {"ui_locales_supported", {"ru", "en"}},
           {"token_endpoint_auth_methods_supported", methods},
           {"token_endpoint_auth_signing_alg_values_supported", proofs},
           {"revocation_endpoint_auth_methods_supported", methods},
           {"revocation_endpoint_auth_signing_alg_values_supported", proofs},
           {"introspection_endpoint_auth_methods_supported", methods},
           {"introspection_endpoint_auth_signing_alg_values_supported", proofs},
           {"introspection_signing_alg_values_supported", algorithms},
           {"id_token_signing_alg_values_supported", algorithms},
           {"userinfo_signing_alg_values_supported", algorithms},
           {"dpop_signing_alg_values_supported", proofs},
           {"request_object_signing_alg_values_supported", proofs},
           {"request_parameter_supported", true},
           {"request_uri_parameter_supported", false},
           {"require_pushed_authorization_requests", false},
           {"authorization_response_iss_parameter_supported", true},
           {"backchannel_logout_supported", true},
           {"backchannel_logout_session_supported", true},
           {"tls_client_certificate_bound_access_tokens", !config.mtls_address.empty()}};
  if (!config.mtls_address.empty()) {
    // RFC 8705 §5
    out["mtls_endpoint_aliases"] = Json{{"token_endpoint", config.mtls_endpoint("token")},
                                        {"userinfo_endpoint", config.mtls_endpoint("userinfo")},
                                        {"pushed_authorization_request_endpoint", config.mtls_endpoint("par")},
                                        {"revocation_endpoint", config.mtls_endpoint("revoke")},
                                        {"introspection_endpoint", config.mtls_endpoint("introspect")}};
  }
  return out.dump();
}

constexpr std::chrono::minutes kMetadataAge{5};

/// As Allow says it; of others that no route knows, one that none lists.
std::string_view name_of(service::HttpMethod method) {
  switch (method) {
    case service::HttpMethod::get:
      return "GET";
    case service::HttpMethod::head:
      return "HEAD";
    case service::HttpMethod::post:
      return "POST";
    default:
      return "another";
  }
}

}  // namespace

#define KARTA_COUNTER(route)                                                                               \
  [](service::Metrics& metrics) {                                                                          \
    return metrics.counter("karta_openid_requests_total", "Requests, by endpoint", {{"endpoint", route}}); \
  }

const std::array<OpenidEndpoints::Route, 10> OpenidEndpoints::kRoutes = {{
    {"/openid/token", "POST", &OpenidEndpoints::token, KARTA_COUNTER("token")},
    {"/openid/userinfo", "GET, POST", &OpenidEndpoints::userinfo, KARTA_COUNTER("userinfo")},
    {"/openid/par", "POST", &OpenidEndpoints::par, KARTA_COUNTER("par")},
    {"/openid/authorize", "GET, POST", &OpenidEndpoints::authorize, KARTA_COUNTER("authorize")},
    {"/openid/introspect", "POST", &OpenidEndpoints::introspect, KARTA_COUNTER("introspect")},
    {"/openid/revoke", "POST", &OpenidEndpoints::revoke, KARTA_COUNTER("revoke")},
    {"/openid/end-session", "GET, POST", &OpenidEndpoints::end_session, KARTA_COUNTER("end-session")},
    {"/openid/jwks", "GET, HEAD", &OpenidEndpoints::jwks, KARTA_COUNTER("jwks")},
    {"/.well-known/openid-configuration", "GET, HEAD", &OpenidEndpoints::metadata, KARTA_COUNTER("metadata")},
    {"/.well-known/oauth-authorization-server", "GET, HEAD", &OpenidEndpoints::metadata, KARTA_COUNTER("metadata")},
}};

#undef KARTA_COUNTER

OpenidEndpoints::OpenidEndpoints(OpenidCore& core, OpenidProvider& provider, LoginPort* login, bool mtls)
    : core_(core),
      provider_(provider),
      login_(login),
      mtls_(mtls),
      refused_(core.around.metrics.counter("karta_openid_refusals_total", "Requests of portals that were refused")) {
  for (const Route& route : kRoutes) served_.push_back(route.counter(core.around.metrics));
}

service::HttpResponse OpenidEndpoints::answer(const HttpRequest& request) {
  for (std::size_t i = 0; i < kRoutes.size(); ++i) {
    const Route& route = kRoutes[i];
    if (request.path != route.path) continue;
    if (route.methods.find(name_of(request.method)) == std::string_view::npos) {
      HttpResponse out = HttpResponse::text(405, "not in this way");
      out.fields = "Allow: " + std::string(route.methods) + "\r\n";
      return out;
    }
    served_[i].add();
    HttpResponse out = (this->*route.answer)(request);
    if (out.status >= 400) refused_.add();
    return out;
  }
  return HttpResponse::text(404, "there is nothing here");
}

std::vector<std::string> OpenidEndpoints::problems() {
  std::vector<std::string> out;
  if (core_.keys->algorithms(core_.now()).empty()) out.emplace_back("openid: no key signs at present");
  return out;
}

service::HttpResponse OpenidEndpoints::metadata(const HttpRequest&) {
  // A key whose time has come may bring an algorithm.
  if (!metadata_ || core_.now() >= metadata_made_ + kMetadataAge) {
    const std::string text = metadata_json(core_.config, core_.keys->algorithms(core_.now()));
    metadata_ = std::make_shared<const Bytes>(to_bytes(as_bytes(text)));
    metadata_made_ = core_.now();
  }
  HttpResponse out;
  out.media_type = "application/json";
  out.fields = "Cache-Control: public, max-age=300\r\nAccess-Control-Allow-Origin: *\r\n";
  out.shared_body = metadata_;
  return out;
}

service::HttpResponse OpenidEndpoints::jwks(const HttpRequest&) {
  // Beyond the life of ID tokens and signed answers: portals' clocks, and their memory of a verified token.
  const auto set = core_.keys->jwks(core_.now(), core_.config.access_life + std::chrono::hours(24));
  if (!set) return error(fault(set.error()));
  HttpResponse out = json(200, *set);
  out.media_type = "application/jwk-set+json";
  out.fields = "Cache-Control: public, max-age=300\r\nAccess-Control-Allow-Origin: *\r\n";
  return out;
}

OauthResult<AuthorizationRequest> OpenidEndpoints::read_request(const LoadedClient& loaded,
                                                                const OauthParameters& parameters) {
  const Client& client = loaded.client;
  if (client.redirect_uris.empty()) return identity::refuse("unauthorized_client", "the client lets nobody in");
  std::optional<OauthParameters> signed_ones;
  if (const std::string_view object = value_of(parameters, "request"); !object.empty()) {
    if (loaded.keys.keys.empty())
      return identity::refuse("invalid_request_object", "the client has no keys for request objects");
    const auto claims = TRY(verify_request_object(loaded, object, core_.config.issuer, core_.now()));
    // RFC 9101 §6.3: what stands in the object counts, and nothing else.
    signed_ones = parameters_of(claims.members);
  } else if (client.signed_requests) {
    return identity::refuse("invalid_request", "the client signs its requests: request is missing");
  }
  AuthorizationRequest out = TRY(read_authorization_request(client, signed_ones ? *signed_ones : parameters));
  if (!out.id_token_hint.empty()) {
    const auto hint = TRY(core_.read_id_token(out.id_token_hint));
    if (!hint.claims.is_for(client.id)) {
      return identity::refuse("invalid_request", "id_token_hint is of another client");
    }
    if (!hint.verified) {
      return identity::refuse("invalid_request", "id_token_hint is not signed by a key of this provider");
    }
    out.subject = hint.claims.sub;
    out.id_token_hint.clear();
  }
  return out;
}

// ---- pushed requests -----------------------------------------------------------------------------------------------

OauthResult<std::string> OpenidEndpoints::push(const HttpRequest& request, int& seconds) {
  const Caller caller = TRY(authenticate(request));
  // RFC 9126 §2.1
  if (caller.parameters.count("request_uri") != 0)
    return identity::refuse("invalid_request", "request_uri has no place here");
  AuthorizationRequest wanted = TRY(read_request(*caller.loaded, caller.parameters));
  std::optional<SeenProof> seen;
  // The code shall be for the key the request was pushed with (RFC 9449 §10.1).
  if (const auto proof = TRY(proof_of(request, {}, false))) {
    if (!wanted.dpop_jkt.empty() && wanted.dpop_jkt != proof->jkt) {
      return identity::refuse("invalid_dpop_proof", "dpop_jkt is another key than that of the DPoP proof");
    }
    wanted.dpop_jkt = proof->jkt;
    seen = proof->seen;
  }
  bool seen_before = false;
  const auto handle = provider_.keep(wanted, caller.assertion, seen, seen_before);
  if (!handle) return identity::refuse(fault(handle.error()));
  if (seen_before) return identity::refuse("invalid_client", "client_assertion or DPoP was shown before", 401);
  seconds = static_cast<int>(core_.config.request_life.count());
  return std::string(kRequestUri) + *handle;
}

service::HttpResponse OpenidEndpoints::par(const HttpRequest& request) {
  int seconds = 0;
  const auto uri = push(request, seconds);
  HttpResponse out =
      uri ? json(201, "{\"request_uri\":\"" + *uri + "\",\"expires_in\":" + std::to_string(seconds) + "}")
          : error(uri.error());
  offer_nonce(out);
  return out;
}

// ---- what the browser brings ---------------------------------------------------------------------------------------

OauthResult<Interaction> OpenidEndpoints::interaction_for(const HttpRequest& request, std::string& error_url) {
  const auto parameters = TRY(read_parameters(request.query));
  const auto value = [&](std::string_view name) { return value_of(parameters, name); };
  if (value("client_id").empty()) return identity::refuse("invalid_request", "client_id is missing");
  const auto found = core_.client(value("client_id"));
  if (!found) return identity::refuse(fault(found.error()));
  const auto& loaded = *found;
  if (!loaded) return identity::refuse("unauthorized_client", "the portal is not known here");
  const auto made = [&](std::string id, const openid_store::StoredRequest& stored) -> OauthResult<Interaction> {
    auto interaction = provider_.interaction_of(std::move(id), stored);
    if (!interaction) return identity::refuse(fault(interaction.error()));
    if (!*interaction) return identity::refuse("invalid_request_uri", "request_uri is expired");
    return std::move(**interaction);
  };
  if (const std::string_view uri = value("request_uri"); !uri.empty()) {
    if (!uri.starts_with(kRequestUri)) return identity::refuse("invalid_request_uri", "request_uri is not one of ours");
    std::string id = core_.interaction_id(uri.substr(kRequestUri.size()));
    const auto stored = openid_store::find_request(core_.around.database, core_.requests, OpenidCore::hash_of(id));
    if (!stored) return identity::refuse(fault(stored.error()));
    if (!*stored || (*stored)->request.client_id != loaded->client.id ||
        (*stored)->created + core_.config.request_life < core_.now()) {
      return identity::refuse("invalid_request_uri", "request_uri is expired, was used, or is of another client");
    }
    return made(std::move(id), **stored);
  }
  if (loaded->client.profile == ClientProfile::fapi) {
    return identity::refuse("invalid_request", "the portal must push its requests (RFC 9126): request_uri is missing");
  }
  // The redirect_uri first: errors about everything else go there.
  AuthorizationRequest back;
  if (value("request").empty()) {
    TRY(check_redirect(loaded->client, parameters));
    back.redirect_uri = value("redirect_uri");
    back.state = value("state");
    if (back.state.size() > 1024) back.state.clear();
  }
  auto wanted = read_request(*loaded, parameters);
  if (!wanted) {
    if (!back.redirect_uri.empty() && wanted.error().status == 400) {
      error_url = provider_.error_url(back, wanted.error().code, wanted.error().description);
    }
    return identity::refuse(wanted.error());
  }
  if (!take_plain_request(request)) {
    error_url = provider_.error_url(*wanted, "temporarily_unavailable", "more log-ins than this network may begin");
    return identity::refuse("temporarily_unavailable", "more log-ins than this network may begin", 503);
  }
  bool seen_before = false;
  const auto handle = provider_.keep(*wanted, {}, {}, seen_before);
  if (!handle) return identity::refuse(fault(handle.error()));
  return made(core_.interaction_id(*handle), {*wanted, core_.now(), core_.now() + core_.config.interaction_life});
}

bool OpenidEndpoints::take_plain_request(const HttpRequest& request) {
  const std::chrono::seconds none{0};
  const Time now = core_.now();
  const std::string site = service::site_of(request.peer);
  if (plain_requests_of_network_.take(service::network_of(request.peer), now) != none) return false;
  if (plain_requests_of_site_.take(site, now) != none) return false;
  return plain_requests_.take("all", now) == none || first_plain_requests_.take(site, now) == none;
}

// The session's cookie is SameSite=Lax: browsers leave it out of what another site's page posts here, and it would look
// as if there were no session, to begin with or to end. Led on by 303 they ask by GET, and show it.
std::optional<service::HttpResponse> OpenidEndpoints::asked_by_get(const HttpRequest& request) {
  if (request.method != service::HttpMethod::post) return std::nullopt;
  const auto parameters = read_form(request);
  if (!parameters) {
    const OauthError& why = parameters.error();
    return login_->problem(request, why.status, why.code, why.description);
  }
  std::string address(request.path);
  char separator = '?';
  for (const auto& [name, value] : *parameters) {
    address += separator + encode_percent(name) + "=" + encode_percent(value);
    separator = '&';
  }
  if (address.size() > kMostAddress) {
    return login_->problem(request, 413, "invalid_request", "more parameters than an address holds: push them");
  }
  HttpResponse out;
  out.status = 303;
  out.fields = "Location: " + address + "\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n";
  return out;
}

service::HttpResponse OpenidEndpoints::authorize(const HttpRequest& request) {
  if (login_ == nullptr) return error({503, "temporarily_unavailable", "nobody can log in here"});
  if (auto led = asked_by_get(request)) return std::move(*led);
  std::string error_url;
  const auto interaction = interaction_for(request, error_url);
  if (interaction) return login_->begin(request, *interaction);
  if (error_url.empty()) {
    const OauthError& why = interaction.error();
    return login_->problem(request, why.status, why.code, why.description);
  }
  HttpResponse out;
  out.status = 303;
  out.fields = "Location: " + error_url + "\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n";
  return out;
}

// ---- log-out -------------------------------------------------------------------------------------------------------

OauthResult<LogoutRequest> OpenidEndpoints::logout_for(const HttpRequest& request) {
  const auto parameters = TRY(read_parameters(request.query));
  const auto value = [&](std::string_view name) { return value_of(parameters, name); };
  LogoutRequest out;
  std::string client_id(value("client_id"));
  bool unverified = false;
  if (!value("id_token_hint").empty()) {
    const auto hint = TRY(core_.read_id_token(value("id_token_hint")));
    if (!client_id.empty() && !hint.claims.is_for(client_id)) {
      return identity::refuse("invalid_request", "id_token_hint is of another client");
    }
    // Portals keep ID tokens as long as their own sessions, and a signing key may be gone before: then it is as if
    // there were no hint. The citizen is asked, and client_id alone says whose registered addresses count.
    unverified = !hint.verified;
    if (hint.verified) {
      if (client_id.empty() && hint.claims.aud.size() == 1) client_id = hint.claims.aud.front();
      const std::string sid = hint.claims.text("sid").value_or("");
      out.is_of = [this, client_id, sid](std::string_view session_id) {
        return !sid.empty() && core_.sid(client_id, session_id) == sid;
      };
    }
  }
  if (!client_id.empty()) {
    const auto loaded = core_.client(client_id);
    if (!loaded) return identity::refuse(fault(loaded.error()));
    if (!*loaded) return identity::refuse("invalid_request", "the portal is not known here");
    out.client = (*loaded)->client;
  }
  const std::string_view uri = value("post_logout_redirect_uri");
  if (!uri.empty() && !(unverified && client_id.empty())) {
    // Nobody is led on without having been registered for it.
    const bool own = out.client && std::find(out.client->post_logout_redirect_uris.begin(),
                                             out.client->post_logout_redirect_uris.end(),
                                             uri) != out.client->post_logout_redirect_uris.end();
    if (!own) return identity::refuse("invalid_request", "post_logout_redirect_uri is not one of the client's");
    out.return_url = with_query(uri, {{"state", value("state").substr(0, 1024)}});
  }
  for (const std::string& one : split_words(value("ui_locales"))) {
    if (out.locale.empty() && (one.starts_with("ru") || one.starts_with("en"))) out.locale = one.substr(0, 2);
  }
  return out;
}

service::HttpResponse OpenidEndpoints::end_session(const HttpRequest& request) {
  if (login_ == nullptr) return error({503, "temporarily_unavailable", "nobody can log in here"});
  if (auto led = asked_by_get(request)) return std::move(*led);
  const auto logout = logout_for(request);
  if (logout) return login_->end_session(request, *logout);
  return login_->problem(request, logout.error().status, logout.error().code, logout.error().description);
}

}  // namespace karta::identity
