#include "daemon/trust_data.h"

#include <algorithm>

#include "daemon/trust/foreign_filters.h"
#include "daemon/trust/rules.h"
#include "daemon/trust/stop_lists.h"
#include "daemon/trust/trust_list.h"

namespace karta::daemon {
namespace {

using std::chrono::seconds;

constexpr seconds kFirstPause{30};

}  // namespace

struct TrustData::Work {
  Work(const Sources& sources, const Clock& clock, identity::ClockGuard& guard,
       const std::function<void(const TrustNews&)>& news)
      : shared(sources, clock, guard, news) {}

  detail::TrustLook shared;
  detail::TrustListFile trust_list{shared};
  detail::StopListFiles stop_lists{shared};
  detail::RulesFile rules{shared};
  detail::FilterFiles filters{shared};
};

TrustData::TrustData(Sources sources, const Clock& clock, identity::ClockGuard& guard)
    : sources_(std::move(sources)),
      clock_(&clock),
      guard_(&guard),
      work_(std::make_unique<Work>(sources_, clock, guard, on_news_)),
      snapshot_(std::make_shared<TrustSnapshot>()) {}

TrustData::~TrustData() { stop(); }

Status TrustData::load() {
  {
    const std::scoped_lock lock(looking_);
    std::error_code error;
    if (!sources_.read_only) std::filesystem::create_directories(sources_.folder, error);
    if (error) return fail(ErrorKind::io, "cannot make \"" + sources_.folder.string() + "\": " + error.message());
    detail::TrustLook& shared = work_->shared;
    shared.own = TRY(detail::OwnAnchors::read(sources_.files));
    shared.seen.read();
    shared.report.note_change();
  }
  look(false);
  return {};
}

void TrustData::look(bool fetch) {
  const std::scoped_lock looking(looking_);
  Work& work = *work_;
  detail::TrustLook& shared = work.shared;
  guard_->look(clock_->now());
  if (fetch && sources_.connect) {
    auto authority = sources_.connect();
    if (authority) {
      shared.authority = std::move(*authority);
    } else {
      work.stop_lists.look_again();
      shared.report.refused({TrustItemKind::stop_list}, 0, authority.error().message, "connect");
    }
  }
  if (shared.authority && guard_->state() != identity::ClockState::fine) {
    // Only who knows the terminal is asked: it is told the time over a connection both ends of which are known.
    const auto standing = shared.authority->standing();
    if (standing) {
      guard_->confirm(clock_->now(), standing->now);
      guard_->look(clock_->now());
    }
  }
  work.trust_list.look(fetch);
  if (work.trust_list.derive_anchors()) {
    // Others may sign lists now: all are looked at again.
    work.stop_lists.look_again();
    work.filters.look_again();
    work.rules.look_again();
  }
  if (shared.authority) work.stop_lists.fetch();
  work.stop_lists.look();
  work.rules.look(fetch);
  work.filters.look();
  shared.authority.reset();
  if (!shared.report.take_change()) return;
  std::vector<TrustItem> items;
  work.trust_list.describe(items);
  work.stop_lists.describe(items);
  work.rules.describe(items);
  work.filters.describe(items);
  shared.next.items = std::move(items);
  ++shared.next.number;
  auto made = std::make_shared<const TrustSnapshot>(shared.next);
  const std::scoped_lock lock(mutex_);
  snapshot_ = std::move(made);
}

void TrustData::start() {
  thread_ = std::thread([this] { run(); });
}

void TrustData::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TrustData::run() {
  const seconds refresh = std::max<seconds>(sources_.files.refresh, seconds(1));
  seconds pause = std::min(kFirstPause, refresh);
  while (true) {
    look(true);
    bool well = true;
    for (const TrustItem& one : snapshot()->items) well = well && one.problem.empty();
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, well ? refresh : pause, [&] { return stopping_; });
    if (stopping_) return;
    pause = well ? std::min(kFirstPause, refresh) : std::min(2 * pause, refresh);
  }
}

std::shared_ptr<const TrustSnapshot> TrustData::snapshot() const {
  const std::scoped_lock lock(mutex_);
  return snapshot_;
}

identity::ClockState TrustData::clock_state() { return guard_->look(clock_->now()).state; }

}  // namespace karta::daemon
