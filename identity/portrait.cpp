#include "identity/portrait.h"

#include <array>
#include <optional>
#include <string>

#include "base/cursor.h"
#include "crypto/digest.h"

namespace karta::identity {
namespace {

// T.81 table B.1
enum Marker : std::uint8_t {
  kSof0 = 0xC0,
  kSof15 = 0xCF,
  kDht = 0xC4,
  kJpg = 0xC8,
  kDac = 0xCC,
  kRst0 = 0xD0,
  kRst7 = 0xD7,
  kSoi = 0xD8,
  kEoi = 0xD9,
  kSos = 0xDA,
  kDqt = 0xDB,
  kDri = 0xDD,
  kApp0 = 0xE0,
  kApp1 = 0xE1,
  kApp14 = 0xEE,
  kApp15 = 0xEF,
  kCom = 0xFE,
};

constexpr std::string_view kSaveAgain =
    "save it as a baseline JPEG: upright, in colour or grey, without the option \"progressive\"";
constexpr std::size_t kMostSegments = 256, kQuantValues = 64, kMostAcCodes = 162, kMostDcCodes = 12;

tl::unexpected<Error> broken(std::string_view why) {
  return fail(ErrorKind::malformed, "the picture is a broken JPEG: " + std::string(why), "save or scan it again");
}
tl::unexpected<Error> other_kind(std::string_view why) {
  return fail(ErrorKind::unsupported, "the picture is a JPEG " + std::string(why), std::string(kSaveAgain));
}

/// Octets a picture of another format begins with.
struct FormatRow {
  std::string_view octets;
  std::string_view name;
};
constexpr auto kFormats = std::to_array<FormatRow>({
    {"\x89PNG", "a PNG"},
    {"GIF8", "a GIF"},
    {"BM", "a BMP"},
    {"RIFF", "a WebP"},
    {"II*", "a TIFF"},
    {"MM", "a TIFF"},
    {"%PDF", "a PDF"},
    {std::string_view("\0\0\0\x0CjP", 6), "a JPEG 2000"},
    {"\xFF\x4F\xFF\x51", "a JPEG 2000"},
});

bool begins_with(ByteView octets, std::string_view head) {
  return octets.size() >= head.size() && as_text(octets.first(head.size())) == head;
}

/// The tag Orientation of an EXIF segment (TIFF 6.0, EXIF 2.3 §4.6.4); nothing where there is none to be read.
std::optional<unsigned> orientation_of(ByteView tiff) {
  if (tiff.size() < 8) return std::nullopt;
  const bool little = tiff[0] == 'I';
  const auto number = [&](std::size_t at, std::size_t octets) -> std::optional<std::size_t> {
    if (at > tiff.size() || octets > tiff.size() - at) return std::nullopt;
    std::size_t value = 0;
    for (std::size_t i = 0; i < octets; ++i) value = value << 8 | tiff[at + (little ? octets - 1 - i : i)];
    return value;
  };
  const auto directory = number(4, 4);
  if (!directory) return std::nullopt;
  const auto entries = number(*directory, 2);
  if (!entries) return std::nullopt;
  constexpr std::size_t kEntry = 12, kOrientation = 0x0112;
  for (std::size_t i = 0; i < *entries; ++i) {
    const std::size_t at = *directory + 2 + i * kEntry;
    const auto tag = number(at, 2);
    if (!tag) return std::nullopt;
    if (*tag != kOrientation) continue;
    const auto value = number(at + 8, 2);
    if (value) return static_cast<unsigned>(*value);
    return std::nullopt;
  }
  return std::nullopt;
}

class JpegReader {
 public:
  explicit JpegReader(ByteView file) : in_(file) {}

  /// SOI to EOI without what is not the picture.
  Result<Bytes> read() {
    const ByteView begin = TRY(in_.take(2));
    if (begin[0] != 0xFF || begin[1] != kSoi) return fail(ErrorKind::malformed, "the picture is no JPEG");
    append(out_, begin);
    // JFIF 1.01, square pixels, no thumbnail: says that three components are YCbCr.
    constexpr std::uint8_t kJfif[] = {0xFF, kApp0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
    append(out_, ByteView(kJfif));
    for (std::size_t count = 0; count < kMostSegments; ++count) {
      const std::uint8_t marker = TRY(next_marker());
      if (marker == kEoi) return broken("it ends before there is a picture");
      const std::uint16_t length = TRY(in_.be16());
      if (length < 2) return broken("a segment is shorter than its own length");
      const ByteView body = TRY(in_.take(length - 2u));
      TRY(segment(marker, body));
      if (marker != kSos) continue;
      TRY(scan());
      return std::move(out_);
    }
    return broken("it has more segments than any picture");
  }

  unsigned width() const { return width_; }
  unsigned height() const { return height_; }

 private:
  struct Component {
    std::uint8_t id = 0, quant = 0;
  };

  // B.1.1.2: any number of FF before the marker.
  Result<std::uint8_t> next_marker() {
    std::uint8_t octet = TRY(in_.u8());
    if (octet != 0xFF) return broken("there is something between its segments");
    while (octet == 0xFF) octet = TRY(in_.u8());
    return octet;
  }

  void keep(std::uint8_t marker, ByteView body) {
    const std::size_t length = body.size() + 2;
    append(out_, Bytes{0xFF, marker, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length & 0xFF)});
    append(out_, body);
  }

  Status segment(std::uint8_t marker, ByteView body) {
    switch (marker) {
      case kApp1:
        return exif(body);
      case kApp14:
        return adobe(body);
      case kCom:
        return {};
      case kDqt:
        TRY(quantisation(body));
        break;
      case kSof0:
        TRY(frame(body));
        break;
      case kDht:
        TRY(huffman(body));
        break;
      case kDri:
        if (body.size() != 2) return broken("DRI of a wrong length");
        restarts_ = load_be16(body) != 0;
        break;
      case kSos:
        TRY(scan_header(body));
        break;
      default:
        if (marker >= kApp0 && marker <= kApp15) return {};
        if (marker > kSof0 && marker <= kSof15 && marker != kJpg && marker != kDac) {
          return other_kind(marker == 0xC2 ? "with progressive coding, and a card takes baseline ones only"
                                           : "of a kind that a card does not take");
        }
        return broken("it holds a segment that no baseline JPEG has");
    }
    keep(marker, body);
    return {};
  }

  static Status exif(ByteView body) {
    constexpr std::string_view kHead("Exif\0\0", 6);
    if (!begins_with(body, kHead)) return {};
    const auto turned = orientation_of(body.subspan(kHead.size()));
    if (!turned || *turned <= 1) return {};
    return other_kind("that is upright only by its EXIF data, which are not kept");
  }

  Status adobe(ByteView body) {
    // "Adobe", version, two flags, transform: 1 is YCbCr.
    if (begins_with(body, "Adobe") && body.size() >= 12) ycbcr_ = body[11] == 1;
    return {};
  }

  // B.2.4.1
  Status quantisation(ByteView body) {
    Cursor cursor(body);
    while (!cursor.empty()) {
      const std::uint8_t head = TRY(cursor.u8());
      if (head > 3) return broken("a quantisation table that baseline does not have");
      const ByteView values = TRY(cursor.take(kQuantValues));
      for (const std::uint8_t value : values) {
        if (value == 0) return broken("a quantisation table with a zero");
      }
      quant_[head] = true;
    }
    return {};
  }

  // B.2.2
  Status frame(ByteView body) {
    if (height_ != 0) return broken("two frames");
    Cursor cursor(body);
    if (TRY(cursor.u8()) != 8) return other_kind("with other than eight bits a colour");
    height_ = TRY(cursor.be16());
    width_ = TRY(cursor.be16());
    components_ = TRY(cursor.u8());
    if (components_ != 1 && components_ != 3) return other_kind("in other colours than YCbCr or grey");
    if (width_ == 0 || height_ == 0) return broken("it has no size");
    for (std::size_t i = 0; i < components_; ++i) {
      Component& one = component_[i];
      one.id = TRY(cursor.u8());
      const std::uint8_t sampling = TRY(cursor.u8());
      one.quant = TRY(cursor.u8());
      const unsigned across = sampling >> 4, down = sampling & 0x0F;
      if (across < 1 || across > 4 || down < 1 || down > 4 || one.quant > 3) return broken("a component of no form");
      for (std::size_t before = 0; before < i; ++before) {
        if (component_[before].id == one.id) return broken("a component twice");
      }
    }
    const bool rgb = components_ == 3 && component_[0].id == 'R' && component_[1].id == 'G' && component_[2].id == 'B';
    if (rgb) return other_kind("in RGB instead of YCbCr");
    return cursor.finish();
  }

  // B.2.4.2
  Status huffman(ByteView body) {
    Cursor cursor(body);
    while (!cursor.empty()) {
      const std::uint8_t head = TRY(cursor.u8());
      const unsigned kind = head >> 4, number = head & 0x0F;
      if (kind > 1 || number > 1) return broken("a Huffman table that baseline does not have");
      const ByteView counts = TRY(cursor.take(16));
      // `taken`: codes of the present length that are given out or begin with one that is; the one of all ones stays
      // free.
      std::size_t codes = 0, taken = 0, all = 1;
      for (const std::uint8_t count : counts) {
        codes += count;
        taken = taken * 2 + count;
        all *= 2;
        if (taken >= all) return broken("a Huffman table with too many codes");
      }
      if (codes == 0 || codes > (kind == 0 ? kMostDcCodes : kMostAcCodes)) {
        return broken("a Huffman table with too many codes or none");
      }
      const ByteView values = TRY(cursor.take(codes));
      for (const std::uint8_t value : values) {
        if (kind == 0 && value > 11) return broken("a Huffman table with a value that baseline does not have");
      }
      huffman_[kind][number] = true;
    }
    return {};
  }

  // B.2.3
  Status scan_header(ByteView body) {
    if (height_ == 0) return broken("a scan before the frame");
    if (components_ == 3 && !ycbcr_) return other_kind("in other colours than YCbCr or grey");
    Cursor cursor(body);
    if (TRY(cursor.u8()) != components_) return other_kind("with a scan for each colour");
    for (std::size_t i = 0; i < components_; ++i) {
      if (TRY(cursor.u8()) != component_[i].id) return broken("a scan of a component that is not there");
      const std::uint8_t tables = TRY(cursor.u8());
      const unsigned dc = tables >> 4, ac = tables & 0x0F;
      if (dc > 1 || ac > 1 || !huffman_[0][dc] || !huffman_[1][ac] || !quant_[component_[i].quant]) {
        return broken("a table is missing");
      }
    }
    const ByteView spectral = TRY(cursor.take(3));
    if (spectral[0] != 0 || spectral[1] != 63 || spectral[2] != 0) return broken("a scan that no baseline JPEG has");
    return cursor.finish();
  }

  // B.1.1.5: after FF a zero, a restart marker in its turn, or the end.
  Status scan() {
    const ByteView data = in_.rest();
    unsigned restart = 0;
    for (std::size_t at = 0; at + 1 < data.size(); ++at) {
      if (data[at] != 0xFF) continue;
      const std::uint8_t next = data[at + 1];
      if (next == 0xFF) continue;
      ++at;
      if (next == 0x00) continue;
      if (next == kEoi) {
        append(out_, data.first(at + 1));
        return {};
      }
      if (next < kRst0 || next > kRst7) return other_kind("of more than one scan");
      if (!restarts_ || next - kRst0 != static_cast<int>(restart)) return broken("a restart out of turn");
      restart = (restart + 1) % 8;
    }
    return broken("it ends in the middle");
  }

  Cursor in_;
  Bytes out_;
  unsigned width_ = 0, height_ = 0;
  std::size_t components_ = 0;
  Component component_[3];
  bool quant_[4] = {};
  bool huffman_[2][2] = {};
  bool restarts_ = false;
  bool ycbcr_ = true;
};

std::string pixels(unsigned width, unsigned height) { return std::to_string(width) + " x " + std::to_string(height); }

}  // namespace

Result<Portrait> Portrait::from_jpeg(ByteView file) {
  for (const FormatRow& row : kFormats) {
    if (begins_with(file, row.octets)) {
      return fail(ErrorKind::unsupported, "the picture is " + std::string(row.name) + ", not a JPEG",
                  std::string(kSaveAgain));
    }
  }
  if (file.size() > kMostPictureFileOctets) {
    return fail(ErrorKind::limit, "the picture's file is longer than " + std::to_string(kMostPictureFileOctets / 1024) +
                                      " KiB, at most " + std::to_string(kMostPortraitOctets) + " octets are kept");
  }
  JpegReader reader(file);
  auto read = reader.read();
  if (!read) {
    // The cursor's own words say where, not what.
    if (read.error().message.find("picture") == std::string::npos) return broken("it ends in the middle");
    return fail(std::move(read).error());
  }
  const unsigned width = reader.width(), height = reader.height();
  if (width < kLeastPortraitWidth || width > kMostPortraitWidth || height < kLeastPortraitHeight ||
      height > kMostPortraitHeight) {
    return fail(ErrorKind::limit, "the picture has " + pixels(width, height) + " pixels",
                "it must have " + pixels(kLeastPortraitWidth, kLeastPortraitHeight) + " to " +
                    pixels(kMostPortraitWidth, kMostPortraitHeight));
  }
  if (width * 100 < height * 70 || width * 100 > height * 85) {
    return fail(ErrorKind::limit, "the picture is no portrait in its shape: " + pixels(width, height) + " pixels",
                "cut it so that width is to height as three to four");
  }
  if (read->size() < kLeastPortraitOctets || read->size() > kMostPortraitOctets) {
    const bool little = read->size() < kLeastPortraitOctets;
    return fail(ErrorKind::limit, "the picture has " + std::to_string(read->size()) + " octets",
                std::string(little ? "save it in a better quality" : "save it smaller, or in a lower quality") + ": " +
                    std::to_string(kLeastPortraitOctets) + " to " + std::to_string(kMostPortraitOctets) + " octets");
  }
  return Portrait(std::move(*read), width, height);
}

Bytes Portrait::sha256() const { return crypto::digest(crypto::Hash::sha256, jpeg_); }

}  // namespace karta::identity
