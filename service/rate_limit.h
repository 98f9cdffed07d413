// RateLimit: how often something may be done for each of many keys (addresses, log-ins), in memory alone.
//
// A key may act `burst` times at once, and once more after every `interval` that has gone by. What is remembered of a
// key is one time; keys that have all their turns back are forgotten, and so many are remembered at the most that
// strangers cannot fill the memory: those that find no room share one key's turns.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace karta::service {

struct RateRule {
  std::int64_t burst = 1;                     ///< at least 1
  std::chrono::milliseconds interval{1'000};  ///< more than none
};

/// Used by one thread at a time.
class RateLimit {
 public:
  static constexpr std::size_t kMostKeys = 65'536;

  explicit RateLimit(RateRule rule, std::size_t most_keys = kMostKeys) : rule_(rule), most_keys_(most_keys) {}

  /// Takes a turn of `key`: zero. Or, if it has none left, takes nothing and says in how many seconds it has one.
  std::chrono::seconds take(std::string_view key, Time now);
  /// How many keys are remembered.
  std::size_t keys() const { return full_again_.size(); }

 private:
  using Moment = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

  const RateRule rule_;
  const std::size_t most_keys_;
  std::unordered_map<std::string, Moment> full_again_;  ///< when a key has all its turns back
  Moment others_{};                                     ///< of all keys that found no room
  static constexpr std::size_t kLeastSwept = 256;
  std::size_t sweep_at_ = kLeastSwept;
  Time swept_{};
};

/// Whose an address is: of IPv6 the /64, which is one subscriber's; of IPv4 (mapped into IPv6, too) the address; what
/// is neither ("unix") as it is.
std::string network_of(std::string_view address);

/// The same, but of IPv6 the /48: whoever has one has 65,536 networks.
std::string site_of(std::string_view address);

}  // namespace karta::service
