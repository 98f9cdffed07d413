#include "service/group_commit.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace karta::service {
namespace {

enum class Turn : std::uint8_t {
  waiting,  // in the queue, or being written by another thread
  leads,    // this thread is to write, itself first
  done,     // written; `result` says how
};

/// Where a thread waits for its turn. Its own lock, and told after that is let go: a thread that is woken while the
/// queue's lock is held goes to sleep again at once.
struct Waiter {
  std::mutex mutex;
  std::condition_variable told;
  Turn turn = Turn::waiting;

  void set(Turn next) {
    {
      const std::lock_guard lock(mutex);
      turn = next;
    }
    told.notify_one();
  }
  Turn wait() {
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return turn != Turn::waiting; });
    return turn;
  }
};

struct Job {
  const GroupCommit::Work* work;
  Status result = {};
  bool failed = false;  // its own work did: decided, whatever becomes of the commit
  /// Shared: whoever tells it holds on to it until it has, when the thread that waited may be gone already.
  std::shared_ptr<Waiter> waiter = {};
};

}  // namespace

struct GroupCommit::Impl {
  std::optional<Database> database;  // SQLite's one writer; belongs to the thread that leads

  std::mutex mutex;          // of the two below
  std::deque<Job*> waiting;  // in order of arrival
  bool led = false;          // some thread is writing, or has been told to
  std::atomic<std::uint64_t> writes{0}, commits{0};

  Status write_one(Job& only);
  Status write_all(const std::vector<Job*>& jobs, bool& one_failed);
  Status write_apart(const std::vector<Job*>& jobs);
  Status write_together(const std::vector<Job*>& jobs);
};

Status GroupCommit::Impl::write_one(Job& only) {
  only.result = (*only.work)(*database);
  only.failed = !only.result;
  return only.result;
}

/// The first that fails spoils it for all.
Status GroupCommit::Impl::write_all(const std::vector<Job*>& jobs, bool& one_failed) {
  one_failed = false;
  for (Job* job : jobs) {
    job->result = {};
    job->failed = false;
    one_failed = !(*job->work)(*database);
    if (one_failed) return fail(ErrorKind::internal, "one of several writes failed");
  }
  return {};
}

/// What fails by itself is undone by itself.
Status GroupCommit::Impl::write_apart(const std::vector<Job*>& jobs) {
  for (Job* job : jobs) {
    job->failed = false;
    TRY(database->execute("SAVEPOINT joined"));
    job->result = (*job->work)(*database);
    if (!job->result) {
      job->failed = true;
      TRY(database->execute("ROLLBACK TO SAVEPOINT joined"));
    }
    TRY(database->execute("RELEASE SAVEPOINT joined"));
  }
  return {};
}

/// One transaction for all `jobs`. Savepoints copy every page that is changed, and failures are rare: without them at
/// first, and once more with them where one of several has failed.
Status GroupCommit::Impl::write_together(const std::vector<Job*>& jobs) {
  if (jobs.size() == 1) return database->transact([&] { return write_one(*jobs.front()); }, Isolation::snapshot);
  bool one_failed = false;
  const Status done = database->transact([&] { return write_all(jobs, one_failed); }, Isolation::snapshot);
  if (done || !one_failed) return done;
  return database->transact([&] { return write_apart(jobs); }, Isolation::snapshot);
}

GroupCommit::GroupCommit(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GroupCommit::~GroupCommit() = default;

Result<std::shared_ptr<GroupCommit>> GroupCommit::open(std::string_view url, DatabaseOptions options) {
  auto impl = std::make_unique<Impl>();
  if (!is_postgresql(url)) impl->database = TRY(Database::open(url, options));
  return std::shared_ptr<GroupCommit>(new GroupCommit(std::move(impl)));
}

Status GroupCommit::write(Database& own, const Work& work) {
  KARTA_CHECK(!own.in_transaction());
  Impl& impl = *impl_;
  impl.writes.fetch_add(1, std::memory_order_relaxed);
  if (!impl.database) {
    impl.commits.fetch_add(1, std::memory_order_relaxed);
    return own.transact([&] { return work(own); }, Isolation::snapshot);
  }
  Job mine{.work = &work};
  std::vector<Job*> jobs = {&mine};
  const auto fill = [&] {
    while (!impl.waiting.empty() && jobs.size() < kMostJoinedWrites) {
      jobs.push_back(impl.waiting.front());
      impl.waiting.pop_front();
    }
  };
  bool leads = true;
  {
    const std::lock_guard lock(impl.mutex);
    if (std::exchange(impl.led, true)) {
      mine.waiter = std::make_shared<Waiter>();
      impl.waiting.push_back(&mine);
      leads = false;
    } else {
      fill();
    }
  }
  if (!leads) {
    if (mine.waiter->wait() == Turn::done) return std::move(mine.result);
    const std::lock_guard lock(impl.mutex);
    fill();
  }
  impl.commits.fetch_add(1, std::memory_order_relaxed);
  const Status committed = impl.write_together(jobs);
  for (Job* job : jobs) {
    if (!committed && !job->failed) job->result = committed;
  }
  std::shared_ptr<Waiter> next;
  {
    const std::lock_guard lock(impl.mutex);
    if (impl.waiting.empty()) {
      impl.led = false;
    } else {
      next = impl.waiting.front()->waiter;
      impl.waiting.pop_front();
    }
  }
  // The next to write first: the others' answers take time that the disk would wait.
  if (next) next->set(Turn::leads);
  for (Job* job : jobs) {
    if (job == &mine) continue;
    const std::shared_ptr<Waiter> waiter = job->waiter;  // the job is gone as soon as it is told
    waiter->set(Turn::done);
  }
  return std::move(mine.result);
}

GroupCommit::Counts GroupCommit::counts() const {
  return {impl_->writes.load(std::memory_order_relaxed), impl_->commits.load(std::memory_order_relaxed)};
}

}  // namespace karta::service
