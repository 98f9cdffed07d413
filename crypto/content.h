// ContentSource: content to be signed or verified, read once from front to back, of any size.
//
// Hashing pulls from it through a small buffer, so that memory does not grow with the content.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "base/bytes.h"

namespace karta::crypto {

class ContentSource {
 public:
  virtual ~ContentSource() = default;
  /// Reads some octets into `buffer` (at least one long) and returns how many; 0 is the end.
  virtual Result<std::size_t> read(MutableByteView buffer) = 0;
  /// The next octets without copying them where the source has them in memory: a view of its own or of `scratch`, which
  /// it makes as large as it likes; empty is the end.
  virtual Result<ByteView> next(Bytes& scratch);
  /// Back to the front, so that the content can be read a second time; false if that is impossible (a pipe).
  virtual bool rewind() { return false; }
};

/// Octets in memory, aliased: they must outlive the source.
class MemoryContent final : public ContentSource {
 public:
  explicit MemoryContent(ByteView octets) : whole_(octets), rest_(octets) {}
  Result<std::size_t> read(MutableByteView buffer) override;
  Result<ByteView> next(Bytes&) override { return std::exchange(rest_, ByteView{}); }
  bool rewind() override {
    rest_ = whole_;
    return true;
  }

 private:
  ByteView whole_, rest_;
};

/// A file, or anything else open(2) opens ("/dev/stdin", a pipe).
class FileContent final : public ContentSource {
 public:
  /// Fails with not_found, not_permitted or io, naming the path. A directory is refused.
  static Result<FileContent> open(const std::filesystem::path& path);
  FileContent(FileContent&& other) noexcept;
  FileContent& operator=(FileContent&& other) noexcept;
  ~FileContent() override;
  Result<std::size_t> read(MutableByteView buffer) override;
  bool rewind() override;

 private:
  FileContent(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  int descriptor_ = -1;
  std::string name_;
};

/// A function with the contract of read().
class CallbackContent final : public ContentSource {
 public:
  explicit CallbackContent(std::function<Result<std::size_t>(MutableByteView)> read) : read_(std::move(read)) {}
  Result<std::size_t> read(MutableByteView buffer) override { return read_(buffer); }

 private:
  std::function<Result<std::size_t>(MutableByteView)> read_;
};

/// All of `source` in memory; fails (limit) beyond `most` octets.
Result<Bytes> read_all(ContentSource& source, std::size_t most);

}  // namespace karta::crypto
