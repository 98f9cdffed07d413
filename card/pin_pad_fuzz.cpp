// The features any reader may claim.
#include "card/pin_pad.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)karta::card::parse_features(karta::ByteView(data, size));
  return 0;
}
