#include "pkcs11/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/cursor.h"
#include "base/random.h"
#include "crypto/digest.h"

namespace karta::pkcs11 {
namespace {

constexpr std::string_view kMagic = "karta content 1\n";
constexpr std::size_t kChecksum = 32;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// The folder, if it is ours alone; made if `make`.
int open_folder(const std::filesystem::path& folder, bool make) {
  if (make) {
    std::error_code ignored;
    std::filesystem::create_directories(folder.parent_path(), ignored);
    mkdir(folder.c_str(), 0700);
  }
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat about = {};
  if (fstat(fd, &about) != 0 || about.st_uid != geteuid() || (about.st_mode & 022) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

std::string file_name(ByteView serial) { return to_hex(serial) + ".content"; }

}  // namespace

std::filesystem::path Cache::user_folder() {
  const char* const wanted = secure_getenv("KARTA_PKCS11_CACHE");
  if (wanted != nullptr && std::string_view(wanted) == "off") return {};
  // The base directory specification: a path that is not absolute is to be ignored.
  if (const char* const base = secure_getenv("XDG_CACHE_HOME"); base != nullptr && *base == '/') {
    return std::filesystem::path(base) / "karta";
  }
  if (const char* const home = secure_getenv("HOME"); home != nullptr && *home == '/') {
    return std::filesystem::path(home) / ".cache" / "karta";
  }
  return {};
}

// magic, serial length and serial, counter, number of entries; each: name length, name, content length (3 octets),
// content; SHA-256 of all before it.
Bytes Cache::encode(ByteView serial, const Content& content) {
  Bytes out = to_bytes(as_bytes(kMagic));
  out.push_back(static_cast<std::uint8_t>(serial.size()));
  append(out, serial);
  append_be16(out, content.counter);
  append_be16(out, static_cast<std::uint16_t>(content.entries.size()));
  for (const auto& [name, octets] : content.entries) {
    out.push_back(static_cast<std::uint8_t>(name.size()));
    append(out, as_bytes(name));
    out.push_back(static_cast<std::uint8_t>(octets.size() >> 16));
    append_be16(out, static_cast<std::uint16_t>(octets.size()));
    append(out, octets);
  }
  append(out, crypto::digest(crypto::Hash::sha256, out));
  return out;
}

std::optional<Cache::Content> Cache::decode(ByteView serial, ByteView file) {
  if (file.size() > kMostOctets || file.size() < kChecksum) return {};
  const ByteView body = file.first(file.size() - kChecksum);
  if (!equal(crypto::digest(crypto::Hash::sha256, body), file.last(kChecksum))) return {};
  Cursor cursor(body);
  const auto read = [&]() -> Result<Content> {
    const ByteView magic = TRY(cursor.take(kMagic.size()));
    const std::uint8_t serial_octets = TRY(cursor.u8());
    const ByteView named = TRY(cursor.take(serial_octets));
    if (as_text(magic) != kMagic || !equal(named, serial)) return fail(ErrorKind::malformed, "another card's");
    Content content;
    content.counter = TRY(cursor.be16());
    const std::uint16_t count = TRY(cursor.be16());
    if (count > kMostEntries) return fail(ErrorKind::limit, "too many entries");
    for (unsigned i = 0; i < count; ++i) {
      const std::uint8_t name_octets = TRY(cursor.u8());
      const ByteView name = TRY(cursor.take(name_octets));
      const std::size_t high = TRY(cursor.u8());
      const std::size_t low = TRY(cursor.be16());
      const ByteView octets = TRY(cursor.take(high << 16 | low));
      content.entries[std::string(as_text(name))] = to_bytes(octets);
    }
    TRY(cursor.finish());
    return content;
  }();
  if (!read) return {};
  return *read;
}

std::optional<Cache::Content> Cache::load(ByteView serial) const {
  if (folder_.empty()) return {};
  const File folder(open_folder(folder_, false));
  if (!folder) return {};
  // O_NONBLOCK: a pipe put in its place must not hang us.
  const File file(openat(folder.get(), file_name(serial).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file) return {};
  struct stat about = {};
  if (fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode) || about.st_uid != geteuid() ||
      (about.st_mode & 022) != 0 || about.st_size < 0 || static_cast<std::size_t>(about.st_size) > kMostOctets) {
    return {};
  }
  Bytes octets(static_cast<std::size_t>(about.st_size));
  std::size_t got = 0;
  while (got < octets.size()) {
    const ssize_t n = read(file.get(), octets.data() + got, octets.size() - got);
    if (n <= 0) return {};
    got += static_cast<std::size_t>(n);
  }
  return decode(serial, octets);
}

void Cache::store(ByteView serial, const Content& content) const {
  if (folder_.empty()) return;
  const File folder(open_folder(folder_, true));
  if (!folder) return;
  const Bytes octets = encode(serial, content);
  if (octets.size() > kMostOctets) return;
  SystemRandom random;
  const std::string name = file_name(serial), fresh = name + '.' + to_hex(random.bytes(8));
  {
    const File file(openat(folder.get(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return;
    std::size_t put = 0;
    while (put < octets.size()) {
      const ssize_t n = write(file.get(), octets.data() + put, octets.size() - put);
      if (n <= 0) {
        unlinkat(folder.get(), fresh.c_str(), 0);
        return;
      }
      put += static_cast<std::size_t>(n);
    }
  }
  if (renameat(folder.get(), fresh.c_str(), folder.get(), name.c_str()) != 0) {
    unlinkat(folder.get(), fresh.c_str(), 0);
  }
}

std::optional<Bytes> Cache::find(ByteView serial, std::uint16_t counter, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const std::string card = to_hex(serial);
  auto known = cards_.find(card);
  if (known == cards_.end() || known->second.counter != counter) {
    auto loaded = load(serial);
    if (!loaded || loaded->counter != counter) return {};
    if (cards_.size() >= kMostCards) cards_.clear();
    known = cards_.insert_or_assign(card, std::move(*loaded)).first;
  }
  const auto entry = known->second.entries.find(name);
  if (entry == known->second.entries.end()) return {};
  return entry->second;
}

void Cache::keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) {
  if (name.size() > 255 || content.size() > 0xFFFF) return;
  const std::lock_guard lock(mutex_);
  if (cards_.size() >= kMostCards) cards_.clear();
  Content& card = cards_[to_hex(serial)];
  if (card.counter != counter) card = Content{counter, {}};
  if (card.entries.size() >= kMostEntries) return;
  card.entries[std::string(name)] = to_bytes(content);
  store(serial, card);
}

}  // namespace karta::pkcs11
