#include "firmware-sim/link/vpcd_frame.h"

#include <cstring>

namespace karta::sim {
namespace {
constexpr std::size_t kLengthBytes = 2;
}

// Twice the longest frame: after moving a frame under way to the front, a whole one always fits behind it.
VpcdFrameReader::VpcdFrameReader() : buffer_(2 * (kLengthBytes + kMaxVpcdPayload)) {}

MutableByteView VpcdFrameReader::space() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ >= buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return MutableByteView(buffer_).subspan(end_);
}

void VpcdFrameReader::received(std::size_t count) {
  KARTA_CHECK(count <= buffer_.size() - end_);
  end_ += count;
}

std::optional<ByteView> VpcdFrameReader::next() {
  const ByteView waiting = ByteView(buffer_).subspan(begin_, end_ - begin_);
  if (waiting.size() < kLengthBytes) return std::nullopt;
  const std::size_t payload_bytes = load_be16(waiting);
  if (waiting.size() - kLengthBytes < payload_bytes) return std::nullopt;
  begin_ += kLengthBytes + payload_bytes;
  return waiting.subspan(kLengthBytes, payload_bytes);
}

void VpcdFrameReader::clear() { begin_ = end_ = 0; }

void append_vpcd_frame(Bytes& out, ByteView payload) {
  KARTA_CHECK(payload.size() <= kMaxVpcdPayload);
  append_be16(out, static_cast<std::uint16_t>(payload.size()));
  append(out, payload);
}

}  // namespace karta::sim
