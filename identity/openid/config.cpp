#include "identity/openid/config.h"

#include <algorithm>

#include "service/http_limits.h"

namespace karta::identity {
namespace {

using service::ConfigTable;

/// An origin, as RFC 6454 §6.2 writes it, of one of `schemes`.
bool is_https_origin(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  if (!text.starts_with(kScheme)) return false;
  const std::string_view rest = text.substr(kScheme.size());
  return !rest.empty() && rest.size() <= 255 &&
         rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == std::string_view::npos;
}

Result<std::chrono::seconds> seconds(ConfigTable& table, std::string_view key, std::int64_t least, std::int64_t most,
                                     std::chrono::seconds otherwise) {
  return std::chrono::seconds(TRY(table.integer_or(key, least, most, otherwise.count())));
}

Result<OpenidKeyConfig> read_signing_key(ConfigTable& table) {
  OpenidKeyConfig out;
  out.key = TRY(read_bare_key_config(table));
  const std::string name = TRY(table.text_or("algorithm", "ES256"));
  const auto row = std::find_if(crypto::kAlgorithms.begin(), crypto::kAlgorithms.end(),
                                [&](const auto& one) { return one.jose == name; });
  using crypto::AlgorithmId;
  if (row == crypto::kAlgorithms.end() ||
      (row->id != AlgorithmId::ecdsa_sha256 && row->id != AlgorithmId::ecdsa_sha384 &&
       row->id != AlgorithmId::rsa_pss_sha256 && row->id != AlgorithmId::ed25519)) {
    return table.bad("algorithm", "must be ES256, ES384, PS256 or EdDSA");
  }
  out.algorithm = row->id;
  const std::string from = TRY(table.text_or("from", ""));
  if (!from.empty()) {
    const auto time = parse_time(from);
    if (!time) return table.bad("from", "must be a time: \"2026-11-22T00:00:00Z\"");
    out.from = *time;
  }
  return out;
}

}  // namespace

Result<OpenidConfig> read_openid(ConfigTable& table) {
  OpenidConfig out;
  out.issuer = TRY(table.text("issuer"));
  if (!is_https_origin(out.issuer)) {
    return table.bad("issuer", "must be an https address without a path: \"https://id.example\"");
  }
  out.secret_file = TRY(table.path("secret_file"));
  for (ConfigTable& one : TRY(table.tables("key"))) {
    OpenidKeyConfig key = TRY(read_signing_key(one));
    out.keys.push_back(std::move(key));
  }
  if (out.keys.empty()) return table.bad("key", "is missing: [[openid.key]] names what ID tokens are signed with");
  for (const OpenidKeyConfig& key : out.keys) {
    const auto same = std::count_if(out.keys.begin(), out.keys.end(), [&](const OpenidKeyConfig& other) {
      return other.algorithm == key.algorithm && other.from == key.from;
    });
    if (same > 1) return table.bad("key", "has two of one algorithm with the same \"from\": which signs?");
  }
  out.mtls_listen = TRY(service::read_listen(table, "mtls_listen"));
  out.mtls_address = TRY(table.text_or("mtls_address", ""));
  out.mtls_roots = TRY(table.paths("mtls_roots"));
  if (out.mtls_listen.empty() != out.mtls_address.empty() || out.mtls_listen.empty() != out.mtls_roots.empty()) {
    return table.bad("mtls_listen", "goes together with \"mtls_address\" and \"mtls_roots\"");
  }
  for (const std::string_view key : {"mtls_names_roots", "mtls_proxy_protocol_from"}) {
    if (table.has(key) && out.mtls_listen.empty()) return table.bad(key, "is of no use without \"mtls_listen\"");
  }
  out.mtls_proxy_protocol_from =
      TRY(service::read_proxy_protocol_from(table, "mtls_proxy_protocol_from", out.mtls_listen));
  out.mtls_names_roots = TRY(table.boolean_or("mtls_names_roots", true));
  if (!out.mtls_address.empty() && !is_https_origin(out.mtls_address)) {
    return table.bad("mtls_address", "must be an https address without a path");
  }
  out.dpop_nonces = TRY(table.boolean_or("dpop_nonces", true));
  // FAPI 2.0 Security Profile §5.3.2.2: request URIs live less than 600 seconds, codes at most 60.
  out.request_life = TRY(seconds(table, "request_seconds", 5, 599, out.request_life));
  out.interaction_life = TRY(seconds(table, "interaction_seconds", 60, 3600, out.interaction_life));
  out.code_life = TRY(seconds(table, "code_seconds", 1, 60, out.code_life));
  out.access_life = TRY(seconds(table, "access_seconds", 30, 3600, out.access_life));
  out.refresh_life = std::chrono::days(TRY(table.integer_or("refresh_days", 1, 3660, out.refresh_life.count())));
  out.consent_life = std::chrono::days(TRY(table.integer_or("consent_days", 1, 3660, out.consent_life.count())));
  if (out.request_life > out.interaction_life) {
    return table.bad("request_seconds", "must not be more than \"interaction_seconds\"");
  }
  if (auto logout = TRY(table.table("logout"))) {
    out.logout_roots = TRY(logout->path_if("roots"));
    out.logout_any_address = TRY(logout->boolean_or("any_address", false));
  }
  return out;
}

}  // namespace karta::identity
