#include "identity/openid/clients.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"
#include "crypto/x509/name.h"
#include "identity/openid/client_keys.h"
#include "identity/openid/interaction.h"
#include "identity/openid/proofs.h"
#include "identity/openid/scopes.h"
#include "identity/pages/form.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

using crypto::JsonObject;
using Json = nlohmann::ordered_json;
using service::Statement;

constexpr std::size_t kMostDocument = 64u << 10;
constexpr std::size_t kMostText = kMostClientText;
constexpr std::size_t kMostUris = 32;

template <class Value>
struct NamedRow {
  Value value;
  std::string_view name;
};
constexpr std::array<NamedRow<ClientProfile>, 2> kProfiles = {
    {{ClientProfile::fapi, "fapi"}, {ClientProfile::basic, "basic"}}};
constexpr std::array<NamedRow<ClientAuthentication>, 3> kAuthentications = {
    {{ClientAuthentication::private_key_jwt, "private_key_jwt"},
     {ClientAuthentication::tls_client_auth, "tls_client_auth"},
     {ClientAuthentication::self_signed_tls_client_auth, "self_signed_tls_client_auth"}}};

template <class Rows>
std::string_view name_in(const Rows& rows, decltype(rows[0].value) value) {
  for (const auto& row : rows) {
    if (row.value == value) return row.name;
  }
  return {};
}

constexpr std::string_view kMembers[] = {"schema",
                                         "client_id",
                                         "client_name",
                                         "client_name#ru",
                                         "client_uri",
                                         "purpose",
                                         "purpose#ru",
                                         "redirect_uris",
                                         "post_logout_redirect_uris",
                                         "profile",
                                         "token_endpoint_auth_method",
                                         "dpop_bound_access_tokens",
                                         "tls_client_certificate_bound_access_tokens",
                                         "jwks",
                                         "tls_client_auth_subject_dn",
                                         "tls_client_auth_san_dns",
                                         "scope",
                                         "sector",
                                         "least_acr",
                                         "id_token_signed_response_alg",
                                         "userinfo_signed_response_alg",
                                         "require_signed_request_object",
                                         "introspects",
                                         "resources",
                                         "backchannel_logout_uri"};

/// What RFC 7591 and OpenID Connect Registration let a client say and is so here for everybody: taken where it says
/// just that, and not kept.
struct SaidRow {
  std::string_view member, words;  ///< of these words some, in a text or an array
};
constexpr std::array<SaidRow, 4> kSaid = {{{"grant_types", "authorization_code refresh_token"},
                                           {"response_types", "code"},
                                           {"application_type", "web"},
                                           {"subject_type", "pairwise"}}};
constexpr std::string_view kPushed = "require_pushed_authorization_requests",
                           kSidRequired = "backchannel_logout_session_required";

tl::unexpected<Error> bad(std::string_view member, std::string_view what) {
  return fail(ErrorKind::malformed, "client: \"" + std::string(member) + "\" " + std::string(what));
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; });
}

/// A short text, or `otherwise` if it is not there.
Result<std::string> text_of(const JsonObject& object, std::string_view member, std::string_view otherwise = {}) {
  if (!object.has(member)) return std::string(otherwise);
  const auto text = object.text(member);
  if (!text || text->empty() || characters_of(*text) > kMostText || !printable(*text)) {
    return bad(member, "must be a text of at most 400 characters, without control characters");
  }
  return *text;
}

Result<bool> boolean_of(const JsonObject& object, std::string_view member, bool otherwise = false) {
  if (!object.has(member)) return otherwise;
  const auto value = object.boolean(member);
  if (!value) return bad(member, "must be true or false");
  return *value;
}

Status check_said(const JsonObject& object, ClientProfile profile) {
  for (const SaidRow& row : kSaid) {
    if (!object.has(row.member)) continue;
    auto said = object.texts(row.member).value_or(std::vector<std::string>());
    if (const auto one = object.text(row.member)) said.push_back(*one);
    const std::vector<std::string> known = split_words(row.words);
    if (said.empty() || common_words(said, known).size() != said.size()) {
      return bad(row.member, "can say nothing here but " + join_words(known));
    }
  }
  TRY(boolean_of(object, kSidRequired));
  const bool pushed = TRY(boolean_of(object, kPushed, profile == ClientProfile::fapi));
  if (pushed && profile == ClientProfile::basic) return bad(kPushed, "goes with profile \"fapi\"");
  return {};
}

Result<std::vector<std::string>> texts_of(const JsonObject& object, std::string_view member) {
  if (!object.has(member)) return std::vector<std::string>();
  const auto texts = object.texts(member);
  if (!texts || texts->size() > kMostUris) return bad(member, "must be an array of at most 32 texts");
  return *texts;
}

struct UriParts {
  std::string_view scheme, host, rest;  // host without port, small letters as it came
};

std::optional<UriParts> split(std::string_view uri) {
  UriParts out;
  const std::size_t colon = uri.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  out.scheme = uri.substr(0, colon);
  const std::string_view after = uri.substr(colon + 3);
  const std::size_t end = after.find_first_of("/?#");
  std::string_view authority = after.substr(0, end);
  out.rest = end == std::string_view::npos ? std::string_view() : after.substr(end);
  if (authority.find('@') != std::string_view::npos) return std::nullopt;
  const std::size_t bracket = authority.find(']');
  const std::size_t port = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  out.host = authority.substr(0, port);
  if (out.host.empty()) return std::nullopt;
  return out;
}

bool is_loopback(std::string_view host) { return host == "127.0.0.1" || host == "[::1]" || host == "localhost"; }

/// An https URI without user, fragment or characters that are none of a URI's (RFC 3986 §2); http on this machine only.
Status check_uri(std::string_view member, std::string_view uri) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?[]@!$&'()*+,;=%";
  const auto parts = split(uri);
  if (!parts || uri.size() > 1000 || uri.find_first_not_of(kAllowed) != std::string_view::npos) {
    return bad(member, "must hold absolute addresses without user and fragment: \"https://portal.example/back\"");
  }
  if (parts->scheme == "https" || (parts->scheme == "http" && is_loopback(parts->host))) return {};
  return bad(member, "must be https (http only on 127.0.0.1, [::1] and localhost)");
}

std::string small_letters(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_client_id(std::string_view text) {
  return !text.empty() && text.size() <= 100 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") ==
             std::string_view::npos;
}

bool is_signature_alg(std::string_view alg) {
  const auto found = crypto::find_jose_algorithm(alg);
  return found && std::find(std::begin(crypto::kJoseAlgorithms), std::end(crypto::kJoseAlgorithms), *found) !=
                      std::end(crypto::kJoseAlgorithms);
}

Result<std::string> algorithm_of(const JsonObject& object, std::string_view member, std::string_view otherwise) {
  std::string out = TRY(text_of(object, member, otherwise));
  if (!out.empty() && !is_signature_alg(out)) return bad(member, "must be ES256, ES384, PS256 or EdDSA");
  return out;
}

Status check_keys(const Client& client) {
  if (client.jwks.empty()) return {};
  const auto set = crypto::parse_jwk_set(client.jwks);
  if (!set) return bad("jwks", "is not a set of public keys: " + set.error().message);
  if (set->keys.empty()) return bad("jwks", "holds no key of a known type");
  for (const crypto::Jwk& one : set->keys) {
    if (!crypto::jose_algorithm_of(one.key))
      return bad("jwks", "holds a key that makes none of ES256, ES384, PS256, EdDSA");
  }
  return {};
}

/// Sets `tls_thumbprints`.
Status read_certificates(Client& client) {
  if (client.authentication != ClientAuthentication::self_signed_tls_client_auth) return {};
  if (client.jwks.empty()) return bad("jwks", "is missing: the client's certificates, in \"x5c\"");
  const auto certificates = certificates_of_jwks(client.jwks);
  if (!certificates) return bad("jwks", certificates.error().message);
  if (certificates->empty())
    return bad("jwks", "holds no certificate: \"x5c\" (karta client keys makes it of a PEM file)");
  for (const crypto::Certificate& one : *certificates) {
    client.tls_thumbprints.push_back(certificate_thumbprint(one.der()));
  }
  return {};
}

Status check_authentication(const Client& client) {
  const bool by_key = client.authentication == ClientAuthentication::private_key_jwt;
  const bool by_name = client.authentication == ClientAuthentication::tls_client_auth;
  const bool names = !client.tls_subject_dn.empty() || !client.tls_san_dns.empty();
  if (by_key && client.jwks.empty()) return bad("jwks", "is missing: the public keys the client signs with");
  if (!by_name && names) return bad("tls_client_auth_subject_dn", "goes with \"tls_client_auth\" only");
  if (by_name && client.tls_subject_dn.empty() == client.tls_san_dns.empty()) {
    return bad("tls_client_auth_subject_dn", "needs one of it and \"tls_client_auth_san_dns\"");
  }
  if (!client.tls_subject_dn.empty() && !crypto::name_from_text(client.tls_subject_dn)) {
    return bad("tls_client_auth_subject_dn", "must be a name: \"CN=portal,O=Example,C=RU\"");
  }
  if (client.signed_requests && client.jwks.empty()) {
    return bad("require_signed_request_object", "needs \"jwks\": the keys request objects are signed with");
  }
  if (client.binding == TokenBinding::bearer && client.profile == ClientProfile::fapi) {
    return bad(
        "dpop_bound_access_tokens",
        "or \"tls_client_certificate_bound_access_tokens\" must be true: bearer tokens are for profile \"basic\"");
  }
  return {};
}

Status read_sector(const JsonObject& object, Client& out) {
  std::string hosts;
  bool several = false;
  for (const std::string& uri : out.redirect_uris) {
    const std::string host = small_letters(split(uri)->host);
    several = several || (!hosts.empty() && hosts != host);
    if (hosts.empty()) hosts = host;
  }
  out.sector = small_letters(TRY(text_of(object, "sector", several ? std::string() : hosts)));
  if (out.sector.empty()) {
    return bad("sector", "is missing: \"redirect_uris\" are of several hosts; whose citizens are the same?");
  }
  if (out.sector.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:[]") != std::string::npos) {
    return bad("sector", "must be a host name");
  }
  return {};
}

}  // namespace

const std::string& TwoLanguages::in(std::string_view locale) const {
  const std::string& first = locale == "ru" ? ru : en;
  return !first.empty() ? first : locale == "ru" ? en : ru;
}

std::string Client::origin() const {
  const auto parts = split(uri);
  if (!parts) return {};
  return uri.substr(0, uri.size() - parts->rest.size());
}

bool Client::has_redirect(std::string_view asked) const {
  return std::find(redirect_uris.begin(), redirect_uris.end(), asked) != redirect_uris.end();
}

Result<Client> parse_client(std::string_view json) {
  const JsonObject object = TRY(JsonObject::parse(json));
  for (const std::string& name : object.names()) {
    const bool said = name == kPushed || name == kSidRequired ||
                      std::any_of(kSaid.begin(), kSaid.end(), [&](const SaidRow& row) { return row.member == name; });
    if (!said && std::find(std::begin(kMembers), std::end(kMembers), name) == std::end(kMembers))
      return bad(name, "is not known");
  }
  Client out;
  out.id = TRY(text_of(object, "client_id"));
  if (!is_client_id(out.id)) return bad("client_id", "must be letters, digits, \"-._~\", at most 100");
  out.name.en = TRY(text_of(object, "client_name"));
  out.name.ru = TRY(text_of(object, "client_name#ru"));
  if (out.name.en.empty() && out.name.ru.empty()) return bad("client_name", "is missing: what citizens know it by");
  out.purpose.en = TRY(text_of(object, "purpose"));
  out.purpose.ru = TRY(text_of(object, "purpose#ru"));
  // It stands in the access log, which takes that many characters.
  if (characters_of(out.purpose.en) > kStatementCharacters || characters_of(out.purpose.ru) > kStatementCharacters) {
    return bad("purpose", "must be at most 200 characters");
  }
  out.uri = TRY(text_of(object, "client_uri"));
  TRY(check_uri("client_uri", out.uri));
  out.redirect_uris = TRY(texts_of(object, "redirect_uris"));
  out.post_logout_redirect_uris = TRY(texts_of(object, "post_logout_redirect_uris"));
  for (const std::string& one : out.redirect_uris) TRY(check_uri("redirect_uris", one));
  for (const std::string& one : out.post_logout_redirect_uris) TRY(check_uri("post_logout_redirect_uris", one));
  out.introspects = TRY(boolean_of(object, "introspects"));
  if (out.redirect_uris.empty() && !out.introspects) return bad("redirect_uris", "is missing");

  const std::string profile = TRY(text_of(object, "profile", "fapi"));
  const auto of_profile =
      std::find_if(kProfiles.begin(), kProfiles.end(), [&](const auto& row) { return row.name == profile; });
  if (of_profile == kProfiles.end()) return bad("profile", "must be fapi or basic");
  out.profile = of_profile->value;
  TRY(check_said(object, out.profile));
  const std::string method = TRY(text_of(object, "token_endpoint_auth_method", "private_key_jwt"));
  const auto of_method = std::find_if(kAuthentications.begin(), kAuthentications.end(),
                                      [&](const auto& row) { return row.name == method; });
  if (of_method == kAuthentications.end()) {
    return bad("token_endpoint_auth_method",
               "must be private_key_jwt, tls_client_auth or self_signed_tls_client_auth: there are no shared secrets "
               "here");
  }
  out.authentication = of_method->value;
  const bool dpop_said = object.has("dpop_bound_access_tokens");
  const bool mtls = TRY(boolean_of(object, "tls_client_certificate_bound_access_tokens"));
  const bool dpop = TRY(boolean_of(object, "dpop_bound_access_tokens", !mtls));
  if (dpop && mtls && dpop_said) return bad("dpop_bound_access_tokens", "and certificates: one binding is enough");
  out.binding = mtls ? TokenBinding::mtls : dpop ? TokenBinding::dpop : TokenBinding::bearer;
  if (object.has("jwks")) {
    const auto set = object.json("jwks");
    out.jwks = set.value_or("");
  }
  out.tls_subject_dn = TRY(text_of(object, "tls_client_auth_subject_dn"));
  out.tls_san_dns = small_letters(TRY(text_of(object, "tls_client_auth_san_dns")));
  const std::string scope = TRY(text_of(object, "scope", "openid"));
  out.scopes = split_words(scope);
  for (const std::string& one : out.scopes) {
    if (find_scope(one) == nullptr) return bad("scope", "names \"" + one + "\", which is none");
  }
  if (std::find(out.scopes.begin(), out.scopes.end(), "openid") == out.scopes.end())
    return bad("scope", "must hold openid");
  if (!out.redirect_uris.empty()) {
    TRY(read_sector(object, out));
  } else {
    out.sector = small_letters(TRY(text_of(object, "sector", small_letters(split(out.uri)->host))));
  }
  const bool personal = !claims_of(out.scopes).empty();
  if (personal && out.purpose.en.empty() && out.purpose.ru.empty()) {
    return bad("purpose", "is missing: what the citizen's data are asked for");
  }
  out.least_acr = TRY(text_of(object, "least_acr", "low"));
  if (!acr_level(out.least_acr)) return bad("least_acr", "must be low, substantial or high");
  out.id_token_alg = TRY(algorithm_of(object, "id_token_signed_response_alg", "ES256"));
  out.userinfo_alg = TRY(algorithm_of(object, "userinfo_signed_response_alg", ""));
  out.signed_requests = TRY(boolean_of(object, "require_signed_request_object"));
  out.resources = TRY(texts_of(object, "resources"));
  for (const std::string& one : out.resources) TRY(check_uri("resources", one));
  out.logout_uri = TRY(text_of(object, "backchannel_logout_uri"));
  if (!out.logout_uri.empty()) TRY(check_uri("backchannel_logout_uri", out.logout_uri));
  TRY(check_keys(out));
  TRY(read_certificates(out));
  TRY(check_authentication(out));
  return out;
}

std::string write_client(const Client& client) {
  Json out{{"client_id", client.id}};
  const auto text = [&](const char* name, const std::string& value, std::string_view otherwise = {}) {
    if (!value.empty() && value != otherwise) out[name] = value;
  };
  const auto list = [&](const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) out[name] = values;
  };
  const auto flag = [&](const char* name, bool value) {
    if (value) out[name] = true;
  };
  text("client_name", client.name.en);
  text("client_name#ru", client.name.ru);
  text("client_uri", client.uri);
  text("purpose", client.purpose.en);
  text("purpose#ru", client.purpose.ru);
  list("redirect_uris", client.redirect_uris);
  list("post_logout_redirect_uris", client.post_logout_redirect_uris);
  out["profile"] = name_in(kProfiles, client.profile);
  out["token_endpoint_auth_method"] = name_in(kAuthentications, client.authentication);
  if (client.binding == TokenBinding::mtls) {
    out["tls_client_certificate_bound_access_tokens"] = true;
  } else {
    out["dpop_bound_access_tokens"] = client.binding == TokenBinding::dpop;
  }
  if (!client.jwks.empty()) out["jwks"] = Json::parse(client.jwks, nullptr, false);
  text("tls_client_auth_subject_dn", client.tls_subject_dn);
  text("tls_client_auth_san_dns", client.tls_san_dns);
  out["scope"] = join_words(client.scopes);
  text("sector", client.sector);
  text("least_acr", client.least_acr, "low");
  text("id_token_signed_response_alg", client.id_token_alg);
  text("userinfo_signed_response_alg", client.userinfo_alg);
  flag("require_signed_request_object", client.signed_requests);
  flag("introspects", client.introspects);
  list("resources", client.resources);
  text("backchannel_logout_uri", client.logout_uri);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// ---- the ledger ----------------------------------------------------------------------------------------------------

namespace {

std::int64_t raw(Time time) { return time.time_since_epoch().count(); }

constexpr std::string_view kColumns = "client_id, document, active, created_at, changed_at";

ClientRow row_of(const Statement& row) {
  return {std::string(row.text(1)), row.integer(2) != 0, Time(std::chrono::seconds(row.integer(3))),
          Time(std::chrono::seconds(row.integer(4)))};
}

/// Members in which two documents differ.
std::string differences(const Client& before, const Client& after) {
  const Json a = Json::parse(write_client(before)), b = Json::parse(write_client(after));
  std::string out;
  for (const std::string_view member : kMembers) {
    const std::string name(member);
    if (a.value(name, Json()) == b.value(name, Json())) continue;
    out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

tl::unexpected<Error> no_client(std::string_view id) {
  return fail(ErrorKind::not_found, "there is no client \"" + std::string(id) + "\"", "karta client list shows them");
}

/// What agents on citizens' computers refuse to show, so that nobody could log in with a card. Of new documents only:
/// those that are there go on.
Status check_shown(const Client& client) {
  const std::pair<std::string_view, const std::string*> shown[] = {{"client_name", &client.name.en},
                                                                   {"client_name#ru", &client.name.ru},
                                                                   {"purpose", &client.purpose.en},
                                                                   {"purpose#ru", &client.purpose.ru}};
  for (const auto& [member, text] : shown) {
    if (!shows_what_it_is(*text)) return bad(member, "holds characters that hide or turn the direction of writing");
  }
  if (origin_of(client.uri) != client.origin())
    return bad("client_uri", "must have a host of letters, digits, - and .");
  return {};
}

Status check(const Cause& cause) {
  if (cause.actor.empty() || characters_of(cause.actor) > kStatementCharacters ||
      characters_of(cause.reason) > kStatementCharacters) {
    return fail(ErrorKind::usage, "who changes a client must be said, and why in at most 200 characters");
  }
  return {};
}

}  // namespace

Result<Client> read_client(const ClientRow& row) {
  auto out = parse_client(row.document);
  if (!out) return fail(ErrorKind::malformed, "the registry's document of a client is damaged: " + out.error().message);
  out->active = row.active;
  out->created = row.created;
  out->changed = row.changed;
  return out;
}

Status ClientLedger::add_event(std::string_view id, std::string_view kind, std::string_view detail,
                               const Cause& cause) {
  Statement next =
      TRY(database_->prepare("SELECT coalesce(max(number), 0) + 1 FROM openid_client_events WHERE client_id = $1"));
  TRY(next.query({id}));
  TRY(next.next());
  const std::int64_t number = next.integer(0);
  TRY(
      database_->execute("INSERT INTO openid_client_events (client_id, number, at, actor, kind, detail, reason) VALUES "
                         "($1, $2, $3, $4, $5, "
                         "$6, $7)",
                         {id, number, raw(clock_->now()), cause.actor, kind, detail, cause.reason}));
  return {};
}

Status ClientLedger::add(const Client& client, const Cause& cause) {
  TRY(check(cause));
  TRY(check_shown(client));
  const std::string document = write_client(client);
  if (document.size() > kMostDocument) return fail(ErrorKind::limit, "the client's document is longer than 64 KiB");
  TRY(parse_client(document));
  return database_->transact([&]() -> Status {
    const std::int64_t now = raw(clock_->now());
    const std::int64_t added = TRY(database_->execute(
        "INSERT INTO openid_clients (client_id, document, active, created_at, changed_at) VALUES ($1, $2, 1, $3, $3) "
        "ON CONFLICT DO NOTHING",
        {client.id, document, now}));
    if (added == 0) {
      return fail(ErrorKind::already_exists, "the client \"" + client.id + "\" is there already",
                  "an id is given out once; karta client change changes what stands behind it");
    }
    return add_event(client.id, "added", "", cause);
  });
}

Result<bool> ClientLedger::change(const Client& client, const Cause& cause) {
  TRY(check(cause));
  TRY(check_shown(client));
  const std::string document = write_client(client);
  if (document.size() > kMostDocument) return fail(ErrorKind::limit, "the client's document is longer than 64 KiB");
  TRY(parse_client(document));
  bool changed = false;
  TRY(database_->transact([&]() -> Status {
    const auto before = TRY(find(client.id));
    if (!before) return no_client(client.id);
    if (!before->active) return fail(ErrorKind::not_permitted, "the client \"" + client.id + "\" is revoked");
    const std::string what = differences(*before, client);
    changed = !what.empty();
    if (!changed) return {};
    TRY(database_->execute("UPDATE openid_clients SET document = $2, changed_at = $3 WHERE client_id = $1",
                           {client.id, document, raw(clock_->now())}));
    return add_event(client.id, what == "jwks" ? "keys-rotated" : "changed", what, cause);
  }));
  return changed;
}

Status ClientLedger::revoke(std::string_view id, const Cause& cause) {
  TRY(check(cause));
  return database_->transact([&]() -> Status {
    const auto before = TRY(find(id));
    if (!before) return no_client(id);
    if (!before->active)
      return fail(ErrorKind::not_permitted, "the client \"" + std::string(id) + "\" is revoked already");
    TRY(database_->execute("UPDATE openid_clients SET active = 0, changed_at = $2 WHERE client_id = $1",
                           {id, raw(clock_->now())}));
    TRY(database_->execute("DELETE FROM openid_requests WHERE client_id = $1", {id}));
    TRY(database_->execute("DELETE FROM openid_grants WHERE client_id = $1", {id}));
    TRY(database_->execute("DELETE FROM openid_consents WHERE client_id = $1", {id}));
    return add_event(id, "revoked", "", cause);
  });
}

Result<std::optional<ClientRow>> ClientLedger::find_row(std::string_view id) {
  static const std::string kSql = "SELECT " + std::string(kColumns) + " FROM openid_clients WHERE client_id = $1";
  Statement row = TRY(database_->prepare(kSql));
  TRY(row.query({id}));
  std::optional<ClientRow> out;
  if (TRY(row.next())) out = row_of(row);
  return out;
}

Result<std::optional<Client>> ClientLedger::find(std::string_view id) {
  const auto row = TRY(find_row(id));
  std::optional<Client> out;
  if (row) out = TRY(read_client(*row));
  return out;
}

Result<std::vector<Client>> ClientLedger::list(std::string_view after) {
  Statement rows = TRY(database_->prepare("SELECT " + std::string(kColumns) +
                                          " FROM openid_clients WHERE client_id > $1 ORDER BY client_id LIMIT $2"));
  TRY(rows.query({after, static_cast<std::int64_t>(kPageLimit)}));
  std::vector<Client> out;
  while (TRY(rows.next())) {
    Client one = TRY(read_client(row_of(rows)));
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::vector<ClientEvent>> ClientLedger::events_of(std::string_view id) {
  Statement rows = TRY(database_->prepare(
      "SELECT number, at, actor, kind, detail, reason FROM openid_client_events WHERE client_id = $1 "
      "ORDER BY number"));
  TRY(rows.query({id}));
  std::vector<ClientEvent> out;
  while (TRY(rows.next())) {
    out.push_back({rows.integer(0), Time(std::chrono::seconds(rows.integer(1))), std::string(rows.text(2)),
                   std::string(rows.text(3)), std::string(rows.text(4)), std::string(rows.text(5))});
  }
  return out;
}

}  // namespace karta::identity
