#include "identity/openid/authorization_request.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "identity/openid/interaction.h"
#include "identity/openid/scopes.h"

namespace karta::identity {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostState = 1024, kMostNonce = 512, kMostHint = 256, kMostSubject = 64;
constexpr std::int64_t kMostAge = 366LL * 86400;

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// RFC 6749 appendix A.5: VSCHAR.
bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; });
}

bool is_base64url(std::string_view text) {
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
         std::string_view::npos;
}

OauthStatus read_prompt(std::string_view text, AuthorizationRequest& out) {
  if (text.empty()) return {};
  const std::vector<std::string> words = split_words(text);
  for (const std::string& word : words) {
    if (word == "none") {
      out.prompt_none = true;
    } else if (word == "login" || word == "select_account") {
      out.prompt_login = true;
    } else if (word == "consent") {
      out.prompt_consent = true;
    } else {
      return refuse("invalid_request", "prompt is none, login, consent or select_account");
    }
  }
  if (out.prompt_none && words.size() > 1) return refuse("invalid_request", "prompt none stands alone");
  return {};
}

OauthStatus read_scope(const Client& client, std::string_view text, AuthorizationRequest& out) {
  for (std::string& word : split_words(text)) {
    if (!contains(client.scopes, word)) {
      return refuse("invalid_scope",
                    is_visible(word) && word.size() < 64 && word.find_first_of("\"\\") == std::string::npos
                        ? "the client may not ask for scope " + word
                        : "the client may not ask for one of these scopes");
    }
    if (!contains(out.scopes, word)) out.scopes.push_back(std::move(word));
  }
  if (!contains(out.scopes, "openid")) return refuse("invalid_scope", "scope must hold openid");
  return {};
}

/// The lowest level named; nothing if none of them is ours.
std::optional<int> least_of(const std::vector<std::string>& names) {
  std::optional<int> out;
  for (const std::string& name : names) {
    const auto level = acr_level(name);
    if (level && (!out || *level < *out)) out = level;
  }
  return out;
}

constexpr std::string_view kLevels[] = {"low", "substantial", "high"};

/// The `claims` parameter (OpenID Connect Core §5.5): single data, and what the ID token must say.
OauthStatus read_claims(const Client& client, std::string_view text, std::vector<std::string>& single, int& least,
                        AuthorizationRequest& out) {
  if (text.empty()) return {};
  const auto asked = crypto::JsonObject::parse(text);
  if (!asked) return refuse("invalid_request", "claims must be a JSON object");
  const std::vector<std::string> allowed = claims_of(client.scopes);
  for (const std::string_view place : {"userinfo", "id_token"}) {
    if (!asked->has(place)) continue;
    const auto members = asked->object(place);
    if (!members) return refuse("invalid_request", "claims must hold objects");
    // Personal data are given at the UserInfo endpoint, wherever they are asked for. What the client may not ask for is
    // left out, as a claim nobody has is.
    for (const std::string& name : members->names()) {
      if (name == "offline_access" || !contains(allowed, name)) continue;
      if (!contains(single, name)) single.push_back(name);
      // §5.5.1: what does not say so is voluntary; §5.4: what comes with a scope, too.
      const auto wish = members->object(name);
      const bool essential = wish && wish->boolean("essential").value_or(false);
      if (essential && !contains(out.essential, name)) out.essential.push_back(name);
    }
    if (const auto acr = members->object("acr")) {
      std::vector<std::string> values = acr->texts("values").value_or(std::vector<std::string>());
      if (const auto value = acr->text("value")) values.push_back(*value);
      const auto level = least_of(values);
      if (level) least = std::max(least, *level);
      if (!level && !values.empty() && acr->boolean("essential").value_or(false)) {
        return refuse("unmet_authentication_requirements", "acr is low, substantial or high here");
      }
    }
    if (const auto sub = members->object("sub")) {
      if (const auto value = sub->text("value")) out.subject = *value;
      if (out.subject.size() > kMostSubject) return refuse("invalid_request", "sub of claims is none of ours");
    }
  }
  return {};
}

}  // namespace

std::optional<int> acr_level(std::string_view acr) {
  for (int level = 0; level < 3; ++level) {
    if (kLevels[level] == acr) return level;
  }
  return std::nullopt;
}

std::string_view value_of(const OauthParameters& parameters, std::string_view name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

OauthStatus check_redirect(const Client& client, const OauthParameters& parameters) {
  const std::string_view uri = value_of(parameters, "redirect_uri");
  if (uri.empty()) return refuse("invalid_request", "redirect_uri is missing");
  // Octet by octet: no prefixes, no patterns (RFC 9700 §2.1).
  if (!client.has_redirect(uri)) return refuse("invalid_request", "redirect_uri is not one of the client's");
  return {};
}

OauthResult<AuthorizationRequest> read_authorization_request(const Client& client, const OauthParameters& parameters) {
  const auto value = [&](std::string_view name) { return value_of(parameters, name); };
  TRY(check_redirect(client, parameters));
  AuthorizationRequest out;
  out.client_id = client.id;
  out.redirect_uri = value("redirect_uri");
  if (value("response_type").empty()) return refuse("invalid_request", "response_type is missing");
  if (value("response_type") != "code") return refuse("unsupported_response_type", "response_type is code here");
  if (!value("response_mode").empty() && value("response_mode") != "query") {
    return refuse("invalid_request", "response_mode is query here");
  }
  out.state = value("state");
  if (out.state.size() > kMostState || !is_visible(out.state))
    return refuse("invalid_request", "state is too long or not ASCII");
  out.nonce = value("nonce");
  if (out.nonce.size() > kMostNonce || !is_visible(out.nonce))
    return refuse("invalid_request", "nonce is too long or not ASCII");
  // RFC 7636 §4.3; "plain" shows the verifier to whoever sees the request.
  out.challenge = value("code_challenge");
  if (out.challenge.empty()) return refuse("invalid_request", "code_challenge is missing: PKCE is required");
  if (value("code_challenge_method") != "S256") return refuse("invalid_request", "code_challenge_method must be S256");
  if (out.challenge.size() != 43 || !is_base64url(out.challenge))
    return refuse("invalid_request", "code_challenge is no S256");
  out.dpop_jkt = value("dpop_jkt");
  if (!out.dpop_jkt.empty() && (out.dpop_jkt.size() != 43 || !is_base64url(out.dpop_jkt))) {
    return refuse("invalid_request", "dpop_jkt is no SHA-256 thumbprint");
  }
  TRY(read_scope(client, value("scope"), out));
  TRY(read_prompt(value("prompt"), out));
  int least = acr_level(client.least_acr).value_or(0);
  if (const auto wanted = least_of(split_words(value("acr_values")))) least = std::max(least, *wanted);
  std::vector<std::string> single;
  TRY(read_claims(client, value("claims"), single, least, out));
  out.claims = claims_of(out.scopes, single);
  out.acr = kLevels[least];
  if (const std::string_view text = value("max_age"); !text.empty()) {
    std::int64_t seconds = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (fault != std::errc() || end != text.data() + text.size() || seconds < 0) {
      return refuse("invalid_request", "max_age must be a number of seconds");
    }
    out.max_age = std::min(seconds, kMostAge);
  }
  for (const std::string& one : split_words(value("ui_locales"))) {
    const std::string_view language = std::string_view(one).substr(0, one.find('-'));
    if (language != "ru" && language != "en") continue;
    out.locale = language;
    break;
  }
  out.login_hint = value("login_hint");
  if (out.login_hint.size() > kMostHint) return refuse("invalid_request", "login_hint is too long");
  out.id_token_hint = value("id_token_hint");
  out.resource = value("resource");
  if (!out.resource.empty() && !contains(client.resources, out.resource)) {
    return refuse("invalid_target", "the client may not ask for this resource");
  }
  return out;
}

OauthParameters parameters_of(const crypto::JsonObject& claims) {
  OauthParameters out;
  for (const std::string& name : claims.names()) {
    if (const auto text = claims.text(name)) {
      out[name] = *text;
    } else if (const auto json = claims.json(name)) {
      out[name] = *json;  // max_age is a number, claims an object
    }
  }
  return out;
}

// ---- as the registry keeps it --------------------------------------------------------------------------------------

std::string AuthorizationRequest::to_json() const {
  Json out{{"c", client_id}, {"u", redirect_uri}, {"p", challenge}, {"s", scopes}, {"d", claims}, {"a", acr}};
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  text("state", state);
  text("nonce", nonce);
  text("jkt", dpop_jkt);
  text("locale", locale);
  text("hint", login_hint);
  text("sub", subject);
  text("resource", resource);
  if (!essential.empty()) out["e"] = essential;
  if (max_age) out["age"] = *max_age;
  if (prompt_none) out["none"] = true;
  if (prompt_login) out["login"] = true;
  if (prompt_consent) out["consent"] = true;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<AuthorizationRequest> AuthorizationRequest::from_json(std::string_view json) {
  const Json document = Json::parse(json, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::malformed, "a stored request is damaged");
  AuthorizationRequest out;
  const auto text = [&](const char* name, std::string& to) {
    const auto found = document.find(name);
    if (found != document.end() && found->is_string()) to = found->get<std::string>();
  };
  const auto words = [&](const char* name, std::vector<std::string>& to) {
    const auto found = document.find(name);
    if (found == document.end() || !found->is_array()) return;
    for (const Json& one : *found) {
      if (one.is_string()) to.push_back(one.get<std::string>());
    }
  };
  text("c", out.client_id);
  text("u", out.redirect_uri);
  text("p", out.challenge);
  words("s", out.scopes);
  words("d", out.claims);
  words("e", out.essential);
  text("a", out.acr);
  text("state", out.state);
  text("nonce", out.nonce);
  text("jkt", out.dpop_jkt);
  text("locale", out.locale);
  text("hint", out.login_hint);
  text("sub", out.subject);
  text("resource", out.resource);
  if (const auto age = document.find("age"); age != document.end() && age->is_number_integer()) {
    out.max_age = age->get<std::int64_t>();
  }
  out.prompt_none = document.contains("none");
  out.prompt_login = document.contains("login");
  out.prompt_consent = document.contains("consent");
  return out;
}

}  // namespace karta::identity
