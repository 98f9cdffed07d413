// PKCS #15 files. What is read must be written and read back the same.
#include "card/pkcs15.h"

namespace {

template <class Parse, class Encode>
void round_trip(karta::ByteView input, Parse parse, Encode encode) {
  const auto first = parse(input);
  if (!first) return;
  const auto second = parse(encode(*first));
  KARTA_CHECK(second.has_value());
  KARTA_CHECK(*second == *first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const karta::ByteView input(data + 1, size - 1);
  using namespace karta::card;
  switch (data[0] % 8) {
    case 0:
      (void)parse_ef_dir(input);
      break;
    case 1:
      (void)parse_token_info(input);
      break;
    case 2:
      round_trip(input, parse_odf, encode_odf);
      break;
    case 3:
      (void)parse_aodf(input);
      break;
    case 4:
      (void)parse_prkdf(input);
      break;
    case 5:
      (void)parse_pukdf(input);
      break;
    case 6:
      (void)parse_cdf(input);
      break;
    default:
      (void)parse_dodf(input);
      break;
  }
  return 0;
}
