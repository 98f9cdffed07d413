// StopListFolder: the stop-lists an issuer has made, a file each (0000000042.stop-list), and the making of the next one
// from the registry. `karta stop-list` and the server work on the same folder; nothing in it is ever overwritten.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "identity/registry.h"
#include "identity/stop_list/stop_table.h"

namespace karta::identity {

inline constexpr std::string_view kStopListSuffix = ".stop-list";

/// A list's octets and what they parse to, which aliases them.
struct StopListFile {
  std::filesystem::path path;
  Bytes octets;
  StopList list;

  /// Errors name the file.
  static Result<StopListFile> read(const std::filesystem::path& path);
};

/// What the next list is to be.
struct StopListPlan {
  StopListKind kind = StopListKind::full;
  bool incremental = false;  ///< a delta on the newest list rather than on the newest full one
  std::chrono::hours valid_for{0};
  std::string issuer;  ///< whose cards
};

/// The next list before it is signed.
struct StopListDraft {
  StopListHead head;
  Bytes body;
  std::size_t listed = 0;   ///< indexes in it
  std::size_t stopped = 0;  ///< cards stopped in all
};

class StopListFolder {
 public:
  explicit StopListFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& path() const { return folder_; }

  /// The files by epoch. A folder that is not there has none.
  Result<std::map<std::uint64_t, std::filesystem::path>> files() const;
  /// The state after the list of `epoch`: a full list, or a delta on the state after its base. All signatures are
  /// checked. Fails with not_found where a list between is missing.
  Result<StopTable> state_after(std::uint64_t epoch, const std::vector<crypto::Certificate>& signers, Time now) const;
  /// The next list from the registry's present state. not_found for a delta where there is nothing it could stand on;
  /// configuration where the clock stands before the last list was made.
  Result<StopListDraft> draft(const StopListPlan& plan, Registry& registry,
                              const std::vector<crypto::Certificate>& signers, Time now) const;
  /// Signs it and puts it into the folder. already_exists where another program has made the list of this epoch.
  Result<StopListFile> publish(StopListDraft draft, crypto::Signer& signer) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace karta::identity
