#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/descriptor.h"

namespace karta {
namespace {

tl::unexpected<Error> system_error(std::string_view deed, const std::filesystem::path& path, int number) {
  ErrorKind kind = ErrorKind::io;
  if (number == ENOENT || number == ENOTDIR) kind = ErrorKind::not_found;
  if (number == EACCES || number == EPERM || number == EROFS) kind = ErrorKind::not_permitted;
  if (number == EEXIST) kind = ErrorKind::already_exists;
  return fail(kind, "cannot " + std::string(deed) + " \"" + path.string() + "\": " + std::strerror(number));
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t most) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error("read", path, errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return system_error("read", path, errno);
  if (S_ISDIR(about.st_mode)) return fail(ErrorKind::io, "\"" + path.string() + "\" is a directory");
  Bytes content;
  std::array<std::uint8_t, 65536> buffer{};
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path, errno);
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > most) {
      return fail(ErrorKind::limit, "\"" + path.string() + "\" is larger than " + std::to_string(most) + " octets");
    }
    append(content, ByteView(buffer).first(static_cast<std::size_t>(got)));
  }
}

Result<NewFile> NewFile::create(const std::filesystem::path& path, mode_t mode) {
  static std::atomic<unsigned> count{0};
  std::filesystem::path draft = path;
  draft += ".part" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  const int descriptor = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (descriptor < 0) return system_error("create", path, errno);
  return NewFile(descriptor, path, std::move(draft));
}

NewFile::NewFile(NewFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      draft_(std::exchange(other.draft_, {})) {}

NewFile::~NewFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!draft_.empty()) ::unlink(draft_.c_str());
}

Status NewFile::write(ByteView octets) {
  while (!octets.empty()) {
    const ssize_t put = ::write(descriptor_, octets.data(), octets.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error("write", path_, errno);
    octets = octets.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status NewFile::copy_from(int descriptor, std::size_t octets) {
  off_t at = 0;
  bool by_kernel = true;
  std::array<std::uint8_t, 65536> buffer{};
  while (static_cast<std::size_t>(at) < octets) {
    const std::size_t rest = octets - static_cast<std::size_t>(at);
    if (by_kernel) {
      const ssize_t copied = ::copy_file_range(descriptor, &at, descriptor_, nullptr, rest, 0);
      if (copied > 0 || (copied < 0 && errno == EINTR)) continue;
      // Across file systems, on strange ones, or at an end that came early: the plain way, which says what is wrong.
      by_kernel = false;
    }
    const ssize_t got = ::pread(descriptor, buffer.data(), std::min(buffer.size(), rest), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read the original of", path_, errno);
    if (got == 0) return fail(ErrorKind::io, "the original of \"" + path_.string() + "\" became shorter");
    TRY(write(ByteView(buffer).first(static_cast<std::size_t>(got))));
    at += got;
  }
  return {};
}

Status NewFile::finish() {
  if (::fsync(descriptor_) != 0) return system_error("write", path_, errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) return system_error("write", path_, errno);
  return {};
}

Status NewFile::commit() {
  TRY(finish());
  // link, unlike rename, refuses to replace what is there. The draft goes with this object.
  if (::link(draft_.c_str(), path_.c_str()) != 0) return system_error("create", path_, errno);
  return sync_folder_of(path_);
}

Status NewFile::commit_over() {
  TRY(finish());
  if (::rename(draft_.c_str(), path_.c_str()) != 0) return system_error("replace", path_, errno);
  draft_.clear();
  return sync_folder_of(path_);
}

Status write_new_file(const std::filesystem::path& path, ByteView content, mode_t mode) {
  NewFile file = TRY(NewFile::create(path, mode));
  TRY(file.write(content));
  return file.commit();
}

Status replace_file(const std::filesystem::path& path, ByteView content, mode_t mode) {
  NewFile file = TRY(NewFile::create(path, mode));
  TRY(file.write(content));
  return file.commit_over();
}

Status sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor open_folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (open_folder.get() < 0) {
    if (errno == EACCES) return {};
    return system_error("open", folder, errno);
  }
  // EINVAL: a file system whose folders have nothing to sync.
  if (::fsync(open_folder.get()) != 0 && errno != EINVAL) return system_error("sync", folder, errno);
  return {};
}

}  // namespace karta
