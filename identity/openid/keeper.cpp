#include "identity/openid/keeper.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "identity/openid/core.h"
#include "identity/openid/logout.h"
#include "identity/openid/session_ends.h"
#include "service/log.h"

namespace karta::identity {
namespace {

/// Rows of each kind deleted in one short transaction; as long as there are more, the next follows soon.
constexpr std::int64_t kPurged = 1000;
constexpr std::chrono::milliseconds kPause{1000}, kShortPause{20};

}  // namespace

class OpenidKeeper::Impl {
 public:
  Impl(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys, service::Database database,
       service::Database sending, std::shared_ptr<service::GroupCommit> writes, const Clock& clock,
       service::Metrics& metrics)
      : database_(std::move(database)),
        sending_(std::move(sending)),
        writes_(std::move(writes)),
        clock_(clock),
        ends_(keys, clock, random_),
        sender_(config, std::move(keys), sending_, clock, metrics),
        deleted_(
            metrics.counter("karta_openid_rows_deleted_total", "Rows of requests, codes and tokens that were over")),
        ended_(metrics.counter("karta_openid_sessions_ended_total",
                               "Sessions found to be over, or their card or certificate no longer good")),
        sender_thread_([this] { run(&Impl::send_round); }),
        thread_([this] { run(&Impl::round); }) {}
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
    sender_thread_.join();
  }

 private:
  void run(bool (Impl::*what)()) {
    for (;;) {
      const bool more = (this->*what)();
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, more ? kShortPause : kPause, [this] { return stop_; })) return;
    }
  }

  // Both are true if there is more to do at once. Each in a thread: whoever sends waits for portals.
  bool send_round() {
    const auto sent = sender_.send_due();
    if (!sent) service::log_error("telling portals of log-outs", sent.error());
    return sent && *sent > 0;
  }

  bool round() {
    const auto swept = ends_.sweep(database_, *writes_);
    if (!swept) service::log_error("ending sessions that are over", swept.error());
    if (swept && swept->ended > 0) ended_.add(static_cast<double>(swept->ended));
    const auto gone = openid_store::purge(database_, *writes_, clock_.now(), kPurged);
    if (!gone) service::log_error("deleting what is over", gone.error());
    if (gone && *gone > 0) deleted_.add(static_cast<double>(*gone));
    return (gone && *gone >= kPurged) || (swept && swept->more);
  }

  service::Database database_, sending_;  // of a thread each
  std::shared_ptr<service::GroupCommit> writes_;
  const Clock& clock_;
  SystemRandom random_;
  SessionEnds ends_;
  LogoutSender sender_;
  service::Counter deleted_, ended_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread sender_thread_, thread_;  // last: they use all of the above
};

OpenidKeeper::OpenidKeeper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OpenidKeeper::~OpenidKeeper() = default;

Result<std::unique_ptr<OpenidKeeper>> OpenidKeeper::start(const OpenidConfig& config,
                                                          std::shared_ptr<const OpenidKeys> keys,
                                                          const std::string& database,
                                                          std::shared_ptr<service::GroupCommit> writes,
                                                          const Clock& clock, service::Metrics& metrics) {
  service::Database own = TRY(service::Database::open(database, {.page_cache_kib = service::kSmallPageCacheKib}));
  service::Database sending = TRY(service::Database::open(database, {.page_cache_kib = service::kSmallPageCacheKib}));
  return std::unique_ptr<OpenidKeeper>(new OpenidKeeper(std::make_unique<Impl>(
      config, std::move(keys), std::move(own), std::move(sending), std::move(writes), clock, metrics)));
}

}  // namespace karta::identity
