// File control parameters and EF.ATR, as any card may answer them.
#include "card/card_type.h"
#include "card/channel.h"
#include "card/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const karta::ByteView input(data, size);
  (void)karta::card::FileControl::parse(input);
  (void)karta::card::parse_extended_length_information(input);
  (void)karta::card::card_type_of(input);
  return 0;
}
