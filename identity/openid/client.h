// Client: a portal that lets its visitors in through us, as the operator registered it (RFC 7591 §2 names).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace karta::identity {

enum class ClientProfile : std::uint8_t {
  fapi,   ///< FAPI 2.0 Security Profile: pushed requests, tokens bound to a key
  basic,  ///< allowed by the operator for what cannot do that: plain requests, bearer tokens; PKCE and keys all the
          ///< same
};

enum class ClientAuthentication : std::uint8_t {
  private_key_jwt,  ///< RFC 7523, OpenID Connect Core §9
  tls_client_auth,  ///< RFC 8705 §2.1: a certificate of an authority we trust, known by its subject or a name in it
  self_signed_tls_client_auth,  ///< RFC 8705 §2.2: one of the very certificates registered with it, whoever issued them
};

/// True where the client shows a certificate instead of signing assertions.
constexpr bool by_certificate(ClientAuthentication how) { return how != ClientAuthentication::private_key_jwt; }

/// What binds a client's tokens to it.
enum class TokenBinding : std::uint8_t {
  dpop,    ///< RFC 9449
  mtls,    ///< RFC 8705 §3
  bearer,  ///< nothing; profile basic only
};

/// Characters of a client's names and the like. Agents on citizens' computers take as many.
inline constexpr std::size_t kMostClientText = 400;

/// Words in the languages of our pages.
struct TwoLanguages {
  std::string en;
  std::string ru;

  /// `locale` "ru" or anything else; the other language where that one is empty.
  const std::string& in(std::string_view locale) const;
  friend bool operator==(const TwoLanguages&, const TwoLanguages&) = default;
};

struct Client {
  std::string id;                          ///< client_id; never given out twice
  TwoLanguages name;                       ///< client_name, client_name#ru
  std::string uri;                         ///< client_uri: where people find it; its origin is shown
  TwoLanguages purpose;                    ///< what it asks for data for; stands in the access log
  std::vector<std::string> redirect_uris;  ///< compared octet by octet
  std::vector<std::string> post_logout_redirect_uris;
  ClientProfile profile = ClientProfile::fapi;
  ClientAuthentication authentication = ClientAuthentication::private_key_jwt;
  TokenBinding binding = TokenBinding::dpop;
  std::string jwks;            ///< a JWK Set (RFC 7517), public keys only; empty with mTLS
  std::string tls_subject_dn;  ///< tls_client_auth_subject_dn (RFC 4514), or
  std::string tls_san_dns;     ///< tls_client_auth_san_dns
  /// Of self_signed_tls_client_auth: the certificates in `jwks`, by certificate_thumbprint(); derived from it.
  std::vector<std::string> tls_thumbprints;
  std::vector<std::string> scopes;     ///< what it may ask for; names of openid/scopes.h
  std::string sector;                  ///< whose citizens' `sub` are the same: host, small letters
  std::string least_acr;               ///< log-ins below are refused: "low", "substantial", "high"
  std::string id_token_alg = "ES256";  ///< id_token_signed_response_alg
  std::string userinfo_alg;            ///< userinfo_signed_response_alg; empty: plain JSON
  bool signed_requests = false;        ///< require_signed_request_object (RFC 9101 §10.5)
  bool introspects = false;            ///< a resource server: may ask about tokens of others
  std::vector<std::string> resources;  ///< RFC 8707: what its tokens may be for
  std::string logout_uri;              ///< backchannel_logout_uri; empty: is told nothing
  bool active = true;                  ///< false: revoked
  Time created{};
  Time changed{};

  /// "https://portal.example": of `uri`, for people to judge by.
  std::string origin() const;
  bool has_redirect(std::string_view uri) const;
  friend bool operator==(const Client&, const Client&) = default;
};

}  // namespace karta::identity
