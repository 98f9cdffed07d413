#include "identity/login/login_keeper.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "service/log.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

constexpr std::chrono::milliseconds kPause{5000}, kShortPause{20};

struct Table {
  std::string_view select, remove;
};
// What is read is asked for once more: another server may have counted on in between.
constexpr Table kTables[] = {
    {"SELECT challenge_hash FROM login_challenges WHERE over_at <= $1 ORDER BY over_at LIMIT $2",
     "DELETE FROM login_challenges WHERE challenge_hash = $1 AND over_at <= $2"},
    {"SELECT brake_key FROM login_brakes WHERE over_at <= $1 ORDER BY over_at LIMIT $2",
     "DELETE FROM login_brakes WHERE brake_key = $1 AND over_at <= $2"},
    {"SELECT nonce_hash FROM login_nonces WHERE over_at <= $1 ORDER BY over_at LIMIT $2",
     "DELETE FROM login_nonces WHERE nonce_hash = $1 AND over_at <= $2"},
};

}  // namespace

Result<std::int64_t> sweep_login(Database& database, service::GroupCommit& writes, Time now, std::int64_t most) {
  const std::int64_t second = now.time_since_epoch().count();
  std::int64_t out = 0;
  for (const Table& table : kTables) {
    std::vector<Bytes> keys;
    {
      Statement row = TRY(database.prepare(table.select));
      TRY(row.query({second, most}));
      while (TRY(row.next())) keys.push_back(to_bytes(row.octets(0)));
    }
    if (keys.empty()) continue;
    TRY(writes.write(database, [&](Database& writing) -> Status {
      for (const Bytes& key : keys) TRY(writing.execute(table.remove, {key, second}));
      return {};
    }));
    out = std::max(out, static_cast<std::int64_t>(keys.size()));
  }
  return out;
}

class LoginKeeper::Impl {
 public:
  Impl(Database database, std::shared_ptr<service::GroupCommit> writes, const Clock& clock)
      : database_(std::move(database)), writes_(std::move(writes)), clock_(clock), thread_([this] { run(); }) {}
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

 private:
  static constexpr std::int64_t kRows = 1000;

  void run() {
    for (;;) {
      const auto gone = sweep_login(database_, *writes_, clock_.now(), kRows);
      if (!gone) service::log_error("log-in: removing what is over", gone.error());
      const bool more = gone && *gone == kRows;
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, more ? kShortPause : kPause, [this] { return stop_; })) return;
    }
  }

  Database database_;
  std::shared_ptr<service::GroupCommit> writes_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

LoginKeeper::LoginKeeper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoginKeeper::~LoginKeeper() = default;

Result<std::unique_ptr<LoginKeeper>> LoginKeeper::start(const std::string& database,
                                                        std::shared_ptr<service::GroupCommit> writes,
                                                        const Clock& clock) {
  Database own = TRY(Database::open(database, {.page_cache_kib = service::kSmallPageCacheKib}));
  return std::unique_ptr<LoginKeeper>(
      new LoginKeeper(std::make_unique<Impl>(std::move(own), std::move(writes), clock)));
}

}  // namespace karta::identity
