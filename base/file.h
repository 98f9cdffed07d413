// Files: reading one whole, and writing one so that a reader sees all of it or none.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/bytes.h"

namespace karta {

/// All of `path`; fails with not_found, not_permitted, io, or limit beyond `most` octets. A directory is refused.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t most);

/// Makes `path` with `content` and `mode` (0600: the owner's eyes only). The file appears whole: it is written and
/// synced under another name in the same folder, then linked into place. Never overwrites: already_exists.
Status write_new_file(const std::filesystem::path& path, ByteView content, mode_t mode);

}  // namespace karta
