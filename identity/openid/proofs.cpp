#include "identity/openid/proofs.h"

#include <algorithm>

#include "base/base64url.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/x509/certificate.h"

namespace karta::identity {
namespace {

constexpr std::size_t kMostJti = 256;

Bytes seen_hash(std::string_view kind, std::string_view who, std::string_view jti) {
  std::string text(kind);
  text += '\0';
  text += who;
  text += '\0';
  text += jti;
  return crypto::digest(crypto::Hash::sha256, as_bytes(text));
}

/// True if one of the client's keys made the signature.
bool signed_by(const crypto::Jws& jws, const crypto::JwkSet& keys) {
  const std::string_view alg = jws.header().alg;
  const auto made_by = [&](const crypto::Jwk& one) {
    if (!one.alg.empty() && one.alg != alg) return false;
    if (!one.use.empty() && one.use != "sig") return false;
    return jws.verify(one.key).has_value();
  };
  if (!jws.header().kid.empty()) {
    const crypto::Jwk* const named = keys.find(jws.header().kid);
    return named != nullptr && made_by(*named);
  }
  // Without a kid, the few keys of the right kind are tried; fits_jose inside verify() makes the others cheap.
  return std::any_of(keys.keys.begin(), keys.keys.end(), made_by);
}

/// Parsed strictly, of one of our algorithms: RS256 and the like are no more to FAPI than "none".
OauthResult<crypto::Jws> parse(std::string_view text, std::string_view error, const std::string& what) {
  auto jws = crypto::Jws::parse(text);
  if (!jws) return refuse(std::string(error), what + " is no signed JWT of ours");
  const auto& allowed = crypto::kJoseAlgorithms;
  if (std::find(std::begin(allowed), std::end(allowed), jws->algorithm()) == std::end(allowed)) {
    return refuse(std::string(error), what + " must be signed with ES256, ES384, PS256 or EdDSA");
  }
  return std::move(*jws);
}

/// An https address without query and fragment, scheme and host in small letters, the port left out where it is the
/// usual one (RFC 3986 §6.2.2.1, §6.2.3).
std::string normalised(std::string address) {
  address.resize(std::min(address.find_first_of("?#"), address.size()));
  const std::size_t scheme_end = address.find("://");
  if (scheme_end == std::string::npos) return address;
  const std::size_t host_end = std::min(address.find('/', scheme_end + 3), address.size());
  for (std::size_t i = 0; i < host_end; ++i) {
    if (address[i] >= 'A' && address[i] <= 'Z') address[i] = static_cast<char>(address[i] - 'A' + 'a');
  }
  constexpr std::string_view kUsualPort = ":443";
  const std::string_view authority = std::string_view(address).substr(0, host_end);
  if (authority.starts_with("https://") && authority.ends_with(kUsualPort)) {
    address.erase(host_end - kUsualPort.size(), kUsualPort.size());
  }
  return address;
}

/// `exp` is there, not over, and not further ahead than we allow; `nbf` and `iat` are not in the future.
OauthStatus check_life(const crypto::JwtClaims& claims, Time now, std::string_view error, const std::string& what) {
  if (!claims.exp) return refuse(std::string(error), what + " has no exp");
  if (!crypto::check_times(claims, now, kClockSkew)) {
    return refuse(std::string(error), what + " is expired, or not valid yet");
  }
  if (*claims.exp > now + kMostProofLife) return refuse(std::string(error), what + " lives longer than ten minutes");
  if (claims.iat && *claims.iat + kMostProofLife < now) return refuse(std::string(error), what + " is too old");
  return {};
}

}  // namespace

OauthResult<Assertion> read_assertion(std::string_view text) {
  crypto::Jws jws = TRY(parse(text, "invalid_client", "client_assertion"));
  auto claims = crypto::parse_claims(jws.payload_text());
  if (!claims || claims->sub.empty()) return refuse("invalid_client", "client_assertion names no client");
  return Assertion{std::move(jws), std::move(*claims)};
}

OauthResult<SeenProof> verify_assertion(const LoadedClient& client, const Assertion& assertion,
                                        const std::vector<std::string>& audiences, Time now) {
  constexpr std::string_view kError = "invalid_client";
  const std::string what = "client_assertion";
  if (!signed_by(assertion.jws, client.keys)) {
    return refuse(std::string(kError), what + " is not signed by a key of the client");
  }
  const crypto::JwtClaims* const claims = &assertion.claims;
  if (claims->iss != client.client.id || claims->sub != client.client.id) {
    return refuse(std::string(kError), "iss and sub of client_assertion must be the client_id");
  }
  const bool alone = claims->aud.size() == 1 && claims->aud.front() == audiences.front() && claims->text("aud");
  const bool any =
      std::any_of(audiences.begin(), audiences.end(), [&](const std::string& one) { return claims->is_for(one); });
  if (client.client.profile == ClientProfile::fapi ? !alone : !any) {
    return refuse(std::string(kError), "aud of client_assertion must be the issuer: " + audiences.front());
  }
  TRY(check_life(*claims, now, kError, what));
  if (claims->jti.empty() || claims->jti.size() > kMostJti) return refuse(std::string(kError), what + " has no jti");
  return SeenProof{seen_hash("assertion", client.client.id, claims->jti), *claims->exp + kClockSkew};
}

OauthStatus check_certificate(const Client& client, ByteView der, Time now) {
  if (der.empty()) return refuse("invalid_client", "the client shows its certificate at the mtls endpoints", 401);
  const auto certificate = crypto::Certificate::from_der(der);
  if (!certificate) return refuse("invalid_client", "the certificate cannot be read", 401);
  if (client.authentication == ClientAuthentication::self_signed_tls_client_auth) {
    // Octet by octet: the same names, even the same key in another certificate, are not what was registered.
    const auto& known = client.tls_thumbprints;
    if (std::find(known.begin(), known.end(), certificate_thumbprint(der)) == known.end()) {
      return refuse("invalid_client", "the certificate is not one the client is registered with", 401);
    }
    // Nobody else has judged it, so its time is judged here.
    if (now < certificate->not_before() || now > certificate->not_after()) {
      return refuse("invalid_client", "the certificate is expired, or not valid yet", 401);
    }
    return {};
  }
  bool good = false;
  if (!client.tls_subject_dn.empty()) {
    const auto wanted = crypto::name_from_text(client.tls_subject_dn);
    good = wanted && *wanted == certificate->subject();
  } else {
    for (const crypto::GeneralName& one : certificate->subject_alternative_names()) {
      good = good || (one.kind == crypto::GeneralName::Kind::dns && as_text(one.value) == client.tls_san_dns);
    }
  }
  if (!good) return refuse("invalid_client", "the certificate is not the one the client is registered with", 401);
  return {};
}

std::string certificate_thumbprint(ByteView der) { return to_base64url(crypto::digest(crypto::Hash::sha256, der)); }

OauthResult<crypto::JwtClaims> verify_request_object(const LoadedClient& client, std::string_view object,
                                                     std::string_view issuer, Time now) {
  constexpr std::string_view kError = "invalid_request_object";
  const std::string what = "request";
  const crypto::Jws jws = TRY(parse(object, kError, what));
  // Another kind of JWT of the same client must not pass for one (RFC 9101 §10.8).
  const std::string& type = jws.header().typ;
  if (!type.empty() && type != "oauth-authz-req+jwt" && type != "JWT" && type != "jwt") {
    return refuse(std::string(kError), "typ of request must be oauth-authz-req+jwt");
  }
  if (!signed_by(jws, client.keys)) return refuse(std::string(kError), "request is not signed by a key of the client");
  auto claims = crypto::parse_claims(jws.payload_text());
  if (!claims) return refuse(std::string(kError), "request holds no claims");
  if (claims->iss != client.client.id) return refuse(std::string(kError), "iss of request must be the client_id");
  if (const auto id = claims->text("client_id"); id && *id != client.client.id) {
    return refuse(std::string(kError), "client_id of request is another one");
  }
  if (claims->has("client_id") && !claims->text("client_id"))
    return refuse(std::string(kError), "client_id of request is no text");
  if (!claims->is_for(issuer)) return refuse(std::string(kError), "aud of request must be the issuer");
  if (claims->has("request") || claims->has("request_uri")) {
    return refuse(std::string(kError), "a request object holds neither request nor request_uri");
  }
  // An assertion by which a client authenticates has a subject, a request has none.
  if (!claims->sub.empty() && type.empty()) return refuse(std::string(kError), "a request object has no sub");
  TRY(check_life(*claims, now, kError, what));
  return std::move(*claims);
}

OauthResult<DpopProof> verify_dpop(std::string_view proof, std::string_view method,
                                   const std::vector<std::string>& urls, std::string_view access_token, Time now) {
  const auto bad = [](std::string words) { return refuse("invalid_dpop_proof", std::move(words)); };
  const crypto::Jws jws = TRY(parse(proof, "invalid_dpop_proof", "DPoP"));
  if (jws.header().typ != "dpop+jwt") return bad("typ of DPoP must be dpop+jwt");
  if (!jws.header().jwk) return bad("DPoP holds no jwk");
  const crypto::PublicKey& key = *jws.header().jwk;
  if (!jws.verify(key)) return bad("DPoP is not signed by its key");
  const auto claims = crypto::parse_claims(jws.payload_text());
  if (!claims) return bad("DPoP holds no claims");
  if (claims->text("htm") != method) return bad("htm of DPoP is another method");
  // Compared without query and fragment (RFC 9449 §4.3, 9).
  const std::string htu = normalised(claims->text("htu").value_or(""));
  if (std::none_of(urls.begin(), urls.end(), [&](const std::string& one) { return normalised(one) == htu; })) {
    return bad("htu of DPoP is another address");
  }
  if (!claims->iat || *claims->iat > now + kClockSkew || *claims->iat + kDpopLife < now) {
    return bad("iat of DPoP is missing or not now");
  }
  if (!crypto::check_times(*claims, now, kClockSkew)) return bad("DPoP is expired, or not valid yet");
  if (claims->jti.empty() || claims->jti.size() > kMostJti) return bad("DPoP has no jti");
  if (!access_token.empty()) {
    const std::string wanted = to_base64url(crypto::digest(crypto::Hash::sha256, as_bytes(access_token)));
    const std::string ath = claims->text("ath").value_or("");
    if (!equal_constant_time(as_bytes(wanted), as_bytes(ath))) return bad("ath of DPoP is of another access token");
  }
  DpopProof out;
  out.jkt = TRY(crypto::jwk_thumbprint(key).map_error([](const Error& error) { return fault(error); }));
  out.nonce = claims->nonce;
  out.seen = {seen_hash("dpop", out.jkt, claims->jti), *claims->iat + kDpopLife + kClockSkew};
  return out;
}

}  // namespace karta::identity
