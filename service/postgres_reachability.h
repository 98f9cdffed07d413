// Reachability: whether a PostgreSQL server is worth another attempt to connect, so that who is without a database
// answers at once.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"

namespace karta::service::detail {

/// What the attempts to connect have met, of all connections of the process to one URL. Usable from several threads.
class Reachability {
 public:
  /// The error to answer with instead of connecting again; none: try, and report with met().
  std::optional<Error> take_turn();
  /// An attempt that took `took` has failed so, or (none) has made a connection.
  void met(std::optional<Error> error, std::chrono::steady_clock::duration took);
  /// Lives as long as the program.
  static Reachability& of(const std::string& url);

 private:
  std::mutex mutex_;
  std::optional<Error> unreachable_;
  std::chrono::steady_clock::time_point until_{};
  bool trying_ = false;
};

}  // namespace karta::service::detail
