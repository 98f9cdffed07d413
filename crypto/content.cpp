#include "crypto/content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace karta::crypto {
namespace {

tl::unexpected<Error> io_error(const std::string& name, int code) {
  const ErrorKind kind = code == ENOENT                    ? ErrorKind::not_found
                         : code == EACCES || code == EPERM ? ErrorKind::not_permitted
                                                           : ErrorKind::io;
  return fail(kind, "cannot read \"" + name + "\": " + std::strerror(code));
}

}  // namespace

Result<ByteView> ContentSource::next(Bytes& scratch) {
  // A read costs little beside hashing this much, and it stays in the processor's cache.
  constexpr std::size_t kPiece = 256 * 1024;
  if (scratch.size() < kPiece) scratch.resize(kPiece);
  const std::size_t count = TRY(read(scratch));
  return ByteView(scratch).first(count);
}

Result<std::size_t> MemoryContent::read(MutableByteView buffer) {
  const std::size_t count = std::min(buffer.size(), rest_.size());
  std::copy_n(rest_.begin(), count, buffer.begin());
  rest_ = rest_.subspan(count);
  return count;
}

Result<FileContent> FileContent::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return io_error(path.string(), errno);
  FileContent content(descriptor, path.string());
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return io_error(path.string(), errno);
  if (S_ISDIR(status.st_mode)) return io_error(path.string(), EISDIR);
  return content;
}

FileContent::FileContent(FileContent&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), name_(std::move(other.name_)) {}

FileContent& FileContent::operator=(FileContent&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(name_, other.name_);
  return *this;
}

FileContent::~FileContent() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::size_t> FileContent::read(MutableByteView buffer) {
  for (;;) {
    const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return io_error(name_, errno);
  }
}

bool FileContent::rewind() { return ::lseek(descriptor_, 0, SEEK_SET) == 0; }

Result<Bytes> read_all(ContentSource& source, std::size_t most) {
  constexpr std::size_t kPiece = 65'536;
  Bytes out;
  for (;;) {
    const std::size_t used = out.size();
    out.resize(used + kPiece);
    const std::size_t count = TRY(source.read(MutableByteView(out).subspan(used)));
    out.resize(used + count);
    if (count == 0) return out;
    if (out.size() > most) return fail(ErrorKind::limit, "content is larger than " + std::to_string(most) + " octets");
  }
}

}  // namespace karta::crypto
