// NvmImage is a card's non-volatile memory: equal pages that erase to FF, are written from 1 to 0 only, and wear. It
// lives in one file that survives restarts, or in plain memory for tests and for cards made by the thousand.
//
// A file image is mapped: each octet the card writes is the file's at once, in the order written, so a killed process
// leaves exactly what a power cut would, and the card's own journal recovers it. (What a crash of the whole machine
// leaves depends on its disk; sync() at rest.) One process at a time: the file is locked while open. The format is
// described in docs/karta-sim.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace karta::sim {

constexpr std::size_t kNvmPageBytes = 256;
constexpr std::size_t kNvmPageCount = 384;  ///< 96 KiB
/// Erases that a page is good for, as flash data sheets promise.
constexpr std::uint32_t kNvmEndurance = 100'000;

using CardSerial = std::array<std::uint8_t, 10>;

/// What is printed on the chip rather than stored by the card operating system.
struct ImageLabel {
  CardSerial serial{};
  bool contactless = false;  ///< the card is meant for contactless readers unless told otherwise
};

class NvmImage {
 public:
  /// All pages erased, in memory only.
  static NvmImage in_memory(const ImageLabel& label);

  /// A new file, all pages erased, under a temporary name beside `path`; publish() gives it its name, and until then it
  /// goes away with this object. Fails: `already_exists`, `io`.
  static Result<NvmImage> create(const std::string& path, const ImageLabel& label);
  /// Fails (`already_exists`) rather than replace a file.
  Status publish();

  /// Fails: `not_found`, `io`, `malformed` (no image of ours, or cut short), `unsupported` (a later format), `busy`
  /// (another simulator has it).
  static Result<NvmImage> open(const std::string& path);

  NvmImage(NvmImage&& other) noexcept;
  NvmImage& operator=(NvmImage&& other) noexcept;
  NvmImage(const NvmImage&) = delete;
  NvmImage& operator=(const NvmImage&) = delete;
  ~NvmImage();

  const ImageLabel& label() const { return label_; }
  /// Empty for an image in memory.
  const std::string& path() const { return path_; }

  /// `kNvmPageBytes` octets; valid as long as this object.
  ByteView page(std::size_t number) const;

  /// Erases to FF. False if the page is worn out (nothing changes) or `octets` is less than a page: power failed after
  /// that many, and the rest keeps its old content.
  bool erase(std::size_t number, std::size_t octets = kNvmPageBytes);
  /// Programs `data`. False if a cell asked to be 1 is 0 (the others are programmed) or `octets` is less than the data:
  /// power failed after that many, in the middle of the next one.
  bool write(std::size_t number, std::size_t offset, ByteView data, std::size_t octets = SIZE_MAX);

  std::uint32_t erase_count(std::size_t page_number) const;
  std::uint32_t highest_erase_count() const;

  /// Waits until the disk has the file. Nothing to do in memory.
  Status sync();

 private:
  NvmImage() = default;
  void release() noexcept;
  MutableByteView page_for_change(std::size_t number);

  ImageLabel label_;
  std::string path_;
  std::string temporary_path_;  // not empty: not published yet
  int file_ = -1;
  std::uint8_t* mapping_ = nullptr;         // of the file
  std::unique_ptr<std::uint8_t[]> memory_;  // or plain memory
  std::uint8_t* base_ = nullptr;            // whichever it is
};

}  // namespace karta::sim
