#include "crypto/ades/pdf_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "crypto/pdf/encryption.h"

namespace karta::crypto {

/// The file on disk, held open.
struct PdfFile::Original {
  int descriptor = -1;
  timespec changed{};

  explicit Original(int value) : descriptor(value) {}
  Original(const Original&) = delete;
  Original& operator=(const Original&) = delete;
  ~Original() { ::close(descriptor); }

  bool is_as(std::size_t octets) const {
    struct stat about {};
    return ::fstat(descriptor, &about) == 0 && static_cast<std::size_t>(about.st_size) == octets &&
           about.st_mtim.tv_sec == changed.tv_sec && about.st_mtim.tv_nsec == changed.tv_nsec;
  }
};

PdfFile::PdfFile() = default;
PdfFile::PdfFile(PdfFile&&) noexcept = default;
PdfFile& PdfFile::operator=(PdfFile&&) noexcept = default;
PdfFile::~PdfFile() = default;

Result<PdfFile> PdfFile::open(Bytes octets, const SecretBytes& password) {
  PdfFile out;
  out.octets_.push_back(std::make_unique<Bytes>(std::move(octets)));
  out.opened_octets_ = out.octets().size();
  out.document_ = std::make_unique<pdf::Document>(TRY(pdf::Document::open(out.octets())));
  if (out.document_->encrypted()) {
    out.cipher_ = TRY(pdf::open_cipher(*out.document_, password));
    out.document_->set_cipher(out.cipher_);
  }
  return out;
}

Result<PdfFile> PdfFile::open_file(const std::filesystem::path& path, const SecretBytes& password) {
  // Opened before it is read: whoever replaces the file meanwhile replaces a name, not what is copied later.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::unique_ptr<Original> original = descriptor < 0 ? nullptr : std::make_unique<Original>(descriptor);
  struct stat about {};
  if (original != nullptr && ::fstat(descriptor, &about) == 0) original->changed = about.st_mtim;
  Bytes octets = TRY(read_file(path, kMostOctets));
  PdfFile out = TRY(open(std::move(octets), password));
  if (S_ISREG(about.st_mode)) out.original_ = std::move(original);
  return out;
}

Status PdfFile::append(ByteView update) {
  Bytes& now = *octets_.back();
  const std::size_t before = now.size();
  if (update.size() > kMostOctets - std::min(before, kMostOctets)) {
    return fail(ErrorKind::limit, "the document is larger than " + std::to_string(kMostOctets) + " octets");
  }
  const bool moves = now.capacity() - before < update.size();
  if (moves) {
    // Room for more of the same: the whole is copied now and again, not with each update.
    auto larger = std::make_unique<Bytes>();
    larger->reserve(before + std::max(4 * update.size(), before / 2));
    karta::append(*larger, now);
    octets_.push_back(std::move(larger));
  }
  Bytes& whole = *octets_.back();
  karta::append(whole, update);
  if (const Status extended = document_->extend(whole); !extended) {
    if (moves) {
      octets_.pop_back();
    } else {
      whole.resize(before);
    }
    return extended;
  }
  return {};
}

Hasher PdfFile::hash_front(Hash hash) const {
  Front& front = fronts_.try_emplace(hash, Front{Hasher(hash), 0}).first->second;
  const ByteView fresh = octets().subspan(front.octets);
  front.hasher.update(fresh);
  front.octets += fresh.size();
  hashed_octets_ += fresh.size();
  return front.hasher.clone();
}

Status PdfFile::save_as(const std::filesystem::path& path) const {
  if (original_ == nullptr) return write_new_file(path, octets(), 0644);
  NewFile file = TRY(NewFile::create(path, 0644));
  TRY(file.copy_from(original_->descriptor, opened_octets_));
  if (!original_->is_as(opened_octets_)) {
    return fail(ErrorKind::io, "the document was changed by another program while it was signed",
                "nothing was written: sign it again");
  }
  TRY(file.write(appended()));
  return file.commit();
}

}  // namespace karta::crypto
