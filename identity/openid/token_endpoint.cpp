// The token endpoint: a code, or a refresh token, against tokens bound to the client's key (RFC 6749 §4.1.3, §6).
#include <algorithm>

#include "base/base64url.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "identity/openid/endpoints.h"
#include "identity/openid/scopes.h"
#include "identity/timed_key.h"

namespace karta::identity {
namespace {

using crypto::json_quoted;

constexpr std::string_view kBadGrant = "invalid_grant";

/// RFC 7636 §4.1, §4.6.
bool verifier_fits(std::string_view verifier, std::string_view challenge) {
  constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  if (verifier.size() < 43 || verifier.size() > 128) return false;
  if (verifier.find_first_not_of(kUnreserved) != std::string_view::npos) return false;
  const std::string made = to_base64url(crypto::digest(crypto::Hash::sha256, as_bytes(verifier)));
  return equal_constant_time(as_bytes(made), as_bytes(challenge));
}

bool may_be_offline(const Client& client) {
  return std::find(client.scopes.begin(), client.scopes.end(), "offline_access") != client.scopes.end();
}

}  // namespace

struct OpenidEndpoints::Given {
  // Made before the transaction, which may run more than once.
  std::string access, refresh;
  // What it found.
  std::optional<OauthError> refusal;
  OpenidGrant grant;
  bool with_refresh = false;

  Status refuse(std::string_view code, std::string words, int status = 400) {
    refusal = OauthError{status, std::string(code), std::move(words)};
    return {};
  }
};

Status OpenidEndpoints::exchange(service::Database& database, const Caller& caller, const Binding& binding,
                                 Given& given) {
  given.refusal.reset();
  switch (TRY(openid_store::remember(database, caller.assertion, binding.seen))) {
    case openid_store::Remembered::assertion_seen:
      return given.refuse("invalid_client", "client_assertion was shown before", 401);
    case openid_store::Remembered::dpop_seen:
      return given.refuse("invalid_dpop_proof", "the DPoP proof was shown before");
    case openid_store::Remembered::fresh:
      break;
  }
  return value_of(caller.parameters, "grant_type") == "refresh_token"
             ? exchange_refresh(database, caller, binding, given)
             : exchange_code(database, caller, binding, given);
}

Status OpenidEndpoints::exchange_code(service::Database& database, const Caller& caller, const Binding& binding,
                                      Given& given) {
  const auto value = [&](std::string_view name) { return value_of(caller.parameters, name); };
  const Time now = core_.now();
  const Bytes hash = key_of_secret(value("code"));
  const auto code = TRY(openid_store::find_handle(database, hash, HandleKind::code, now));
  if (!code) return given.refuse(kBadGrant, "the code is not known here, or what it stood for has ended");
  const OpenidGrant& grant = code->grant;
  if (code->used) {
    // Somebody has it who should not: what it gave ends (RFC 6749 §4.1.2).
    TRY(openid_store::end_grant(database, grant.citizen, grant.id));
    return given.refuse(kBadGrant, "the code was used before; what it gave has ended");
  }
  if (grant.client_id != caller.client().id) return given.refuse(kBadGrant, "the code was given to another client");
  if (const std::string why = dead(*code); !why.empty()) return given.refuse(kBadGrant, "the code: " + why);
  if (value("redirect_uri") != grant.redirect_uri &&
      !(value("redirect_uri").empty() && caller.client().profile == ClientProfile::fapi)) {
    return given.refuse(kBadGrant, "redirect_uri is not the one the code was asked for with");
  }
  if (!verifier_fits(value("code_verifier"), grant.challenge)) {
    return given.refuse(kBadGrant, "code_verifier does not fit code_challenge");
  }
  if (!grant.dpop_jkt.empty() && binding.text != "jkt:" + grant.dpop_jkt) {
    return given.refuse(kBadGrant, "the code is for another DPoP key");
  }
  if (!value("resource").empty() && value("resource") != grant.resource) {
    return given.refuse("invalid_target", "resource is another one than asked for");
  }
  if (!TRY(openid_store::use_code(database, hash, now))) {
    return given.refuse(kBadGrant, "the code was used before");
  }
  const Time access_until = now + core_.config.access_life;
  TRY(openid_store::insert_handle(database, key_of_secret(given.access), HandleKind::access, grant, binding.text,
                                  access_until));
  const bool offline = grant.offline && may_be_offline(caller.client());
  if (offline) {
    TRY(openid_store::insert_handle(database, key_of_secret(given.refresh), HandleKind::refresh, grant, binding.text,
                                    grant.ends));
  }
  TRY(openid_store::extend_grant(database, grant, access_until));
  given.grant = grant;
  given.with_refresh = offline;
  return {};
}

Status OpenidEndpoints::exchange_refresh(service::Database& database, const Caller& caller, const Binding& binding,
                                         Given& given) {
  const auto value = [&](std::string_view name) { return value_of(caller.parameters, name); };
  const Time now = core_.now();
  const auto token =
      TRY(openid_store::find_handle(database, key_of_secret(value("refresh_token")), HandleKind::refresh, now));
  if (!token) return given.refuse(kBadGrant, "the refresh token is not known here, or was revoked");
  if (token->grant.client_id != caller.client().id)
    return given.refuse(kBadGrant, "the refresh token is another client's");
  if (const std::string why = dead(*token); !why.empty()) return given.refuse(kBadGrant, "the refresh token: " + why);
  if (token->binding != binding.text) return given.refuse(kBadGrant, "the refresh token is bound to another key");
  if (!may_be_offline(caller.client())) {
    return given.refuse(kBadGrant, "the client may have no refresh tokens any more");
  }
  given.grant = token->grant;
  // Less may be asked for, never more (RFC 6749 §6); what the access token is good for stays the grant's.
  for (const std::string& scope : split_words(value("scope"))) {
    const auto& granted = given.grant.scopes;
    if (std::find(granted.begin(), granted.end(), scope) == granted.end()) {
      return given.refuse("invalid_scope", "scope holds more than was granted");
    }
  }
  const Time access_until = now + core_.config.access_life;
  TRY(openid_store::insert_handle(database, key_of_secret(given.access), HandleKind::access, given.grant, binding.text,
                                  access_until));
  TRY(openid_store::extend_grant(database, given.grant, access_until));
  // No new refresh token: it is bound to a key, and rotating it loses log-ins where an answer is lost (FAPI 2.0
  // Security Profile §5.3.2.1).
  return {};
}

OauthResult<std::string> OpenidEndpoints::id_token(const Client& client, const OpenidGrant& grant, bool of_log_in) {
  const std::int64_t now = core_.now().time_since_epoch().count();
  std::string claims = "{\"iss\":" + json_quoted(core_.config.issuer);
  const auto add = [&](std::string_view name, const std::string& json) {
    claims += ",\"";
    claims += name;
    claims += "\":" + json;
  };
  add("sub", json_quoted(core_.subject(client, grant.citizen)));
  add("aud", json_quoted(client.id));
  add("exp", std::to_string(now + core_.config.access_life.count()));
  add("iat", std::to_string(now));
  add("auth_time", std::to_string(grant.auth_time.time_since_epoch().count()));
  // A nonce belongs to its log-in, and not to what is made of a refresh token (OpenID Connect Core §12.2).
  if (of_log_in && !grant.nonce.empty()) add("nonce", json_quoted(grant.nonce));
  add("acr", json_quoted(grant.acr));
  std::string amr = "[";
  for (const std::string& one : grant.amr) amr += (amr.size() > 1 ? "," : "") + json_quoted(one);
  add("amr", amr + "]");
  add("sid", json_quoted(core_.sid(client.id, grant.session_id)));
  const auto algorithm = crypto::find_jose_algorithm(client.id_token_alg);
  auto out =
      core_.signers.sign(algorithm.value_or(crypto::AlgorithmId::ecdsa_sha256), core_.now(), "JWT", claims + "}");
  if (!out) return identity::refuse(fault(out.error()));
  return std::move(*out);
}

OauthResult<std::string> OpenidEndpoints::give_tokens(const HttpRequest& request) {
  const Caller caller = TRY(authenticate(request));
  const std::string_view type = value_of(caller.parameters, "grant_type");
  if (type.empty()) return identity::refuse("invalid_request", "grant_type is missing");
  if (type != "authorization_code" && type != "refresh_token") {
    return identity::refuse("unsupported_grant_type", "grant_type is authorization_code or refresh_token");
  }
  const std::string_view handle = type == "refresh_token" ? "refresh_token" : "code";
  if (value_of(caller.parameters, handle).empty())
    return identity::refuse("invalid_request", std::string(handle) + " is missing");
  const Binding binding = TRY(binding_for(request, caller.client()));
  Given given;
  given.access = core_.new_handle();
  given.refresh = core_.new_handle();
  const Status written = core_.around.writes.write(
      core_.around.database, [&](service::Database& database) { return exchange(database, caller, binding, given); });
  if (!written) return identity::refuse(fault(written.error()));
  if (given.refusal) return identity::refuse(*given.refusal);
  std::string out = "{\"access_token\":" + json_quoted(given.access) +
                    ",\"token_type\":" + (binding.text.starts_with("jkt:") ? "\"DPoP\"" : "\"Bearer\"") +
                    ",\"expires_in\":" + std::to_string(core_.config.access_life.count()) +
                    ",\"scope\":" + json_quoted(join_words(common_words(given.grant.scopes, caller.client().scopes)));
  if (given.with_refresh) out += ",\"refresh_token\":" + json_quoted(given.refresh);
  const std::string identity_token = TRY(id_token(caller.client(), given.grant, type == "authorization_code"));
  return out + ",\"id_token\":" + json_quoted(identity_token) + "}";
}

service::HttpResponse OpenidEndpoints::token(const HttpRequest& request) {
  const auto tokens = give_tokens(request);
  HttpResponse out = tokens ? json(200, *tokens) : error(tokens.error());
  offer_nonce(out);
  return out;
}

}  // namespace karta::identity
