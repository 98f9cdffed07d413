#include "identity/authority/keepers.h"

#include <sys/stat.h>

#include <chrono>

#include "base/file.h"
#include "base/random.h"
#include "identity/authority/stop_list_folder.h"
#include "identity/services/key.h"
#include "service/log.h"

namespace karta::identity {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kRetry{30};  // after a failure
constexpr std::size_t kMostRulesOctets = 4u << 20;

Document document_of(Bytes octets, Time made, Time expires) {
  Document out;
  out.etag = etag_of(octets);
  out.octets = std::make_shared<const Bytes>(std::move(octets));
  out.last_modified = made;
  out.expires = expires;
  return out;
}

/// A list is renewed when three quarters of its time are over: a reader that comes late still finds a fresh one.
bool due(const StopListHead& head, Time now) {
  return now >= head.next_update - (head.next_update - head.this_update) / 4;
}

}  // namespace

struct StopListKeeper::Impl {
  StopListConfig config;
  StopListFolder folder;
  std::string database;
  const Clock* clock;
  AuthorityShelf* shelf;
  SystemRandom random = {};
  std::unique_ptr<crypto::Signer> signer = {};  // null: lists are made elsewhere
  std::vector<crypto::Certificate> signers = {};
  std::optional<Registry> registry = {};
  std::map<std::uint64_t, StopListHead> heads = {};  // of the files seen: they never change
  std::uint64_t shown = 0;                           // newest epoch on the shelf
  std::optional<std::uint64_t> known_changes = {};   // Registry::stop_changes() the newest list has
  std::uint64_t seen_changes = 0;                    // at the last look, and
  Time seen_at{};                                    // when it was first seen
  Time not_before{};                                 // after a failure: not earlier
  std::string trouble = {};                          // said already

  Status look();
  Status show();
  Status make_due();
  Status make(StopListKind kind);
};

StopListKeeper::StopListKeeper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StopListKeeper::~StopListKeeper() = default;

Result<std::unique_ptr<StopListKeeper>> StopListKeeper::create(const StopListConfig& config,
                                                               const std::string& database, const Clock& clock,
                                                               AuthorityShelf& shelf) {
  auto impl = std::make_unique<Impl>(Impl{config, StopListFolder(config.folder), database, &clock, &shelf});
  if (config.key) {
    const ServiceKey key = TRY(ServiceKey::open(*config.key));
    impl->signers.push_back(key.certificates().front());
    impl->signer = TRY(key.signer());
    impl->registry = TRY(Registry::open(database, clock, impl->random));
  } else {
    // Nobody would make it later.
    if (!fs::is_directory(config.folder)) {
      return fail(ErrorKind::not_found, "there is no folder \"" + config.folder.string() + "\" of stop-lists");
    }
  }
  TRY(impl->look());
  TRY(impl->show());
  return std::unique_ptr<StopListKeeper>(new StopListKeeper(std::move(impl)));
}

Status StopListKeeper::Impl::look() {
  const auto files = TRY(folder.files());
  for (const auto& [epoch, path] : files) {
    if (heads.contains(epoch)) continue;
    const auto file = StopListFile::read(path);
    if (!file) {
      // A damaged file must not stop all others from being handed out.
      service::log_error("a stop-list is passed over", file.error());
      continue;
    }
    if (file->list.head().epoch != epoch) {
      service::log_error("\"" + path.string() + "\" is passed over: it says another epoch than its name");
      continue;
    }
    heads.emplace(epoch, file->list.head());
  }
  std::erase_if(heads, [&](const auto& one) { return !files.contains(one.first); });
  return {};
}

Status StopListKeeper::Impl::show() {
  if (heads.empty() || heads.rbegin()->first == shown) return {};
  const auto files = TRY(folder.files());
  const auto document = [&](std::uint64_t epoch) -> Result<Document> {
    const StopListHead& head = heads.at(epoch);
    Bytes octets = TRY(read_file(files.at(epoch), kMostStopListOctets));
    return document_of(std::move(octets), head.this_update, head.next_update);
  };
  auto fresh = std::make_shared<PublishedStopLists>();
  for (const auto& [epoch, head] : heads) {
    if (head.kind == StopListKind::full) fresh->full_epoch = epoch;
  }
  if (fresh->full_epoch == 0) return {};
  fresh->full = TRY(document(fresh->full_epoch));
  fresh->newest_epoch = heads.rbegin()->first;
  fresh->next_update = heads.rbegin()->second.next_update;
  std::map<std::uint64_t, std::uint64_t> newest;  // by base
  for (const auto& [epoch, head] : heads) {
    if (epoch > fresh->full_epoch && head.kind == StopListKind::delta) newest[head.base_epoch] = epoch;
  }
  for (const auto& [base, epoch] : newest) {
    Document delta = TRY(document(epoch));
    fresh->deltas.emplace(base, std::move(delta));
  }
  shown = fresh->newest_epoch;
  service::log_info("stop-list of epoch " + std::to_string(shown) + " is handed out; the next is due at " +
                    format_time(fresh->next_update));
  shelf->put(std::shared_ptr<const PublishedStopLists>(std::move(fresh)));
  return {};
}

Status StopListKeeper::Impl::make(StopListKind kind) {
  StopListPlan plan;
  plan.kind = kind;
  plan.valid_for = kind == StopListKind::full ? config.full_validity : config.delta_validity;
  plan.issuer = config.issuer;
  // What changes from here on stands on the next list.
  const std::uint64_t changes = TRY(registry->stop_changes());
  StopListDraft draft = TRY(folder.draft(plan, *registry, signers, clock->now()));
  const std::size_t stopped = draft.stopped;
  const auto made = folder.publish(std::move(draft), *signer);
  if (!made && made.error().kind == ErrorKind::already_exists) return {};  // by another server: look() finds it
  if (!made) return fail(made.error());
  known_changes = changes;
  heads.emplace(made->list.head().epoch, made->list.head());
  service::log_info(std::string(name_of(kind)) + " stop-list of epoch " + std::to_string(made->list.head().epoch) +
                    " made: " + std::to_string(stopped) + " cards stopped");
  return {};
}

Status StopListKeeper::Impl::make_due() {
  const Time now = clock->now();
  const StopListHead* full = nullptr;
  for (const auto& [epoch, head] : heads) {
    if (head.kind == StopListKind::full) full = &head;
  }
  if (full == nullptr || due(*full, now)) return make(StopListKind::full);
  const StopListHead& newest = heads.rbegin()->second;
  const std::uint64_t changes = TRY(registry->stop_changes());
  if (changes != seen_changes || seen_at == Time{}) {
    seen_changes = changes;
    seen_at = now;
  }
  // A list that another server has made since has it. At the start it is not known what the newest list has: a delta
  // more does no harm.
  if (known_changes != changes && newest.this_update > seen_at) known_changes = changes;
  const bool changed = known_changes != changes && now >= newest.this_update + config.after_change;
  if (!changed && !(newest.kind == StopListKind::delta && due(newest, now))) return {};
  return make(StopListKind::delta);
}

void StopListKeeper::tick() {
  Impl& impl = *impl_;
  const Time now = impl.clock->now();
  if (now < impl.not_before) return;
  const Status done = [&]() -> Status {
    TRY(impl.look());
    if (impl.signer) TRY(impl.make_due());
    return impl.show();
  }();
  if (done) {
    impl.trouble.clear();
    return;
  }
  if (impl.trouble != done.error().message) service::log_error("stop-lists", done.error());
  impl.trouble = done.error().message;
  impl.not_before = now + kRetry;
}

Status RulesKeeper::load() {
  struct stat about {};
  if (::stat(file_.c_str(), &about) != 0) {
    return fail(ErrorKind::not_found, "there are no rules \"" + file_.string() + "\"");
  }
  const std::pair<long long, long long> now(about.st_ino,
                                            about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec);
  if (now == seen_) return {};
  Bytes octets = TRY(read_file(file_, kMostRulesOctets));
  seen_ = now;
  shelf_->put(std::make_shared<const Document>(
      document_of(std::move(octets), Time(std::chrono::seconds(about.st_mtim.tv_sec)), Time{})));
  return {};
}

void RulesKeeper::tick() {
  const Status loaded = load();
  if (loaded) {
    trouble_.clear();
    return;
  }
  if (loaded.error().message != trouble_) service::log_error("the rules published before stay", loaded.error());
  trouble_ = loaded.error().message;
}

}  // namespace karta::identity
