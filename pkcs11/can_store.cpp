#include "pkcs11/can_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"

namespace karta::pkcs11 {
namespace {

constexpr std::size_t kDigits = 6;
constexpr std::size_t kMostOctets = 4096;
constexpr char kFile[] = "cans";

// The file's content; nothing where it is not the user's alone.
SecretBytes read_own(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe put in its place must not hang us.
  const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return SecretBytes();
  struct stat about = {};
  Bytes content(kMostOctets);
  std::size_t size = 0;
  if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() && (about.st_mode & 077) == 0) {
    for (;;) {
      const ssize_t got = read(fd, content.data() + size, content.size() - size);
      if (got <= 0) break;
      size += static_cast<std::size_t>(got);
    }
  }
  close(fd);
  content.resize(size);
  return SecretBytes(std::move(content));
}

}  // namespace

bool is_can(ByteView text) {
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), [](auto c) { return c >= '0' && c <= '9'; });
}

std::filesystem::path CanStore::user_folder() {
  // The base directory specification: a path that is not absolute is to be ignored.
  if (const char* const base = secure_getenv("XDG_CONFIG_HOME"); base != nullptr && *base == '/') {
    return std::filesystem::path(base) / "karta";
  }
  if (const char* const home = secure_getenv("HOME"); home != nullptr && *home == '/') {
    return std::filesystem::path(home) / ".config" / "karta";
  }
  return {};
}

std::vector<CanStore::Row> CanStore::parse(std::string_view text) {
  std::vector<Row> rows;
  while (!text.empty() && rows.size() < kMost) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    auto serial = from_hex(line.substr(0, blank));
    const ByteView can = as_bytes(line.substr(blank + 1));
    if (serial && !serial->empty() && is_can(can)) rows.push_back({std::move(*serial), SecretBytes::copy_of(can)});
  }
  return rows;
}

std::vector<SecretBytes> CanStore::known() const {
  std::vector<SecretBytes> cans;
  if (const char* const given = secure_getenv("KARTA_CAN"); given != nullptr && is_can(as_bytes(given))) {
    cans.push_back(SecretBytes::copy_of(as_bytes(given)));
    return cans;
  }
  if (folder_.empty()) return cans;
  const SecretBytes content = read_own(folder_ / kFile);
  for (Row& row : parse(as_text(content.expose_secret()))) cans.push_back(std::move(row.can));
  return cans;
}

Status CanStore::keep(ByteView serial, const SecretBytes& can) const {
  if (!is_can(can.expose_secret())) return fail(ErrorKind::usage, "a card access number has six digits");
  if (folder_.empty()) return fail(ErrorKind::io, "there is no folder to keep the number in", "set HOME");
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  const auto write_row = [](Bytes& out, ByteView its_serial, const SecretBytes& its_can) {
    append(out, as_bytes(to_hex_upper(its_serial) + ' '));
    append(out, its_can.expose_secret());
    out.push_back('\n');
  };
  Bytes text;
  text.reserve(kMostOctets);
  write_row(text, serial, can);
  const SecretBytes before = read_own(folder_ / kFile);
  std::size_t count = 1;
  for (const Row& row : parse(as_text(before.expose_secret()))) {
    if (!equal(row.serial, serial) && count++ < kMost) write_row(text, row.serial, row.can);
  }
  const SecretBytes whole(std::move(text));
  // Whole or not at all: another program may be reading.
  return replace_file(folder_ / kFile, whole.expose_secret(), 0600);
}

}  // namespace karta::pkcs11
