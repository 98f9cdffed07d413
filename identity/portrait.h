// Portrait: a citizen's picture as registry and card keep it: a baseline JPEG (ITU-T T.81) that holds the picture and
// nothing else. What cameras and programs write beside it (EXIF with place and time, thumbnails, colour profiles,
// comments) is taken out at the door.
#pragma once

#include "base/bytes.h"

namespace karta::identity {

/// Of the picture as it is kept. Below, a face has been lost to compression; above, a card has no room.
inline constexpr std::size_t kLeastPortraitOctets = 8'000, kMostPortraitOctets = 24'000;
/// Of the file it is read from.
inline constexpr std::size_t kMostPictureFileOctets = 256 * 1024;
/// In pixels.
inline constexpr unsigned kLeastPortraitWidth = 240, kMostPortraitWidth = 960;
inline constexpr unsigned kLeastPortraitHeight = 300, kMostPortraitHeight = 1280;

class Portrait {
 public:
  /// Reads a picture file. Baseline, eight bits, grey or YCbCr, one scan; upright, and about as wide to high as three
  /// to four (0.70 to 0.85). The entropy-coded data are checked for their markers, not decoded. Fails with `malformed`
  /// (no JPEG, broken), `unsupported` (a JPEG of another kind), `limit` (octets, pixels); messages say what to do.
  static Result<Portrait> from_jpeg(ByteView file);

  /// The whole file, SOI to EOI.
  const Bytes& jpeg() const { return jpeg_; }
  unsigned width() const { return width_; }
  unsigned height() const { return height_; }
  /// Of jpeg(): what two portraits are told apart by.
  Bytes sha256() const;

 private:
  Portrait(Bytes jpeg, unsigned width, unsigned height) : jpeg_(std::move(jpeg)), width_(width), height_(height) {}

  Bytes jpeg_;
  unsigned width_;
  unsigned height_;
};

}  // namespace karta::identity
