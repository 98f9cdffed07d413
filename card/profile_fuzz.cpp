// Card profiles and journals, as anybody may write them.
#include "card/personalise.h"
#include "card/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)karta::card::parse_profile(text, "fuzz.toml");
  (void)karta::card::Journal::from_text(text);
  return 0;
}
