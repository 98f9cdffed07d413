// AgentRequest: what an identity provider asks of the citizen's agent, signed by it: a JWS of type
// "karta-agent-request+jwt" that a browser brings in a query.
//
// The provider is one of the configuration's; its signing certificate comes along (x5c), has a path to the roots named
// for that provider, and names the provider's host. Everything a page will show, sign or lead to is checked here, once:
// the origin the token will be for is the provider's own, and the way back lies below it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/x509/certificate.h"

namespace karta::daemon {

/// A [[citizen.provider]]: whose requests are heard.
struct AgentProvider {
  std::string issuer;  ///< "https://id.example"
  std::vector<crypto::Certificate> roots;
};

struct AgentRequest {
  enum class Verb : std::uint8_t { hello, login };

  static constexpr std::string_view kType = "karta-agent-request+jwt", kAudience = "karta-agent";
  static constexpr std::size_t kMostOctets = 12u << 10;
  static constexpr std::chrono::seconds kLongestLife{300}, kClockSkew{60};

  Verb verb = Verb::login;
  std::string issuer, jti, nonce;
  std::string origin;      ///< of the provider's pages: what the card signs for
  std::string return_uri;  ///< below `origin`
  std::string state;
  std::string client_name, client_name_ru;  ///< of the portal; the latter may be empty
  std::string client_origin;
  std::string purpose, purpose_ru;  ///< may be empty
  std::vector<std::string> claims;  ///< names of identity/openid/scopes.h
  std::string acr, locale;          ///< may be empty
  Time expires{};                   ///< the page's end
  Time heard_until{};               ///< until then it could be shown again and found in time

  /// `return_uri` with `state` and another parameter, both encoded.
  std::string way_back(std::string_view name, std::string_view value) const;
};

/// Why a request is not heard; one row each of the page's texts.
enum class RequestFault : std::uint8_t {
  broken,            ///< no such document, or something is missing in it
  unknown_provider,  ///< its issuer is not in the configuration
  not_trusted,       ///< the certificate has no path to that provider's roots, or names another host
  altered,           ///< the signature is not over this text
  expired,           ///< or not valid yet: one clock is wrong
  replayed,          ///< it was used before
  too_many,          ///< other requests are open
};
struct RefusedRequest {
  RequestFault fault = RequestFault::broken;
  std::string why;  ///< for the log; never for a page
};

/// Reads and checks all of it at `now`. That it is heard once only is RequestBook's to see to.
tl::expected<AgentRequest, RefusedRequest> read_agent_request(std::string_view jws,
                                                              const std::vector<AgentProvider>& providers, Time now);

/// "localhost" of "http://localhost:8471/path"; brackets of IPv6 stay. Empty for anything but http and https.
std::string_view host_of(std::string_view address);

}  // namespace karta::daemon
