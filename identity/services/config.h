// ServerConfig: the file identity.toml of karta-identity, read once at the door. Docs: docs/identity-server.md.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "identity/console/config.h"
#include "identity/key_config.h"
#include "identity/login/config.h"
#include "identity/openid/config.h"
#include "identity/requests/config.h"
#include "service/http_server.h"
#include "service/log.h"

namespace karta::identity {

struct OcspConfig {
  KeyConfig key;
  std::chrono::minutes validity{60};  ///< nextUpdate - thisUpdate
  std::chrono::seconds max_age{300};  ///< how long caches on the way may keep an answer
};

struct CrlConfig {
  /// Signs lists here; absent: those `karta ca crl` made are handed out.
  std::optional<KeyConfig> key;
  std::chrono::hours validity{24 * 7};
  std::chrono::hours delta_validity{0};       ///< 0: no deltas
  bool partitions = false;                    ///< lists of CA and of user certificates beside the one of all
  std::chrono::seconds after_revocation{60};  ///< a revocation stands on a list after so long
  std::vector<std::string> delta_urls;        ///< freshestCRL
};

/// A certification authority the server answers for.
struct CaConfig {
  std::string name;  ///< in URLs: /crl/NAME.crl
  std::filesystem::path certificate;
  std::optional<std::filesystem::path> authority;  ///< a folder of `karta ca`; absent: the registry
  std::optional<OcspConfig> ocsp;
  std::optional<CrlConfig> crl;
};

struct TimeStampConfig {
  KeyConfig key;
  std::string policy;  ///< dotted
  std::chrono::milliseconds accuracy{1000};
  bool verify_tokens = false;
};

struct TrustListConfig {
  std::filesystem::path file;
  std::vector<std::filesystem::path> roots;
};

/// Stop-lists: handed out from a folder; made here too where there is a key.
struct StopListConfig {
  std::filesystem::path folder;
  std::optional<KeyConfig> key;              ///< the issuing CA's
  std::string issuer;                        ///< whose cards: as the lists before say it
  std::chrono::hours full_validity{8 * 24};  ///< a full list is made when three quarters of it are over
  std::chrono::hours delta_validity{26};     ///< and a delta likewise
  std::chrono::seconds after_change{60};     ///< a card that was stopped stands on a delta after so long
};

/// Who may do what through the authority, beside terminals.
struct OperatorConfig {
  std::string name;
  std::string token_hash;        ///< SHA-256 of a bearer token, hexadecimal; or
  std::string certificate_hash;  ///< SHA-256 of a client certificate
  bool card_life = false;        ///< scopes
  bool card_status = false;
};

/// Accounts for one-time codes, made at counters for citizens whose card was shown there (docs/login.md).
struct CounterAccountsConfig {
  std::filesystem::path secret_file;  ///< that of [login]: secrets are sealed under it
  std::string issuer;                 ///< what an app shows beside the login name
  bool mail = false;                  ///< codes may go by mail: somebody sends them
};

/// The authority on line: terminals enrol, renew and report here.
struct AuthorityConfig {
  std::filesystem::path centre;       ///< the issuing centre's folder: CV authority of terminals, the desk's keys
  std::filesystem::path secret_file;  ///< its passphrase
  bool desk = false;                  ///< counters may work on cards through it
  std::optional<CounterAccountsConfig> accounts;
  KeyConfig tls;  ///< certifies terminals' TLS keys: the issuing CA's
  std::chrono::days cv_life{7}, tls_life{7};
  std::size_t journal_octets = 4u << 20;  ///< of a batch
  std::optional<StopListConfig> stop_list;
  std::optional<std::filesystem::path> rules;
  std::vector<OperatorConfig> operators;
};

struct ServerConfig {
  std::filesystem::path file;
  std::vector<std::string> listen;
  std::vector<service::Network> proxy_protocol_from;  ///< balancers: HttpServerOptions::proxy_protocol_from
  std::size_t workers = 2;
  service::HttpLimits limits;
  std::optional<KeyConfig> tls;
  service::LogLevel log_level = service::LogLevel::info;
  std::vector<std::string> metrics_allow;  ///< addresses that may read /metrics
  std::string database;                    ///< URL or path of the registry; empty: there is none
  std::vector<CaConfig> authorities;
  std::optional<TimeStampConfig> time_stamp;
  std::optional<TrustListConfig> trust_list;
  std::optional<AuthorityConfig> authority;
  std::optional<OpenidConfig> openid;
  std::optional<LoginConfig> login;
  std::optional<ConsoleConfig> console;
  std::optional<RequestsConfig> requests;
};

inline constexpr std::string_view kServerConfigSchema = "karta.identity/1";

/// Fails with `ErrorKind::configuration`, naming line and key, on anything missing, unknown, mistyped or contradictory.
/// Files it names are not opened here.
Result<ServerConfig> load_server_config(const std::filesystem::path& file);
Result<ServerConfig> parse_server_config(std::string_view text, const std::filesystem::path& file);

}  // namespace karta::identity
