// The endpoints that take a token: who is this, does it stand, end it.
#include <algorithm>

#include "identity/citizen_reads.h"
#include "identity/openid/endpoints.h"
#include "identity/openid/scopes.h"
#include "identity/timed_key.h"

namespace karta::identity {
namespace {

using crypto::json_quoted;

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
           return small(x) == small(y);
         });
}

struct Presented {
  bool dpop = false;
  std::string token;
};

/// "Authorization: DPoP TOKEN" or "Bearer TOKEN".
OauthResult<Presented> presented_token(const service::HttpRequest& request) {
  if (request.count("Authorization") != 1) return refuse("invalid_token", "the access token is missing", 401);
  const std::string_view field = request.field("Authorization");
  const std::size_t blank = field.find(' ');
  const std::string_view scheme = field.substr(0, blank);
  if (blank == std::string_view::npos || (!same_word(scheme, "DPoP") && !same_word(scheme, "Bearer"))) {
    return refuse("invalid_token", "the access token is missing", 401);
  }
  std::string_view token = field.substr(blank + 1);
  while (token.starts_with(' ')) token.remove_prefix(1);
  if (token.empty() || token.size() > 256) return refuse("invalid_token", "the access token is none of ours", 401);
  return Presented{same_word(scheme, "DPoP"), std::string(token)};
}

/// A response field: nothing that could end it early.
std::string field_text(std::string_view text) {
  std::string out;
  for (const char c : text) out += c >= 0x20 && c <= 0x7E && c != '"' && c != '\\' ? c : '?';
  return out;
}

}  // namespace

bool OpenidEndpoints::is_here(std::string_view resource) const {
  for (const std::string& here : urls_of("/openid/userinfo")) {
    if (resource == here) return true;
  }
  return resource == core_.config.issuer;
}

struct OpenidEndpoints::Answer {
  std::string body;
  bool jwt = false;
};

OauthResult<OpenidEndpoints::Answer> OpenidEndpoints::user_claims(const HttpRequest& request) {
  const auto invalid = [](std::string words) { return identity::refuse("invalid_token", std::move(words), 401); };
  const Presented presented = TRY(presented_token(request));
  const Time now = core_.now();
  service::Database& own = core_.around.database;
  const Bytes hash = key_of_secret(presented.token);
  // Before the proof: verifying a signature is work that nobody without a token may cause.
  auto looked = openid_store::find_handle(own, hash, HandleKind::access, now);
  if (!looked) return identity::refuse(fault(looked.error()));
  if (!*looked) return invalid("the access token is not known here, or has ended");
  const OpenidHandle& handle = **looked;
  std::optional<DpopProof> proof;
  if (presented.dpop) {
    auto checked = proof_of(request, presented.token, true);
    if (!checked) {
      OauthError error = std::move(checked.error());
      if (error.status == 400) error.status = 401;
      return identity::refuse(std::move(error));
    }
    if (!*checked) return identity::refuse("invalid_dpop_proof", "the DPoP proof is missing", 401);
    proof = std::move(**checked);
  }
  if (const std::string why = dead(handle); !why.empty()) return invalid("the access token: " + why);
  // RFC 8707 §2: whoever it was sent to could come here with it.
  if (const std::string& resource = handle.grant.resource; !resource.empty() && !is_here(resource)) {
    return invalid("the access token is for another resource");
  }
  auto loaded = core_.client(handle.grant.client_id);
  if (!loaded) return identity::refuse(fault(loaded.error()));
  if (!*loaded) return invalid("the client is not known here any more");
  // Whoever has the token without its key has nothing.
  std::string shown;
  if (proof) shown = "jkt:" + proof->jkt;
  const ByteView certificate = certificate_of(request, (*loaded)->client);
  if (!proof && handle.binding.starts_with("x5t:") && !certificate.empty()) {
    auto good = check_not_revoked(certificate);
    // One that was taken out of the client's registered ones is nobody's key any more.
    const bool registered = (*loaded)->client.authentication == ClientAuthentication::self_signed_tls_client_auth;
    if (good && registered) good = check_certificate((*loaded)->client, certificate, now);
    if (!good) return good.error().status == 401 ? invalid(good.error().description) : identity::refuse(good.error());
    shown = "x5t:" + certificate_thumbprint(certificate);
  }
  if (handle.binding != shown) return invalid("the access token is bound to a key that was not shown");
  const Client& client = (*loaded)->client;

  // The access log is written, and the proof used up, before anything is read out; all or nothing.
  // What the operator has taken from the client since, it gets no more.
  const std::vector<std::string> claims = common_words(handle.grant.claims, claims_of(client.scopes));
  const bool personal =
      std::any_of(claims.begin(), claims.end(), [](const std::string& claim) { return claim != "offline_access"; });
  std::string data;
  if (personal || proof) {
    const std::string& words = client.purpose.in("en");
    const Purpose purpose{"client:" + client.id, words.empty() ? "log in" : words,
                          "log-in " + to_hex(hash).substr(8, 16)};
    const bool concessions = std::find(claims.begin(), claims.end(), "concessions") != claims.end();
    bool seen_before = false;
    const Status written = core_.around.writes.write(own, [&](service::Database& database) -> Status {
      data.clear();
      seen_before = proof && !TRY(openid_store::remember(database, proof->seen));
      if (seen_before || !personal) return {};
      const CitizenRecord record = TRY(read_citizen_in(database, handle.grant.citizen, purpose, "log-in", now,
                                                       concessions ? Concessions::with : Concessions::without));
      data = claims_json(record.citizen, claims);
      return {};
    });
    if (!written && written.error().kind == ErrorKind::not_found)
      return invalid("the citizen is not known here any more");
    if (!written) return identity::refuse(fault(written.error()));
    if (seen_before) return identity::refuse("invalid_dpop_proof", "the DPoP proof was shown before", 401);
  }
  const std::string subject = "\"sub\":" + json_quoted(core_.subject(client, handle.grant.citizen));
  Answer out;
  if (client.userinfo_alg.empty()) {
    out.body = "{" + subject + data + "}";
    return out;
  }
  const std::string answer = "{\"iss\":" + json_quoted(core_.config.issuer) + ",\"aud\":" + json_quoted(client.id) +
                             ",\"iat\":" + std::to_string(now.time_since_epoch().count()) + "," + subject + data + "}";
  const auto algorithm = crypto::find_jose_algorithm(client.userinfo_alg);
  // No type of its own: none is registered, and libraries that check it take "JWT" or none. Who takes ID tokens tells it
  // from one by the "exp" it has not (RFC 8725 §3.12).
  auto signed_one = core_.signers.sign(algorithm.value_or(crypto::AlgorithmId::ecdsa_sha256), now, "JWT", answer);
  if (!signed_one) return identity::refuse(fault(signed_one.error()));
  out.body = std::move(*signed_one);
  out.jwt = true;
  return out;
}

service::HttpResponse OpenidEndpoints::userinfo(const HttpRequest& request) {
  const auto answer = user_claims(request);
  HttpResponse out;
  if (answer) {
    out = json(200, answer->body);
    if (answer->jwt) out.media_type = "application/jwt";
  } else {
    const OauthError& why = answer.error();
    out = error(why);
    if (why.status == 401) {
      // RFC 6750 §3, RFC 9449 §7.1. Nothing is said of the error to who showed no token at all.
      const bool bare = request.count("Authorization") == 0;
      std::string details =
          bare ? std::string()
               : "error=\"" + field_text(why.code) + "\", error_description=\"" + field_text(why.description) + "\"";
      out.fields += "WWW-Authenticate: DPoP algs=\"ES256 ES384 PS256 EdDSA\"" + (bare ? "" : ", " + details) + "\r\n";
      out.fields += "WWW-Authenticate: Bearer" + (bare ? " realm=\"karta\"" : " " + details) + "\r\n";
    }
  }
  offer_nonce(out);
  return out;
}

// ---- RFC 7662 ------------------------------------------------------------------------------------------------------

OauthResult<OpenidEndpoints::Answer> OpenidEndpoints::introspection(const HttpRequest& request) {
  const Caller caller = TRY(authenticate(request));
  const std::string_view token = value_of(caller.parameters, "token");
  if (token.empty()) return identity::refuse("invalid_request", "token is missing");
  const Time now = core_.now();
  service::Database& own = core_.around.database;
  if (caller.assertion) {
    bool fresh = true;
    const Status written = core_.around.writes.write(own, [&](service::Database& database) -> Status {
      fresh = TRY(openid_store::remember(database, *caller.assertion));
      return {};
    });
    if (!written) return identity::refuse(fault(written.error()));
    if (!fresh) return identity::refuse("invalid_client", "client_assertion was shown before", 401);
  }
  std::string body = "{\"active\":false}";
  for (const HandleKind kind : {HandleKind::access, HandleKind::refresh}) {
    const auto handle = openid_store::find_handle(own, key_of_secret(token), kind, now);
    if (!handle) return identity::refuse(fault(handle.error()));
    if (!*handle) continue;
    const OpenidGrant& grant = (*handle)->grant;
    // Of another's tokens only a resource server is told, and only of those that are for it.
    const bool own_token = grant.client_id == caller.client().id;
    const auto& resources = caller.client().resources;
    const bool for_it =
        caller.client().introspects && kind == HandleKind::access &&
        (grant.resource.empty() ? resources.empty()
                                : std::find(resources.begin(), resources.end(), grant.resource) != resources.end());
    const auto client = core_.client(grant.client_id);
    if (!client) return identity::refuse(fault(client.error()));
    if ((!own_token && !for_it) || !*client || !dead(**handle).empty()) break;
    const auto time = [](Time at) { return std::to_string(at.time_since_epoch().count()); };
    body =
        "{\"active\":true,\"iss\":" + json_quoted(core_.config.issuer) +
        ",\"client_id\":" + json_quoted(grant.client_id) +
        // The name the citizen has where the question comes from: two parties must not find out that they speak of one.
        ",\"sub\":" + json_quoted(core_.subject(caller.client(), grant.citizen)) +
        ",\"scope\":" + json_quoted(join_words(common_words(grant.scopes, (*client)->client.scopes))) +
        ",\"exp\":" + time((*handle)->expires) + ",\"acr\":" + json_quoted(grant.acr) +
        ",\"auth_time\":" + time(grant.auth_time) +
        ",\"aud\":" + json_quoted(grant.resource.empty() ? core_.config.issuer : grant.resource);
    const std::string& binding = (*handle)->binding;
    body += std::string(",\"token_type\":") + (binding.starts_with("jkt:") ? "\"DPoP\"" : "\"Bearer\"");
    if (binding.starts_with("jkt:")) body += ",\"cnf\":{\"jkt\":" + json_quoted(binding.substr(4)) + "}";
    if (binding.starts_with("x5t:")) body += ",\"cnf\":{\"x5t#S256\":" + json_quoted(binding.substr(4)) + "}";
    body += "}";
    break;
  }
  Answer out;
  if (request.field("Accept").find("application/token-introspection+jwt") == std::string_view::npos) {
    out.body = std::move(body);
    return out;
  }
  // RFC 9701: signed, so that it can be kept as evidence.
  const auto algorithm = crypto::find_jose_algorithm(caller.client().id_token_alg);
  auto signed_one = core_.signers.sign(
      algorithm.value_or(crypto::AlgorithmId::ecdsa_sha256), now, "token-introspection+jwt",
      "{\"iss\":" + json_quoted(core_.config.issuer) + ",\"aud\":" + json_quoted(caller.client().id) +
          ",\"iat\":" + std::to_string(now.time_since_epoch().count()) + ",\"token_introspection\":" + body + "}");
  if (!signed_one) return identity::refuse(fault(signed_one.error()));
  out.body = std::move(*signed_one);
  out.jwt = true;
  return out;
}

service::HttpResponse OpenidEndpoints::introspect(const HttpRequest& request) {
  const auto answer = introspection(request);
  if (!answer) return error(answer.error());
  HttpResponse out = json(200, answer->body);
  if (answer->jwt) out.media_type = "application/token-introspection+jwt";
  return out;
}

// ---- RFC 7009 ------------------------------------------------------------------------------------------------------

OauthStatus OpenidEndpoints::revocation(const HttpRequest& request) {
  const Caller caller = TRY(authenticate(request));
  const std::string_view token = value_of(caller.parameters, "token");
  if (token.empty()) return identity::refuse("invalid_request", "token is missing");
  const Bytes hash = key_of_secret(token);
  bool seen_before = false, foreign = false;
  const Status written = core_.around.writes.write(core_.around.database, [&](service::Database& database) -> Status {
    seen_before = caller.assertion && !TRY(openid_store::remember(database, *caller.assertion));
    foreign = false;
    if (seen_before) return {};
    for (const HandleKind kind : {HandleKind::access, HandleKind::refresh}) {
      const auto handle = TRY(openid_store::find_handle(database, hash, kind, core_.now()));
      if (!handle) continue;
      foreign = handle->grant.client_id != caller.client().id;
      if (foreign) return {};
      // A refresh token takes all with it (RFC 7009 §2.1).
      if (kind == HandleKind::refresh)
        return openid_store::end_grant(database, handle->grant.citizen, handle->grant.id);
      return openid_store::delete_handle(database, hash);
    }
    return {};
  });
  if (!written) return identity::refuse(fault(written.error()));
  if (seen_before) return identity::refuse("invalid_client", "client_assertion was shown before", 401);
  if (foreign) return identity::refuse("invalid_grant", "the token is another client's");
  return {};
}

service::HttpResponse OpenidEndpoints::revoke(const HttpRequest& request) {
  const auto done = revocation(request);
  if (!done) return error(done.error());
  HttpResponse out;
  out.fields = "Cache-Control: no-store\r\n";
  return out;
}

}  // namespace karta::identity
