#include "daemon/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>

#include "card/terminal_role.h"
#include "daemon/mode.h"
#include "daemon/verbs.h"
#include "service/http_limits.h"

namespace karta::daemon {
namespace {

using service::ConfigTable;
namespace fs = std::filesystem;

struct HoursRow {
  std::string_view key;
  std::chrono::hours StalePolicy::*field;
};
constexpr HoursRow kHours[] = {{"trust_list_hours", &StalePolicy::trust_list},
                               {"stop_list_hours", &StalePolicy::stop_list},
                               {"rules_hours", &StalePolicy::rules}};

/// Verbs that look at trust data, each with a policy of its own.
constexpr std::string_view kPolicyVerbs[] = {"visit", "entitlements", "redeem", "tap", "counter"};

std::string joined(std::span<const std::string_view> all) {
  std::string out;
  for (const std::string_view one : all) out += (out.empty() ? "" : ", ") + std::string(one);
  return out;
}

}  // namespace

std::string role_names() {
  std::string out;
  for (const card::TerminalRole& role : card::terminal_roles()) {
    out += (out.empty() ? "" : ", ") + std::string(role.name);
  }
  return out;
}

namespace {

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string_view::npos;
}

bool is_loopback_host(std::string_view host) {
  in_addr address{};
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1);
}

/// "127.0.0.1:8470", "[::1]:8470"
bool is_loopback(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.starts_with("localhost")) return false;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return is_loopback_host(text.substr(0, colon)) && read.ec == std::errc() && read.ptr == digits.data() + digits.size();
}

/// A card's state, the time and the stop-lists' newest come from there: nobody on the way may write in it.
bool is_authority_url(std::string_view url) {
  constexpr std::string_view kPlain = "http://";
  if (!url.starts_with(kPlain)) return url.starts_with("https://");
  const std::string_view rest = url.substr(kPlain.size());
  const std::size_t from = rest.starts_with('[') ? rest.find(']') : 0;
  return from != std::string_view::npos && is_loopback_host(rest.substr(0, rest.find_first_of(":/", from)));
}

Result<CallerConfig> read_caller(ConfigTable& table) {
  CallerConfig out;
  out.name = TRY(table.text("name"));
  if (!is_name(out.name)) return table.bad("name", "must be small letters, digits, \"-\", \"_\" and \".\"");
  constexpr std::int64_t kMostId = 0xFFFFFFFE;
  if (table.has("uid")) out.uid = static_cast<unsigned>(TRY(table.integer_or("uid", 0, kMostId, 0)));
  if (table.has("gid")) out.gid = static_cast<unsigned>(TRY(table.integer_or("gid", 0, kMostId, 0)));
  out.token_sha256 = TRY(table.text_or("token_sha256", ""));
  if (!out.token_sha256.empty()) {
    const auto hash = from_hex(out.token_sha256);
    if (!hash || hash->size() != 32) return table.bad("token_sha256", "must be 64 hexadecimal digits");
  }
  if (!out.uid && !out.gid && out.token_sha256.empty()) {
    return table.bad("uid", "is missing: a caller is known by \"uid\", \"gid\" or \"token_sha256\"");
  }
  out.verbs = TRY(table.texts("verbs"));
  if (out.verbs.empty()) return table.bad("verbs", "is missing: what the caller may");
  for (const std::string& verb : out.verbs) {
    if (!is_verb(verb)) return table.bad("verbs", "names \"" + verb + "\", which is no verb: one of " + verb_names());
  }
  return out;
}

Result<ReaderConfig> read_reader(ConfigTable& table, std::span<const ModeRow> modes) {
  ReaderConfig out;
  out.name = TRY(table.text("name"));
  out.modes = TRY(table.texts("modes"));
  if (out.modes.empty()) return table.bad("modes", "is missing: what the reader is for");
  for (const std::string& mode : out.modes) {
    const auto is_it = [&](const ModeRow& row) { return row.name == mode; };
    if (std::find_if(modes.begin(), modes.end(), is_it) == modes.end()) {
      return table.bad("modes", "names \"" + mode + "\", which is no mode");
    }
  }
  out.gate = static_cast<std::uint32_t>(TRY(table.integer_or("gate", 0, 0xFFFFFFFF, 0)));
  out.zone = static_cast<std::uint8_t>(TRY(table.integer_or("zone", 0, 15, 0)));
  out.output = TRY(table.text_or("output", ""));
  return out;
}

Result<TerminalConfig> read_terminal(ConfigTable& table) {
  TerminalConfig out;
  out.role = TRY(table.text("role"));
  if (card::find_terminal_role(out.role) == nullptr) return table.bad("role", "is no role: one of " + role_names());
  out.folder = TRY(table.path("folder"));
  out.key = TRY(table.text_or("key", ""));
  if (!out.key.empty() && !out.key.starts_with("pkcs11:") && !out.key.starts_with("sam:")) {
    return table.bad("key", "must be a PKCS #11 URI or \"sam:READER\"; without it the key is a file in \"folder\"");
  }
  out.secret_file = TRY(read_secret_place(table));
  return out;
}

Status read_trust(ConfigTable& table, TrustConfig& out) {
  out.trust_list = TRY(table.path_if("trust_list"));
  out.roots = TRY(table.paths("roots"));
  out.stop_lists = TRY(table.paths("stop_lists"));
  out.stop_list_signers = TRY(table.paths("stop_list_signers"));
  out.foreign_filters = TRY(table.paths("foreign_filters"));
  out.rules = TRY(table.path_if("rules"));
  out.document_signers = TRY(table.paths("document_signers"));
  out.card_issuers = TRY(table.paths("card_issuers"));
  out.refresh = std::chrono::minutes(TRY(table.integer_or("refresh_minutes", 1, 24 * 60, out.refresh.count())));
  return {};
}

Result<StalePolicy> read_policy(ConfigTable& table) {
  StalePolicy out;
  for (const HoursRow& row : kHours) {
    constexpr std::int64_t kMostHours = 24 * 366;
    out.*row.field = std::chrono::hours(TRY(table.integer_or(row.key, 0, kMostHours, (out.*row.field).count())));
  }
  const std::string beyond = TRY(table.text_or("beyond", "refuse"));
  if (beyond != "refuse" && beyond != "warn") return table.bad("beyond", "must be \"refuse\" or \"warn\"");
  out.beyond = beyond == "warn" ? StalePolicy::Beyond::warn : StalePolicy::Beyond::refuse;
  return out;
}

Status read_server(ConfigTable& server, DaemonConfig& out) {
  out.listen = TRY(server.texts("listen"));
  if (out.listen.empty()) return server.bad("listen", "is missing: \"unix:/run/kartad/kartad.sock\"");
  for (std::string& one : out.listen) {
    constexpr std::string_view kUnix = "unix:";
    const bool file = one.starts_with(kUnix) && one.size() > kUnix.size();
    // The API knows no TLS: it is for this machine's own programs.
    if (!file && !one.starts_with("systemd:") && !one.starts_with("fd:") && !is_loopback(one)) {
      return server.bad("listen", "must be local: \"unix:PATH\", \"127.0.0.1:PORT\", \"[::1]:PORT\", \"systemd:NAME\"");
    }
    if (file) one = std::string(kUnix) + (out.file.parent_path() / one.substr(kUnix.size())).string();
  }
  out.hosts = TRY(server.texts("hosts"));
  if (out.hosts.empty()) out.hosts = {"localhost", "127.0.0.1", "[::1]"};
  const std::string mode = TRY(server.text_or("socket_mode", "0660"));
  const auto read_mode = std::from_chars(mode.data(), mode.data() + mode.size(), out.socket_mode, 8);
  if (read_mode.ec != std::errc() || read_mode.ptr != mode.data() + mode.size() || out.socket_mode > 0777) {
    return server.bad("socket_mode", "must be octal digits: \"0660\"");
  }
  out.workers = static_cast<std::size_t>(TRY(server.integer_or("workers", 1, 64, 2)));
  out.answer_time = std::chrono::milliseconds(
      TRY(server.integer_or("card_answer_milliseconds", 100, 90'000, out.answer_time.count())));
  out.busy_time =
      std::chrono::milliseconds(TRY(server.integer_or("card_busy_milliseconds", 0, 60'000, out.busy_time.count())));
  out.verb_time = std::chrono::seconds(TRY(server.integer_or("verb_seconds", 1, 600, out.verb_time.count())));
  out.visit_time = std::chrono::minutes(TRY(server.integer_or("visit_minutes", 1, 24 * 60, out.visit_time.count())));
  return {};
}

Result<DaemonConfig> read(service::Configuration configuration, const fs::path& file, std::span<const ModeRow> modes,
                          ReadPages read_pages) {
  DaemonConfig out;
  out.file = file;
  ConfigTable& root = configuration.root();
  // A configuration for every user of a machine names no folder: systemd gives each a folder of his own.
  const char* const folder = std::getenv("STATE_DIRECTORY");
  if (!root.has("state") && folder != nullptr && *folder == '/') {
    out.state = folder;
  } else {
    out.state = TRY(root.path("state"));
  }
  if (root.has("utc_offset_minutes")) {
    out.utc_offset = std::chrono::minutes(TRY(root.integer_or("utc_offset_minutes", -720, 840, 0)));
  }
  auto server = TRY(root.table("server"));
  if (!server) return root.bad("server", "is missing");
  TRY(read_server(*server, out));
  if (auto limits = TRY(root.table("limits"))) TRY(service::read_http_limits(*limits, {.later = true}, out.limits));
  // A verb that takes its whole time is still answered by itself, not by the server.
  out.limits.later_time = out.verb_time + std::chrono::seconds(30);
  if (auto log = TRY(root.table("log"))) {
    const std::string level = TRY(log->text_or("level", "info"));
    const auto parsed = service::parse_log_level(level);
    if (!parsed) return log->bad("level", "must be debug, info, warning or error");
    out.log_level = *parsed;
  }
  for (ConfigTable& table : TRY(root.tables("caller"))) {
    CallerConfig one = TRY(read_caller(table));
    for (const CallerConfig& other : out.callers) {
      if (other.name == one.name) return table.bad("name", "is that of another [[caller]]");
      if (!one.token_sha256.empty() && other.token_sha256 == one.token_sha256) {
        return table.bad("token_sha256", "is that of another [[caller]]");
      }
    }
    out.callers.push_back(std::move(one));
  }
  for (ConfigTable& table : TRY(root.tables("reader"))) {
    ReaderConfig one = TRY(read_reader(table, modes));
    for (const std::string& mode : one.modes) {
      if (!root.has(mode)) return table.bad("modes", "names \"" + mode + "\", but there is no [" + mode + "]");
    }
    out.readers.push_back(std::move(one));
  }
  for (ConfigTable& table : TRY(root.tables("terminal"))) {
    TerminalConfig one = TRY(read_terminal(table));
    for (const TerminalConfig& other : out.terminals) {
      if (other.role == one.role) return table.bad("role", "is that of another [[terminal]]");
    }
    out.terminals.push_back(std::move(one));
  }
  if (auto trust = TRY(root.table("trust"))) TRY(read_trust(*trust, out.trust));
  if (auto policy = TRY(root.table("policy"))) {
    for (const std::string_view verb : kPolicyVerbs) {
      if (auto one = TRY(policy->table(verb))) out.policies.emplace(verb, TRY(read_policy(*one)));
    }
  }
  out.journal.file = out.state / "journal.sqlite";
  if (auto journal = TRY(root.table("journal"))) {
    if (const auto other = TRY(journal->path_if("file"))) out.journal.file = *other;
    out.journal.terminal = TRY(journal->text_or("terminal", ""));
    out.journal.keep = std::chrono::days(TRY(journal->integer_or("keep_days", 1, 3660, out.journal.keep.count())));
  }
  if (auto authority = TRY(root.table("authority"))) {
    AuthorityConfig one;
    one.url = TRY(authority->text("url"));
    if (!is_authority_url(one.url)) {
      return authority->bad("url", "must begin with https:// (http:// is for a server on this machine)");
    }
    if (const auto roots = TRY(authority->path_if("roots"))) one.roots = *roots;
    one.upload_every =
        std::chrono::seconds(TRY(authority->integer_or("upload_seconds", 1, 86'400, one.upload_every.count())));
    out.authority = std::move(one);
  }
  for (const ModeRow& row : modes) {
    auto table = TRY(root.table(row.name));
    if (!table) continue;
    ModePlan plan = TRY(row.read(*table));
    out.modes.emplace_back(row.name, std::move(plan));
    if (!row.own_user_only) continue;
    out.own_user_only = true;
    if (out.readers.empty()) out.readers.push_back({.name = "*", .modes = {std::string(row.name)}});
  }
  if (read_pages != nullptr) {
    if (auto pages = TRY(root.table("pages"))) out.pages = TRY(read_pages(*pages));
  }
  TRY(root.finish());
  if (out.own_user_only && (out.modes.size() > 1 || out.pages)) {
    return fail(ErrorKind::configuration, file.filename().string() + ": a mode that serves one user stands alone",
                "give it a configuration of its own");
  }
  if (out.modes.empty()) {
    std::vector<std::string_view> names;
    for (const ModeRow& row : modes) names.push_back(row.name);
    return fail(ErrorKind::configuration, file.filename().string() + ": there is nothing to do",
                "add a table of a mode: " + joined(names));
  }
  return out;
}

}  // namespace

StalePolicy DaemonConfig::policy(std::string_view verb) const {
  const auto found = policies.find(verb);
  return found == policies.end() ? StalePolicy{} : found->second;
}

std::chrono::year_month_day DaemonConfig::day_of(Time time) const {
  std::chrono::seconds east{0};
  if (utc_offset) {
    east = *utc_offset;
  } else {
    // Asked anew each time: summer time begins and ends while the daemon runs.
    const std::time_t seconds = time.time_since_epoch().count();
    std::tm local{};
    if (::localtime_r(&seconds, &local) != nullptr) east = std::chrono::seconds(local.tm_gmtoff);
  }
  return std::chrono::floor<std::chrono::days>(time + east);
}

const ReaderConfig* DaemonConfig::reader(std::string_view name) const {
  for (const ReaderConfig& one : readers) {
    if (fits_pattern(one.name, name)) return &one;
  }
  return nullptr;
}

Result<DaemonConfig> load_daemon_config(const fs::path& file, std::span<const ModeRow> modes, ReadPages read_pages) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(file, ignored);
  return read(TRY(service::Configuration::read(whole, kDaemonConfigSchema)), whole, modes, read_pages);
}

Result<DaemonConfig> parse_daemon_config(std::string_view text, const fs::path& file, std::span<const ModeRow> modes,
                                         ReadPages read_pages) {
  return read(TRY(service::Configuration::parse(text, file, kDaemonConfigSchema)), file, modes, read_pages);
}

Result<fs::path> read_secret_place(ConfigTable& table) {
  const auto file = TRY(table.path_if("passphrase_file"));
  const std::string credential = TRY(table.text_or("credential", ""));
  if (file.has_value() == !credential.empty()) {
    return table.bad(file ? "credential" : "passphrase_file", "needs one of \"passphrase_file\" and \"credential\"");
  }
  if (file) return *file;
  const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    return table.bad("credential", "needs systemd's LoadCredential= or LoadCredentialEncrypted= in the unit");
  }
  if (credential.find('/') != std::string::npos || credential == "..") {
    return table.bad("credential", "must be the name of a credential, not a path");
  }
  return fs::path(folder) / credential;
}

bool fits_pattern(std::string_view pattern, std::string_view name) {
  // Where the last star was met, and what of the name it stands for so far.
  std::size_t p = 0, n = 0, star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p, ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace karta::daemon
