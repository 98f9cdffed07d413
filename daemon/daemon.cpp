#include "daemon/daemon.h"

#include <stdlib.h>

#include <algorithm>
#include <condition_variable>
#include <nlohmann/json.hpp>

#include "daemon/api.h"
#include "daemon/deed_store.h"
#include "daemon/works.h"
#include "identity/authority_client.h"
#include "identity/journal/journal.h"
#include "service/log.h"

namespace karta::daemon {
namespace {

namespace fs = std::filesystem;
using Connect = std::function<Result<std::unique_ptr<identity::Authority>>()>;

constexpr std::chrono::seconds kTick{1}, kPulse{15};
constexpr std::chrono::days kDeedsKept{30};

std::string ascii(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

Status make_state_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  if (!fs::create_directories(folder, error)) {
    return fail(ErrorKind::io, "the folder \"" + folder.string() + "\" cannot be made: " + error.message());
  }
  fs::permissions(folder, fs::perms::owner_all, error);
  return {};
}

/// A client under the name of the first terminal of the configuration that was enrolled; without one where none was.
/// `patience`: its url, roots and name come from the configuration, how long it waits from here.
Connect connect_to(const DaemonConfig& config,
                   const std::map<std::string, std::unique_ptr<TerminalIdentity>, std::less<>>& terminals,
                   const identity::AuthorityOptions& patience = {}) {
  return [&config, &terminals, patience]() -> Result<std::unique_ptr<identity::Authority>> {
    std::optional<identity::TlsIdentity> identity;
    for (const TerminalConfig& one : config.terminals) {
      auto tls = terminals.at(one.role)->tls();
      if (tls) {
        identity = std::move(*tls);
        break;
      }
      if (tls.error().kind != ErrorKind::not_found) return fail(std::move(tls).error());
    }
    identity::AuthorityOptions options = patience;
    options.url = config.authority->url;
    options.roots = config.authority->roots;
    auto client = TRY(identity::AuthorityClient::create(std::move(options), std::move(identity)));
    return std::unique_ptr<identity::Authority>(std::make_unique<identity::AuthorityClient>(std::move(client)));
  };
}

/// Rules are for gates: who has none asks nobody for them.
bool goes_by_rules(const DaemonConfig& config) {
  return config.trust.rules || std::any_of(config.modes.begin(), config.modes.end(),
                                           [](const auto& mode) { return mode.first == "transit"; });
}

/// A folder for as long as a look at a configuration takes.
class ScratchFolder {
 public:
  static Result<ScratchFolder> make() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "kartad-check-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return fail(ErrorKind::io, "there is no room for temporary files");
    }
    return ScratchFolder(name);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Result<DaemonConfig> load(const fs::path& file, const Environment& environment) {
  return load_daemon_config(file, environment.modes, environment.read_pages);
}

}  // namespace

struct Daemon::Impl {
  Impl(fs::path config_file, Environment found)
      : file(std::move(config_file)),
        environment(std::move(found)),
        // Numbers go on rising through restarts, so that a client's last one means the same before and after.
        events(environment.clock, static_cast<std::uint64_t>(environment.clock.now().time_since_epoch().count())
                                      << 12) {}

  fs::path file;
  Environment environment;
  EventHub events;
  service::Metrics metrics;
  std::unique_ptr<identity::Journal> journal;
  std::unique_ptr<DeedStore> deeds;
  std::unique_ptr<RefusalLog> refusals;

  std::mutex mutex;  // of the two below
  std::condition_variable wake;
  std::shared_ptr<Works> works;
  std::shared_ptr<JournalUploader> uploader;
  bool stopping = false;
  std::optional<service::HttpServer> server;
  std::thread keeper;

  std::shared_ptr<Works> current() {
    const std::lock_guard lock(mutex);
    return works;
  }
  void append(std::string_view kind, const Json& body) {
    const auto written = journal->append(kind, ascii(body));
    if (!written) service::log_error("the journal does not take \"" + std::string(kind) + "\"", written.error());
  }

  /// Everything of a configuration but what needs the addresses: opened, not started.
  Result<std::shared_ptr<Works>> open_works(DaemonConfig config) {
    auto out = std::make_shared<Works>();
    out->config = std::move(config);
    out->started = environment.clock.now();
    out->refusals = refusals.get();
    auto source = environment.make_readers(out->config);
    for (const TerminalConfig& one : out->config.terminals) {
      auto terminal = TRY(TerminalIdentity::open(one, &source->readers(), environment.clock, environment.random));
      out->terminals.emplace(one.role, std::move(terminal));
    }
    Connect connect, connect_quickly;
    if (out->config.authority) {
      connect = connect_quickly = environment.connect;
      if (!connect) {
        connect = connect_to(out->config, out->terminals);
        connect_quickly =
            connect_to(out->config, out->terminals,
                       {.url = {}, .connect_time = OnLineStatus::kConnectTime, .total_time = OnLineStatus::kTotalTime});
      }
      out->on_line = std::make_unique<OnLineStatus>(connect_quickly);
    }
    TrustData::Sources sources;
    sources.files = out->config.trust;
    sources.folder = out->config.state / "trust";
    TRY(make_state_folder(sources.folder));
    sources.connect = connect;
    if (goes_by_rules(out->config)) sources.open_rules = environment.open_rules;
    out->trust = std::make_unique<TrustData>(std::move(sources), environment.clock, journal->clock_guard());
    out->trust->on_news([this](const TrustNews& news) { tell(news); });
    TRY(out->trust->load());
    out->services.reset(new Services{out->config, environment.clock, environment.random, events, metrics, *journal,
                                     *deeds, *out->trust, source->readers(), connect, out->terminals, false,
                                     environment.steady_now});
    out->services->on_line = out->on_line.get();
    std::vector<Mode*> modes;
    for (const auto& [name, plan] : out->config.modes) {
      auto mode = TRY(plan(*out->services));
      modes.push_back(mode.get());
      out->modes.push_back(std::move(mode));
    }
    out->hall = std::make_unique<ReaderHall>(std::move(source), *out->services, std::move(modes));
    out->upload = [this]() -> std::optional<UploadStatus> {
      const std::lock_guard lock(mutex);
      if (!uploader) return std::nullopt;
      return uploader->status();
    };
    return out;
  }

  /// Pages and gatekeeper: what knows where the daemon listens.
  Status open_doors(Works& one, const std::vector<std::string>& addresses, const PageServer* before = nullptr) {
    std::vector<std::string> names;
    for (const auto& mode : one.modes) names.emplace_back(mode->name());
    // Pages name an address with the port that was got.
    one.config.listen = addresses;
    if (one.config.pages) one.pages = TRY(one.config.pages(*one.services, names, before));
    one.gatekeeper =
        std::make_unique<Gatekeeper>(TRY(Gatekeeper::make(one.config, loopback_ports(addresses), one.pages.get())));
    return {};
  }

  void start_works(Works& one, std::set<std::string> seen = {}) {
    one.hall->start(std::move(seen));
    one.trust->start();
    if (!one.services->connect_authority) return;
    for (const auto& [role, terminal] : one.terminals) {
      terminal->start_renewal(one.services->connect_authority,
                              [this, role = role](const IdentityStatus& status) { tell(role, status); });
    }
    const std::lock_guard lock(mutex);
    if (uploader) return;
    UploadOptions options;
    options.every = one.config.authority->upload_every;
    options.keep = one.config.journal.keep;
    // By the works of the moment: a reload may change how the authority is reached.
    const auto connect = [this]() -> Result<std::unique_ptr<identity::Authority>> {
      const auto now = current();
      if (!now || !now->services->connect_authority) return fail(ErrorKind::io, "there is no authority");
      return now->services->connect_authority();
    };
    uploader = std::make_shared<JournalUploader>(*journal, connect, environment.clock, options);
    uploader->start([this](const UploadStatus& status) { tell(status); });
  }

  /// Readers whose cards the modes have been told of.
  static std::set<std::string> stop_works(Works& one) {
    auto seen = one.hall->stop();
    for (const auto& [role, terminal] : one.terminals) terminal->stop();
    one.trust->stop();
    return seen;
  }

  void tell(const TrustNews& news) {
    const Json body{{"item", name_of(news.kind)}, {"name", news.name},   {"region", news.region},
                    {"taken", news.taken},        {"epoch", news.epoch}, {"words", news.words}};
    events.publish("trust-data", body);
    append("data", body);
    if (!news.taken) service::log_warning("a " + std::string(name_of(news.kind)) + " was not taken: " + news.words);
  }
  void tell(const std::string& role, const IdentityStatus& status) {
    const Json body{{"role", role},
                    {"state", name_of(status.state)},
                    {"holder", status.holder},
                    {"until", format_time(status.until)},
                    {"problem", status.problem}};
    events.publish("renewal", body);
    append("renewal", body);
  }
  void tell(const UploadStatus& status) {
    events.publish("upload", {{"state", name_of(status.state)},
                              {"uploaded_to", status.uploaded_to},
                              {"waiting", status.waiting},
                              {"problem", status.problem}});
    if (status.state == UploadState::alarm) service::log_error("the journal cannot be uploaded: " + status.problem);
  }

  service::HttpServer::HandlerFactory handlers() {
    return [this](std::size_t) -> Result<std::unique_ptr<service::HttpHandler>> { return make_api_handler(current()); };
  }

  void keep() {
    auto pulsed = std::chrono::steady_clock::now(), swept = pulsed;
    std::unique_lock lock(mutex);
    for (; !stopping; wake.wait_for(lock, kTick, [this] { return stopping; })) {
      const auto one = works;
      lock.unlock();
      for (const auto& mode : one->modes) mode->tick();
      const auto now = std::chrono::steady_clock::now();
      if (now - pulsed >= kPulse) {
        events.pulse();
        pulsed = now;
      }
      if (now - swept >= std::chrono::hours(1)) {
        swept = now;
        const Status done = deeds->forget_before(environment.clock.now() - kDeedsKept);
        if (!done) service::log_error("old answers cannot be forgotten", done.error());
      }
      show_gauges(*one);
      lock.lock();
    }
  }

  void show_gauges(const Works& one) {
    const service::HttpCounts counts = server->counts();
    metrics.gauge("kartad_connections_open", "Connections at present")
        .set(static_cast<double>(counts.open_connections));
    metrics.gauge("kartad_event_streams_open", "Listeners to events at present")
        .set(static_cast<double>(counts.open_streams));
    metrics.counter("kartad_connections_refused_total", "Connections beyond a limit")
        .raise_to(static_cast<double>(counts.refused_connections));
    metrics.gauge("kartad_readers", "Readers attached").set(static_cast<double>(one.hall->readers().size()));
    metrics.gauge("kartad_journal_last", "Number of the journal's last record")
        .set(static_cast<double>(journal->last().number));
    metrics.gauge("kartad_journal_uploaded", "Number of the last record the authority has")
        .set(static_cast<double>(journal->uploaded_to()));
    metrics.gauge("kartad_failing", "1 where the daemon cannot do its work").set(one.health().failing ? 1 : 0);
  }
};

namespace {

/// Whose journal: the first terminal that was enrolled. `terminal.json` is looked at before any key is opened, since
/// the journal must be there first.
std::string journal_owner(const DaemonConfig& config) {
  if (!config.journal.terminal.empty()) return config.journal.terminal;
  for (const TerminalConfig& one : config.terminals) {
    const auto facts = issuing::TerminalFolder(one.folder).facts(one.role);
    if (facts && !facts->terminal.empty()) return facts->terminal;
  }
  return "local";
}

}  // namespace

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Daemon::~Daemon() { stop(); }

Result<std::unique_ptr<Daemon>> Daemon::start(const fs::path& file, Environment environment) {
  DaemonConfig config = TRY(load(file, environment));
  service::set_up_log({.level = config.log_level, .for_journal = std::getenv("JOURNAL_STREAM") != nullptr});
  auto impl = std::make_unique<Impl>(file, std::move(environment));
  Impl& daemon = *impl;
  TRY(make_state_folder(config.state));
  daemon.journal = TRY(identity::Journal::open(config.journal.file, journal_owner(config), daemon.environment.clock));
  daemon.journal->on_appended([&daemon](const identity::JournalPosition&) {
    const std::lock_guard lock(daemon.mutex);
    if (daemon.uploader) daemon.uploader->wake();
  });
  daemon.deeds = TRY(DeedStore::open(config.state / "deeds.sqlite", daemon.environment.clock));
  daemon.refusals = std::make_unique<RefusalLog>(*daemon.journal, daemon.events);

  service::HttpServerOptions options;
  options.listen = config.listen;
  options.workers = config.workers;
  options.limits = config.limits;
  options.local_socket_mode = config.socket_mode;
  if (config.own_user_only) options.admit = service::is_own_user;
  options.room_of = service::room_of_user;
  auto works = TRY(daemon.open_works(std::move(config)));
  daemon.works = works;
  // Doors are opened behind the server's start, which tells the ports; nobody is answered before.
  struct Closed final : service::HttpHandler {
    service::HttpResponse handle(const service::HttpRequest&) override {
      // Who came by a socket that started the daemon asks again by himself, a browser too.
      auto out = service::HttpResponse::text(503, "starting");
      out.fields += "Retry-After: 1\r\nRefresh: 1\r\nCache-Control: no-store\r\n";
      return out;
    }
  };
  auto server = TRY(service::HttpServer::start(
      std::move(options),
      [](std::size_t) -> Result<std::unique_ptr<service::HttpHandler>> { return std::make_unique<Closed>(); }));
  daemon.server.emplace(std::move(server));
  TRY(daemon.open_doors(*works, daemon.server->addresses()));
  daemon.append("start", {{"version", KARTA_VERSION}});
  daemon.start_works(*works);
  daemon.show_gauges(*works);
  TRY(daemon.server->replace_handlers(daemon.handlers()));
  daemon.keeper = std::thread([&daemon] { daemon.keep(); });
  return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
}

const std::vector<std::string>& Daemon::addresses() const { return impl_->server->addresses(); }

Status Daemon::reload() {
  Impl& daemon = *impl_;
  DaemonConfig config = TRY(load(daemon.file, daemon.environment));
  const auto before = daemon.current();
  if (config.state != before->config.state || config.journal.file != before->config.journal.file) {
    return fail(ErrorKind::configuration, "\"state\" and \"journal.file\" change with a restart only");
  }
  // The doors let in whom they were opened for.
  if (config.own_user_only != before->config.own_user_only) {
    return fail(ErrorKind::configuration, "citizen mode begins and ends with a restart only");
  }
  const service::LogLevel level = config.log_level;
  auto next = TRY(daemon.open_works(std::move(config)));
  TRY(daemon.open_doors(*next, daemon.server->addresses(), before->pages.get()));
  // Two must not work at one reader: the old ones end first.
  auto seen = Impl::stop_works(*before);
  {
    const std::lock_guard lock(daemon.mutex);
    daemon.works = next;
  }
  daemon.start_works(*next, std::move(seen));
  TRY(daemon.server->replace_handlers(daemon.handlers()));
  service::set_up_log({.level = level, .for_journal = std::getenv("JOURNAL_STREAM") != nullptr});
  return {};
}

void Daemon::stop() {
  Impl& daemon = *impl_;
  {
    const std::lock_guard lock(daemon.mutex);
    if (daemon.stopping) return;
    daemon.stopping = true;
    daemon.wake.notify_all();
  }
  if (daemon.keeper.joinable()) daemon.keeper.join();
  // Calls at work are answered, without waiting for a better time; then nobody asks any more.
  daemon.works->hall->give_up();
  daemon.server->stop();
  Impl::stop_works(*daemon.works);
  daemon.refusals->flush();
  daemon.append("stop", Json::object());
  std::shared_ptr<JournalUploader> uploader;
  {
    const std::lock_guard lock(daemon.mutex);
    uploader = std::move(daemon.uploader);
  }
  if (uploader) uploader->stop();
}

EventHub& Daemon::events() { return impl_->events; }
identity::Journal& Daemon::journal() { return *impl_->journal; }
void Daemon::flush_refusals() { impl_->refusals->flush(); }

namespace {

/// What stays possible without it, and is amiss.
std::vector<std::string> warnings_of(const DaemonConfig& config, const TrustData& trust) {
  std::vector<std::string> out;
  const auto snapshot = trust.snapshot();
  for (const TrustItem& item : snapshot->items) {
    const std::string which = "the " + std::string(name_of(item.kind));
    if (!item.problem.empty()) {
      out.push_back(which + " is not taken: " + item.problem);
    } else if (!item.present && !config.authority) {
      out.push_back("there is no " + std::string(name_of(item.kind)));
    }
  }
  constexpr std::string_view kUnix = "unix:";
  for (const std::string& one : config.listen) {
    std::error_code error;
    if (!one.starts_with(kUnix)) continue;
    const fs::path folder = fs::path(one.substr(kUnix.size())).parent_path();
    // systemd makes it with the service; by hand nobody does.
    if (!fs::is_directory(folder, error)) out.push_back("the socket's folder \"" + folder.string() + "\" is not there");
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> check_daemon(const fs::path& file, Environment environment) {
  const DaemonConfig config = TRY(load(file, environment));
  std::error_code ignored;
  if (fs::exists(config.state, ignored) && !fs::is_directory(config.state, ignored)) {
    return fail(ErrorKind::io, "\"state\": \"" + config.state.string() + "\" is no folder",
                "name a folder of the daemon's own");
  }
  const auto source = environment.make_readers(config);
  std::map<std::string, std::unique_ptr<TerminalIdentity>, std::less<>> terminals;
  for (const TerminalConfig& one : config.terminals) {
    auto terminal = TRY(TerminalIdentity::open(one, &source->readers(), environment.clock, environment.random));
    terminals.emplace(one.role, std::move(terminal));
  }
  identity::ClockGuard guard;
  TrustData::Sources sources;
  sources.files = config.trust;
  sources.folder = config.state / "trust";
  if (goes_by_rules(config)) sources.open_rules = environment.open_rules;
  sources.read_only = true;
  TrustData trust(std::move(sources), environment.clock, guard);
  TRY(trust.load());
  if (fs::exists(config.journal.file, ignored)) TRY(identity::JournalReader::open(config.journal.file));

  // Modes and pages are made as they would be, on a journal and deeds that nobody keeps.
  const auto scratch = TRY(ScratchFolder::make());
  const auto journal = TRY(identity::Journal::open(scratch.path() / "journal.sqlite", "check", environment.clock));
  const auto deeds = TRY(DeedStore::open(scratch.path() / "deeds.sqlite", environment.clock));
  EventHub events(environment.clock);
  service::Metrics metrics;
  Connect connect;
  if (config.authority) connect = environment.connect ? environment.connect : connect_to(config, terminals);
  const Services services{config,
                          environment.clock,
                          environment.random,
                          events,
                          metrics,
                          *journal,
                          *deeds,
                          trust,
                          source->readers(),
                          connect,
                          terminals,
                          true};
  std::vector<std::string> names;
  for (const auto& [name, plan] : config.modes) {
    TRY(plan(services));
    names.push_back(name);
  }
  if (config.pages) TRY(config.pages(services, names, nullptr));
  return warnings_of(config, trust);
}

}  // namespace karta::daemon
