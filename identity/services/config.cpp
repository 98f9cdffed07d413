#include "identity/services/config.h"

#include <algorithm>

#include "base/der.h"
#include "identity/journal/record.h"
#include "service/configuration.h"
#include "service/http_limits.h"

namespace karta::identity {
namespace {

using service::ConfigTable;

constexpr std::string_view kPkcs11 = "pkcs11:";
constexpr std::size_t kMostIssuer = 64;  // an app shows it in a line
constexpr service::HttpLimitBounds kLimitBounds{.body_octets = 1 << 26, .connections = 1'000'000};

Result<OcspConfig> read_ocsp(ConfigTable& table, const std::filesystem::path& certificate) {
  OcspConfig out;
  out.key = TRY(read_key_config(table, certificate));
  out.validity = std::chrono::minutes(TRY(table.integer_or("validity_minutes", 2, 60 * 24 * 31, 60)));
  const std::int64_t half = out.validity.count() * 60 / 2;
  out.max_age =
      std::chrono::seconds(TRY(table.integer_or("max_age_seconds", 0, 31 * 86400, std::min<std::int64_t>(300, half))));
  // A cache on the way must not hand out what is past its nextUpdate; answers are renewed at half their time.
  if (out.max_age.count() > half) return table.bad("max_age_seconds", "must be at most half of \"validity_minutes\"");
  return out;
}

Result<CrlConfig> read_crl(ConfigTable& table, const std::filesystem::path& certificate) {
  CrlConfig out;
  if (table.has("key")) out.key = TRY(read_key_config(table, certificate));
  out.validity = std::chrono::hours(TRY(table.integer_or("validity_hours", 1, 24 * 3660, 24 * 7)));
  out.delta_validity = std::chrono::hours(TRY(table.integer_or("delta_hours", 0, 24 * 366, 0)));
  out.partitions = TRY(table.boolean_or("partitions", false));
  out.after_revocation = std::chrono::seconds(TRY(table.integer_or("after_revocation_seconds", 0, 86400 * 7, 60)));
  out.delta_urls = TRY(table.texts("delta_urls"));
  if (out.delta_validity >= out.validity) {
    return table.bad("delta_hours", "must be less than \"validity_hours\": a delta is what is newer than a list");
  }
  return out;
}

Result<CaConfig> read_authority(ConfigTable& table, bool has_registry) {
  CaConfig out;
  out.name = TRY(table.text("name"));
  if (!is_config_name(out.name))
    return table.bad("name", "must be small letters, digits and hyphens, at most 64: it stands in URLs");
  out.certificate = TRY(table.path("certificate"));
  out.authority = TRY(table.path_if("authority"));
  if (!out.authority && !has_registry) {
    return table.bad("authority", "is missing: name the folder of `karta ca`, or the registry with \"database\"");
  }
  if (auto ocsp = TRY(table.table("ocsp"))) out.ocsp = TRY(read_ocsp(*ocsp, out.certificate));
  if (auto crl = TRY(table.table("crl"))) out.crl = TRY(read_crl(*crl, out.certificate));
  return out;
}

Result<TimeStampConfig> read_time_stamp(ConfigTable& table) {
  TimeStampConfig out;
  out.key = TRY(read_key_config(table));
  out.policy = TRY(table.text("policy"));
  if (!der::oid_from_text(out.policy)) return table.bad("policy", "must be an object identifier: \"1.2.3.4\"");
  out.accuracy = std::chrono::milliseconds(TRY(table.integer_or("accuracy_milliseconds", 1, 3'600'000, 1000)));
  out.verify_tokens = TRY(table.boolean_or("verify_tokens", false));
  return out;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<OperatorConfig> read_operator(ConfigTable& table) {
  OperatorConfig out;
  out.name = TRY(table.text("name"));
  if (!is_config_name(out.name)) return table.bad("name", "must be small letters, digits and hyphens, at most 64");
  out.token_hash = TRY(table.text_or("token_sha256", ""));
  out.certificate_hash = TRY(table.text_or("certificate_sha256", ""));
  if (out.token_hash.empty() == out.certificate_hash.empty()) {
    return table.bad("token_sha256", "needs one of \"token_sha256\" and \"certificate_sha256\"");
  }
  if (!is_sha256(out.token_hash + out.certificate_hash)) {
    return table.bad(out.token_hash.empty() ? "certificate_sha256" : "token_sha256",
                     "must be 64 small hexadecimal digits");
  }
  for (const std::string& scope : TRY(table.texts("scopes"))) {
    if (scope == "card-life") {
      out.card_life = true;
    } else if (scope == "card-status") {
      out.card_status = true;
    } else {
      return table.bad("scopes", "are card-life and card-status");
    }
  }
  if (!out.card_life && !out.card_status) return table.bad("scopes", "is missing: card-life, card-status");
  return out;
}

Result<StopListConfig> read_stop_list(ConfigTable& table) {
  StopListConfig out;
  out.folder = TRY(table.path("folder"));
  if (table.has("key")) {
    out.key = TRY(read_key_config(table));
    out.issuer = TRY(table.text("issuer"));
  }
  out.full_validity = std::chrono::hours(TRY(table.integer_or("full_hours", 1, 24 * 366, 8 * 24)));
  out.delta_validity = std::chrono::hours(TRY(table.integer_or("delta_hours", 1, 24 * 366, 26)));
  out.after_change = std::chrono::seconds(TRY(table.integer_or("after_change_seconds", 0, 86400, 60)));
  return out;
}

/// Where there is a [login] here, its secret and its messages are meant.
Result<CounterAccountsConfig> read_counter_accounts(ConfigTable& table, const std::optional<LoginConfig>& login) {
  CounterAccountsConfig out;
  if (login) {
    if (!login->codes) return table.bad("secret_file", "is of no use: [login] has no [login.codes]");
    if (table.has("secret_file")) return table.bad("secret_file", "must not be: that of [login] counts");
    out.secret_file = login->secret_file;
    out.issuer = login->address.substr(login->address.find("://") + 3);
  } else {
    out.secret_file = TRY(table.path("secret_file"));
    out.issuer = "karta";
  }
  out.issuer = TRY(table.text_or("issuer", out.issuer));
  if (out.issuer.size() > kMostIssuer) return table.bad("issuer", "must be at most 64 octets");
  out.mail = TRY(table.boolean_or("mail", login && login->message));
  if (out.mail && login && !login->message) {
    return table.bad("mail", "must not be: nobody sends codes, [login.codes.message] is missing");
  }
  return out;
}

Result<AuthorityConfig> read_authority_on_line(ConfigTable& table) {
  AuthorityConfig out;
  out.centre = TRY(table.path("centre"));
  out.secret_file = TRY(read_secret_place(table));
  out.desk = TRY(table.boolean_or("desk", false));
  out.cv_life = std::chrono::days(TRY(table.integer_or("cv_days", 1, 366, 7)));
  out.tls_life = std::chrono::days(TRY(table.integer_or("tls_days", 1, 366, 7)));
  out.journal_octets = static_cast<std::size_t>(
      TRY(table.integer_or("journal_octets", 64 * 1024, kMostUploadOctets, kMostUploadOctets)));
  auto tls = TRY(table.table("tls"));
  if (!tls) return table.bad("tls", "is missing: the key and certificate of the CA that certifies terminals' TLS keys");
  out.tls = TRY(read_key_config(*tls));
  if (auto lists = TRY(table.table("stop_list"))) out.stop_list = TRY(read_stop_list(*lists));
  out.rules = TRY(table.path_if("rules"));
  for (ConfigTable& one : TRY(table.tables("operator"))) {
    OperatorConfig person = TRY(read_operator(one));
    for (const OperatorConfig& other : out.operators) {
      if (other.name == person.name) return one.bad("name", "is that of another [[authority.operator]]");
    }
    out.operators.push_back(std::move(person));
  }
  return out;
}

Result<ServerConfig> read(service::Configuration configuration, const std::filesystem::path& file) {
  ServerConfig out;
  out.file = file;
  ConfigTable& root = configuration.root();
  if (root.has("database")) {
    const std::string text = TRY(root.text("database"));
    const auto resolved = TRY(root.path("database"));
    out.database = text.find("://") != std::string::npos ? text : resolved.string();
  }
  auto server = TRY(root.table("server"));
  if (!server) return root.bad("server", "is missing");
  out.listen = TRY(service::read_listen(*server, "listen"));
  if (out.listen.empty()) return server->bad("listen", "is missing: \"127.0.0.1:8080\"");
  out.proxy_protocol_from = TRY(service::read_proxy_protocol_from(*server, "proxy_protocol_from", out.listen));
  out.workers = static_cast<std::size_t>(TRY(server->integer_or("workers", 1, 256, 2)));
  if (auto limits = TRY(root.table("limits"))) TRY(service::read_http_limits(*limits, kLimitBounds, out.limits));
  if (auto tls = TRY(root.table("tls"))) {
    out.tls = TRY(read_key_config(*tls));
    if (out.tls->key.starts_with(kPkcs11)) return tls->bad("key", "must be a file");
  }
  if (auto log = TRY(root.table("log"))) {
    const std::string level = TRY(log->text_or("level", "info"));
    const auto parsed = service::parse_log_level(level);
    if (!parsed) return log->bad("level", "must be debug, info, warning or error");
    out.log_level = *parsed;
  }
  out.metrics_allow = {"127.0.0.1", "::1", "unix"};
  if (auto metrics = TRY(root.table("metrics"))) {
    if (metrics->has("allow")) out.metrics_allow = TRY(metrics->texts("allow"));
  }
  for (ConfigTable& table : TRY(root.tables("ca"))) {
    CaConfig one = TRY(read_authority(table, !out.database.empty()));
    for (const CaConfig& other : out.authorities) {
      if (other.name == one.name) return table.bad("name", "is that of another [[ca]]");
    }
    out.authorities.push_back(std::move(one));
  }
  if (auto stamps = TRY(root.table("time_stamp"))) out.time_stamp = TRY(read_time_stamp(*stamps));
  if (auto list = TRY(root.table("trust_list"))) {
    TrustListConfig trust;
    trust.file = TRY(list->path("file"));
    for (const std::string& one : TRY(list->texts("roots"))) trust.roots.push_back(file.parent_path() / one);
    if (trust.roots.empty()) return list->bad("roots", "is missing: who signs the list");
    out.trust_list = std::move(trust);
  }
  auto authority = TRY(root.table("authority"));
  if (authority) {
    out.authority = TRY(read_authority_on_line(*authority));
    if (out.database.empty()) return authority->bad("centre", "needs the registry: \"database\"");
    if (!out.tls) return authority->bad("tls", "needs [tls]: terminals are known by their certificates");
  }
  // The rooms people and portals meet, a line each.
  if (auto openid = TRY(root.table("openid"))) out.openid = TRY(read_openid(*openid));
  if (out.openid && out.database.empty()) return root.bad("openid", "needs the registry: \"database\"");
  if (auto login = TRY(root.table("login"))) {
    if (!out.openid) return root.bad("login", "needs [openid]");
    out.login = TRY(read_login(*login, out.openid->issuer, out.openid->mtls_address));
  }
  if (authority) {
    if (auto accounts = TRY(authority->table("accounts"))) {
      out.authority->accounts = TRY(read_counter_accounts(*accounts, out.login));
      if (!out.authority->desk) return authority->bad("accounts", "needs \"desk = true\": counters ask for them");
    }
  }
  if (out.openid && !out.openid->mtls_listen.empty() && !out.tls)
    return root.bad("openid", "needs [tls] for \"mtls_listen\"");
  if (auto console = TRY(root.table("console"))) {
    if (!out.login) return root.bad("console", "needs [login]");
    out.console = TRY(read_console(*console));
  }
  if (auto requests = TRY(root.table("requests"))) out.requests = TRY(read_requests(*requests));
  if (out.requests && out.database.empty()) return root.bad("requests", "needs the registry: \"database\"");
  TRY(root.finish());
  if (out.authorities.empty() && !out.time_stamp && !out.trust_list && !out.authority && !out.openid && !out.requests) {
    return fail(ErrorKind::configuration, file.filename().string() + ": there is nothing to serve",
                "name a [[ca]], a [time_stamp], a [trust_list], an [authority], an [openid] or [requests]");
  }
  return out;
}

}  // namespace

Result<ServerConfig> load_server_config(const std::filesystem::path& file) {
  std::error_code ignored;
  const std::filesystem::path whole = std::filesystem::absolute(file, ignored);
  return read(TRY(service::Configuration::read(whole, kServerConfigSchema)), whole);
}

Result<ServerConfig> parse_server_config(std::string_view text, const std::filesystem::path& file) {
  return read(TRY(service::Configuration::parse(text, file, kServerConfigSchema)), file);
}

}  // namespace karta::identity
