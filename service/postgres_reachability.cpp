#include "service/postgres_reachability.h"

#include <algorithm>
#include <map>

namespace karta::service::detail {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Between attempts. A server that refuses is asked again soon; where an attempt takes long, four fifths of the time at
// least nobody is held up by one.
constexpr milliseconds kLeastPause{250}, kMostPause{10'000};
constexpr int kPauseForAttempt = 4;

}  // namespace

std::optional<Error> Reachability::take_turn() {
  const std::scoped_lock lock(mutex_);
  if (!unreachable_) return std::nullopt;
  if (trying_ || SteadyClock::now() < until_) return unreachable_;
  trying_ = true;
  return std::nullopt;
}

void Reachability::met(std::optional<Error> error, SteadyClock::duration took) {
  const std::scoped_lock lock(mutex_);
  unreachable_ = std::move(error);
  until_ = SteadyClock::now() + std::clamp<SteadyClock::duration>(kPauseForAttempt * took, kLeastPause, kMostPause);
  trying_ = false;
}

Reachability& Reachability::of(const std::string& url) {
  static std::mutex mutex;
  static std::map<std::string, Reachability> all;  // as many as the program has databases
  const std::scoped_lock lock(mutex);
  return all[url];
}

}  // namespace karta::service::detail
