#include "identity/login/qr_code.h"

#include <qrencode.h>

#include <memory>

namespace karta::identity {
namespace {

constexpr int kQuiet = 4;  // modules of white around (ISO/IEC 18004 §6.3.8)

class Picture {
 public:
  static Result<Picture> of(const SecretBytes& text) {
    const ByteView octets = text.expose_secret();
    std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
        QRcode_encodeData(static_cast<int>(octets.size()), octets.data(), 0, QR_ECLEVEL_M), QRcode_free);
    if (!code) return fail(ErrorKind::limit, "the text is too long for a QR code");
    return Picture(std::move(code));
  }
  int side() const { return code_->width + 2 * kQuiet; }
  bool is_dark(int row, int column) const {
    row -= kQuiet;
    column -= kQuiet;
    if (row < 0 || column < 0 || row >= code_->width || column >= code_->width) return false;
    return (code_->data[row * code_->width + column] & 1) != 0;
  }

 private:
  explicit Picture(std::unique_ptr<QRcode, decltype(&QRcode_free)> code) : code_(std::move(code)) {}
  std::unique_ptr<QRcode, decltype(&QRcode_free)> code_;
};

/// Grows without leaving copies behind.
class Writer {
 public:
  explicit Writer(std::size_t most) { octets_.reserve(most); }
  void add(std::string_view text) { append(octets_, as_bytes(text)); }
  SecretBytes take() && { return SecretBytes(std::move(octets_)); }

 private:
  Bytes octets_;
};

}  // namespace

Result<SecretBytes> qr_for_terminal(const SecretBytes& text) {
  const Picture picture = TRY(Picture::of(text));
  const int side = picture.side();
  constexpr std::string_view kColours = "\x1b[30;107m", kPlain = "\x1b[0m\n";
  constexpr std::string_view kHalves[] = {" ", "▄", "▀", "█"};  // upper dark: 2, lower dark: 1
  Writer out(static_cast<std::size_t>(side) * (static_cast<std::size_t>(side) + 1) * 2 + 4096);
  for (int row = 0; row < side; row += 2) {
    out.add(kColours);
    for (int column = 0; column < side; ++column) {
      out.add(kHalves[(picture.is_dark(row, column) ? 2 : 0) + (picture.is_dark(row + 1, column) ? 1 : 0)]);
    }
    out.add(kPlain);
  }
  return std::move(out).take();
}

Result<SecretBytes> qr_as_svg(const SecretBytes& text) {
  const Picture picture = TRY(Picture::of(text));
  const int side = picture.side();
  const std::string size = std::to_string(side);
  Writer out(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 16 + 1024);
  out.add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + size + " " + size +
          "\" width=\"60mm\" height=\"60mm\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h" + size +
          "v" + size + "H0z\"/><path d=\"");
  for (int row = 0; row < side; ++row) {
    for (int column = 0; column < side; ++column) {
      if (!picture.is_dark(row, column)) continue;
      int end = column;
      while (picture.is_dark(row, end)) ++end;
      out.add("M" + std::to_string(column) + " " + std::to_string(row) + "h" + std::to_string(end - column) + "v1H" +
              std::to_string(column) + "z");
      column = end;
    }
  }
  out.add("\"/></svg>\n");
  return std::move(out).take();
}

}  // namespace karta::identity
