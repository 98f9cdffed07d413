// SeenNumbers: the newest number seen of each item, remembered through restarts, so that nothing goes back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"
#include "daemon/trust/report.h"

namespace karta::daemon::detail {

class SeenNumbers {
 public:
  /// `read_only`: the file is left as it is.
  SeenNumbers(std::filesystem::path file, bool read_only) : file_(std::move(file)), read_only_(read_only) {}

  /// A file that is missing or damaged is as none.
  void read();
  /// No older than what was seen, and under one number always the same: untrusted otherwise. `hash`: hexadecimal, of
  /// the whole file.
  Status check(const TrustItemId& item, std::uint64_t number, const std::string& hash) const;
  /// Before it is used: else a restart could go back.
  Status remember(const TrustItemId& item, std::uint64_t number, std::string hash);

 private:
  struct Seen {
    std::uint64_t number = 0;
    std::string hash;
  };
  Status write() const;

  const std::filesystem::path file_;
  const bool read_only_;
  std::map<std::string, Seen> seen_;  // by "kind|region|name"
};

}  // namespace karta::daemon::detail
