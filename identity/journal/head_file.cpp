#include "identity/journal/head_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "crypto/digest.h"
#include "identity/journal/beside.h"

namespace karta::identity::detail {
namespace {

// "KARTAJH1", number (8 octets, big-endian), hash, the first 8 octets of SHA-256 over what stands before.
// Written in place after each commit and never synced: after a power cut it may be older than the journal, not newer.
constexpr std::string_view kHeadMagic = "KARTAJH1";
constexpr std::size_t kHeadOctets = 8 + 8 + 32 + 8;
std::array<std::uint8_t, kHeadOctets> head_of(const JournalPosition& position) {
  std::array<std::uint8_t, kHeadOctets> head{};
  std::copy(kHeadMagic.begin(), kHeadMagic.end(), head.begin());
  for (std::size_t i = 0; i < 8; ++i)
    head[8 + i] = static_cast<std::uint8_t>(position.number >> (56 - 8 * static_cast<unsigned>(i)));
  std::copy(position.hash.begin(), position.hash.end(), head.begin() + 16);
  const Bytes check = crypto::digest(crypto::Hash::sha256, ByteView(head).first(48));
  std::copy_n(check.begin(), 8, head.begin() + 48);
  return head;
}

}  // namespace

std::optional<JournalPosition> read_head(const std::filesystem::path& path) {
  const auto octets = read_file(beside(path, ".head"), kHeadOctets);
  if (!octets || octets->size() != kHeadOctets) return std::nullopt;
  JournalPosition position;
  for (std::size_t i = 0; i < 8; ++i) position.number = position.number << 8 | (*octets)[8 + i];
  std::copy_n(octets->begin() + 16, 32, position.hash.begin());
  const auto expected = head_of(position);
  if (!equal(*octets, expected)) return std::nullopt;
  return position;
}

Result<HeadFile> HeadFile::open(const std::filesystem::path& path) {
  const std::filesystem::path name = beside(path, ".head");
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(ErrorKind::io, "cannot open \"" + name.string() + "\": " + std::strerror(errno));
  return HeadFile(descriptor);
}

HeadFile::HeadFile(HeadFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
HeadFile::~HeadFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void HeadFile::write(const JournalPosition& position) const {
  const auto head = head_of(position);
  (void)!::pwrite(descriptor_, head.data(), head.size(), 0);
}

}  // namespace karta::identity::detail
