// Fuzzes the frame reader: first octet chooses how the stream is cut; every cut must yield the same frames.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "firmware-sim/link/vpcd_frame.h"

namespace {

std::vector<karta::Bytes> payloads_of(karta::ByteView stream, std::size_t piece) {
  karta::sim::VpcdFrameReader reader;
  std::vector<karta::Bytes> payloads;
  while (!stream.empty()) {
    karta::MutableByteView space = reader.space();
    if (space.empty()) std::abort();
    const std::size_t count = std::min({piece, stream.size(), space.size()});
    std::copy_n(stream.begin(), count, space.begin());
    reader.received(count);
    stream = stream.subspan(count);
    while (auto payload = reader.next()) payloads.push_back(karta::to_bytes(*payload));
  }
  return payloads;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const karta::ByteView stream(data + 1, size - 1);
  if (payloads_of(stream, 1 + data[0]) != payloads_of(stream, size)) std::abort();
  return 0;
}
