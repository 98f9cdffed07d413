#include "identity/journal/reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include "identity/journal/beside.h"

namespace karta::identity::detail {
namespace {

constexpr std::size_t kRoom = 256 * 1024;  // for hundreds of records

/// A file of that many octets, all of them on the disk; false: there is none, or one that is smaller.
bool allocate(const std::filesystem::path& name, std::size_t octets) {
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool made = ::posix_fallocate(file, 0, static_cast<off_t>(octets)) == 0;
  ::close(file);
  return made;
}

}  // namespace

bool JournalReserve::keep() {
  if (kept_) return true;
  kept_ = allocate(beside(path_, ".reserve"), octets_);
  if (!kept_) ::unlink(beside(path_, ".reserve").c_str());
  return kept_;
}

void JournalReserve::give_up() {
  ::unlink(beside(path_, ".reserve").c_str());
  kept_ = false;
}

bool JournalReserve::room_beyond() const {
  const bool room = allocate(beside(path_, ".room"), kRoom);
  ::unlink(beside(path_, ".room").c_str());
  return room;
}

}  // namespace karta::identity::detail
