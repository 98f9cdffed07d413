// Fuzz target: the BER-TLV reader on arbitrary octets, nested as deep as a card profile nests.
#include "base/tlv.h"

namespace {
void walk(karta::ByteView input, karta::TlvLimits limits, int depth) {
  karta::TlvCursor cursor(input, limits);
  while (!cursor.done()) {
    const auto object = cursor.next();
    if (!object) return;
    KARTA_CHECK(object->value.size() <= object->whole.size());
    if (object->constructed() && depth > 0) walk(object->value, limits, depth - 1);
  }
  KARTA_CHECK(cursor.finish().has_value());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  walk({data, size}, karta::TlvLimits::ber(), 8);
  walk({data, size}, karta::TlvLimits::der(), 8);
  return 0;
}
