// WriterLock: PATH.lock, who writes a journal. Held until the end of the object, or of the process.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace karta::identity::detail {

class WriterLock {
 public:
  /// Fails with busy (another program writes the journal `path`; the message says which), io.
  static Result<WriterLock> take(const std::filesystem::path& path);
  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&&) = delete;
  ~WriterLock();

 private:
  explicit WriterLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace karta::identity::detail
