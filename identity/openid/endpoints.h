// OpenidEndpoints: the provider's HTTP endpoints, a function each. Private to the room.
#pragma once

#include <array>

#include "identity/openid/core.h"
#include "identity/openid/provider.h"
#include "identity/openid/store.h"
#include "service/rate_limit.h"

namespace karta::identity {

/// Requests that browsers bring unpushed (profile "basic"), each a row that nobody has proved anything for: from one
/// network, from one site (IPv6: a /48), and from everywhere; by each worker.
inline constexpr service::RateRule kPlainRequestsOfNetwork{.burst = 300, .interval = std::chrono::milliseconds(200)};
inline constexpr service::RateRule kPlainRequestsOfSite{.burst = 900, .interval = std::chrono::milliseconds(67)};
inline constexpr service::RateRule kPlainRequests{.burst = 2000, .interval = std::chrono::milliseconds(20)};
/// What each site may bring when those of everywhere are used up: a flood from some sites shuts nobody else out, and
/// has to come from one more for every few rows more. So many sites are remembered at the most.
inline constexpr service::RateRule kFirstPlainRequests{.burst = 5, .interval = std::chrono::minutes(2)};
inline constexpr std::size_t kMostSitesInAFlood = 16'384;

class OpenidEndpoints final : public RoomRoutes {
 public:
  OpenidEndpoints(OpenidCore& core, OpenidProvider& provider, LoginPort* login, bool mtls);
  service::HttpResponse answer(const service::HttpRequest& request) override;
  std::vector<std::string> problems() override;

 private:
  using HttpRequest = service::HttpRequest;
  using HttpResponse = service::HttpResponse;

  /// A client that has proved who it is.
  struct Caller {
    std::shared_ptr<const LoadedClient> loaded;
    std::optional<SeenProof> assertion;
    OauthParameters parameters;
    const Client& client() const { return loaded->client; }
  };
  /// What a token is, or shall be, bound to: "jkt:...", "x5t:...", or nothing.
  struct Binding {
    std::string text;
    std::optional<SeenProof> seen;
  };

  struct Route {
    std::string_view path;
    /// As Allow says them. HEAD only where GET uses nothing up and writes nothing (RFC 9110 §9.2.1).
    std::string_view methods;
    HttpResponse (OpenidEndpoints::*answer)(const HttpRequest&);
    service::Counter (*counter)(service::Metrics&);
  };
  static const std::array<Route, 10> kRoutes;

  // front_endpoints.cpp
  HttpResponse metadata(const HttpRequest& request);
  HttpResponse jwks(const HttpRequest& request);
  HttpResponse par(const HttpRequest& request);
  HttpResponse authorize(const HttpRequest& request);
  HttpResponse end_session(const HttpRequest& request);
  /// The way on for what a browser was made to post (RP-Initiated Logout §2, OpenID Connect Core §3.1.2.1); none for
  /// GET.
  std::optional<HttpResponse> asked_by_get(const HttpRequest& request);
  OauthResult<std::string> push(const HttpRequest& request, int& seconds);
  OauthResult<Interaction> interaction_for(const HttpRequest& request, std::string& error_url);
  /// Whether one more unpushed request may be kept.
  bool take_plain_request(const HttpRequest& request);
  OauthResult<AuthorizationRequest> read_request(const LoadedClient& client, const OauthParameters& parameters);
  OauthResult<LogoutRequest> logout_for(const HttpRequest& request);

  // token_endpoint.cpp
  HttpResponse token(const HttpRequest& request);
  OauthResult<std::string> give_tokens(const HttpRequest& request);
  struct Given;
  Status exchange(service::Database& database, const Caller& caller, const Binding& binding, Given& given);
  Status exchange_code(service::Database& database, const Caller& caller, const Binding& binding, Given& given);
  Status exchange_refresh(service::Database& database, const Caller& caller, const Binding& binding, Given& given);
  /// `of_log_in`: made of its code, and not of a refresh token.
  OauthResult<std::string> id_token(const Client& client, const OpenidGrant& grant, bool of_log_in);

  // resource_endpoints.cpp
  HttpResponse userinfo(const HttpRequest& request);
  HttpResponse introspect(const HttpRequest& request);
  HttpResponse revoke(const HttpRequest& request);
  struct Answer;
  /// A resource indicator of a token that is good at UserInfo: the issuer's, or the endpoint's own.
  bool is_here(std::string_view resource) const;
  OauthResult<Answer> user_claims(const HttpRequest& request);
  OauthResult<Answer> introspection(const HttpRequest& request);
  OauthStatus revocation(const HttpRequest& request);

  // client_endpoints.cpp: what they have in common
  OauthResult<Caller> authenticate(const HttpRequest& request);
  /// The certificate that counts for this client: one the listener has verified; of a client that is registered with
  /// its very certificates, whatever was shown (check_certificate() compares). Empty: none.
  ByteView certificate_of(const HttpRequest& request, const Client& client) const;
  /// A client's certificate is not one the registry knows as revoked or on hold.
  OauthStatus check_not_revoked(ByteView der);
  /// DPoP proof of the request, if it has one. `must_nonce`: it must bear a nonce of ours.
  OauthResult<std::optional<DpopProof>> proof_of(const HttpRequest& request, std::string_view access_token,
                                                 bool must_nonce);
  OauthResult<Binding> binding_for(const HttpRequest& request, const Client& client);
  std::vector<std::string> urls_of(std::string_view path) const;
  /// Why a handle is worth nothing now; empty: it is good.
  std::string dead(const OpenidHandle& handle) const;
  HttpResponse json(int status, std::string body) const;
  HttpResponse error(const OauthError& error) const;
  /// DPoP-Nonce for the next proof.
  void offer_nonce(HttpResponse& response) const;

  OpenidCore& core_;
  OpenidProvider& provider_;
  LoginPort* login_;
  bool mtls_;
  std::vector<service::Counter> served_;
  service::Counter refused_;
  service::RateLimit plain_requests_of_network_{kPlainRequestsOfNetwork}, plain_requests_of_site_{kPlainRequestsOfSite};
  service::RateLimit plain_requests_{kPlainRequests, 1};
  service::RateLimit first_plain_requests_{kFirstPlainRequests, kMostSitesInAFlood};
  std::shared_ptr<const Bytes> metadata_;
  Time metadata_made_{};
};

/// The parameters of a form or a query, each once. Fails with invalid_request.
OauthResult<OauthParameters> read_parameters(std::string_view text);
OauthResult<OauthParameters> read_form(const service::HttpRequest& request);

}  // namespace karta::identity
