#include "daemon/citizen/agent_request.h"

#include <algorithm>

#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"
#include "crypto/x509/path.h"
#include "identity/openid/client.h"
#include "identity/pages/form.h"
#include "identity/utf8.h"

namespace karta::daemon {
namespace {

using Refused = tl::unexpected<RefusedRequest>;

// At least 256 bits in base64 (Web eID), and no more than anybody needs.
constexpr std::size_t kLeastNonce = 44, kMostNonce = 256, kMostJti = 128, kMostState = 4'096, kMostAddress = 2'048,
                      kMostName = identity::kMostClientText, kMostPurpose = 500, kMostClaims = 32, kMostClaim = 64;

Refused refuse(RequestFault fault, std::string why) { return Refused(RefusedRequest{fault, std::move(why)}); }
Refused broken(std::string why) { return refuse(RequestFault::broken, std::move(why)); }

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same_letters(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, small, small); }

/// What may stand in an address without being encoded, of visible ASCII.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '"' && c != '<' && c != '>'; });
}

/// A name or a purpose as people read it: a name must look like what it is.
bool is_readable(std::string_view text, std::size_t most) {
  return identity::characters_of(text) <= most && identity::shows_what_it_is(text);
}

/// An origin in its one spelling (RFC 6454 §6.2): https, or http on this very machine.
bool is_origin(std::string_view text) {
  const std::string_view host = host_of(text);
  const bool here = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  return text.size() <= kMostAddress && identity::origin_of(text) == text && !host.empty() &&
         (text.starts_with("https://") || here);
}

bool names_host(const crypto::Certificate& certificate, std::string_view host) {
  return std::ranges::any_of(certificate.subject_alternative_names(), [&](const crypto::GeneralName& name) {
    return name.kind == crypto::GeneralName::Kind::dns && same_letters(as_text(name.value), host);
  });
}

/// A text of `members` no longer than `most`; absent: empty.
std::optional<std::string> short_text(const crypto::JsonObject& members, std::string_view name, std::size_t most) {
  if (!members.has(name)) return std::string();
  auto text = members.text(name);
  if (!text || identity::characters_of(*text) > most) return std::nullopt;
  return text;
}

tl::expected<void, RefusedRequest> check_signature(const crypto::Jws& jws, const AgentProvider& provider, Time now) {
  const std::vector<Bytes>& chain = jws.header().x5c;
  if (chain.empty()) return broken("no certificate came with it");
  std::vector<crypto::Certificate> certificates;
  for (const Bytes& der : chain) {
    auto certificate = crypto::Certificate::from_der(der);
    if (!certificate) return broken("x5c: " + certificate.error().message);
    certificates.push_back(std::move(*certificate));
  }
  const crypto::Certificate leaf = certificates.front();
  certificates.erase(certificates.begin());
  const crypto::PathResult path = crypto::verify_path(leaf, certificates, provider.roots, now, crypto::Purpose::any);
  if (!path.ok()) return refuse(RequestFault::not_trusted, path.reason);
  if (leaf.is_ca() || !leaf.allows(crypto::KeyUsage::digital_signature)) {
    return refuse(RequestFault::not_trusted, "the certificate is not for signing requests");
  }
  if (!names_host(leaf, host_of(provider.issuer))) {
    return refuse(RequestFault::not_trusted, "the certificate names another host than the issuer's");
  }
  const auto key = leaf.public_key();
  if (!key) return refuse(RequestFault::not_trusted, key.error().message);
  const Status signature = jws.verify(*key);
  if (!signature) return refuse(RequestFault::altered, signature.error().message);
  return {};
}

}  // namespace

std::string_view host_of(std::string_view address) {
  for (const std::string_view scheme : {std::string_view("https://"), std::string_view("http://")}) {
    if (!address.starts_with(scheme)) continue;
    std::string_view rest = address.substr(scheme.size());
    rest = rest.substr(0, rest.find_first_of("/?#"));
    const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
    if (bracket == std::string_view::npos) return {};
    return rest.substr(0, rest.find(':', bracket));
  }
  return {};
}

std::string AgentRequest::way_back(std::string_view name, std::string_view value) const {
  const char joint = return_uri.find('?') == std::string::npos ? '?' : '&';
  return return_uri + joint + "state=" + identity::encode_percent(state) + "&" + std::string(name) + "=" +
         identity::encode_percent(value);
}

tl::expected<AgentRequest, RefusedRequest> read_agent_request(std::string_view text,
                                                              const std::vector<AgentProvider>& providers, Time now) {
  const auto jws = crypto::Jws::parse(text, AgentRequest::kMostOctets);
  if (!jws) return broken(jws.error().message);
  if (jws->header().typ != AgentRequest::kType) return broken("it is of another type");
  const auto claims = crypto::parse_claims(jws->payload_text());
  if (!claims) return broken(claims.error().message);
  const auto provider =
      std::ranges::find_if(providers, [&](const AgentProvider& one) { return one.issuer == claims->iss; });
  if (provider == providers.end()) return refuse(RequestFault::unknown_provider, "nobody knows its issuer");
  // Nothing it says counts before it is known to be the provider's.
  if (auto signature = check_signature(*jws, *provider, now); !signature) return Refused(std::move(signature).error());

  if (claims->aud.size() != 1 || claims->aud.front() != AgentRequest::kAudience) return broken("it is for another");
  if (!claims->exp || !claims->iat) return broken("its times are missing");
  if (*claims->exp <= *claims->iat || *claims->exp - *claims->iat > AgentRequest::kLongestLife) {
    return broken("it would be valid for too long");
  }
  const Status times = crypto::check_times(*claims, now, AgentRequest::kClockSkew);
  if (!times) return refuse(RequestFault::expired, times.error().message);

  const crypto::JsonObject& members = claims->members;
  AgentRequest out;
  out.issuer = claims->iss;
  out.jti = claims->jti;
  out.nonce = claims->nonce;
  // The skew lets a request in; how long it stays open is counted from now on at the most.
  out.heard_until = *claims->exp + 2 * AgentRequest::kClockSkew;
  out.expires = std::min(*claims->exp + AgentRequest::kClockSkew, now + AgentRequest::kLongestLife);
  if (out.jti.empty() || out.jti.size() > kMostJti) return broken("\"jti\"");
  if (out.nonce.size() < kLeastNonce || out.nonce.size() > kMostNonce || !is_plain(out.nonce))
    return broken("\"nonce\"");
  const auto verb = members.text("verb");
  if (verb == "login") {
    out.verb = AgentRequest::Verb::login;
  } else if (verb == "hello") {
    out.verb = AgentRequest::Verb::hello;
  } else {
    return broken("\"verb\"");
  }
  out.origin = members.text("origin").value_or("");
  if (!is_origin(out.origin) || !same_letters(host_of(out.origin), host_of(out.issuer))) {
    return broken("\"origin\" is not the issuer's");
  }
  out.return_uri = members.text("return_uri").value_or("");
  if (!out.return_uri.starts_with(out.origin + "/") || out.return_uri.size() > kMostAddress ||
      !is_plain(out.return_uri) || out.return_uri.find_first_of("#\\") != std::string::npos) {
    return broken("\"return_uri\" is not below the origin");
  }
  out.state = members.text("state").value_or("");
  if (out.state.empty() || out.state.size() > kMostState || !is_plain(out.state)) return broken("\"state\"");
  if (out.verb == AgentRequest::Verb::hello) return out;

  const auto client = members.object("client");
  if (!client) return broken("\"client\"");
  auto name = short_text(*client, "name", kMostName), name_ru = short_text(*client, "name_ru", kMostName);
  if (!name || name->empty() || !name_ru || !is_readable(*name, kMostName) || !is_readable(*name_ru, kMostName)) {
    return broken("\"client\" has no readable name");
  }
  out.client_name = std::move(*name);
  out.client_name_ru = std::move(*name_ru);
  out.client_origin = client->text("origin").value_or("");
  if (!is_origin(out.client_origin)) return broken("\"client\" has no origin");
  if (members.has("purpose")) {
    const auto purpose = members.object("purpose");
    if (!purpose) return broken("\"purpose\"");
    auto english = short_text(*purpose, "en", kMostPurpose), russian = short_text(*purpose, "ru", kMostPurpose);
    if (!english || !russian || !is_readable(*english, kMostPurpose) || !is_readable(*russian, kMostPurpose)) {
      return broken("\"purpose\"");
    }
    out.purpose = std::move(*english);
    out.purpose_ru = std::move(*russian);
  }
  if (members.has("claims")) {
    auto names = members.texts("claims");
    if (!names || names->size() > kMostClaims) return broken("\"claims\"");
    for (const std::string& one : *names) {
      const bool plain = !one.empty() && one.size() <= kMostClaim &&
                         one.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
      if (!plain) return broken("\"claims\"");
    }
    out.claims = std::move(*names);
  }
  for (const auto& [key, field] : {std::pair{"acr", &AgentRequest::acr}, {"locale", &AgentRequest::locale}}) {
    auto value = short_text(members, key, 32);
    if (!value || !is_plain(*value)) return broken(key);
    out.*field = std::move(*value);
  }
  return out;
}

}  // namespace karta::daemon
