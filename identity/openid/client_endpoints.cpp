// What the endpoints that portals call have in common: who calls, what a token is bound to, how a refusal is worded.
#include "crypto/x509/certificate.h"
#include "identity/openid/endpoints.h"
#include "identity/pages/form.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

OauthParameters parameters_of_form(const FormData& form) {
  OauthParameters out;
  for (const auto& [name, value] : form.fields()) {
    // RFC 6749 §3.1: a parameter without a value is as if it were not there.
    if (!value.empty()) out.emplace(name, value);
  }
  return out;
}

}  // namespace

OauthResult<OauthParameters> read_parameters(std::string_view text) {
  const auto form = FormData::parse(text);
  if (!form) return refuse("invalid_request", "the parameters cannot be read, or one stands there twice");
  return parameters_of_form(*form);
}

OauthResult<OauthParameters> read_form(const service::HttpRequest& request) {
  const auto form = FormData::of_body(request);
  if (!form) return refuse("invalid_request", "the body must be a form, each parameter once");
  return parameters_of_form(*form);
}

OauthResult<OpenidEndpoints::Caller> OpenidEndpoints::authenticate(const HttpRequest& request) {
  const auto invalid = [](std::string words) { return identity::refuse("invalid_client", std::move(words), 401); };
  Caller out;
  out.parameters = TRY(read_form(request));
  const auto value = [&](std::string_view name) { return value_of(out.parameters, name); };
  if (request.count("Authorization") != 0 || !value("client_secret").empty()) {
    return invalid("there are no shared secrets here: private_key_jwt, or a certificate (tls_client_auth)");
  }
  const std::string_view assertion = value("client_assertion");
  std::string id(value("client_id"));
  std::optional<Assertion> shown;  // verified below
  if (!assertion.empty()) {
    if (value("client_assertion_type") != kAssertionType)
      return invalid("client_assertion_type must be " + std::string(kAssertionType));
    auto read = read_assertion(assertion);
    if (!read) return invalid(std::move(read.error().description));
    shown = std::move(*read);
    if (!id.empty() && id != shown->claims.sub) return invalid("client_id is not the subject of client_assertion");
    id = shown->claims.sub;
  } else if (id.empty()) {
    return invalid("the client does not say who it is: client_assertion, or client_id and a certificate");
  }
  auto loaded = core_.client(id);
  if (!loaded) return identity::refuse(fault(loaded.error()));
  // An unknown client and a wrong proof are told apart by nothing but this: ids are no secret.
  if (!*loaded) return invalid("the client is not known here");
  out.loaded = std::move(*loaded);
  if (by_certificate(out.client().authentication)) {
    if (!assertion.empty()) return invalid("the client is registered with a certificate, and signs no assertions");
    const ByteView certificate = certificate_of(request, out.client());
    TRY(check_certificate(out.client(), certificate, core_.now()));
    TRY(check_not_revoked(certificate));
    return out;
  }
  if (assertion.empty()) return invalid("the client is registered with private_key_jwt");
  std::vector<std::string> audiences = {core_.config.issuer};
  for (std::string& one : urls_of(request.path)) audiences.push_back(std::move(one));
  audiences.push_back(core_.config.endpoint("token"));
  auto seen = verify_assertion(*out.loaded, *shown, audiences, core_.now());
  if (!seen) return invalid(std::move(seen.error().description));
  out.assertion = std::move(*seen);
  return out;
}

ByteView OpenidEndpoints::certificate_of(const HttpRequest& request, const Client& client) const {
  if (!mtls_) return {};
  const bool registered = client.authentication == ClientAuthentication::self_signed_tls_client_auth;
  return registered ? request.shown_certificate : request.client_certificate;
}

OauthStatus OpenidEndpoints::check_not_revoked(ByteView der) {
  const auto certificate = crypto::Certificate::from_der(der);
  if (!certificate) return identity::refuse("invalid_client", "the certificate cannot be read", 401);
  const auto found = find_revocation(core_.around.database, certificate->issuer().to_text(), certificate->serial());
  if (!found) return identity::refuse(fault(found.error()));
  if (*found && !(*found)->released()) {
    return identity::refuse("invalid_client", "the certificate is revoked or on hold", 401);
  }
  return {};
}

std::vector<std::string> OpenidEndpoints::urls_of(std::string_view path) const {
  std::vector<std::string> out = {core_.config.issuer + std::string(path)};
  if (mtls_) out.push_back(core_.config.mtls_address + std::string(path));
  return out;
}

OauthResult<std::optional<DpopProof>> OpenidEndpoints::proof_of(const HttpRequest& request,
                                                                std::string_view access_token, bool must_nonce) {
  std::optional<DpopProof> out;
  const std::size_t count = request.count("DPoP");
  if (count == 0) return out;
  if (count > 1) return identity::refuse("invalid_dpop_proof", "there is more than one DPoP proof");
  const std::string_view method = request.method == service::HttpMethod::post ? "POST" : "GET";
  out = TRY(verify_dpop(request.field("DPoP"), method, urls_of(request.path), access_token, core_.now()));
  const bool known = !out->nonce.empty() && core_.is_dpop_nonce(out->nonce);
  if (core_.config.dpop_nonces && !known && (must_nonce || !out->nonce.empty())) {
    return identity::refuse("use_dpop_nonce", "the DPoP proof must bear the nonce of DPoP-Nonce");
  }
  return out;
}

OauthResult<OpenidEndpoints::Binding> OpenidEndpoints::binding_for(const HttpRequest& request, const Client& client) {
  Binding out;
  const auto proof = TRY(proof_of(request, {}, true));
  if (proof) {
    // A client that may have bearer tokens may have bound ones, too (RFC 9449 §5).
    if (client.binding == TokenBinding::mtls)
      return identity::refuse("invalid_request", "the client's tokens are bound to its certificate");
    out.text = "jkt:" + proof->jkt;
    out.seen = proof->seen;
    return out;
  }
  if (client.binding == TokenBinding::dpop) return identity::refuse("invalid_dpop_proof", "the DPoP proof is missing");
  if (client.binding == TokenBinding::bearer) return out;
  const ByteView certificate = certificate_of(request, client);
  if (certificate.empty()) {
    return identity::refuse("invalid_request", "the client shows its certificate at the mtls endpoints");
  }
  TRY(check_not_revoked(certificate));
  out.text = "x5t:" + certificate_thumbprint(certificate);
  return out;
}

std::string OpenidEndpoints::dead(const OpenidHandle& handle) const {
  if (handle.expires <= core_.now()) return "it is expired";
  if (handle.grant.card) {
    if (!handle.card_state) return "its card is not known";
    if (*handle.card_state != CardState::active) return "its card is " + std::string(row_of(*handle.card_state).name);
    if (handle.card_over) return "its card is expired";
    if (handle.card_changed) return "its card was stopped since";
  }
  if (handle.revoked) return "the certificate of the log-in is revoked or on hold";
  if (!handle.consented) return "the consent it stood on was taken back";
  return {};
}

service::HttpResponse OpenidEndpoints::json(int status, std::string body) const {
  HttpResponse out;
  out.status = status;
  out.media_type = "application/json";
  out.fields = "Cache-Control: no-store\r\n";
  out.body = to_bytes(as_bytes(body));
  return out;
}

service::HttpResponse OpenidEndpoints::error(const OauthError& error) const {
  std::string body = "{\"error\":" + crypto::json_quoted(error.code);
  if (!error.description.empty()) body += ",\"error_description\":" + crypto::json_quoted(error.description);
  HttpResponse out = json(error.status, body + "}");
  if (error.status == 503) out.fields += "Retry-After: 1\r\n";
  return out;
}

void OpenidEndpoints::offer_nonce(HttpResponse& response) const {
  if (core_.config.dpop_nonces) response.fields += "DPoP-Nonce: " + core_.dpop_nonce() + "\r\n";
}

}  // namespace karta::identity
