// Fuzz target: every typed DER reader on arbitrary octets; what reads back must write to the same octets.
#include "base/der.h"

using namespace karta;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  using der::Reader;
  if (const auto value = Reader(input).small_integer()) {
    const Bytes again = der::integer(*value);
    KARTA_CHECK(input.size() >= again.size() && equal(again, input.first(again.size())));
  }
  if (const auto value = Reader(input).oid()) {
    const std::string text = der::oid_to_text(*value);
    if (text.find('?') == std::string::npos) KARTA_CHECK(equal(*der::oid_from_text(text), *value));
  }
  if (const auto value = Reader(input).time()) (void)format_time(*value);
  (void)Reader(input).boolean();
  (void)Reader(input).bits();
  (void)Reader(input).bit_string();
  (void)Reader(input).null();
  (void)Reader(input).text();
  (void)Reader(input).enter(der::kSequence);
  return 0;
}
