// DaemonConfig: the file of kartad ("karta.kartad/1"), read once at the door. docs/kartad.md says what each key means.
//
// What belongs to one mode stands in a table of the mode's name and is read by the mode itself (mode.h).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "daemon/page_server.h"
#include "service/configuration.h"
#include "service/http_server.h"
#include "service/log.h"

namespace karta::daemon {

class Mode;
struct ModeRow;
struct Services;
/// Makes a mode whose table has been read.
using ModePlan = std::function<Result<std::unique_ptr<Mode>>(const Services&)>;

/// A local program, by what the kernel says of it on a local socket, or by a bearer token.
struct CallerConfig {
  std::string name;  ///< in journal and log
  std::optional<unsigned> uid = {}, gid = {};
  std::string token_sha256 = {};        ///< 64 hexadecimal digits; empty: no token
  std::vector<std::string> verbs = {};  ///< "visit", "redeem" ...; "*" alone: all
};

/// Which readers do what.
struct ReaderConfig {
  std::string name;                     ///< a whole name, or a pattern with * and ?
  std::vector<std::string> modes = {};  ///< "clinic"
  std::uint32_t gate = 0;               ///< transit: the gate's number
  std::uint8_t zone = 0;                ///< transit
  std::string output = {};              ///< transit: name of a [[transit.output]]; empty: events only
};

/// The terminal under one role: its certificates and its key. One a role.
struct TerminalConfig {
  std::string role;              ///< "clinic"
  std::filesystem::path folder;  ///< as `karta terminal enrol` or `karta cv issue` leaves it
  std::string key = {};          ///< empty: the sealed file in `folder`; else a PKCS #11 URI, or "sam:READER"
  /// Passphrase of the file, or PIN of the token or module: one line; for the daemon's eyes only.
  std::filesystem::path secret_file = {};
};

/// What the daemon knows of the world outside; files, or what is fetched into `state`.
struct TrustConfig {
  std::optional<std::filesystem::path> trust_list = {};       ///< a file; absent: fetched
  std::vector<std::filesystem::path> roots = {};              ///< PEM or DER: who signs trust lists
  std::vector<std::filesystem::path> stop_lists = {};         ///< files or folders of full lists and deltas
  std::vector<std::filesystem::path> stop_list_signers = {};  ///< beside those the trust list names
  std::vector<std::filesystem::path> foreign_filters = {};
  std::optional<std::filesystem::path> rules = {};           ///< transit rules, a file; absent: fetched
  std::vector<std::filesystem::path> document_signers = {};  ///< beside those of the trust list: roots of genuine cards
  std::vector<std::filesystem::path> card_issuers = {};      ///< the same, of card-signed taps
  std::chrono::minutes refresh{15};                          ///< between looks at files and server
};

/// How stale is too stale, for one verb.
struct StalePolicy {
  enum class Beyond : std::uint8_t { refuse, warn };
  std::chrono::hours trust_list{72}, stop_list{72}, rules{72};  ///< after the end each file names
  Beyond beyond = Beyond::refuse;
};

struct JournalConfig {
  std::string terminal = {};   ///< whose journal; empty: the enrolled terminal's id, or "local" where there is none
  std::filesystem::path file;  ///< default: STATE/journal.sqlite
  std::chrono::days keep{90};  ///< of what has been uploaded
};

/// The identity system's server, where there is one. The terminal knows itself to it by the TLS certificate in the
/// folder of the first [[terminal]].
struct AuthorityConfig {
  std::string url;                   ///< "https://identity.example"
  std::filesystem::path roots = {};  ///< PEM: of its TLS certificate; empty: the system's
  std::chrono::seconds upload_every{30};
};

struct DaemonConfig {
  std::filesystem::path file;
  std::filesystem::path state;  ///< a folder of the daemon's own: journal, deeds, trust data
  std::vector<std::string> listen;
  std::vector<std::string> hosts;  ///< names a loopback client may call the daemon by, without port
  unsigned socket_mode = 0660;     ///< of local sockets
  std::size_t workers = 2;
  service::HttpLimits limits = {};
  service::LogLevel log_level = service::LogLevel::info;
  std::vector<CallerConfig> callers = {};
  std::vector<ReaderConfig> readers = {};
  std::vector<TerminalConfig> terminals = {};
  TrustConfig trust = {};
  std::map<std::string, StalePolicy, std::less<>> policies = {};  ///< by verb
  JournalConfig journal = {};
  std::optional<AuthorityConfig> authority = {};
  std::chrono::milliseconds answer_time{5'000};              ///< the longest wait for one answer of a card
  std::chrono::seconds verb_time{60};                        ///< for a verb in all
  std::chrono::milliseconds busy_time{3'000};                ///< for another program to let go of a card
  std::chrono::minutes visit_time{10};                       ///< how long a visit can be asked for
  std::vector<std::pair<std::string, ModePlan>> modes = {};  ///< those whose table is in the file, by name
  PagePlan pages = {};                                       ///< empty: no [pages]
  bool own_user_only = false;                                ///< ModeRow::own_user_only of one of them
  std::optional<std::chrono::minutes> utc_offset = {};       ///< east of UTC; absent: the machine's own clock

  /// The policy of a verb; the default where none is named.
  StalePolicy policy(std::string_view verb) const;
  /// The day it is at this desk, in which a prescription or an insurance begins and ends.
  std::chrono::year_month_day day_of(Time time) const;
  /// The first that fits a reader's name, or null.
  const ReaderConfig* reader(std::string_view name) const;
};

inline constexpr std::string_view kDaemonConfigSchema = "karta.kartad/1";

/// "clinic, ambulance, ...": the roles a [[terminal]] may have, for people.
std::string role_names();

/// `modes`: those that may be named; `read_pages`: null where the program has no pages. Fails with `configuration`,
/// naming line and key, on anything missing, unknown, mistyped or contradictory. Files it names are not opened here.
Result<DaemonConfig> load_daemon_config(const std::filesystem::path& file, std::span<const ModeRow> modes,
                                        ReadPages read_pages = nullptr);
Result<DaemonConfig> parse_daemon_config(std::string_view text, const std::filesystem::path& file,
                                         std::span<const ModeRow> modes, ReadPages read_pages = nullptr);

/// The first line of a file nobody else may read. Fails with `not_permitted`, `not_found`, `malformed` (empty).
Result<SecretBytes> read_secret_line(const std::filesystem::path& file);

/// passphrase_file, or credential: the name of a file in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=); a path
/// either way. For tables of modes.
Result<std::filesystem::path> read_secret_place(service::ConfigTable& table);

/// * any characters, ? one.
bool fits_pattern(std::string_view pattern, std::string_view name);

}  // namespace karta::daemon
