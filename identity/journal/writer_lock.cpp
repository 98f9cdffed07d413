#include "identity/journal/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "identity/journal/beside.h"

namespace karta::identity::detail {

Result<WriterLock> WriterLock::take(const std::filesystem::path& path) {
  const std::filesystem::path name = beside(path, ".lock");
  const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return fail(ErrorKind::io, "cannot open \"" + name.string() + "\": " + std::strerror(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    char who[128] = {};
    const ssize_t read = ::pread(lock, who, sizeof who - 1, 0);
    ::close(lock);
    std::string words = "the journal \"" + path.string() + "\" is being written by ";
    words += read > 0 ? std::string(who, static_cast<std::size_t>(read)) : std::string("another program");
    return fail(ErrorKind::busy, std::move(words), "a journal has one writer: stop the other program first");
  }
  std::string program;
  std::getline(std::ifstream("/proc/self/comm"), program);
  const std::string who = program + ", process " + std::to_string(::getpid());
  // For people: the lock holds without it, on a full disk too.
  if (::ftruncate(lock, 0) == 0) (void)!::pwrite(lock, who.data(), who.size(), 0);
  return WriterLock(lock);
}

WriterLock::WriterLock(WriterLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
WriterLock::~WriterLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace karta::identity::detail
