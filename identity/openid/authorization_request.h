// AuthorizationRequest: what a portal asks for, read and checked once (OpenID Connect Core §3.1.2.1, RFC 7636, RFC
// 9101, RFC 9126, RFC 9449 §10, RFC 8707).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/jose/json_object.h"
#include "identity/openid/client.h"
#include "identity/openid/oauth_error.h"

namespace karta::identity {

/// Parameters by name, each once; of a form, or of a request object's claims.
using OauthParameters = std::map<std::string, std::string, std::less<>>;
std::string_view value_of(const OauthParameters& parameters, std::string_view name);

struct AuthorizationRequest {
  std::string client_id, redirect_uri, state, nonce;
  std::string challenge;  ///< code_challenge, S256
  std::string dpop_jkt;   ///< the code is for this key only; empty: any
  std::vector<std::string> scopes;
  std::vector<std::string> claims;      ///< personal data asked for
  std::vector<std::string> essential;   ///< those of them the portal cannot do without (OpenID Connect Core §5.5.1)
  std::string acr = "low";              ///< the least level that will do
  std::optional<std::int64_t> max_age;  ///< seconds
  bool prompt_none = false, prompt_login = false, prompt_consent = false;
  std::string locale, login_hint;
  std::string subject;        ///< the `sub` that must log in, of claims; empty: anybody
  std::string id_token_hint;  ///< as it came
  std::string resource;

  std::string to_json() const;
  static Result<AuthorizationRequest> from_json(std::string_view json);
};

/// Only what the errors of everything else are sent back with: is the redirect_uri the client's own?
OauthStatus check_redirect(const Client& client, const OauthParameters& parameters);
/// Everything. Unknown parameters are passed over (RFC 6749 §3.1).
OauthResult<AuthorizationRequest> read_authorization_request(const Client& client, const OauthParameters& parameters);
/// The parameters in the claims of a verified request object (RFC 9101 §4): texts, numbers, and `claims` as JSON.
OauthParameters parameters_of(const crypto::JsonObject& claims);

}  // namespace karta::identity
