// Files: reading one whole, and writing one so that a reader sees all of it or none.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/bytes.h"

namespace karta {

/// All of `path`; fails with not_found, not_permitted, io, or limit beyond `most` octets. A directory is refused.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t most);

/// NewFile: a file that is written bit by bit and appears whole, or not at all. It grows under another name in the same
/// folder; what is not committed is removed.
class NewFile {
 public:
  /// For `path`, which need not be there yet; `mode` as in write_new_file.
  static Result<NewFile> create(const std::filesystem::path& path, mode_t mode);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  Status write(ByteView octets);
  /// The first `octets` of what `descriptor` is open on; its position stays. The kernel copies, and shares blocks where
  /// the file system can. Fails with io if there are fewer.
  Status copy_from(int descriptor, std::size_t octets);
  /// Syncs and puts the file in place, for good: its folder is synced, too. Never overwrites: already_exists.
  Status commit();
  /// The same, in place of what is there, in one step.
  Status commit_over();

 private:
  NewFile(int descriptor, std::filesystem::path path, std::filesystem::path draft)
      : descriptor_(descriptor), path_(std::move(path)), draft_(std::move(draft)) {}
  Status finish();
  int descriptor_ = -1;
  std::filesystem::path path_, draft_;
};

/// Makes `path` with `content` and `mode` (0600: the owner's eyes only). The file appears whole: it is written and
/// synced under another name in the same folder, then linked into place. Never overwrites: already_exists.
Status write_new_file(const std::filesystem::path& path, ByteView content, mode_t mode);

/// The same in place of what may be there, in one step: whoever reads, and whoever comes after a loss of power, finds
/// the old content or the new. `mode` is as given, whatever the old file had: one that was opened to others is closed
/// again.
Status replace_file(const std::filesystem::path& path, ByteView content, mode_t mode);

/// What has been made, renamed or removed in the folder of `path` is on disk. Passes over folders that may be written
/// in but not read. Fails with io or not_found.
Status sync_folder_of(const std::filesystem::path& path);

}  // namespace karta
