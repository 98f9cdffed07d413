// Keepers: the publisher's hands for stop-lists and rules: they look for new files, make lists when they are due, and
// put on the shelf what is handed out. Private to the publisher; one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "identity/services/publisher.h"

namespace karta::identity {

class StopListKeeper {
 public:
  /// Opens the folder, and the key where lists are made here.
  static Result<std::unique_ptr<StopListKeeper>> create(const StopListConfig& config, const std::string& database,
                                                        const Clock& clock, AuthorityShelf& shelf);
  ~StopListKeeper();
  /// Makes what is due, and puts what has come on the shelf. A failure is logged, and tried again later.
  void tick();

 private:
  struct Impl;
  explicit StopListKeeper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class RulesKeeper {
 public:
  RulesKeeper(std::filesystem::path file, AuthorityShelf& shelf) : file_(std::move(file)), shelf_(&shelf) {}
  /// Reads the file where it has changed. A failure leaves what was published before.
  Status load();
  void tick();

 private:
  std::filesystem::path file_;
  AuthorityShelf* shelf_;
  std::pair<long long, long long> seen_{-1, -1};
  std::string trouble_;  // said already
};

}  // namespace karta::identity
