#include "firmware-sim/host/nvm_image.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace karta::sim {
namespace {

// The file: a header block, the erase counts, the pages; integers big-endian, each part on a 4,096-octet boundary.
constexpr std::string_view kMagic = "KARTANVM";
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kPageBytesAt = 12;
constexpr std::size_t kPageCountAt = 16;
constexpr std::size_t kEnduranceAt = 20;
constexpr std::size_t kFlagsAt = 24;  // bit 0: contactless
constexpr std::size_t kSerialAt = 28;
constexpr std::size_t kChecksumAt = 40;  // CRC-32 of everything before it
constexpr std::size_t kHeaderBytes = 44;
constexpr std::size_t kEraseCountsAt = kBlockBytes;
constexpr std::size_t kPagesAt = 2 * kBlockBytes;
constexpr std::size_t kFileBytes = kPagesAt + kNvmPageBytes * kNvmPageCount;
static_assert(4 * kNvmPageCount <= kBlockBytes);

std::uint32_t load_be32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 |
         static_cast<std::uint32_t>(at[2]) << 8 | at[3];
}

void store_be32(std::uint8_t* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

// CRC-32 of ISO 3309, bit by bit: forty octets, once a start.
std::uint32_t crc32(ByteView octets) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::uint8_t octet : octets) {
    crc ^= octet;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

void write_blank(std::uint8_t* base, const ImageLabel& label) {
  std::memset(base, 0, kPagesAt);
  std::memset(base + kPagesAt, 0xFF, kFileBytes - kPagesAt);
  std::copy(kMagic.begin(), kMagic.end(), base);
  store_be32(base + kVersionAt, kFormatVersion);
  store_be32(base + kPageBytesAt, kNvmPageBytes);
  store_be32(base + kPageCountAt, kNvmPageCount);
  store_be32(base + kEnduranceAt, kNvmEndurance);
  store_be32(base + kFlagsAt, label.contactless ? 1 : 0);
  std::copy(label.serial.begin(), label.serial.end(), base + kSerialAt);
  store_be32(base + kChecksumAt, crc32({base, kChecksumAt}));
}

std::string because(const std::string& what, const std::string& path) {
  return what + " \"" + path + "\": " + std::strerror(errno);
}

constexpr std::string_view kForeignHint = "card images are made by: karta-sim new IMAGE";

}  // namespace

NvmImage NvmImage::in_memory(const ImageLabel& label) {
  NvmImage image;
  image.label_ = label;
  image.memory_ = std::make_unique<std::uint8_t[]>(kFileBytes);
  image.base_ = image.memory_.get();
  write_blank(image.base_, label);
  return image;
}

Result<NvmImage> NvmImage::create(const std::string& path, const ImageLabel& label) {
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0) {
    return fail(ErrorKind::already_exists, "\"" + path + "\" exists already");
  }
  NvmImage image;
  image.label_ = label;
  image.path_ = path;
  std::string temporary = path + ".XXXXXX";
  image.file_ = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (image.file_ < 0) return fail(ErrorKind::io, because("cannot create the card image", path));
  image.temporary_path_ = temporary;
  // Reserved now: running out of disk later, inside the mapping, would end the process.
  if (const int code = ::posix_fallocate(image.file_, 0, static_cast<off_t>(kFileBytes)); code != 0) {
    errno = code;
    return fail(ErrorKind::io, because("cannot reserve the card image", path));
  }
  void* mapping = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, image.file_, 0);
  if (mapping == MAP_FAILED) return fail(ErrorKind::io, because("cannot map the card image", path));
  image.base_ = image.mapping_ = static_cast<std::uint8_t*>(mapping);
  write_blank(image.base_, label);
  if (::flock(image.file_, LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::io, because("cannot lock the card image", path));
  }
  return image;
}

Status NvmImage::publish() {
  if (temporary_path_.empty()) return {};
  TRY(sync());
  if (::link(temporary_path_.c_str(), path_.c_str()) != 0) {
    if (errno == EEXIST) return fail(ErrorKind::already_exists, "\"" + path_ + "\" exists already");
    return fail(ErrorKind::io, because("cannot name the card image", path_));
  }
  ::unlink(temporary_path_.c_str());
  temporary_path_.clear();
  return {};
}

Result<NvmImage> NvmImage::open(const std::string& path) {
  NvmImage image;
  image.path_ = path;
  image.file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (image.file_ < 0) {
    const bool missing = errno == ENOENT;
    return fail(missing ? ErrorKind::not_found : ErrorKind::io, because("cannot open the card image", path),
                missing ? std::string(kForeignHint) : std::string());
  }
  struct stat state {};
  if (::fstat(image.file_, &state) != 0) return fail(ErrorKind::io, because("cannot read the card image", path));
  if (!S_ISREG(state.st_mode)) {
    return fail(ErrorKind::malformed, "\"" + path + "\" is not a file", std::string(kForeignHint));
  }
  if (::flock(image.file_, LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::busy, "the card image \"" + path + "\" is in use by another simulator",
                "a card is in one reader at a time: stop the other karta-sim, or make another card");
  }
  std::array<std::uint8_t, kHeaderBytes> header{};
  const ssize_t got = ::pread(image.file_, header.data(), header.size(), 0);
  if (got < 0) return fail(ErrorKind::io, because("cannot read the card image", path));
  if (static_cast<std::size_t>(got) < header.size() || !std::equal(kMagic.begin(), kMagic.end(), header.begin())) {
    return fail(ErrorKind::malformed, "\"" + path + "\" is not a card image", std::string(kForeignHint));
  }
  if (load_be32(header.data() + kVersionAt) != kFormatVersion) {
    return fail(ErrorKind::unsupported,
                "the card image \"" + path + "\" has format " + std::to_string(load_be32(header.data() + kVersionAt)) +
                    ", this karta-sim knows " + std::to_string(kFormatVersion),
                "use the karta-sim that made it, or a newer one");
  }
  if (load_be32(header.data() + kChecksumAt) != crc32(ByteView(header).first(kChecksumAt)) ||
      load_be32(header.data() + kPageBytesAt) != kNvmPageBytes ||
      load_be32(header.data() + kPageCountAt) != kNvmPageCount) {
    return fail(ErrorKind::malformed, "the card image \"" + path + "\" has a damaged header",
                "restore it from a copy, or make a new card");
  }
  if (state.st_size != static_cast<off_t>(kFileBytes)) {
    return fail(ErrorKind::malformed,
                "the card image \"" + path + "\" has " + std::to_string(state.st_size) + " octets instead of " +
                    std::to_string(kFileBytes),
                "it was cut short or added to: restore it from a copy, or make a new card");
  }
  void* mapping = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, image.file_, 0);
  if (mapping == MAP_FAILED) return fail(ErrorKind::io, because("cannot map the card image", path));
  image.base_ = image.mapping_ = static_cast<std::uint8_t*>(mapping);
  std::copy_n(header.begin() + kSerialAt, image.label_.serial.size(), image.label_.serial.begin());
  image.label_.contactless = (load_be32(header.data() + kFlagsAt) & 1) != 0;
  return image;
}

NvmImage::NvmImage(NvmImage&& other) noexcept { *this = std::move(other); }

NvmImage& NvmImage::operator=(NvmImage&& other) noexcept {
  if (this == &other) return *this;
  release();
  label_ = other.label_;
  path_ = std::exchange(other.path_, {});
  temporary_path_ = std::exchange(other.temporary_path_, {});
  file_ = std::exchange(other.file_, -1);
  mapping_ = std::exchange(other.mapping_, nullptr);
  memory_ = std::move(other.memory_);
  base_ = std::exchange(other.base_, nullptr);
  return *this;
}

NvmImage::~NvmImage() { release(); }

void NvmImage::release() noexcept {
  if (mapping_ != nullptr) ::munmap(mapping_, kFileBytes);
  if (file_ >= 0) ::close(file_);  // and with it the lock
  if (!temporary_path_.empty()) ::unlink(temporary_path_.c_str());
  mapping_ = base_ = nullptr;
  file_ = -1;
  temporary_path_.clear();
  memory_.reset();
}

ByteView NvmImage::page(std::size_t number) const {
  KARTA_CHECK(number < kNvmPageCount);
  return {base_ + kPagesAt + number * kNvmPageBytes, kNvmPageBytes};
}

MutableByteView NvmImage::page_for_change(std::size_t number) {
  KARTA_CHECK(number < kNvmPageCount);
  return {base_ + kPagesAt + number * kNvmPageBytes, kNvmPageBytes};
}

bool NvmImage::erase(std::size_t number, std::size_t octets) {
  if (erase_count(number) >= load_be32(base_ + kEnduranceAt)) return false;
  store_be32(base_ + kEraseCountsAt + 4 * number, erase_count(number) + 1);
  const MutableByteView page = page_for_change(number);
  std::fill_n(page.begin(), std::min(octets, page.size()), std::uint8_t{0xFF});
  return octets >= page.size();
}

bool NvmImage::write(std::size_t number, std::size_t offset, ByteView data, std::size_t octets) {
  MutableByteView page = page_for_change(number);
  KARTA_CHECK(offset <= page.size() && data.size() <= page.size() - offset);
  page = page.subspan(offset, data.size());
  const std::size_t whole = std::min(octets, data.size());
  bool as_asked = true;
  for (std::size_t i = 0; i < whole; ++i) {
    page[i] &= data[i];
    as_asked = as_asked && page[i] == data[i];
  }
  if (whole == data.size()) return as_asked;
  // The cell row under the pulse when the power went: some of its bits made it.
  page[whole] &= static_cast<std::uint8_t>(data[whole] | 0x55);
  return false;
}

std::uint32_t NvmImage::erase_count(std::size_t page_number) const {
  KARTA_CHECK(page_number < kNvmPageCount);
  return load_be32(base_ + kEraseCountsAt + 4 * page_number);
}

std::uint32_t NvmImage::highest_erase_count() const {
  std::uint32_t highest = 0;
  for (std::size_t i = 0; i < kNvmPageCount; ++i) highest = std::max(highest, erase_count(i));
  return highest;
}

Status NvmImage::sync() {
  if (mapping_ != nullptr && ::msync(mapping_, kFileBytes, MS_SYNC) != 0) {
    return fail(ErrorKind::io, because("cannot write the card image", path_));
  }
  return {};
}

}  // namespace karta::sim
